//! What the shop has no column for, of an account that mobile-bind has written: a row of `mb_accounts`.

use std::collections::BTreeMap;

use mobile_bind_domain::{Account, AccountId, AppId, Platform, Revision, Timestamp};
use mysql_async::{Conn, Value};

use crate::fault::{Fault, Rejection};
use crate::records::{Columns, insert};

/// An account's companion row.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Companion {
    /// What mobile-bind's last write of the account was given.
    pub(super) revision: Revision,
    /// The fingerprint of the shop's columns as they were then.
    pub(super) fingerprint: u64,
    /// The number that `mobile_since` is about: the shop may have put another one in its place.
    pub(super) mobile: String,
    pub(super) mobile_since: Option<Timestamp>,
    pub(super) seen_at: Option<Timestamp>,
    /// The apps that openids are of, where mobile-bind has written them.
    pub(super) apps: BTreeMap<Platform, AppId>,
}

/// What is read of `mb_accounts`, in the order in which [`Companion::read`] takes it.
pub(super) const COMPANION: &str = "a.revision, a.fingerprint, a.mobile, a.mobile_since, a.seen_at, a.apps";

impl Companion {
    /// Reads what [`COMPANION`] names; `None` where the account has none.
    pub(super) fn read(columns: &mut Columns) -> Result<Option<Self>, Fault> {
        let (revision, fingerprint): (Option<u64>, Option<u64>) = (columns.take()?, columns.take()?);
        let mobile = columns.read_some(|text| Some(text.to_owned()))?;
        let (mobile_since, seen_at): (Option<u64>, Option<u64>) = (columns.take()?, columns.take()?);
        let apps = columns.read_some(apps)?;
        let Some(((revision, fingerprint), (mobile, apps))) = revision.zip(fingerprint).zip(mobile.zip(apps)) else {
            return Ok(None);
        };
        let (mobile_since, seen_at) = (mobile_since.map(Timestamp::from_millis), seen_at.map(Timestamp::from_millis));
        Ok(Some(Self { revision: Revision(revision), fingerprint, mobile, mobile_since, seen_at, apps }))
    }

    /// The companion of an account as it shall be. `known` is what was read, by this companion.
    pub(super) fn of(&self, known: &Account, account: &Account, revision: Revision, fingerprint: u64) -> Self {
        let mut apps = self.apps.clone();
        apps.retain(|platform, _| account.identities.contains_key(platform));
        for (&platform, identity) in &account.identities {
            // An openid that the shop wrote belongs to whichever app asks, until it is written here.
            if known.identities.get(&platform) != Some(identity) {
                apps.insert(platform, identity.app.clone());
            }
        }
        let mobile = account.mobile.as_ref().map_or("", |mobile| mobile.as_str()).to_owned();
        Self { revision, fingerprint, mobile, mobile_since: account.mobile_since, seen_at: account.seen_at, apps }
    }

    /// The row of a user.
    pub(super) fn row(&self, user: AccountId) -> Vec<Value> {
        let millis = |time: Option<Timestamp>| Value::from(time.map(Timestamp::as_millis));
        vec![
            user.get().into(),
            self.revision.0.into(),
            self.fingerprint.into(),
            self.mobile.as_str().into(),
            millis(self.mobile_since),
            millis(self.seen_at),
            written(&self.apps).into(),
        ]
    }
}

/// Stores companions, as [`Companion::row`] has them.
pub(super) async fn store(conn: &mut Conn, rows: &[Vec<Value>]) -> Result<(), Rejection> {
    let into = "INSERT INTO mb_accounts (user_id, revision, fingerprint, mobile, mobile_since, seen_at, apps)";
    let otherwise = "ON DUPLICATE KEY UPDATE revision = VALUES(revision), fingerprint = VALUES(fingerprint), \
         mobile = VALUES(mobile), mobile_since = VALUES(mobile_since), seen_at = VALUES(seen_at), apps = VALUES(apps)";
    insert(conn, into, rows, otherwise).await.map(|_| ())
}

/// `platform`, zero, `app`, zero, for each platform.
fn written(apps: &BTreeMap<Platform, AppId>) -> String {
    apps.iter().map(|(platform, app)| format!("{}\0{}\0", platform.name(), app.as_str())).collect()
}

fn apps(text: &str) -> Option<BTreeMap<Platform, AppId>> {
    let mut apps = BTreeMap::new();
    let mut parts = text.split_terminator('\0');
    while let Some(name) = parts.next() {
        let platform = Platform::ALL.into_iter().find(|platform| platform.name() == name)?;
        apps.insert(platform, parts.next().and_then(AppId::new)?);
    }
    Some(apps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mobile_bind_domain::{AppId, Platform};
    use proptest::prelude::*;

    use super::{apps, written};

    proptest! {
        #[test]
        fn apps_are_read_back(names in prop::collection::btree_map(0_usize..6, "[^\\x00]{0,60}", 0..6)) {
            let known: BTreeMap<_, _> =
                names.iter().map(|(&at, name)| (Platform::ALL[at], AppId::new(name).unwrap())).collect();
            prop_assert_eq!(apps(&written(&known)).unwrap(), known);
        }
    }

    #[test]
    fn rubbish_is_told() {
        for text in ["weixin", "nobody\0a\0", "weixin\0a\0weixin"] {
            assert!(apps(text).is_none(), "{text:?}");
        }
    }
}
