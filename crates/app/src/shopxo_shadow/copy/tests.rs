//! How the copy keeps up with the shop.

use mobile_bind_domain::{KeyId, OpenId, Platform, PlatformIdentity};
use mobile_bind_memory::MemoryStore;

use super::*;

const THEN: Timestamp = Timestamp::from_seconds(1_780_000_000);

fn id(id: u64) -> AccountId {
    AccountId::new(id).unwrap()
}

fn mobile(last: u8) -> Mobile {
    Mobile::restore(&format!("139000000{last:02}")).unwrap()
}

fn session(account: u64, token: u8) -> Session {
    Session {
        id: SessionId([token; 16]),
        seed: SessionSeed([token; 16]),
        key: KeyId::new("shop").unwrap(),
        account: id(account),
        client_type: ClientType::H5,
        issued_at: THEN,
        used_at: THEN,
    }
}

/// An account of the shop's with a number, and a token where one is named.
fn seen(account: u64, number: u8, token: Option<u8>) -> SeenAccount {
    let made = Account { mobile: Some(mobile(number)), ..Account::new(id(account), THEN) };
    SeenAccount { account: made, sessions: token.map(|token| session(account, token)).into_iter().collect() }
}

/// A copy of a shop with two users, whose numbers end in their ids.
async fn copy() -> Copy {
    let store = Arc::new(MemoryStore::new());
    let writes = [1, 2].map(|number: u8| {
        let account = Box::new(seen(number.into(), number, None).account);
        Write::Account { expected: Revision::ABSENT, account }
    });
    store.commit(Change { writes: writes.into(), ..Change::default() }).await.unwrap();
    Copy::new(store)
}

/// Whom a token leads to in the copy.
async fn whose(copy: &Copy, token: u8) -> Option<AccountId> {
    Some(copy.store.load_session(SessionId([token; 16])).await.unwrap()?.session.account)
}

/// Who has a number in the copy.
async fn holder(copy: &Copy, number: u8) -> Option<AccountId> {
    Some(copy.store.account_of(&mobile(number)).await.unwrap()?.value.id)
}

/// A bind makes an account in the copy.
async fn bind(copy: &mut Copy, number: u8, at_the_shop: Option<u64>) -> AccountId {
    let made = copy.store.allot_account_id().await.unwrap();
    let account = Box::new(Account { mobile: Some(mobile(number)), ..Account::new(made, THEN) });
    let writes = vec![Write::Account { expected: Revision::ABSENT, account }];
    copy.store.commit(Change { writes, ..Change::default() }).await.unwrap();
    copy.note_made(made, at_the_shop.map(id));
    made
}

#[tokio::test]
async fn what_the_shop_changed_is_changed_in_the_copy() {
    let mut copy = copy().await;
    assert!(copy.follow(&seen(1, 9, Some(7))).await.unwrap());
    assert_eq!((holder(&copy, 9).await, holder(&copy, 1).await), (Some(id(1)), None));
    assert_eq!(whose(&copy, 7).await, Some(id(1)));
    let before = copy.of(id(1)).await.unwrap().unwrap().revision;
    assert!(copy.follow(&seen(1, 9, Some(7))).await.unwrap());
    assert_eq!(copy.of(id(1)).await.unwrap().unwrap().revision, before, "nothing is written anew");
}

#[tokio::test]
async fn a_number_and_a_token_that_passed_on_at_the_shop_pass_on_in_the_copy() {
    let mut copy = copy().await;
    copy.follow(&seen(1, 1, Some(7))).await.unwrap();
    assert!(copy.follow(&seen(2, 1, Some(7))).await.unwrap());
    assert_eq!((holder(&copy, 1).await, whose(&copy, 7).await), (Some(id(2)), Some(id(2))));
}

#[tokio::test]
async fn who_came_to_the_shop_since_is_in_the_copy_once_whatever_his_id() {
    let mut copy = copy().await;
    // The shop made its third account by a log-in, the copy by a bind of another number.
    let made = bind(&mut copy, 5, None).await;
    assert_eq!(made, id(3));
    assert!(copy.of(id(3)).await.unwrap().is_none(), "the copy's third is not the shop's");
    assert!(copy.follow(&seen(3, 6, Some(7))).await.unwrap());
    let third = copy.of(id(3)).await.unwrap().unwrap().value.id;
    assert_eq!((third, whose(&copy, 7).await, holder(&copy, 6).await), (id(4), Some(id(4)), Some(id(4))));
    assert!(copy.follow(&seen(3, 6, Some(8))).await.unwrap());
    assert_eq!((whose(&copy, 7).await, whose(&copy, 8).await), (None, Some(id(4))));
    assert_eq!(copy.store.accounts(None, 9).await.unwrap().len(), 4);
}

#[tokio::test]
async fn what_both_made_for_one_bind_is_one_account() {
    let mut copy = copy().await;
    let (noted, found) = (bind(&mut copy, 5, Some(8)).await, bind(&mut copy, 6, None).await);
    assert_eq!(copy.of(id(8)).await.unwrap().unwrap().value.id, noted);
    // PHP's token for it, and the number of one that was made unseen.
    assert!(copy.follow(&seen(8, 5, Some(7))).await.unwrap() && copy.follow(&seen(9, 6, None)).await.unwrap());
    assert_eq!(whose(&copy, 7).await, Some(noted));
    assert_eq!(copy.of(id(9)).await.unwrap().unwrap().value.id, found);
    assert_eq!(copy.store.accounts(None, 9).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_token_that_only_the_shop_knew_is_learnt_and_no_other_is_taken() {
    let mut copy = copy().await;
    copy.follow(&seen(1, 1, Some(7))).await.unwrap();
    for token in [7, 8] {
        copy.learn(id(2), Some((SessionId([token; 16]), ClientType::H5)), THEN).await.unwrap();
    }
    assert_eq!((whose(&copy, 7).await, whose(&copy, 8).await), (Some(id(1)), Some(id(2))));
    copy.learn(id(9), Some((SessionId([9; 16]), ClientType::H5)), THEN).await.unwrap();
    assert_eq!(whose(&copy, 9).await, None, "nobody of that id is in the copy");
}

#[tokio::test]
async fn what_another_has_in_the_copy_is_told_and_left() {
    let mut copy = copy().await;
    let with_openid = |mut seen: SeenAccount| {
        let identity = PlatformIdentity { app: Default::default(), openid: OpenId::new("o"), unionid: None };
        seen.account.identities.insert(Platform::Weixin, identity);
        seen
    };
    assert!(copy.follow(&with_openid(seen(1, 1, None))).await.unwrap());
    assert!(!copy.follow(&with_openid(seen(2, 2, None))).await.unwrap());
    assert_eq!(holder(&copy, 2).await, Some(id(2)));
}
