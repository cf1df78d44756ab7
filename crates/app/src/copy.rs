//! Moving from one store to another: accounts, sessions, proofs of openids, what is spent, the audit, messages, and
//! keys, through the store port alone.
//!
//! Challenges, receipts and counts are not copied: they last for minutes, or a day at most. A copy that was broken off is
//! called again: what is there already is compared, and what differs is written. Between a shop's own database and another store
//! only that moves which both can hold: [`Fit`].

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use mobile_bind_domain::ports::Store;
use mobile_bind_domain::{Account, AccountId, Change, Revision, Session, Versioned, Write};

use crate::checksum::Checksum;
use crate::copy_fit::Fit;
use crate::keys::{self, Purpose};
use crate::settings::Settings;
use crate::stores::OpenStore;
use crate::{copy_audit, copy_fit, copy_messages};

/// How many accounts are read and committed together.
const BATCH: usize = 1024;

/// How often the bar is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Copies everything, compares it, and says what there is.
///
/// # Errors
/// Where a store cannot be used, the target holds something else, or the two differ in the end.
pub(crate) async fn copy(settings: &Settings, from: &str, to: &str) -> Result<String> {
    ensure!(from != to, "the two stores are one");
    let named = |store: &str| {
        let mut named = Settings { store: store.to_owned(), store_file: String::new(), ..settings.clone() };
        copy_fit::patient(&mut named);
        named
    };
    let (from, to) = (named(from), named(to));
    let source = OpenStore::open(&from).await.context("the store to read")?;
    let target = OpenStore::open(&to).await.context("the store to write")?;
    let fit = Fit::of(&source, &target);
    let copied = async {
        if fit == Fit::AtOneShop && matches!(source, OpenStore::Shopxo(_)) {
            copy_fit::ensure_uncontested(&from).await?;
        }
        if matches!(target, OpenStore::Shopxo(_)) {
            copy_fit::ensure_ids_fit(&*source.port()).await?;
        }
        copy_open(&source, &target, settings, fit).await
    };
    let copied = copied.await;
    for store in [source.port(), target.port()] {
        store.close().await.map_err(|error| anyhow!(error).context("a store could not be closed"))?;
    }
    copied
}

async fn copy_open(source: &OpenStore, target: &OpenStore, settings: &Settings, fit: Fit) -> Result<String> {
    for purpose in [Purpose::Tokens(settings.tokens.algorithm), Purpose::Codes] {
        keys::copy(&source.keys(settings), &target.keys(settings), purpose).await?;
    }
    let (source, target) = (source.port(), target.port());
    let total = count(&source).await?;
    let mut bar = Bar::new("copied", total);
    let mut after = None;
    let mut batch = read(&source, after, fit).await?;
    while let Some(last) = batch.keys().next_back().copied() {
        // One store is read while the other is written.
        let (next, written) = tokio::join!(read(&source, Some(last), fit), write(&target, after, last, &batch, fit));
        written?;
        bar.advance(batch.len());
        after = Some(last);
        batch = next?;
    }
    ensure!(target.accounts(after, 1).await?.is_empty(), "the target holds accounts that the other store does not");
    bar.end();
    copy_evidence(&source, &target).await?;
    copy_audit::copy(&source, &target).await?;
    copy_messages::copy(&source, &target).await?;
    let bar = Mutex::new(Bar::new("compared", 2 * total));
    let (expected, found) = tokio::try_join!(checksum(&source, &bar, fit), checksum(&target, &bar, fit))?;
    drawn(&bar).end();
    ensure!(expected == found, "the stores differ: {expected} here, {found} there; call it again");
    Ok(format!("the stores are alike: {found}\n{}", fit.told()))
}

/// An account with its sessions, by their ids.
struct Held {
    account: Versioned<Account>,
    sessions: Vec<Session>,
}

/// The next accounts, with their sessions.
async fn read(store: &Arc<dyn Store>, after: Option<AccountId>, fit: Fit) -> Result<BTreeMap<AccountId, Held>> {
    let accounts = store.accounts(after, BATCH).await;
    let accounts = accounts.with_context(|| match after {
        Some(id) => format!("the accounts after {} cannot be read", id.get()),
        None => "the first accounts cannot be read".to_owned(),
    })?;
    with_sessions(store, accounts, fit).await
}

async fn with_sessions(
    store: &Arc<dyn Store>,
    accounts: Vec<Versioned<Account>>,
    fit: Fit,
) -> Result<BTreeMap<AccountId, Held>> {
    let ids: Vec<AccountId> = accounts.iter().map(|account| account.value.id).collect();
    let sessions = if ids.is_empty() { Vec::new() } else { store.sessions_of_all(&ids).await? };
    let held = |account: Versioned<Account>| (account.value.id, Held { account, sessions: Vec::new() });
    let mut held: BTreeMap<AccountId, Held> = accounts.into_iter().map(held).collect();
    for session in sessions {
        let account = held.get_mut(&session.account).context("a store answered a session that was not asked for")?;
        account.sessions.push(session);
    }
    let fitted = |Held { account: Versioned { revision, value }, sessions }| {
        let (value, mut sessions) = fit.apply(value, sessions);
        sessions.sort_by_key(|session| session.id);
        Held { account: Versioned { revision, value }, sessions }
    };
    Ok(held.into_iter().map(|(id, held)| (id, fitted(held))).collect())
}

/// Writes what the target has not, or has otherwise, of the accounts after one id up to another.
async fn write(
    target: &Arc<dyn Store>,
    after: Option<AccountId>,
    last: AccountId,
    batch: &BTreeMap<AccountId, Held>,
    fit: Fit,
) -> Result<()> {
    let mut there = target.accounts(after, BATCH).await?;
    there.retain(|account| account.value.id <= last);
    let there = with_sessions(target, there, fit).await?;
    if let Some(id) = there.keys().find(|id| !batch.contains_key(id)) {
        bail!("the target holds account {}, which the other store does not: it is no copy of it", id.get());
    }
    let mut change = Change::default();
    for (id, held) in batch {
        let known = there.get(id);
        if known.is_none_or(|known| known.account.value != held.account.value) {
            let expected = known.map_or(Revision::ABSENT, |known| known.account.revision);
            change.writes.push(Write::Account { expected, account: Box::new(held.account.value.clone()) });
        }
        let kept = known.map(|known| known.sessions.as_slice()).unwrap_or_default();
        let gone = kept.iter().filter(|kept| !held.sessions.contains(kept));
        change.writes.extend(gone.map(|session| Write::EndSession(session.id)));
        let missing = held.sessions.iter().filter(|session| !kept.contains(session));
        change.writes.extend(missing.cloned().map(Write::OpenSession));
    }
    if !change.is_empty() {
        let committed = target.commit(change).await;
        committed.map_err(|error| anyhow!(error).context("a batch could not be written; call it again"))?;
    }
    Ok(())
}

/// Writes the proofs and marks that the target has not, or has otherwise. What it has besides is found by the comparison.
async fn copy_evidence(source: &Arc<dyn Store>, target: &Arc<dyn Store>) -> Result<()> {
    let (mut after, mut after_mark) = (None, None);
    loop {
        let proofs = source.proofs(after, BATCH).await?;
        let marks = source.spent(after_mark, BATCH).await?;
        let there: BTreeMap<_, _> = target.proofs(after, BATCH).await?.into_iter().collect();
        let marked: BTreeMap<_, _> = target.spent(after_mark, BATCH).await?.into_iter().collect();
        if proofs.is_empty() && marks.is_empty() {
            return Ok(());
        }
        after = proofs.last().map_or(after, |(id, _)| Some(*id));
        after_mark = marks.last().map_or(after_mark, |(mark, _)| Some(*mark));
        let missing = proofs.into_iter().filter(|(id, proof)| there.get(id) != Some(proof));
        let mut writes: Vec<Write> = missing.map(|(id, proof)| Write::Proof(id, proof)).collect();
        let missing = marks.into_iter().filter(|(mark, _)| !marked.contains_key(mark));
        writes.extend(missing.map(|(mark, until)| Write::Spend(mark, until)));
        if !writes.is_empty() {
            let committed = target.commit(Change { expectations: Vec::new(), writes }).await;
            committed.map_err(|error| anyhow!(error).context("a batch could not be written; call it again"))?;
        }
    }
}

async fn count(store: &Arc<dyn Store>) -> Result<usize> {
    let (mut total, mut after) = (0, None);
    loop {
        let page = store.accounts(after, 4 * BATCH).await?;
        let Some(last) = page.last() else { return Ok(total) };
        after = Some(last.value.id);
        total += page.len();
    }
}

fn drawn(bar: &Mutex<Bar>) -> MutexGuard<'_, Bar> {
    bar.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn checksum(store: &Arc<dyn Store>, bar: &Mutex<Bar>, fit: Fit) -> Result<Checksum> {
    let (mut checksum, mut after) = (Checksum::default(), None);
    loop {
        let batch = read(store, after, fit).await?;
        let Some(last) = batch.keys().next_back().copied() else { break };
        for held in batch.values() {
            checksum.add(&held.account.value, &held.sessions);
        }
        after = Some(last);
        drawn(bar).advance(batch.len());
        // The embedded store never waits: the other one's answer must be heard in time.
        tokio::task::yield_now().await;
    }
    let mut after = None;
    loop {
        let proofs = store.proofs(after, BATCH).await?;
        let Some((last, _)) = proofs.last() else { break };
        after = Some(*last);
        proofs.iter().for_each(|(id, proof)| checksum.add_proof(*id, proof));
    }
    let mut after = None;
    loop {
        let marks = store.spent(after, BATCH).await?;
        let Some((last, _)) = marks.last() else { break };
        after = Some(*last);
        marks.iter().for_each(|(mark, until)| checksum.add_spent(*mark, *until));
    }
    copy_audit::add_to(&mut checksum, store).await?;
    copy_messages::add_to(&mut checksum, store).await?;
    Ok(checksum.finished())
}

/// One line on standard error, drawn over itself.
struct Bar {
    name: &'static str,
    total: usize,
    done: usize,
    began: Instant,
    drawn: Option<Instant>,
}

impl Bar {
    fn new(name: &'static str, total: usize) -> Self {
        Self { name, total, done: 0, began: now(), drawn: None }
    }

    fn advance(&mut self, by: usize) {
        self.done += by;
        let now = now();
        if self.drawn.is_none_or(|drawn| now.duration_since(drawn) >= DRAWN_EVERY) {
            self.drawn = Some(now);
            self.draw("");
        }
    }

    fn end(&self) {
        self.draw("\n");
    }

    fn draw(&self, end: &str) {
        // Nobody has to watch.
        let _ = write!(std::io::stderr(), "\r{}{end}", self.line(self.began.elapsed()));
        let _ = std::io::stderr().flush();
    }

    fn line(&self, elapsed: Duration) -> String {
        let (done, total) = (self.done, self.total);
        let twentieths = (20 * done).checked_div(total).unwrap_or(20).min(20);
        let millis = usize::try_from(elapsed.as_millis()).unwrap_or(usize::MAX).max(1);
        let rate = done.saturating_mul(1_000) / millis;
        let left = total.saturating_sub(done).checked_div(rate).map_or_else(|| "?".to_owned(), |s| s.to_string());
        format!("[{:<20}] {done} of {total} accounts {}, {rate}/s, {left} s left  ", "#".repeat(twentieths), self.name)
    }
}

#[expect(clippy::disallowed_methods, reason = "a rate for whoever watches; no rule depends on it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bar, copy, now};
    use crate::fill::fill;
    use crate::settings::Settings;

    fn in_folder(folder: &tempfile::TempDir) -> Settings {
        Settings { data_dir: folder.path().to_owned(), ..Settings::default() }
    }

    #[tokio::test]
    async fn a_store_is_copied_and_what_was_broken_off_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let settings = in_folder(&folder);
        fill(&settings, 700).await.unwrap();
        let target = format!("sled:{}", folder.path().join("other").display());
        let told = copy(&settings, "sled:", &target).await.unwrap();
        assert!(told.contains("700 accounts, 700 sessions"), "{told}");
        // More has come since: only that is written, and both are the same again.
        fill(&settings, 5).await.unwrap();
        assert!(copy(&settings, "sled:", &target).await.unwrap().contains("705 accounts"));
        assert!(copy(&settings, &target, "sled:").await.unwrap().contains("705 accounts"));
    }

    #[tokio::test]
    async fn a_store_that_holds_something_else_is_left_alone() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (settings, others) = (in_folder(&folder), in_folder(&other));
        fill(&settings, 3).await.unwrap();
        fill(&others, 5).await.unwrap();
        let target = format!("sled:{}", other.path().join("store").display());
        let error = copy(&settings, "sled:", &target).await.unwrap_err().to_string();
        assert!(error.contains("does not"), "{error}");
        assert!(copy(&settings, "sled:", "sled:").await.is_err());
    }

    #[test]
    fn the_bar_tells_the_rate_and_the_time_left() {
        let bar = Bar { name: "copied", total: 1_000, done: 500, began: now(), drawn: None };
        let line = bar.line(Duration::from_secs(5));
        assert!(line.starts_with("[##########          ] 500 of 1000 accounts copied, 100/s, 5 s left"), "{line}");
        assert!(Bar { total: 0, done: 0, ..bar }.line(Duration::ZERO).contains("0 of 0"));
    }
}
