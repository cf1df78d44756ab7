//! What the shop's rows hold that its schema does not forbid.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::expected::IDENTITIES;
use super::{Survey, count, plain};
use crate::fault::Fault;
use crate::tables::Tables;

/// How many groups of users are named; the rest are counted.
const NAMED: usize = 20;

const LIVE: &str = "u.is_delete_time = 0 AND u.is_logout_time = 0";

pub(super) async fn look(conn: &mut Conn, tables: &Tables, survey: &mut Survey) -> Result<(), Fault> {
    let (user, platform) = (tables.user(), tables.user_platform());
    let held_by_several = format!(
        "SELECT GROUP_CONCAT(u.id ORDER BY u.id SEPARATOR ', ') FROM {user} u WHERE u.mobile <> '' AND {LIVE}
         GROUP BY u.mobile HAVING COUNT(*) > 1"
    );
    let groups: Vec<String> = conn.query(held_by_several).await?;
    told(survey, "users with the same number, none of whom a bind chooses (-50)", &groups);
    for column in IDENTITIES {
        look_at_identity(conn, tables, column, survey).await?;
    }
    let strange = format!(
        "SELECT COUNT(*) FROM {platform} WHERE token <> '' AND (CHAR_LENGTH(token) <> 32 OR token REGEXP '[^0-9a-f]'
            OR CAST(token AS BINARY) <> CAST(LOWER(token) AS BINARY))"
    );
    let strange = count(conn, strange).await?;
    if strange > 0 {
        survey.remark(format!(
            "{strange} tokens are not 32 hexadecimal digits: mobile-bind does not know whoever comes with one"
        ));
    }
    let others = count(conn, format!("SELECT COUNT(*) FROM {platform} WHERE system_type <> 'default'")).await?;
    if others > 0 {
        survey.remark(format!(
            "{others} rows of {} are of another system_type than default: mobile-bind leaves them alone",
            plain(platform)
        ));
    }
    let by_system = format!(
        "SELECT COUNT(*) FROM {} WHERE only_tag = 'common_user_unique_system_type_model' AND value = '1'",
        tables.config()
    );
    if count(conn, by_system).await? > 0 {
        survey.obstacle(
            "the shop counts a number once for each system_type (common_user_unique_system_type_model): mobile-bind counts it \
             once for the whole shop",
        );
    }
    Ok(())
}

async fn look_at_identity(conn: &mut Conn, tables: &Tables, column: &str, survey: &mut Survey) -> Result<(), Fault> {
    let from = format!(
        "SELECT GROUP_CONCAT(DISTINCT p.user_id ORDER BY p.user_id SEPARATOR ', ') FROM {} p
         INNER JOIN {} u ON u.id = p.user_id WHERE p.{column} <> '' AND p.system_type = 'default' AND {LIVE}",
        tables.user_platform(),
        tables.user()
    );
    let same = format!("{from} GROUP BY CAST(p.{column} AS BINARY) HAVING COUNT(DISTINCT p.user_id) > 1");
    let same: Vec<String> = conn.query(same).await?;
    told(survey, &format!("users with the same {column}, none of whom a bind chooses (-50)"), &same);
    let folded = format!(
        "{from} GROUP BY p.{column} HAVING COUNT(DISTINCT CAST(p.{column} AS BINARY)) > 1
            AND COUNT(DISTINCT p.user_id) > 1"
    );
    let folded: Vec<String> = conn.query(folded).await?;
    let what = format!(
        "users whose {column} differs in case alone: the shop may take one for the other, mobile-bind does not"
    );
    told(survey, &what, &folded);
    Ok(())
}

fn told(survey: &mut Survey, what: &str, groups: &[String]) {
    for group in groups.iter().take(NAMED) {
        survey.remark(format!("{what}: {group}"));
    }
    if let Some(more) = groups.len().checked_sub(NAMED).filter(|more| *more > 0) {
        survey.remark(format!("{what}: {more} more groups"));
    }
}
