//! The same rows as a bind's, written by pgbench: what the database bears where nothing stands before it.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};

use super::cluster::Database;

const SCRIPT: &str = include_str!("bind.sql");

/// What pgbench came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pgbench {
    pub(crate) transactions: u64,
    pub(crate) failed: u64,
    /// Without the time to connect.
    pub(crate) per_second: f64,
    pub(crate) mean_ms: f64,
}

/// How long it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// In whole seconds; so many transactions a second may come of it.
    Time(Duration, f64),
    /// So many transactions by each client.
    Transactions(u64),
}

/// What is ready to be written.
pub(crate) struct Prepared {
    first: u64,
    share: u64,
    clients: u64,
    now: u64,
    length: Length,
}

impl Prepared {
    /// Prepares what so many clients write at once.
    ///
    /// # Errors
    /// Where the database cannot be used.
    pub(crate) fn make(database: &Database, clients: usize, length: Length) -> Result<Self> {
        let clients = u64::try_from(clients)?;
        let share = match length {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
            Length::Time(time, per_second) => (per_second * time.as_secs_f64()) as u64 / clients + 100,
            Length::Transactions(each) => each,
        };
        let now = now_ms()?;
        Ok(Self { first: prepare(database, clients * share, now)?, share, clients, now, length })
    }

    /// Writes it.
    ///
    /// # Errors
    /// Where pgbench fails, or has more to do than was prepared.
    pub(crate) fn run(self, database: &Database) -> Result<Pgbench> {
        let Self { first, share, clients, now, length } = self;
        let mut script = tempfile::Builder::new().prefix("bind-").suffix(".sql").tempfile().context("no script")?;
        script.write_all(SCRIPT.as_bytes())?;
        let mut arguments = vec!["-n".to_owned(), "-M".to_owned(), "prepared".to_owned()];
        for (name, value) in [("n", 0), ("first", first), ("share", share), ("now", now)] {
            arguments.extend(["-D".to_owned(), format!("{name}={value}")]);
        }
        let (flag, amount) = match length {
            Length::Time(time, _) => ("-T", time.as_secs()),
            Length::Transactions(each) => ("-t", each),
        };
        arguments.extend([flag.to_owned(), amount.to_string(), "-c".to_owned(), clients.to_string()]);
        arguments.extend(["-f".to_owned(), script.path().to_string_lossy().into_owned()]);
        let told = database.pgbench(&arguments)?;
        let done = read(&told).with_context(|| format!("pgbench tells no figures: {told}"))?;
        ensure!(done.failed == 0, "{} of pgbench's transactions failed", done.failed);
        // Whoever came to the end of his share had nothing left to remove.
        ensure!(done.transactions <= clients * share, "pgbench was faster than was prepared for");
        Ok(done)
    }
}

/// Takes ids as a node does, and makes the challenges that the transactions remove. Answers the id before the first.
fn prepare(database: &Database, count: u64, now: u64) -> Result<u64> {
    let last = database.number(&format!(
        "UPDATE counters SET value = greatest(value, (SELECT coalesce(max(id), 0) FROM accounts)) + {count} + 1000
         WHERE name = 'account' RETURNING value"
    ))?;
    let first = last - count;
    database.run(&format!(
        "INSERT INTO challenges (mobile, client, revision, key_id, tag, sent_at, expires_at, failures)
         SELECT (20000000000 + id)::text, 'uuid:' || md5(id::text), id, 'AAAAAAAA', sha256(int8send(id)), {now}, {now} + 600000, 0
         FROM generate_series({first}::bigint + 1, {last}::bigint) AS id"
    ))?;
    Ok(first)
}

fn now_ms() -> Result<u64> {
    #[expect(clippy::disallowed_methods, reason = "rows of now, for a server that clears away what has ended")]
    let now = SystemTime::now();
    Ok(u64::try_from(now.duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// <https://www.postgresql.org/docs/15/pgbench.html>; older ones do not tell of failures.
fn read(told: &str) -> Option<Pgbench> {
    let after = |name: &str| told.lines().find_map(|line| line.strip_prefix(name));
    let number = |name: &str| after(name)?.trim().split([' ', '/']).next()?.parse::<f64>().ok();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |name: &str| number(name).map(|number| number as u64);
    Some(Pgbench {
        transactions: count("number of transactions actually processed:")?,
        failed: count("number of failed transactions:").unwrap_or(0),
        per_second: number("tps =")?,
        mean_ms: number("latency average =")?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Pgbench, read};

    #[test]
    fn the_figures_are_read() {
        let told = "transaction type: x\nnumber of transactions actually processed: 120/120\nnumber of failed transactions: 3 \
                    (2.5%)\nlatency average = 1.250 ms\ninitial connection time = 9.1 ms\ntps = 800.5 (without initial)\n";
        let read_back = read(told);
        assert_eq!(read_back, Some(Pgbench { transactions: 120, failed: 3, per_second: 800.5, mean_ms: 1.25 }));
        assert_eq!(read("tps = 1"), None);
    }
}
