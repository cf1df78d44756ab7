//! What is kept of users whom the shop has deleted.

use mobile_bind_domain::{Account, Revision};

use super::{MOBILE, Shop, with_mobile, with_openid};
use crate::shop::leftovers;

/// Of each table, the users whose rows are there.
async fn kept(shop: &mut Shop) -> [String; 2] {
    let ids = "SELECT GROUP_CONCAT(DISTINCT user_id ORDER BY user_id) FROM";
    let companions = shop.seen(&format!("{ids} mb_accounts")).await;
    let claims = shop.seen(&format!("{ids} mb_claims")).await;
    [companions.concat(), claims.concat()]
}

async fn remove(shop: &mut Shop, limit: usize) -> usize {
    let (conn, tables) = shop.at();
    leftovers::remove(conn, tables, limit).await.unwrap()
}

async fn six_users(shop: &mut Shop) {
    for id in 1..=6 {
        shop.write(Revision::ABSENT, &with_mobile(id, &format!("1760212836{id}"))).await.unwrap();
    }
}

#[tokio::test]
async fn those_of_deleted_users_go_a_few_at_a_time_and_no_others() {
    let mut shop = Shop::open().await;
    six_users(&mut shop).await;
    // One is marked as deleted only: he may be restored.
    shop.php("UPDATE sxo_user SET is_delete_time = 1 WHERE id = 3; DELETE FROM sxo_user WHERE id IN (2, 5, 6)").await;
    let mut removed = Vec::new();
    for _ in 0..4 {
        removed.push(remove(&mut shop, 2).await);
    }
    // Two, two and two; then it begins anew, with those that are left.
    assert_eq!(removed, [1, 0, 2, 0]);
    assert_eq!(kept(&mut shop).await, ["1,3,4", "1,3,4"]);
    shop.php("DELETE FROM sxo_user WHERE id = 1").await;
    for _ in 0..3 {
        remove(&mut shop, 2).await;
    }
    assert_eq!(kept(&mut shop).await, ["3,4", "3,4"]);
}

#[tokio::test]
async fn the_walk_goes_on_where_it_was_after_a_restart() {
    let mut shop = Shop::open().await;
    six_users(&mut shop).await;
    remove(&mut shop, 4).await;
    assert_eq!(shop.seen("SELECT value FROM mb_places WHERE name = 'leftovers'").await, ["4"]);
    shop.php("DELETE FROM sxo_user WHERE id IN (4, 6)").await;
    assert_eq!(remove(&mut shop, 4).await, 1);
    assert_eq!(kept(&mut shop).await, ["1,2,3,4,5", "1,2,3,4,5"]);
}

/// An account with all that one alone may have.
fn with_everything(id: u64) -> Account {
    let mut made = with_mobile(id, MOBILE);
    made.identities = with_openid(id, "o").identities;
    for identity in made.identities.values_mut() {
        identity.unionid = mobile_bind_domain::UnionId::new("u");
    }
    made.member_code = mobile_bind_domain::MemberCode::new("88880000000099");
    made
}

#[tokio::test]
async fn a_claim_of_a_deleted_user_stands_in_nobodys_way_before_it_is_removed_nor_after() {
    for removed_first in [false, true] {
        let mut shop = Shop::open().await;
        shop.write(Revision::ABSENT, &with_everything(1)).await.unwrap();
        shop.php("DELETE FROM sxo_user WHERE id = 1; DELETE FROM sxo_user_platform WHERE user_id = 1").await;
        assert_eq!(kept(&mut shop).await, ["1", "1"]);
        if removed_first {
            assert_eq!(remove(&mut shop, 10).await, 1);
        }
        shop.write(Revision::ABSENT, &with_everything(2)).await.unwrap();
        assert_eq!(remove(&mut shop, 10).await, usize::from(!removed_first));
        assert_eq!(kept(&mut shop).await, ["2", "2"]);
        assert_eq!(shop.seen("SELECT COUNT(*) FROM mb_claims").await, ["4"]);
    }
}

#[tokio::test]
async fn who_comes_back_is_claimed_for_anew() {
    let mut shop = Shop::open().await;
    let revision = shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    shop.php("CREATE TABLE saved SELECT * FROM sxo_user; DELETE FROM sxo_user").await;
    assert_eq!(remove(&mut shop, 10).await, 1);
    shop.php("INSERT INTO sxo_user SELECT * FROM saved; DROP TABLE saved").await;
    let back = shop.account(1).await.unwrap();
    assert_ne!(back.revision, revision);
    shop.write(back.revision, &Account { seen_at: Some(super::NOW), ..back.value }).await.unwrap();
    assert_eq!(kept(&mut shop).await, ["1", "1"]);
}
