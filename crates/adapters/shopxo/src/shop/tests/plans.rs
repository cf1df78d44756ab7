//! What the shop's side reads: rows that an index leads to, and no others, however many users there are.

use std::collections::BTreeSet;

use mobile_bind_domain::ports::{BindQuery, CallerQuery, EvidenceQuery, LogInQuery};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    AccountId, AppId, ChallengeKey, Client, ClientType, Identity, Installation, KeyId, MemberCode, OpenId, Platform,
    Revision, Session, SessionId, SessionSeed, Timestamp, UnionId,
};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{NOW, Shop, mobile, store, with_mobile};
use crate::load;
use crate::shop::{account, allotment, leftovers, session};
use crate::tables::Tables;

/// How many users there are, each with two platforms.
const USERS: u32 = 3_000;

/// How many rows an operation may read one after the other.
const FEW: u64 = 100;

/// A shop with many users, who all have a number, an openid, a unionid and a token.
async fn crowded() -> Shop {
    let mut shop = Shop::open().await;
    shop.php("INSERT INTO sxo_user (id, mobile, number_code) SELECT seq, 13000000000 + seq, CONCAT('8888', LPAD(seq, 10, '0')) FROM seq_1_to_3000").await;
    let rows = "INSERT INTO sxo_user_platform (user_id, platform, token, weixin_openid, weixin_unionid, add_time)";
    shop.php(&format!(
        "{rows} SELECT seq, 'weixin', MD5(seq), CONCAT('o', seq), CONCAT('u', seq), 1 FROM seq_1_to_3000"
    ))
    .await;
    shop.php(&format!("{rows} SELECT seq, 'h5', MD5(-seq), '', '', 1 FROM seq_1_to_3000")).await;
    shop.php("INSERT INTO mb_sessions SELECT UNHEX(MD5(seq)), UNHEX(MD5(seq)), 'shop', seq, 1000, 1000000 + seq FROM seq_1_to_3000")
        .await;
    shop.php("INSERT INTO mb_claims SELECT 1, 13000000000 + seq, seq FROM seq_1_to_3000").await;
    shop.php("INSERT INTO mb_accounts SELECT seq, seq, 0, '', NULL, NULL, '' FROM seq_1_to_3000").await;
    for table in ["sxo_user", "sxo_user_platform", "mb_sessions", "mb_claims", "mb_accounts"] {
        let _: Option<mysql_async::Row> = shop.php.query_first(format!("ANALYZE TABLE {table}")).await.unwrap();
    }
    shop
}

/// How many rows the connection has read one after the other since it was last asked.
async fn read(conn: &mut Conn) -> u64 {
    let counted: Vec<(String, u64)> = conn.query("SHOW SESSION STATUS LIKE 'Handler_read%'").await.unwrap();
    let scans = BTreeSet::from(["Handler_read_next", "Handler_read_prev", "Handler_read_rnd", "Handler_read_rnd_next"]);
    let scanned = counted.iter().filter(|(name, _)| scans.contains(name.as_str())).map(|(_, rows)| rows).sum();
    conn.query_drop("FLUSH STATUS").await.unwrap();
    scanned
}

fn opened() -> Session {
    Session {
        id: SessionId([7; 16]),
        seed: SessionSeed([7; 16]),
        key: KeyId::new("shop").unwrap(),
        account: AccountId::new(77).unwrap(),
        client_type: ClientType::H5,
        issued_at: NOW,
        used_at: NOW,
    }
}

/// Everything that is read of accounts, one after the other.
async fn read_accounts(conn: &mut Conn, tables: &Tables) -> Vec<(&'static str, u64)> {
    let id = AccountId::new(1_500).unwrap();
    let mut cost = Vec::new();
    account::by_id(conn, tables, id).await.unwrap().unwrap();
    cost.push(("by id", read(conn).await));
    assert_eq!(account::page(conn, tables, Some(id), 10).await.unwrap().len(), 10);
    cost.push(("a page", read(conn).await));
    let found = account::holder_of_mobile(conn, tables, &mobile("13000001500")).await.unwrap();
    assert!(matches!(found, account::Holder::One(_)));
    cost.push(("by number", read(conn).await));
    let (openid, unionid) = (OpenId::new("o1500").unwrap(), UnionId::new("u1500").unwrap());
    let identity = Identity { platform: Platform::Weixin, app: AppId::default(), openid };
    let evidence = EvidenceQuery::default();
    let query = LogInQuery { identity: identity.clone(), unionid: Some(unionid.clone()), evidence };
    let found = load::log_in_snapshot(conn, tables, &query).await.unwrap();
    assert!(found.identity_holder.is_some() && found.identity_holder == found.unionid_holder);
    cost.push(("a log-in", read(conn).await));
    let client = Client::Installation(Installation::new("uuid").unwrap());
    let key = ChallengeKey { mobile: mobile("13000001500"), client };
    let caller = CallerQuery::Identity { identity: Some(identity), unionid: Some(unionid), session: Some(opened().id) };
    let code = ReferrerName::Code(MemberCode::new("88880000001500").unwrap());
    let query = BindQuery { referrer: Some(code), ..BindQuery::new(key, caller) };
    let found = load::bind_snapshot(conn, tables, &query).await.unwrap();
    assert!(found.mobile_holder.is_some() && found.mobile_holder == found.identity_holder);
    assert_eq!(found.referrer, found.mobile_holder.map(|holder| holder.value));
    cost.push(("a bind", read(conn).await));
    cost
}

async fn use_sessions(conn: &mut Conn, tables: &Tables) -> Vec<(&'static str, u64)> {
    let (opened, mut cost) = (opened(), Vec::new());
    store(conn, tables, &[], &[&opened]).await.unwrap();
    cost.push(("open", read(conn).await));
    session::by_id(conn, tables, opened.id).await.unwrap().unwrap();
    cost.push(("a token", read(conn).await));
    assert_eq!(session::of_accounts(conn, tables, &[opened.account]).await.unwrap().len(), 2);
    cost.push(("of an account", read(conn).await));
    session::use_at(conn, tables, opened.id, NOW).await.unwrap();
    cost.push(("use", read(conn).await));
    assert_eq!(session::end(conn, tables, opened.id).await.unwrap().len(), 1);
    cost.push(("end", read(conn).await));
    assert_eq!(session::end_all(conn, tables, opened.account, None).await.unwrap().len(), 1);
    cost.push(("end all", read(conn).await));
    assert_eq!(session::purge(conn, tables, Timestamp::from_millis(1_000_011), 5).await.unwrap().0, 5);
    cost.push(("purge", read(conn).await));
    assert_eq!(leftovers::remove(conn, tables, 10).await.unwrap(), 0);
    cost.push(("leftovers", read(conn).await));
    cost
}

#[tokio::test]
async fn nothing_reads_more_than_an_index_leads_to() {
    let mut shop = crowded().await;
    let (conn, tables) = shop.at();
    read(conn).await;
    let mut cost = read_accounts(conn, tables).await;
    cost.extend(use_sessions(conn, tables).await);
    allotment::take(conn, tables, 64).await.unwrap();
    cost.push(("ids", read(conn).await));
    let mut made = with_mobile(u64::from(USERS) + 100, "13900000000");
    made.identities = super::with_openid(1, "fresh").identities;
    shop.write(Revision::ABSENT, &made).await.unwrap();
    let (conn, _) = shop.at();
    cost.push(("a new account", read(conn).await));
    assert!(cost.iter().all(|(_, rows)| *rows <= FEW), "{cost:?}");
    let (conn, tables) = shop.at();
    assert_eq!(account::page(conn, tables, None, usize::MAX).await.unwrap().len(), 3_001);
    assert!(read(conn).await > u64::from(USERS), "it is counted what is read");
}
