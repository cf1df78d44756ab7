//! The schema for tables in parts, `docs/partitioned.sql`, on a real server: what is unique stays so, each look-up goes to one
//! part, and the parts are alike in size.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{drop_schema, empty_schema};

const SCHEMA: &str = include_str!("../../../../../docs/partitioned.sql");

const ACCOUNTS: i64 = 4_000;

/// A bind of a new number, in the order in which the service locks: challenge, claims, account, session, receipt.
const BIND: &str = "
INSERT INTO numbers SELECT (13000000000 + n)::text, n FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO member_codes SELECT '8888' || lpad(n::text, 10, '0'), n FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO openids SELECT 1, 'wx', 'o' || md5(n::text), n FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO accounts SELECT n, n, '8888' || lpad(n::text, 10, '0'), 0, (13000000000 + n)::text, '', '', 0, '', '', '', NULL,
    NULL, 0, NULL, NULL, NULL, NULL, NULL FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO identities SELECT n, 1, 'wx', 'o' || md5(n::text), NULL FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO sessions SELECT decode(md5(n::text), 'hex'), n, 17, '', 'key', 0, 0 FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO log_ins SELECT n, 17, decode(md5(n::text), 'hex') FROM generate_series($FIRST, $LAST) AS n;
INSERT INTO receipts SELECT (13000000000 + n)::text, 'uuid:' || n, '', 0, n, NULL FROM generate_series($FIRST, $LAST) AS n";

fn bind(first: i64, last: i64) -> String {
    format!("BEGIN; {}; COMMIT", BIND.replace("$FIRST", &first.to_string()).replace("$LAST", &last.to_string()))
}

/// The tables that a statement's plan reads.
async fn parts_read(client: &Client, statement: &str) -> Vec<String> {
    let explained = client.simple_query(&format!("EXPLAIN (COSTS OFF) {statement}")).await.unwrap();
    let line = |message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    let scan =
        |line: String| line.split_once(" on ").map(|(_, rest)| rest.split(' ').next().unwrap_or_default().to_owned());
    let is_scan = |line: &String| line.contains(" Scan ") && !line.contains("Bitmap Index Scan");
    explained.into_iter().filter_map(line).filter(is_scan).filter_map(scan).collect()
}

#[tokio::test]
async fn what_is_unique_stays_so_in_parts_and_each_look_up_goes_to_one() {
    let (_, client) = empty_schema("partitions").await;
    client.batch_execute(SCHEMA).await.unwrap();
    client.batch_execute(&bind(1, ACCOUNTS)).await.unwrap();

    let takes = [
        "INSERT INTO numbers VALUES ('13000000007', 9000)",
        "INSERT INTO member_codes VALUES ('88880000000007', 9000)",
        "INSERT INTO openids SELECT 1, 'wx', 'o' || md5('7'), 9000",
        "INSERT INTO log_ins VALUES (7, 17, '')",
        "INSERT INTO sessions SELECT decode(md5('7'), 'hex'), 9000, 17, '', 'key', 0, 0",
    ];
    for take in takes {
        let refused = client.batch_execute(take).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::UNIQUE_VIOLATION), "{take}");
    }

    let questions = [
        ("numbers", "SELECT * FROM numbers WHERE mobile = '13000000007'"),
        ("openids", "SELECT * FROM openids WHERE platform = 1 AND app_id = 'wx' AND openid = 'o7'"),
        ("accounts", "SELECT * FROM accounts WHERE id = 7"),
        ("identities", "SELECT * FROM identities WHERE account_id = 7"),
        ("sessions", "SELECT * FROM sessions WHERE id = '\\x07'"),
        ("log_ins", "SELECT * FROM log_ins WHERE account_id = 7 AND client_type = 17"),
        ("challenges", "SELECT * FROM challenges WHERE mobile = '13000000007' AND client = 'uuid:7'"),
        ("receipts", "DELETE FROM receipts WHERE mobile = '13000000007' AND client = 'uuid:7'"),
        ("meters", "SELECT * FROM meters WHERE subject = 'sends_to:13000000007'"),
    ];
    for (table, question) in questions {
        let read = parts_read(&client, question).await;
        let of_table = |part: &String| part.strip_prefix(table).is_some_and(|rest| rest.starts_with('_'));
        assert!(read.len() == 1 && read.iter().all(of_table), "{question} reads {read:?}");
    }

    for table in ["accounts", "numbers", "openids", "sessions"] {
        let counted = client.query(&format!("SELECT count(*) FROM {table} GROUP BY tableoid"), &[]).await.unwrap();
        let counts: Vec<i64> = counted.iter().map(|row| row.get(0)).collect();
        let fair = ACCOUNTS / 8;
        assert_eq!((counts.len(), counts.iter().sum::<i64>()), (8, ACCOUNTS));
        assert!(counts.iter().all(|count| (fair * 3 / 4..=fair * 5 / 4).contains(count)), "{table}: {counts:?}");
    }
    drop_schema(&client).await;
}

/// The columns of the tables that a schema has, but for parts of tables.
async fn columns(client: &Client) -> BTreeMap<String, Vec<(String, String, String)>> {
    let rows = client
        .query(
            "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_nullable::text
             FROM information_schema.columns c JOIN pg_class t ON t.oid = c.table_name::regclass AND NOT t.relispartition
             WHERE c.table_schema = current_schema() ORDER BY c.table_name, c.ordinal_position",
            &[],
        )
        .await
        .unwrap();
    let mut tables: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        tables.entry(row.get(0)).or_default().push((row.get(1), row.get(2), row.get(3)));
    }
    tables
}

#[tokio::test]
async fn tables_in_parts_have_the_columns_of_the_migrations() {
    let (_, whole) = empty_schema("unparted").await;
    crate::schema::migrate(&whole).await.unwrap();
    let mut expected = columns(&whole).await;
    drop_schema(&whole).await;
    let (_, parted) = empty_schema("parted").await;
    parted.batch_execute(SCHEMA).await.unwrap();
    let mut found = columns(&parted).await;
    drop_schema(&parted).await;

    // What is unique is held in tables of its own, which tell by themselves that it is.
    for claims in ["numbers", "member_codes", "openids", "unionids", "log_ins"] {
        assert!(found.remove(claims).is_some(), "{claims}");
    }
    expected.get_mut("identities").unwrap().retain(|(name, ..)| name != "held");
    // A few rows each, which no part of a server needs.
    for small in ["counters", "leases", "server_keys", "schema_versions"] {
        expected.remove(small);
    }
    assert_eq!(found, expected);
}
