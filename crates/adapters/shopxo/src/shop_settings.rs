//! The shop's own settings that a bind goes by, in its table of settings.

use std::collections::BTreeMap;

use mobile_bind_domain::ports::StoreError;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::connect::Aside;
use crate::fault::{Fault, OpenError};
use crate::options::Options;
use crate::tables::Tables;

/// What the shop calls its settings.
const LIFETIME: &str = "common_verify_expire_time";
const INTERVAL: &str = "common_verify_interval_time";
const AUDIT: &str = "common_register_is_enable_audit";
const MANDATORY: &str = "common_user_is_mandatory_bind_mobile";
const PATTERN: &str = "common_regex_mobile";
const FORBIDDEN: &str = "home_userregister_unique_forbid_value";

/// The shop's settings, as far as they are set to something that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShopSettings {
    /// How long a code is good, in seconds.
    pub code_lifetime_s: Option<u64>,
    /// How long a number waits for its next code, in seconds.
    pub send_interval_s: Option<u64>,
    /// Whether a new account waits for approval.
    pub register_audit: Option<bool>,
    /// Whether the shop wants every user to have a number.
    pub mandatory_bind: Option<bool>,
    /// Which texts are mobile numbers, as a regular expression.
    pub mobile_pattern: Option<String>,
    /// What nobody may register with: numbers, and the names and addresses that the shop has there as well.
    pub forbidden: Option<Vec<String>>,
}

impl ShopSettings {
    fn of(mut found: BTreeMap<String, String>) -> Self {
        let mut take = |tag: &str| found.remove(tag).map(|value| value.trim().to_owned());
        let seconds = |value: Option<String>| value?.parse().ok().filter(|seconds| *seconds > 0);
        let switch = |value: Option<String>| value.map(|value| value == "1");
        Self {
            code_lifetime_s: seconds(take(LIFETIME)),
            send_interval_s: seconds(take(INTERVAL)),
            register_audit: switch(take(AUDIT)),
            mandatory_bind: switch(take(MANDATORY)),
            mobile_pattern: take(PATTERN).filter(|pattern| !pattern.is_empty()),
            forbidden: take(FORBIDDEN).map(|list| {
                let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
                entries.map(ToOwned::to_owned).collect()
            }),
        }
    }
}

/// Reads a shop's settings, over a connection of its own.
pub struct ShopSettingsReader(Aside);

impl ShopSettingsReader {
    /// Connects when it is first asked.
    ///
    /// # Errors
    /// Where the address cannot be used.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        Aside::new(options).map(Self)
    }

    /// The settings as they are now.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn read(&self) -> Result<ShopSettings, StoreError> {
        Ok(self.0.ask(read).await?)
    }
}

async fn read(conn: &mut Conn, tables: &Tables) -> Result<ShopSettings, Fault> {
    let query =
        format!("SELECT only_tag, COALESCE(value, '') FROM {} WHERE only_tag IN (?, ?, ?, ?, ?, ?)", tables.config());
    let tags = (LIFETIME, INTERVAL, AUDIT, MANDATORY, PATTERN, FORBIDDEN);
    let rows: Vec<(String, String)> = conn.exec(query, tags).await?;
    Ok(ShopSettings::of(rows.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(found: &[(&str, &str)]) -> ShopSettings {
        ShopSettings::of(found.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_a_shop_is_installed_with_is_read() {
        let installed = of(&[
            (LIFETIME, "600"),
            (INTERVAL, "60"),
            (AUDIT, "0"),
            (MANDATORY, "1"),
            (PATTERN, r"^1((3|4|5|6|7|8|9){1}\d{1})\d{8}$"),
            (FORBIDDEN, "13800138000, admin,"),
        ]);
        let expected = ShopSettings {
            code_lifetime_s: Some(600),
            send_interval_s: Some(60),
            register_audit: Some(false),
            mandatory_bind: Some(true),
            mobile_pattern: Some(r"^1((3|4|5|6|7|8|9){1}\d{1})\d{8}$".to_owned()),
            forbidden: Some(vec!["13800138000".to_owned(), "admin".to_owned()]),
        };
        assert_eq!(installed, expected);
    }

    #[test]
    fn what_is_absent_or_cannot_be_used_is_not_set() {
        assert_eq!(of(&[]), ShopSettings::default());
        assert_eq!(of(&[(LIFETIME, "0"), (INTERVAL, "soon"), (PATTERN, " ")]), ShopSettings::default());
        assert_eq!(of(&[(FORBIDDEN, "")]).forbidden, Some(Vec::new()));
    }
}
