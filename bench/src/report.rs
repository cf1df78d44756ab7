//! Everything that a run measured, as it is written in JSON.

use serde::Serialize;

use crate::figures::{Figures, Spread, ratio};
use crate::load::Pace;
use crate::machine::Machine;
use crate::server::Setup;
use crate::targets::Verdict;

/// What a cell measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    /// `GET /healthz`.
    Healthz,
    /// A code sent.
    Send,
    /// A number bound; its code was sent before.
    Bind,
    /// A code sent, read from the development inbox, and the number bound.
    Flow,
    /// A token looked up.
    Lookup,
    /// A wrong code tried.
    Wrong,
    /// One write+fdatasync after another.
    Sync,
    /// Writes that share an fdatasync.
    Group,
}

impl Operation {
    pub(crate) const ALL: [Self; 8] =
        [Self::Healthz, Self::Send, Self::Bind, Self::Flow, Self::Lookup, Self::Wrong, Self::Sync, Self::Group];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Send => "send",
            Self::Bind => "bind",
            Self::Flow => "flow",
            Self::Lookup => "lookup",
            Self::Wrong => "wrong",
            Self::Sync => "sync",
            Self::Group => "group",
        }
    }
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    /// The server it is measured on; `None` for the disk alone.
    pub(crate) setup: Option<Setup>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

impl Cell {
    /// What it is measured on, in words.
    pub(crate) const fn ground(&self) -> &'static str {
        match self.setup {
            Some(Setup::Sled) => "sled",
            Some(Setup::Memory) => "memory",
            Some(Setup::SledWithQuotas) => "sled, quotas",
            Some(Setup::Database) => "postgres",
            Some(Setup::DatabaseWithQuotas) => "postgres, quotas",
            None => "file",
        }
    }
}

/// A cell and what its repeats came to.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) cell: Cell,
    pub(crate) repeats: Vec<Figures>,
}

impl Measured {
    pub(crate) fn spread(&self, of: impl Fn(&Figures) -> f64) -> Spread {
        Spread::of(self.repeats.iter().map(of)).unwrap_or_default()
    }

    /// One of the figures that not every cell has.
    pub(crate) fn optional(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.repeats.iter().filter_map(of))
    }

    pub(crate) fn errors(&self) -> u64 {
        self.repeats.iter().map(|figures| figures.errors).sum()
    }
}

impl Serialize for Measured {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            operation: Operation,
            on: &'a str,
            connections: usize,
            /// The rate of an open loop.
            rate: Option<f64>,
            per_second: Spread,
            p50_us: Spread,
            p99_us: Spread,
            p999_us: Spread,
            processor_us: Option<Spread>,
            errors: u64,
            repeats: &'a [Figures],
        }
        let rate = match self.cell.pace {
            Pace::Closed => None,
            Pace::Open { per_second } => Some(per_second),
        };
        let written = Written {
            operation: self.cell.operation,
            on: self.cell.ground(),
            connections: self.cell.connections,
            rate,
            per_second: self.spread(|figures| figures.per_second),
            p50_us: self.spread(|figures| figures.p50_us),
            p99_us: self.spread(|figures| figures.p99_us),
            p999_us: self.spread(|figures| figures.p999_us),
            processor_us: self.optional(|figures| figures.processor_us),
            errors: self.errors(),
            repeats: &self.repeats,
        };
        written.serialize(serializer)
    }
}

/// What a number of users costs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Scale {
    pub(crate) users: u64,
    /// From the start of the process until it was ready, in seconds.
    pub(crate) ready_after_s: f64,
    /// Binds, at the connections of the targets.
    pub(crate) bind: Measured,
    /// After the binds.
    pub(crate) resident_bytes: u64,
    /// After the binds.
    pub(crate) disk_bytes: u64,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) seconds_of_a_repeat: f64,
    /// How many accounts the stores had before the cells.
    pub(crate) users: u64,
    /// Of a server that has just started on an empty store.
    pub(crate) idle_resident_bytes: Option<u64>,
    pub(crate) cells: Vec<Measured>,
    pub(crate) scale: Vec<Scale>,
    pub(crate) targets: Vec<Verdict>,
    pub(crate) took_s: f64,
}

impl Report {
    /// The cell of a closed loop, if it was measured.
    pub(crate) fn cell(&self, operation: Operation, setup: Option<Setup>, connections: usize) -> Option<&Measured> {
        let wanted = Cell { operation, setup, connections, pace: Pace::Closed };
        self.cells.iter().find(|measured| measured.cell == wanted && !measured.repeats.is_empty())
    }

    /// How many answers were not what they should be.
    pub(crate) fn errors(&self) -> u64 {
        let of_scale = self.scale.iter().map(|scale| scale.bind.errors()).sum::<u64>();
        self.cells.iter().map(Measured::errors).sum::<u64>() + of_scale
    }
}

/// The ratio of two cells, repeat by repeat: what disturbs the machine for a while disturbs both.
pub(crate) fn ratio_of(
    dividend: &Measured,
    divisor: &Measured,
    of_dividend: impl Fn(&Figures) -> f64,
    of_divisor: impl Fn(&Figures) -> f64,
) -> Option<Spread> {
    let pairs = dividend.repeats.iter().zip(&divisor.repeats);
    Spread::of(pairs.map(|(dividend, divisor)| ratio(of_dividend(dividend), of_divisor(divisor))))
}
