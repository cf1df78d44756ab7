//! The shop's tables: engine, characters, columns, indexes.

use std::collections::HashSet;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::expected::{Column, Type, USER, USER_PLATFORM};
use super::{Survey, plain};
use crate::fault::Fault;
use crate::tables::Tables;

pub(super) async fn look(conn: &mut Conn, tables: &Tables, survey: &mut Survey) -> Result<(), Fault> {
    for (table, expected) in [(tables.user(), &USER[..]), (tables.user_platform(), &USER_PLATFORM[..])] {
        let table = plain(table);
        look_at_table(conn, table, survey).await?;
        look_at_columns(conn, table, expected, survey).await?;
        look_at_indexes(conn, table, expected, survey).await?;
    }
    Ok(())
}

async fn look_at_table(conn: &mut Conn, table: &str, survey: &mut Survey) -> Result<(), Fault> {
    let query = "SELECT COALESCE(engine, ''), COALESCE(table_collation, ''), COALESCE(table_rows, 0)
        FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?";
    let found: Option<(String, String, u64)> = conn.exec_first(query, (table,)).await?;
    let Some((engine, collation, rows)) = found else { return Ok(()) };
    survey.fact(format!("{table}: {engine}, {collation}, about {rows} rows"));
    if !engine.eq_ignore_ascii_case("InnoDB") {
        survey.obstacle(format!("{table} is a table of {engine}, which has no transactions"));
    }
    if !collation.starts_with("utf8mb4") {
        survey.obstacle(format!("{table} is not in utf8mb4: not every text that a bind may bring can be stored"));
    }
    let query = "SELECT trigger_name FROM information_schema.triggers
        WHERE event_object_schema = DATABASE() AND event_object_table = ?";
    for trigger in conn.exec::<String, _, _>(query, (table,)).await? {
        survey.remark(format!("{table} has a trigger, {trigger}: it runs when mobile-bind writes, too"));
    }
    Ok(())
}

async fn look_at_columns(conn: &mut Conn, table: &str, expected: &[Column], survey: &mut Survey) -> Result<(), Fault> {
    let query =
        "SELECT LOWER(column_name), LOWER(data_type), LOWER(column_type), COALESCE(character_maximum_length, 0),
            is_nullable = 'NO' AND column_default IS NULL AND extra NOT LIKE '%auto_increment%'
                AND extra NOT LIKE '%generated%', COALESCE(collation_name, ''), extra LIKE '%auto_increment%'
        FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?";
    let rows: Vec<Row> = conn.exec(query, (table,)).await?;
    let found: Vec<Found> = rows.into_iter().filter_map(Found::read).collect();
    for (name, kind, _) in expected {
        let Some(column) = found.iter().find(|column| column.name == *name) else {
            survey.obstacle(format!("{table} has no column {name}"));
            continue;
        };
        if !column.takes(*kind) {
            survey.obstacle(format!(
                "{table}.{name} is {}, too narrow for what a shop of version 6.9 has there",
                column.kind
            ));
        }
        if matches!(kind, Type::Text(_)) && !column.collation.ends_with("_ci") {
            survey.remark(format!("{table}.{name} compares by {}, not as a shop is installed", column.collation));
        }
        if *name == "id" && !column.counts {
            survey.obstacle(format!("{table}.id does not count by itself"));
        }
    }
    for column in found.iter().filter(|column| !expected.iter().any(|(name, ..)| column.name == *name)) {
        if column.must_be_given {
            survey.obstacle(format!("{table}.{} has no default, and mobile-bind does not know it", column.name));
        } else {
            survey.remark(format!(
                "{table}.{} is none of a shop of version 6.9: mobile-bind leaves it alone",
                column.name
            ));
        }
    }
    Ok(())
}

/// A column as it is.
struct Found {
    name: String,
    data_type: String,
    kind: String,
    length: u64,
    must_be_given: bool,
    collation: String,
    counts: bool,
}

impl Found {
    fn read(row: Row) -> Option<Self> {
        let (name, data_type, kind, length, must_be_given, collation, counts) = mysql_async::from_row_opt(row).ok()?;
        Some(Self { name, data_type, kind, length, must_be_given, collation, counts })
    }

    fn takes(&self, expected: Type) -> bool {
        match expected {
            Type::Text(length) => self.length >= length,
            Type::Whole { bytes, unsigned } => {
                let is_unsigned = self.kind.contains("unsigned");
                let own = match self.data_type.as_str() {
                    "tinyint" => 1,
                    "smallint" => 2,
                    "mediumint" => 3,
                    "int" => 4,
                    "bigint" => 8,
                    _ => 0,
                };
                // A wider signed one holds all of a narrower unsigned one's.
                own >= bytes && (!unsigned || is_unsigned || own > bytes)
            }
        }
    }
}

async fn look_at_indexes(conn: &mut Conn, table: &str, expected: &[Column], survey: &mut Survey) -> Result<(), Fault> {
    let query = "SELECT LOWER(column_name) FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND table_name = ? AND seq_in_index = 1";
    let indexed: HashSet<String> = conn.exec(query, (table,)).await?.into_iter().collect();
    for (name, ..) in expected.iter().filter(|(name, _, looked_up)| *looked_up && !indexed.contains(*name)) {
        survey.obstacle(format!(
            "{table}.{name} has no index, as a shop is installed with: each bind would read the whole table"
        ));
    }
    Ok(())
}
