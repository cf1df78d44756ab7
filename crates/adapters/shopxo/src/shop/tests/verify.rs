//! Going through a shop's database.

use mobile_bind_domain::Revision;

use super::{MOBILE, Shop, with_mobile, with_openid};
use crate::verify::{ContestedBy, Findings, verify};

async fn found(shop: &Shop) -> Findings {
    let mut seen = 0;
    let found = verify(&shop.options, |accounts| seen = accounts).await.unwrap();
    assert_eq!(found.rows["sxo_user"], seen);
    found
}

fn contested(found: &Findings) -> Vec<(&'static str, Vec<u64>)> {
    let by =
        |ContestedBy { what, accounts }: &ContestedBy| (*what, accounts.iter().map(|account| account.get()).collect());
    found.contested.iter().map(by).collect()
}

#[tokio::test]
async fn a_shop_that_fits_together_is_in_order() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    shop.write(Revision::ABSENT, &with_openid(2, "oAb")).await.unwrap();
    shop.write(Revision::ABSENT, &with_openid(3, "oaB")).await.unwrap();
    let found = found(&shop).await;
    assert!(found.contested.is_empty() && found.problems.is_empty() && found.leftovers.is_empty(), "{found:?}");
    assert_eq!((found.rows["mb_accounts"], found.rows["mb_claims"]), (3, 6));
}

#[tokio::test]
async fn what_the_shop_gave_to_several_is_told_with_their_ids() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    shop.php(&format!("INSERT INTO sxo_user (id, mobile) VALUES (2, '{MOBILE}'), (3, ''), (4, ''), (5, '')")).await;
    shop.php(&format!("INSERT INTO sxo_user (id, mobile, is_delete_time) VALUES (6, '{MOBILE}', 1)")).await;
    let row = "INSERT INTO sxo_user_platform (user_id, platform, weixin_openid, weixin_unionid) VALUES";
    shop.php(&format!(
        "{row} (3, 'weixin', 'o', 'U'), (4, 'weixin', 'o', 'u'), (4, 'weixin', 'o', 'u'), (5, 'weixin', 'O', 'u')"
    ))
    .await;
    let found = found(&shop).await;
    let expected = [("number", vec![1, 2]), ("weixin_openid", vec![3, 4]), ("weixin_unionid", vec![4, 5])];
    assert_eq!(contested(&found), expected);
    assert!(!format!("{found:?}").contains(MOBILE), "{found:?}");
}

#[tokio::test]
async fn an_openid_of_two_apps_is_nobodys_twice() {
    let mut shop = Shop::open().await;
    for (id, app) in [(1, "wx1"), (2, "wx2")] {
        let mut made = with_openid(id, "o");
        for identity in made.identities.values_mut() {
            identity.app = mobile_bind_domain::AppId::new(app).unwrap();
        }
        shop.write(Revision::ABSENT, &made).await.unwrap();
    }
    assert!(found(&shop).await.contested.is_empty());
    shop.php("INSERT INTO sxo_user (id) VALUES (3)").await;
    shop.php("INSERT INTO sxo_user_platform (user_id, platform, weixin_openid) VALUES (3, 'weixin', 'o')").await;
    assert_eq!(contested(&found(&shop).await), [("weixin_openid", vec![1, 2, 3])]);
}

#[tokio::test]
async fn what_the_shop_changed_and_deleted_leaves_traces_that_do_no_harm() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    shop.write(Revision::ABSENT, &with_mobile(2, "13500135000")).await.unwrap();
    shop.php("UPDATE sxo_user SET mobile = '13900000000' WHERE id = 1; DELETE FROM sxo_user WHERE id = 2").await;
    shop.php("INSERT INTO mb_sessions VALUES (REPEAT('a', 16), REPEAT('a', 16), 'shop', 1, 1, 1)").await;
    let found = found(&shop).await;
    assert!(found.contested.is_empty() && found.problems.is_empty());
    let left: Vec<_> = found.leftovers.into_iter().collect();
    let expected = [
        // The number of one, the number and the member code of the other.
        ("a claim's account no longer has what it claimed", 3),
        ("a companion row belongs to no user", 1),
        ("a session's token is not the shop's any more", 1),
    ];
    assert_eq!(left, expected);
}

#[tokio::test]
async fn an_account_that_cannot_be_read_is_counted_and_the_others_are_gone_through() {
    let mut shop = Shop::open().await;
    shop.write(Revision::ABSENT, &with_mobile(1, MOBILE)).await.unwrap();
    shop.write(Revision::ABSENT, &with_mobile(2, "13500135000")).await.unwrap();
    shop.php("UPDATE mb_accounts SET apps = 'nobody' WHERE user_id = 1").await;
    assert_eq!(found(&shop).await.problems.into_iter().collect::<Vec<_>>(), [("an account cannot be read", 1)]);
}
