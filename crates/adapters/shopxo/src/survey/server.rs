//! The server, and what it lets mobile-bind do.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Survey, plain};
use crate::fault::Fault;
use crate::tables::Tables;

/// The oldest that are known to do: those with READ COMMITTED as InnoDB has it today, and `DYNAMIC` rows.
const OLDEST_MYSQL: (u32, u32) = (5, 7);
const OLDEST_MARIADB: (u32, u32) = (10, 3);

/// What kind of server says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    MySql,
    MariaDb,
    /// Another system that speaks the protocol: TiDB, OceanBase.
    Other,
}

fn make(version: &str) -> Make {
    let named = |name: &str| version.to_ascii_lowercase().contains(name);
    match () {
        () if named("tidb") || named("oceanbase") => Make::Other,
        () if named("mariadb") => Make::MariaDb,
        () => Make::MySql,
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) async fn look(conn: &mut Conn, survey: &mut Survey) -> Result<(), Fault> {
    let version: String = conn.query_first("SELECT VERSION()").await?.unwrap_or_default();
    survey.fact(format!("server {version}"));
    let oldest = match make(&version) {
        Make::MySql => Some(OLDEST_MYSQL),
        Make::MariaDb => Some(OLDEST_MARIADB),
        Make::Other => {
            survey.remark("a system that speaks MySQL's protocol: mobile-bind was not run on it (docs/shopxo.md)");
            None
        }
    };
    if oldest.is_some_and(|oldest| numbers(&version).is_none_or(|found| found < oldest)) {
        survey.obstacle("the server is too old: MySQL 5.7 or MariaDB 10.3 is the oldest that will do");
    }
    let read_only: Option<u64> = conn.query_first("SELECT @@GLOBAL.read_only").await?;
    if read_only == Some(1) {
        survey.obstacle("the server takes no changes (read_only): it is a replica, or is to be left alone");
    }
    // InnoDB refuses to write under READ COMMITTED there (error 1665).
    let log: Option<(u64, String)> = conn.query_first("SELECT @@GLOBAL.log_bin, @@GLOBAL.binlog_format").await?;
    if log.is_some_and(|(on, format)| on == 1 && format.eq_ignore_ascii_case("STATEMENT")) {
        survey.obstacle("binlog_format is STATEMENT, which READ COMMITTED cannot write to: set it to ROW or MIXED");
    }
    Ok(())
}

/// Statements that change nothing, and are refused to whoever may not run them.
pub(super) async fn look_at_rights(conn: &mut Conn, tables: &Tables, survey: &mut Survey) -> Result<(), Fault> {
    let (user, platform, config) = (tables.user(), tables.user_platform(), tables.config());
    let tried = [
        ("SELECT", config, format!("SELECT value FROM {config} LIMIT 0")),
        ("UPDATE", user, format!("UPDATE {user} SET mobile = mobile WHERE id = 0")),
        ("INSERT", user, format!("INSERT INTO {user} (mobile) SELECT mobile FROM {user} WHERE id = 0")),
        ("UPDATE", platform, format!("UPDATE {platform} SET token = token WHERE id = 0")),
        ("INSERT", platform, format!("INSERT INTO {platform} (token) SELECT token FROM {platform} WHERE id = 0")),
    ];
    for (right, table, statement) in tried {
        match conn.query_drop(statement).await.map_err(Fault::from) {
            Ok(()) => {}
            Err(Fault::Refused { code, .. }) if DENIED.contains(&code) => {
                survey.obstacle(format!("mobile-bind's user may not {right} in {}", plain(table)));
            }
            Err(fault) => return Err(fault),
        }
    }
    let held: Vec<String> = conn.query(OWN_RIGHTS).await?;
    let held_here: Vec<String> = conn.query(RIGHTS_HERE).await?;
    let missing = ["CREATE", "ALTER", "INDEX", "DROP"]
        .into_iter()
        .filter(|right| !held.iter().chain(&held_here).any(|held| held == right));
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        survey.remark(format!(
            "mobile-bind's user has no {} for the whole database, as its own tables (mb_*) need while they are made, changed and \
             removed",
            missing.join(", ")
        ));
    }
    Ok(())
}

/// `ER_DBACCESS_DENIED_ERROR`, `ER_TABLEACCESS_DENIED_ERROR`, `ER_COLUMNACCESS_DENIED_ERROR`.
const DENIED: [u16; 3] = [1044, 1142, 1143];

/// The user's rights everywhere, and those in this database, whose name may be a pattern.
const OWN_RIGHTS: &str = "SELECT privilege_type FROM information_schema.user_privileges
    WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";
const RIGHTS_HERE: &str = "SELECT privilege_type FROM information_schema.schema_privileges
    WHERE grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''') AND DATABASE() LIKE table_schema";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        for (text, expected) in [
            ("5.7.44-log", (Make::MySql, Some((5, 7)))),
            ("8.4.3", (Make::MySql, Some((8, 4)))),
            ("10.11.14-MariaDB-0+deb12u2", (Make::MariaDb, Some((10, 11)))),
            ("5.7.25-TiDB-v7.5.1", (Make::Other, Some((5, 7)))),
            ("5.7.25-OceanBase_CE-v4.3.5.0", (Make::Other, Some((5, 7)))),
            ("", (Make::MySql, None)),
        ] {
            assert_eq!((make(text), numbers(text)), expected, "{text}");
        }
    }
}
