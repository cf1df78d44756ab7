//! What is asked of the service, each a ratio within one run, or a bound.

use serde::Serialize;

use crate::figures::{Figures, Spread};
use crate::report::{Operation, Report, Scale, ratio_of};
use crate::server::Setup;

/// Where the targets that name connections are measured.
pub(crate) const CONNECTIONS: usize = 64;
/// The numbers of users that are compared, the first with the last.
pub(crate) const USERS: [u64; 3] = [10_000, 100_000, 1_000_000];

/// One target, and what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
    /// `None` where the run did not measure it.
    pub(crate) value: Option<Spread>,
}

/// What a value must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Verdict {
    /// Whether the median keeps to the bound; `None` where it was not measured.
    pub(crate) fn is_met(&self) -> Option<bool> {
        let median = self.value?.median;
        Some(match self.bound {
            Bound::AtLeast(least) => median >= least,
            Bound::AtMost(most) => median <= most,
        })
    }

    /// The target and the value, in one line.
    pub(crate) fn line(&self) -> String {
        let bound = match self.bound {
            Bound::AtLeast(least) => format!("≥ {least}"),
            Bound::AtMost(most) => format!("≤ {most}"),
        };
        match self.value {
            Some(Spread { median, min, max }) => {
                format!("{}: {median:.2} ({min:.2}–{max:.2}), wanted {bound}", self.what)
            }
            None => format!("{}: not measured, wanted {bound}", self.what),
        }
    }
}

const MIB: f64 = 1024.0 * 1024.0;

/// All targets, in the order of the table.
pub(crate) fn verdicts(report: &Report) -> Vec<Verdict> {
    let per_second = |figures: &Figures| figures.per_second;
    let p50 = |figures: &Figures| figures.p50_us;
    let bind = |setup, connections| report.cell(Operation::Bind, Some(setup), connections);
    let over_memory = both(bind(Setup::Sled, CONNECTIONS), bind(Setup::Memory, CONNECTIONS))
        .and_then(|(sled, memory)| ratio_of(sled, memory, per_second, per_second));
    let over_sync = both(bind(Setup::Sled, 1), report.cell(Operation::Sync, None, 1))
        .and_then(|(bind, sync)| ratio_of(bind, sync, p50, p50));
    let tail = bind(Setup::Sled, CONNECTIONS).and_then(|bind| ratio_of(bind, bind, |figures| figures.p99_us, p50));
    let send = report.cell(Operation::Send, Some(Setup::SledWithQuotas), CONNECTIONS);
    let send = both(send, bind(Setup::SledWithQuotas, CONNECTIONS))
        .and_then(|(send, bind)| ratio_of(send, bind, per_second, per_second));
    let look_up = report.cell(Operation::Lookup, Some(Setup::Sled), CONNECTIONS);
    let look_up = both(look_up, report.cell(Operation::Healthz, Some(Setup::Sled), CONNECTIONS))
        .and_then(|(look_up, health)| ratio_of(look_up, health, per_second, per_second));
    let [few, .., many] = USERS;
    let scale = |users| report.scale.iter().find(|scale| scale.users == users);
    let kept = both(scale(many), scale(few))
        .and_then(|(many, few): (&Scale, &Scale)| ratio_of(&many.bind, &few.bind, per_second, per_second));
    let once = |value: f64| Spread::of([value]);
    let idle = report.idle_resident_bytes.and_then(|bytes| once(mebibytes(bytes)));
    vec![
        verdict("bind/s at 64 connections ÷ the same on the memory store", Bound::AtLeast(0.65), over_memory),
        verdict("bind p50 at 1 connection ÷ one write+fdatasync", Bound::AtMost(2.0), over_sync),
        verdict("bind p99 ÷ p50 at 64 connections", Bound::AtMost(3.5), tail),
        verdict("send/s ÷ bind/s at 64 connections, limits and tries on disk", Bound::AtLeast(1.0), send),
        verdict("token lookups/s ÷ GET /healthz", Bound::AtLeast(0.5), look_up),
        verdict("bind/s with 1 M accounts ÷ with 10 k", Bound::AtLeast(0.85), kept),
        verdict(
            "resident at 1 M accounts, after a bind run, in MiB",
            Bound::AtMost(300.0),
            scale(many).and_then(|scale| once(mebibytes(scale.resident_bytes))),
        ),
        verdict(
            "disk at 1 M accounts with their indexes, in MiB",
            Bound::AtMost(1024.0),
            scale(many).and_then(|scale| once(mebibytes(scale.disk_bytes))),
        ),
        verdict(
            "start with 1 M accounts until ready, in seconds",
            Bound::AtMost(1.0),
            scale(many).and_then(|scale| once(scale.ready_after_s)),
        ),
        verdict("idle resident, in MiB", Bound::AtMost(20.0), idle),
    ]
}

pub(crate) fn verdict(what: &'static str, bound: Bound, value: Option<Spread>) -> Verdict {
    Verdict { what, bound, value }
}

fn both<T>(one: Option<T>, other: Option<T>) -> Option<(T, T)> {
    one.zip(other)
}

#[expect(clippy::cast_precision_loss, reason = "nothing here has 2^52 bytes")]
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MIB
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{Bound, verdicts};
    use crate::figures::Figures;
    use crate::load::{Load, Pace};
    use crate::machine::Machine;
    use crate::report::{Cell, Measured, Operation, Report};
    use crate::server::Setup;

    fn measured(operation: Operation, setup: Option<Setup>, connections: usize, latencies_us: Vec<u32>) -> Measured {
        let load = Load { latencies_us, unexpected: 0, elapsed: Duration::from_secs(1) };
        let cell = Cell { operation, setup, connections, pace: Pace::Closed };
        Measured { cell, repeats: vec![Figures::of(&load)] }
    }

    fn report(cells: Vec<Measured>) -> Report {
        Report {
            machine: Machine::this(Path::new("/")),
            seconds_of_a_repeat: 1.0,
            users: 0,
            idle_resident_bytes: Some(10 * 1024 * 1024),
            cells,
            scale: vec![],
            targets: vec![],
            took_s: 0.0,
        }
    }

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let report = report(vec![
            measured(Operation::Bind, Some(Setup::Sled), 64, vec![1; 60]),
            measured(Operation::Bind, Some(Setup::Memory), 64, vec![1; 100]),
            measured(Operation::Bind, Some(Setup::Sled), 1, vec![500]),
            measured(Operation::Sync, None, 1, vec![300]),
        ]);
        let verdicts = verdicts(&report);
        let [over_memory, over_sync, _, send, .., idle] = &verdicts[..] else { panic!("too few") };
        assert_eq!((over_memory.is_met(), over_sync.is_met(), idle.is_met()), (Some(false), Some(true), Some(true)));
        assert!(over_memory.line().contains(": 0.60 (0.60–0.60), wanted ≥ 0.65"), "{}", over_memory.line());
        assert_eq!((send.is_met(), send.bound), (None, Bound::AtLeast(1.0)));
        assert!(send.line().contains("not measured"));
    }
}
