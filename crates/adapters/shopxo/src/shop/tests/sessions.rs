//! Sessions, which are the shop's tokens.

use std::time::Duration;

use mobile_bind_domain::{
    AccountId, ClientType, KeyId, Platform, Revision, Session, SessionId, SessionSeed, Timestamp,
};

use super::{NOW, Shop, account, is_conflict, store};
use crate::shop::session;
use crate::tokens;

const SHOPS: &str = "0123456789abcdef0123456789abcdef";

fn id_of(token: &str) -> SessionId {
    tokens::id_in(token).unwrap()
}

fn opened(tag: u8, client_type: ClientType) -> Session {
    Session {
        id: SessionId([tag; 16]),
        seed: SessionSeed([tag ^ 0x5a; 16]),
        key: KeyId::new("shop").unwrap(),
        account: AccountId::MIN,
        client_type,
        issued_at: Timestamp::from_millis(NOW.as_millis() + 7),
        used_at: Timestamp::from_millis(NOW.as_millis() + 8),
    }
}

/// A shop with one user, who has a token of the shop's on H5.
async fn shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &account(1)).await.unwrap();
    let row = "INSERT INTO sxo_user_platform (user_id, platform, token, add_time, upd_time) VALUES";
    shop.php(&format!("{row} (1, 'h5', '{SHOPS}', 1000, 2000)")).await;
    shop
}

#[tokio::test]
async fn a_token_of_the_shops_is_a_session() {
    let mut shop = shop().await;
    let (conn, tables) = shop.at();
    let found = session::by_id(conn, tables, id_of(SHOPS)).await.unwrap().unwrap();
    let since = Timestamp::from_seconds(2000);
    assert_eq!(
        (found.account, found.client_type, found.issued_at, found.used_at),
        (AccountId::MIN, ClientType::H5, since, since)
    );
    session::expect(conn, tables, found.id).await.unwrap();
    let later = Timestamp::from_millis(9_000_001);
    session::use_at(conn, tables, found.id, later).await.unwrap();
    session::use_at(conn, tables, SessionId([9; 16]), later).await.unwrap();
    let used = session::by_id(conn, tables, found.id).await.unwrap().unwrap();
    assert_eq!(used, Session { used_at: later, ..found });
    assert_eq!(session::of_accounts(conn, tables, &[AccountId::MIN]).await.unwrap(), [used]);
    assert_eq!(shop.seen("SELECT COUNT(*) FROM mb_sessions").await, ["1"]);
}

#[tokio::test]
async fn a_token_that_the_shop_replaced_is_dead_here_at_once() {
    let mut shop = shop().await;
    let session = opened(1, ClientType::H5);
    let (conn, tables) = shop.at();
    let ended = store(conn, tables, &[], &[&session]).await.unwrap();
    assert_eq!(ended.iter().map(|ended| ended.token.as_str()).collect::<Vec<_>>(), [SHOPS]);
    assert_eq!(session::by_id(conn, tables, session.id).await.unwrap(), Some(session.clone()));
    assert!(session::by_id(conn, tables, id_of(SHOPS)).await.unwrap().is_none());
    let row = "SELECT COUNT(*), MAX(token), MAX(add_time), MAX(upd_time) FROM sxo_user_platform";
    assert_eq!(shop.seen(row).await, ["1", &tokens::text_of(session.id), "1000", "1634727340"]);
    shop.php("UPDATE sxo_user_platform SET token = 'ffffffffffffffffffffffffffffffff'").await;
    let (conn, tables) = shop.at();
    assert!(session::by_id(conn, tables, session.id).await.unwrap().is_none());
    assert!(is_conflict(&session::expect(conn, tables, session.id).await));
    session::use_at(conn, tables, session.id, NOW).await.unwrap();
    assert!(session::by_id(conn, tables, session.id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_is_the_very_text_and_of_one_user() {
    let mut shop = shop().await;
    shop.php("UPDATE sxo_user_platform SET token = UPPER(token)").await;
    let (conn, tables) = shop.at();
    assert!(session::by_id(conn, tables, id_of(SHOPS)).await.unwrap().is_none());
    shop.php("UPDATE sxo_user_platform SET token = LOWER(token)").await;
    let row = "INSERT INTO sxo_user_platform (user_id, platform, token) VALUES";
    shop.php(&format!("INSERT INTO sxo_user (id) VALUES (2); {row} (1, 'pc', '{SHOPS}')")).await;
    let (conn, tables) = shop.at();
    assert!(session::by_id(conn, tables, id_of(SHOPS)).await.unwrap().is_some());
    shop.php(&format!("{row} (2, 'pc', '{SHOPS}')")).await;
    let (conn, tables) = shop.at();
    assert!(session::by_id(conn, tables, id_of(SHOPS)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_and_an_openid_share_a_row_and_neither_takes_the_other_along() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &super::with_openid(1, "o")).await.unwrap();
    let weixin = opened(1, ClientType::MiniProgram(Platform::Weixin));
    let (conn, tables) = shop.at();
    store(conn, tables, &[], &[&weixin]).await.unwrap();
    let row = "SELECT COUNT(*), MAX(token), MAX(weixin_openid) FROM sxo_user_platform";
    assert_eq!(shop.seen(row).await, ["1", &tokens::text_of(weixin.id), "o"]);
    let read = shop.account(1).await.unwrap();
    let other = mobile_bind_domain::Account { identities: super::with_openid(1, "o2").identities, ..read.value };
    shop.write(read.revision, &other).await.unwrap();
    assert_eq!(shop.seen(row).await, ["1", &tokens::text_of(weixin.id), "o2"]);
    let (conn, tables) = shop.at();
    session::end(conn, tables, weixin.id).await.unwrap();
    assert_eq!(shop.seen(row).await, ["1", "", "o2"]);
}

#[tokio::test]
async fn all_sessions_of_an_account_end_but_for_one() {
    let mut shop = shop().await;
    shop.php("INSERT INTO sxo_user_platform (user_id, platform, token) VALUES (1, 'ios', 'of another form')").await;
    let pc = opened(1, ClientType::Pc);
    let (conn, tables) = shop.at();
    store(conn, tables, &[], &[&pc]).await.unwrap();
    let ended = session::end_all(conn, tables, AccountId::MIN, Some(ClientType::Pc)).await.unwrap();
    let mut ended: Vec<_> = ended.iter().map(|ended| ended.token.as_str()).collect();
    ended.sort_unstable();
    assert_eq!(ended, [SHOPS, "of another form"]);
    assert_eq!(session::of_accounts(conn, tables, &[AccountId::MIN]).await.unwrap(), [pc]);
    session::end_all(conn, tables, AccountId::MIN, None).await.unwrap();
    assert!(session::of_accounts(conn, tables, &[AccountId::MIN]).await.unwrap().is_empty());
    assert_eq!(shop.seen("SELECT COUNT(*) FROM mb_sessions").await, ["0"]);
}

#[tokio::test]
async fn what_was_not_used_for_long_is_forgotten_and_the_shops_own_tokens_stay() {
    let mut shop = shop().await;
    let (pc, ios) = (opened(1, ClientType::Pc), opened(2, ClientType::Ios));
    let (conn, tables) = shop.at();
    store(conn, tables, &[], &[&pc]).await.unwrap();
    store(conn, tables, &[], &[&ios]).await.unwrap();
    session::use_at(conn, tables, ios.id, NOW.after(Duration::from_secs(60))).await.unwrap();
    let before = NOW.after(Duration::from_secs(30));
    let (forgotten, ended) = session::purge(conn, tables, before, 10).await.unwrap();
    assert_eq!((forgotten, ended.len(), ended[0].token.as_str()), (1, 1, tokens::text_of(pc.id).as_str()));
    let (forgotten, ended) = session::purge(conn, tables, before, 10).await.unwrap();
    assert_eq!((forgotten, ended.len()), (0, 0));
    let left = session::of_accounts(conn, tables, &[AccountId::MIN]).await.unwrap();
    let mut left: Vec<_> = left.iter().map(|session| session.id).collect();
    left.sort_unstable();
    assert_eq!(left, [id_of(SHOPS), ios.id]);
}

#[tokio::test]
async fn a_token_that_the_shop_has_replaced_is_forgotten_and_ends_nothing() {
    let mut shop = shop().await;
    let pc = opened(0xab, ClientType::Pc);
    let (conn, tables) = shop.at();
    store(conn, tables, &[], &[&pc]).await.unwrap();
    let upper = tokens::text_of(pc.id).to_uppercase();
    shop.php(&format!("UPDATE sxo_user_platform SET token = '{upper}' WHERE platform = 'pc'")).await;
    let (conn, tables) = shop.at();
    let (forgotten, ended) = session::purge(conn, tables, NOW.after(Duration::from_secs(30)), 10).await.unwrap();
    assert_eq!((forgotten, ended.len()), (1, 0));
    assert_eq!(shop.seen("SELECT token FROM sxo_user_platform WHERE platform = 'pc'").await, [upper]);
}
