//! What belongs to at most one live account: numbers, openids, unionids, member codes.

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::ports::{BindQuery, CallerQuery, Store};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{Account, MemberCode, Platform, Timestamp};

use super::StoreUnderTest;
use super::records::{
    account, account_with_mobile, commit, ensure_conflict, give_identity, id, identity, identity_holders, key, mobile,
    mobile_holder, new_account, overwrite, put, write_account,
};

const MOBILE: &str = "17602128368";
const WEIXIN: Platform = Platform::Weixin;

fn account_with_openid(number: u64, openid: &str, unionid: &str) -> Result<Account> {
    let mut made = account(number)?;
    give_identity(&mut made, WEIXIN, "", openid, unionid)?;
    Ok(made)
}

/// By number, by openid and by unionid, and as it was stored.
pub async fn every_holder_is_found(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut first = account_with_mobile(1, MOBILE)?;
    give_identity(&mut first, WEIXIN, "", "o1", "u1")?;
    let second = account_with_openid(2, "o2", "u2")?;
    let revision = put(&*store, &[&first, &second]).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(1));
    ensure!(mobile_holder(&*store, "17602128369").await?.is_none());
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o1")?, "u2").await? == (Some(1), Some(2)));
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o2")?, "").await? == (Some(2), None));
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o3")?, "u3").await? == (None, None));
    let snapshot = super::records::bind_snapshot(&*store, &key(MOBILE, "u")?).await?;
    let holder = snapshot.mobile_holder.context("a holder")?;
    ensure!(holder.value == first && holder.revision == revision);
    Ok(())
}

/// Holds a store to refusing the second account what the first holds, with everything else in the change.
async fn claimed_once(store: &dyn Store, first: &Account, second: &Account) -> Result<()> {
    put(store, &[first]).await?;
    let bystander = account(99)?;
    ensure_conflict(commit(store, vec![new_account(&bystander), new_account(second)]).await)?;
    ensure!(store.account(bystander.id).await?.is_none() && store.account(second.id).await?.is_none());
    let mut bare = account(second.id.get())?;
    bare.member_code = None;
    let revision = put(store, &[&bare]).await?;
    ensure_conflict(commit(store, vec![write_account(revision, second)]).await)?;
    ensure!(store.account(second.id).await?.is_some_and(|found| found.value == bare));
    // Its own holder may write it again.
    overwrite(store, first).await?;
    Ok(())
}

/// See the name.
pub async fn a_number_is_claimed_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    claimed_once(&*store, &account_with_mobile(1, MOBILE)?, &account_with_mobile(2, MOBILE)?).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(1));
    Ok(())
}

/// See the name.
pub async fn an_openid_is_claimed_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    claimed_once(&*store, &account_with_openid(1, "o", "u1")?, &account_with_openid(2, "o", "u2")?).await?;
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u2").await? == (Some(1), None));
    Ok(())
}

/// Also where no openid is known.
pub async fn a_unionid_is_claimed_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    claimed_once(&*store, &account_with_openid(1, "o1", "u")?, &account_with_openid(2, "", "u")?).await?;
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o2")?, "u").await? == (None, Some(1)));
    let mut elsewhere = account(3)?;
    give_identity(&mut elsewhere, Platform::Qq, "", "o1", "u")?;
    put(&*store, &[&elsewhere]).await?;
    ensure!(identity_holders(&*store, identity(Platform::Qq, "", "o9")?, "u").await? == (None, Some(3)));
    Ok(())
}

/// See the name.
pub async fn a_member_code_is_claimed_once(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut second = account(2)?;
    second.member_code = Some(MemberCode::of(id(1)?));
    claimed_once(&*store, &account(1)?, &second).await
}

/// On another platform, or of another app.
pub async fn the_same_openid_elsewhere_is_another_identity(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let places =
        [(1, WEIXIN, ""), (2, WEIXIN, "wx1"), (3, WEIXIN, "wx2"), (4, Platform::Alipay, ""), (5, Platform::Qq, "wx1")];
    for (number, platform, app) in places {
        let mut made = account(number)?;
        give_identity(&mut made, platform, app, "o", "")?;
        put(&*store, &[&made]).await?;
    }
    for (number, platform, app) in places {
        ensure!(identity_holders(&*store, identity(platform, app, "o")?, "").await?.0 == Some(number));
    }
    // Parts do not run together: an app "wx1" with an openid "o" is no app "wx1o".
    ensure!(identity_holders(&*store, identity(WEIXIN, "wx1o", "o")?, "").await?.0.is_none());
    ensure!(identity_holders(&*store, identity(WEIXIN, "wx", "1o")?, "").await?.0.is_none());
    Ok(())
}

/// In openids and unionids.
pub async fn letter_case_counts(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    put(&*store, &[&account_with_openid(1, "oAb", "uAb")?, &account_with_openid(2, "oaB", "uaB")?]).await?;
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "oAb")?, "uaB").await? == (Some(1), Some(2)));
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "oab")?, "UAB").await? == (None, None));
    Ok(())
}

/// A number, an openid or a unionid that its account no longer has.
pub async fn what_is_let_go_is_free(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut first = account_with_mobile(1, MOBILE)?;
    give_identity(&mut first, WEIXIN, "", "o", "u")?;
    put(&*store, &[&first]).await?;
    let held = first.clone();
    first.mobile = Some(mobile("17602128369")?);
    first.member_code = None;
    give_identity(&mut first, WEIXIN, "", "o2", "")?;
    overwrite(&*store, &first).await?;
    ensure!(mobile_holder(&*store, MOBILE).await?.is_none());
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u").await? == (None, None));
    put(&*store, &[&Account { id: id(2)?, ..held }]).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(2));
    ensure!(mobile_holder(&*store, "17602128369").await? == Some(1));
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u").await? == (Some(2), Some(2)));
    Ok(())
}

/// They can still be read, and their number, openid, unionid and member code be taken.
pub async fn deleted_and_closed_accounts_hold_nothing(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let mut held = account_with_mobile(1, MOBILE)?;
    give_identity(&mut held, WEIXIN, "", "o", "u")?;
    for (number, closed) in [(1, false), (2, true), (3, false)] {
        let mut holder = Account { id: id(number)?, ..held.clone() };
        put(&*store, &[&holder]).await?;
        ensure!(mobile_holder(&*store, MOBILE).await? == Some(number));
        ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u").await? == (Some(number), Some(number)));
        *if closed { &mut holder.closed_at } else { &mut holder.deleted_at } = Some(Timestamp::from_seconds(5));
        overwrite(&*store, &holder).await?;
        ensure!(mobile_holder(&*store, MOBILE).await?.is_none());
        ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u").await? == (None, None));
        ensure!(store.account(holder.id).await?.is_some_and(|found| found.value == holder));
    }
    // A write to one that holds nothing leaves alone what it once held.
    put(&*store, &[&Account { id: id(9)?, ..held.clone() }]).await?;
    let mut deleted = Account { deleted_at: Some(Timestamp::from_seconds(6)), ..held };
    deleted.mobile = None;
    overwrite(&*store, &deleted).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(9));
    ensure!(identity_holders(&*store, identity(WEIXIN, "", "o")?, "u").await? == (Some(9), Some(9)));
    Ok(())
}

/// And is refused where what it had was taken meanwhile.
pub async fn a_deleted_account_claims_again_when_it_is_restored(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let live = account_with_mobile(1, MOBILE)?;
    let deleted = Account { deleted_at: Some(Timestamp::from_seconds(5)), ..live.clone() };
    let revision = put(&*store, &[&deleted, &account_with_mobile(2, MOBILE)?]).await?;
    ensure_conflict(commit(&*store, vec![write_account(revision, &live)]).await)?;
    overwrite(&*store, &account(2)?).await?;
    commit(&*store, vec![write_account(revision, &live)]).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(1));
    Ok(())
}

/// Freed by one write and claimed by a later one.
pub async fn a_change_may_pass_a_number_on(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let revision = put(&*store, &[&account_with_mobile(1, MOBILE)?, &account(2)?]).await?;
    let passed = vec![write_account(revision, &account(1)?), write_account(revision, &account_with_mobile(2, MOBILE)?)];
    commit(&*store, passed).await?;
    ensure!(mobile_holder(&*store, MOBILE).await? == Some(2));
    Ok(())
}

/// Live ones alone.
pub async fn referrers_are_found_by_every_name(under_test: &dyn StoreUnderTest) -> Result<()> {
    let store = under_test.open().await?;
    let known = account_with_mobile(7, MOBILE)?;
    put(&*store, &[&known]).await?;
    let names = [
        ReferrerName::Id(id(7)?),
        ReferrerName::Mobile(mobile(MOBILE)?),
        ReferrerName::Code(MemberCode::new("88880000000007").context("a code")?),
    ];
    let nobody = [
        ReferrerName::Id(id(8)?),
        ReferrerName::Mobile(mobile("17602128369")?),
        ReferrerName::Code(MemberCode::new("88880000000008").context("a code")?),
    ];
    let named = async |name: &ReferrerName| -> Result<Option<Account>> {
        let caller = CallerQuery::Session(None);
        let query = BindQuery { referrer: Some(name.clone()), ..BindQuery::new(key("13500135000", "u")?, caller) };
        Ok(store.load_bind(&query).await?.referrer)
    };
    for name in &names {
        ensure!(named(name).await?.as_ref() == Some(&known), "{name:?}");
    }
    for name in &nobody {
        ensure!(named(name).await?.is_none(), "{name:?}");
    }
    overwrite(&*store, &Account { closed_at: Some(Timestamp::from_seconds(5)), ..known }).await?;
    for name in &names {
        ensure!(named(name).await?.is_none(), "{name:?}");
    }
    Ok(())
}
