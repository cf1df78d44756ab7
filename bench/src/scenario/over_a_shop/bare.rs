//! What a bind writes at a shop, without the service: the statements of its transaction, for people of the driver's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::clock::now;
use crate::load::Load;
use crate::people::{People, Person};
use crate::workload;

/// People, each taken once.
type Queue = workload::Row<Person>;

/// The columns and joins by which an account is read, between `SELECT` and its own tables.
const COLUMNS: &str = "SELECT u.id, u.number_code, u.status, u.pwd <> '', u.username, u.nickname, u.mobile, u.email, \
    u.gender, u.avatar, u.province, u.city, u.county, u.birthday, u.address, u.integral, u.locking_integral, u.referrer, \
    u.is_delete_time, u.is_logout_time, u.add_time, u.upd_time, a.revision, a.fingerprint, a.mobile, a.mobile_since, \
    a.seen_at, a.apps, p.platform, p.id, p.token, p.weixin_web_openid, p.weixin_openid, p.weixin_unionid, p.alipay_openid, \
    p.baidu_openid, p.toutiao_openid, p.toutiao_unionid, p.qq_openid, p.qq_unionid, p.kuaishou_openid FROM ";
const JOINS: &str = " LEFT JOIN mb_accounts a ON a.user_id = u.id \
    LEFT JOIN sxo_user_platform p ON p.user_id = u.id AND p.system_type = 'default' WHERE ";
const LOCKED: &str = " ORDER BY u.id, p.id FOR UPDATE";
const LIVE: &str = " AND u.is_delete_time = 0 AND u.is_logout_time = 0";

/// A node that no service has.
const NODE: u32 = 4_000_000_000;
/// As many bytes as the event of a bind has.
const EVENT: [u8; 53] = [7; 53];
/// A fixed time, in milliseconds since the Unix epoch.
const NOW: u64 = 1_790_000_000_000;

/// A database where bare transactions are made.
pub(super) struct Bare {
    address: String,
    people: Arc<People>,
    numbers: Arc<AtomicU64>,
}

impl Bare {
    pub(super) fn at(address: &str) -> Self {
        Self { address: address.to_owned(), people: Arc::default(), numbers: Arc::new(AtomicU64::new(1)) }
    }

    /// Makes transactions for a while, at most `prepared` of them.
    pub(super) async fn run(&self, connections: usize, duration: Duration, prepared: usize) -> Result<Load> {
        let people: Vec<Person> = (0..prepared).map(|_| self.people.next()).collect();
        self.send_codes(&people).await?;
        let people = Arc::new(Queue::new(people, 1));
        let ready = Arc::new(Barrier::new(connections + 1));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let connection = Connection::open(&self.address).await?;
            let (people, numbers, ready) = (Arc::clone(&people), Arc::clone(&self.numbers), Arc::clone(&ready));
            workers.spawn(work(connection, people, numbers, ready, duration));
        }
        ready.wait().await;
        let start = now();
        let mut load = Load::default();
        while let Some(worked) = workers.join_next().await {
            load.latencies_us.extend(worked.context("a connection's task ended badly")??);
        }
        load.elapsed = start.elapsed();
        load.latencies_us.sort_unstable();
        Ok(load)
    }

    /// The challenges that binds use up.
    async fn send_codes(&self, people: &[Person]) -> Result<()> {
        let mut conn = Conn::new(Opts::from_url(&self.address)?).await?;
        for some in people.chunks(1000) {
            let rows: Vec<String> = some
                .iter()
                .map(|person| {
                    format!(
                        "('{}', 'uuid:{}', 1, 'key', REPEAT('t', 32), {NOW}, {NOW}, 0)",
                        person.mobile(),
                        person.uuid()
                    )
                })
                .collect();
            let rows = rows.join(", ");
            conn.query_drop(format!(
                "INSERT INTO mb_challenges (mobile, client, revision, key_id, tag, sent_at, expires_at, failures) VALUES {rows}"
            ))
            .await?;
        }
        Ok(conn.disconnect().await?)
    }
}

async fn work(
    mut connection: Connection,
    people: Arc<Queue>,
    numbers: Arc<AtomicU64>,
    ready: Arc<Barrier>,
    duration: Duration,
) -> Result<Vec<u32>> {
    ready.wait().await;
    let end = now() + duration;
    let mut latencies = Vec::new();
    while now() < end {
        let Some((&person, _)) = people.take() else { break };
        let start = now();
        connection.bind(person, numbers.fetch_add(1, Ordering::Relaxed)).await?;
        latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// A connection as the service has them, with the longer statements made once.
struct Connection {
    conn: Conn,
    by_id: String,
    by_mobile: String,
    by_openid: String,
}

impl Connection {
    async fn open(address: &str) -> Result<Self> {
        let mut conn = Conn::new(Opts::from_url(address)?).await?;
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        let of = |from: &str, condition: &str, live: &str| format!("{COLUMNS}{from}{JOINS}{condition}{live}{LOCKED}");
        let by_openid = "q.weixin_openid IN (?) AND q.system_type = 'default' AND q.platform = ?";
        Ok(Self {
            conn,
            by_id: of("sxo_user u FORCE INDEX (PRIMARY)", "u.id IN (?)", ""),
            by_mobile: of("sxo_user u", "u.mobile IN (?)", LIVE),
            by_openid: of("sxo_user_platform q JOIN sxo_user u ON u.id = q.user_id", by_openid, LIVE),
        })
    }

    /// The transaction of a bind that makes an account, as a mini-program sends it.
    async fn bind(&mut self, person: Person, id: u64) -> Result<()> {
        let conn = &mut self.conn;
        let (mobile, openid, client) = (person.mobile(), person.openid(), format!("uuid:{}", person.uuid()));
        let (code, token, session) = (format!("8888{id:010}"), person.uuid(), u128::from(id).to_be_bytes().to_vec());
        let at = NOW / 1000;
        conn.query_drop("START TRANSACTION").await?;
        conn.exec_drop(
            "DELETE FROM mb_challenges WHERE mobile = ? AND client = ? AND revision = ?",
            (&mobile, &client, 1),
        )
        .await?;
        let _: Vec<Row> = conn.exec(self.by_id.as_str(), (id,)).await?;
        conn.exec_drop(
            "INSERT IGNORE INTO mb_claims (kind, value, user_id) VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?)",
            (1, &mobile, id, 2, format!("weixin\0\0{openid}"), id, 4, &code, id),
        )
        .await?;
        let _: Vec<Row> = conn.exec(self.by_mobile.as_str(), (&mobile,)).await?;
        let _: Vec<Row> = conn.exec(self.by_openid.as_str(), (&openid, "weixin")).await?;
        conn.exec_drop(
            "INSERT INTO sxo_user (number_code, nickname, avatar, mobile, province, city, add_time, id) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                &code,
                "微信用户",
                format!("https://thirdwx.qlogo.cn/mmopen/vi_32/{openid}/132"),
                &mobile,
                "上海",
                "浦东新区",
                at,
                id,
            ),
        )
        .await?;
        conn.exec_drop(
            "INSERT INTO sxo_user_platform \
             (user_id, system_type, platform, weixin_openid, weixin_unionid, add_time, token, upd_time) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (id, "default", "weixin", &openid, "", at, &token, at),
        )
        .await?;
        conn.exec_drop(
            "INSERT INTO mb_accounts (user_id, revision, fingerprint, mobile, mobile_since, seen_at, apps) \
             VALUES (?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE revision = VALUES(revision), \
             fingerprint = VALUES(fingerprint), mobile = VALUES(mobile), mobile_since = VALUES(mobile_since), \
             seen_at = VALUES(seen_at), apps = VALUES(apps)",
            (id, id, id, &mobile, NOW, None::<u64>, "weixin\0\0"),
        )
        .await?;
        conn.exec_drop(
            "INSERT INTO mb_sessions (id, seed, key_id, user_id, issued_at, used_at) \
             VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE seed = VALUES(seed), key_id = VALUES(key_id), \
             user_id = VALUES(user_id), issued_at = VALUES(issued_at), \
             used_at = VALUES(used_at)",
            (&session, &session, "shop", id, NOW, NOW),
        )
        .await?;
        conn.exec_drop(
            "INSERT INTO mb_receipts (mobile, client, fingerprint, expires_at, user_id, session_id) \
             VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE fingerprint = VALUES(fingerprint), \
             expires_at = VALUES(expires_at), user_id = VALUES(user_id), session_id = VALUES(session_id)",
            (&mobile, &client, vec![7_u8; 32], NOW, id, &session),
        )
        .await?;
        conn.exec_drop(
            "INSERT INTO mb_audit_events (node, sequence, mark, event) VALUES (?, ?, ?, ?)",
            (NODE, id << 8, id.to_be_bytes().to_vec(), EVENT.to_vec()),
        )
        .await?;
        Ok(conn.query_drop("COMMIT").await?)
    }
}
