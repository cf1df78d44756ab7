//! Accounts: read, written, listed, and their ids.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::administration::{AccountDetails, AccountOrder, OrderRefusal, decide};
use mobile_bind_domain::{
    AccountStatus, Avatar, ClientType, CodeKey, CodeKeys, Expectation, Gender, KeyId, Platform, Profile, ProfileText,
    Revision, SessionId, ShopDetails, Timestamp,
};

use super::StoreUnderTest;
use super::records::{
    NOW, account, account_with_mobile, bind_snapshot, commit, commit_expecting, ensure_conflict, give_identity, id,
    key, new_account, overwrite, put, send_snapshot, write_account,
};

/// Absence is no error.
pub async fn what_was_never_stored_is_absent(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    ensure!(store.account(id(1)?).await?.is_none());
    ensure!(store.accounts(None, 10).await?.is_empty());
    ensure!(store.sessions_of(id(1)?).await?.is_empty());
    ensure!(store.load_session(SessionId([1; 16])).await?.is_none());
    let key = key("17602128368", "u")?;
    let bind = bind_snapshot(&*store, &key).await?;
    ensure!(bind.challenge.is_none() && bind.receipt.is_none() && bind.mobile_holder.is_none());
    ensure!(bind.identity_holder.is_none() && bind.unionid_holder.is_none());
    ensure!(bind.session.is_none() && bind.referrer.is_none());
    let send = send_snapshot(&*store, &key, Some(SessionId([1; 16]))).await?;
    ensure!(send.challenge.is_none() && send.caller.is_none());
    ensure!(bind.tallies.values().chain(send.tallies.values()).all(|tally| tally.meters.is_empty()));
    store.check().await?;
    Ok(())
}

/// Every field of an account.
pub async fn an_account_is_read_as_it_was_stored(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let limits = under_test.limits();
    let mut full = account_with_mobile(7, "17602128368")?;
    full.status = AccountStatus::Muted;
    full.profile = Profile {
        nickname: ProfileText::new("名<b>&amp;").unwrap_or_default(),
        avatar: Avatar::new("https://x/a.png?a=1&b=2").unwrap_or_default(),
        gender: Gender::Female,
        province: ProfileText::new("上海").unwrap_or_default(),
        city: ProfileText::new("上海市").unwrap_or_default(),
        county: ProfileText::new("浦东新区").unwrap_or_default(),
    };
    full.shop = Some(Box::new(ShopDetails {
        username: "u".into(),
        email: "u@example.com".into(),
        weixin_web_openid: "web".into(),
        birthday: -1,
        address: "a".into(),
        integral: *limits.amounts.end(),
        locking_integral: *limits.amounts.start(),
        has_password: true,
    }));
    full.referrer = Some(id(limits.largest_id)?);
    full.updated_at = Some(limits.time(Timestamp::from_millis(1_634_727_340_123)));
    give_identity(&mut full, Platform::Weixin, "wx1", "openid", "unionid")?;
    give_identity(&mut full, Platform::Qq, "", "openid", "")?;
    give_identity(&mut full, Platform::Toutiao, "tt", "", "unionid")?;
    let bare = account(8)?;
    let revision = put(&*store, &[&full, &bare]).await?;
    for expected in [&full, &bare] {
        let found = store.account(expected.id).await?;
        ensure!(found.as_ref().map(|found| &found.value) == Some(expected), "{found:?}");
        ensure!(found.map(|found| found.revision) == Some(revision), "the commit's revision is the record's");
    }
    for status in [AccountStatus::Normal, AccountStatus::Disabled, AccountStatus::AwaitingApproval] {
        full.status = status;
        full.deleted_at = Some(Timestamp::from_seconds(1));
        full.closed_at = Some(Timestamp::from_seconds(2));
        full.member_code = None;
        overwrite(&*store, &full).await?;
        ensure!(store.account(full.id).await?.map(|found| found.value).as_ref() == Some(&full));
    }
    Ok(())
}

/// A revision is good until the next write.
pub async fn an_account_is_written_only_as_it_was_read(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut known = account(1)?;
    let first = put(&*store, &[&known]).await?;
    ensure_conflict(commit(&*store, vec![new_account(&known)]).await)?;
    ensure!(first != Revision::ABSENT);

    known.status = AccountStatus::Muted;
    let second = commit(&*store, vec![write_account(first, &known)]).await?;
    ensure!(second != first, "each version has its own revision");
    known.status = AccountStatus::Disabled;
    ensure_conflict(commit(&*store, vec![write_account(first, &known)]).await)?;
    ensure_conflict(commit(&*store, vec![write_account(Revision(second.0 + 100), &account(2)?)]).await)?;
    ensure!(store.account(id(2)?).await?.is_none());

    let stale = Expectation::Account(known.id, first);
    ensure_conflict(commit_expecting(&*store, stale, vec![write_account(second, &known)]).await)?;
    let found = store.account(known.id).await?;
    ensure!(found.is_some_and(|found| found.revision == second && found.value.status == AccountStatus::Muted));
    Ok(())
}

/// An operator's order rests on the status that is stored: one who is muted or awaits approval is not made normal by it.
pub async fn only_a_disabled_account_is_enabled(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let keys = CodeKeys::new(CodeKey::new(KeyId::new("key").context("a key id")?, [7; 32]), Vec::new());
    let all = [AccountStatus::Normal, AccountStatus::Muted, AccountStatus::Disabled, AccountStatus::AwaitingApproval];
    for (number, status) in (1..).zip(all) {
        let mut stored = account(number)?;
        stored.status = status;
        put(&*store, &[&stored]).await?;
        let found = store.account(stored.id).await?.context("an account")?;
        let details = AccountDetails { account: found, sessions: Vec::new() };
        let enabled = match decide(&details, AccountOrder::Enable, "ann", &keys, NOW) {
            Ok((change, _)) => store.commit(change).await.map(|_| true)?,
            Err(refusal) => {
                ensure!(refusal == OrderRefusal::NotDisabled, "{refusal}");
                false
            }
        };
        ensure!(enabled == (status == AccountStatus::Disabled), "{status:?}");
        let expected = if enabled { AccountStatus::Normal } else { status };
        let found = store.account(stored.id).await?.context("an account")?;
        ensure!(found.value.status == expected, "{status:?} became {:?}", found.value.status);
    }
    Ok(())
}

/// Pages of accounts, live or not, by id.
pub async fn accounts_are_listed_in_the_order_of_their_ids(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let ids = [300, 2, 70_000, 255, 256, under_test.limits().largest_id, 1];
    for number in ids {
        let mut stored = account(number)?;
        stored.deleted_at = (number == 255).then_some(Timestamp::from_seconds(5));
        put(&*store, &[&stored]).await?;
        commit(&*store, vec![super::records::open_session(number, ClientType::H5)?]).await?;
    }
    let mut sorted = ids;
    sorted.sort_unstable();
    for limit in [1, 2, 3, 7, 100] {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = store.accounts(after, limit).await?;
            ensure!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some(last.value.id);
            listed.extend(page.iter().map(|account| account.value.id.get()));
        }
        ensure!(listed == sorted, "{listed:?}");
    }
    let by_id: BTreeMap<_, _> = store.accounts(None, 100).await?.into_iter().map(|a| (a.value.id, a)).collect();
    for (id, listed) in by_id {
        ensure!(store.account(id).await?.as_ref() == Some(&listed));
    }
    Ok(())
}

/// Also when opened again.
pub async fn ids_are_allotted_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let first = store.allot_account_id().await?;
    let second = store.allot_account_id().await?;
    ensure!(first.get() == 1 && second > first, "an empty store starts at 1");
    put(&*store, &[&account(second.get())?]).await?;
    let store = super::reopen(under_test, store).await?;
    ensure!(store.allot_account_id().await? > second);
    Ok(())
}

/// A store may be filled from elsewhere.
pub async fn ids_are_allotted_after_those_that_are_stored(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut deleted = account(5000)?;
    deleted.deleted_at = Some(Timestamp::from_seconds(5));
    put(&*store, &[&account(40)?, &deleted]).await?;
    let allotted = store.allot_account_id().await?;
    ensure!(allotted.get() > 5000, "{allotted:?}");
    put(&*store, &[&account(100)?]).await?;
    ensure!(store.allot_account_id().await? > allotted);
    Ok(())
}
