//! What the shop calls its tables.

use std::sync::Arc;

/// The longest prefix: MySQL's names have at most 64 characters.
const LONGEST: usize = 40;

/// The quoted names of the shop's tables. Those of mobile-bind begin with `mb_`, whatever the shop's prefix.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    user: Arc<str>,
    user_platform: Arc<str>,
    config: Arc<str>,
}

impl Tables {
    /// The tables of that prefix; `None` where it has anything but letters, digits and `_`, or is too long.
    pub(crate) fn new(prefix: &str) -> Option<Self> {
        let plain = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let named = |table: &str| format!("`{prefix}{table}`").into();
        (plain && prefix.len() <= LONGEST).then(|| Self {
            user: named("user"),
            user_platform: named("user_platform"),
            config: named("config"),
        })
    }

    /// Accounts.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// What an account is on each platform, with its token there.
    pub(crate) fn user_platform(&self) -> &str {
        &self.user_platform
    }

    /// Settings.
    pub(crate) fn config(&self) -> &str {
        &self.config
    }
}
