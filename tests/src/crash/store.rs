//! The store itself, looked at when the service has stopped.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use mobile_bind_domain::ports::Store;
use mobile_bind_sled::{Options, SledStore};

use super::check::Check;
use super::load::Journal;

/// How many accounts are read at once.
const PAGE: usize = 1000;

/// No two live accounts have one number or one openid, and each acknowledged account is there.
pub(super) async fn check(folder: &Path, journal: &Journal, check: &mut Check) -> Result<()> {
    let store = SledStore::open(folder, Options::default())?;
    let (mut mobiles, mut identities) = (HashMap::new(), HashSet::new());
    let mut after = None;
    loop {
        let page = store.accounts(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.value.id);
        for account in page.into_iter().map(|found| found.value).filter(|account| account.is_live()) {
            for identity in account.held_identities() {
                if !identities.insert(identity) {
                    check.torn.push(format!("an openid of account {} is another's as well", account.id.get()));
                }
            }
            let Some(mobile) = account.mobile else { continue };
            if let Some(other) = mobiles.insert(mobile.as_str().to_owned(), account.id.get()) {
                check.torn.push(format!("the accounts {other} and {} have one number", account.id.get()));
            }
        }
    }
    for bound in journal.bound.iter().filter(|bound| !journal.superseded.contains(&bound.token)) {
        let holder = mobiles.get(&bound.request.mobile).map(ToString::to_string);
        if holder.as_deref() != Some(bound.id.as_str()) {
            check.lost.push(format!("the account of {} in the store", bound.request.mobile));
        }
    }
    store.close().await?;
    Ok(())
}
