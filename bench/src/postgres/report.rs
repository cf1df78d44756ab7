//! What a run over PostgreSQL measured.

use serde::Serialize;

use crate::figures::{Spread, ratio};
use crate::machine::Machine;
use crate::table::aligned;
use crate::targets::{Bound, Verdict, mebibytes, verdict};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// The rows of a bind, written by pgbench.
    Pgbench,
    Bind,
    /// The same, through two nodes.
    BindOnTwoNodes,
    Send,
    Lookup,
}

impl What {
    pub(crate) const ALL: [Self; 5] = [Self::Pgbench, Self::Bind, Self::BindOnTwoNodes, Self::Send, Self::Lookup];

    const fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench: a bind's rows",
            Self::Bind => "bind, one node",
            Self::BindOnTwoNodes => "bind, two nodes",
            Self::Send => "send, quotas",
            Self::Lookup => "look-up",
        }
    }
}

/// The figures of one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Round {
    pub(crate) per_second: f64,
    pub(crate) mean_ms: f64,
    /// `None` where pgbench tells the mean alone.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// Processor time for each operation, of the nodes.
    pub(crate) node_us: Option<f64>,
    /// The same, of the database.
    pub(crate) database_us: Option<f64>,
    /// Bytes of its log for each operation.
    pub(crate) wal_bytes: f64,
    pub(crate) errors: u64,
}

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) what: What,
    pub(crate) connections: usize,
    pub(crate) rounds: Vec<Round>,
}

impl Cell {
    fn spread(&self, of: impl Fn(&Round) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.rounds.iter().filter_map(of))
    }
}

/// What a relation takes for each account.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Relation {
    pub(crate) name: String,
    pub(crate) is_index: bool,
    pub(crate) bytes: u64,
}

/// A database with so many accounts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Size {
    pub(crate) accounts: u64,
    /// How long it took to fill; `None` where it was there.
    pub(crate) filled_in_s: Option<f64>,
    /// Before anything was bound in it.
    pub(crate) relations: Vec<Relation>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) lookups: Vec<Round>,
    /// The node's, after the binds.
    pub(crate) resident_bytes: u64,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) server: Vec<(String, String)>,
    pub(crate) seconds_of_a_round: f64,
    pub(crate) accounts: u64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) sizes: Vec<Size>,
    pub(crate) targets: Vec<Verdict>,
    pub(crate) took_s: f64,
}

const RATE: &str = "bind/s at 64 connections ÷ pgbench's of the same rows";
const TWO: &str = "bind/s of two nodes ÷ of one";

/// What is asked of the service over PostgreSQL.
pub(crate) fn verdicts(cells: &[Cell], sizes: &[Size]) -> Vec<Verdict> {
    let rounds = |what| cells.iter().find(|cell| cell.what == what).map_or(&[][..], |cell| &cell.rounds);
    let bind = rounds(What::Bind);
    let mut verdicts = vec![
        verdict(RATE, Bound::AtLeast(0.6), over(bind, rounds(What::Pgbench))),
        verdict(TWO, Bound::AtLeast(0.95), over(rounds(What::BindOnTwoNodes), bind)),
    ];
    if let [few, .., many] = sizes {
        let kept = over(&many.rounds, &few.rounds);
        verdicts.push(verdict("bind/s with the most accounts ÷ with the fewest", Bound::AtLeast(0.8), kept));
        let resident = ratio(mebibytes(many.resident_bytes), mebibytes(few.resident_bytes));
        let what = "resident memory of a node with the most accounts ÷ with the fewest";
        verdicts.push(verdict(what, Bound::AtMost(1.1), Spread::of([resident])));
    }
    verdicts
}

/// Round by round: what disturbs the machine for a while disturbs both.
fn over(dividend: &[Round], divisor: &[Round]) -> Option<Spread> {
    Spread::of(dividend.iter().zip(divisor).map(|(dividend, divisor)| ratio(dividend.per_second, divisor.per_second)))
}

impl Report {
    /// How many answers were not what they should be.
    pub(crate) fn errors(&self) -> u64 {
        let rounds = self.cells.iter().flat_map(|cell| &cell.rounds);
        let sizes = self.sizes.iter().flat_map(|size| size.rounds.iter().chain(&size.lookups));
        rounds.chain(sizes).map(|round| round.errors).sum()
    }

    /// The report as a person reads it.
    pub(crate) fn render(&self) -> String {
        let server = self.server.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ");
        let mut text = format!("{}\nPostgreSQL: {server}\n", self.machine.line());
        if let Some(cell) = self.cells.first() {
            text.push_str(&format!(
                "{} accounts beforehand; medians of {} rounds of {} s (least–most)\n\n",
                self.accounts,
                cell.rounds.len(),
                self.seconds_of_a_round
            ));
            text.push_str(&self.cells_table());
        }
        if !self.sizes.is_empty() {
            text.push('\n');
            text.push_str(&self.sizes_table());
            text.push('\n');
            text.push_str(&self.relations_table());
        }
        text.push('\n');
        for verdict in &self.targets {
            let mark = match verdict.is_met() {
                Some(true) => "met    ",
                Some(false) => "MISSED ",
                None => "–      ",
            };
            text.push_str(&format!("{mark} {}\n", verdict.line()));
        }
        text + &format!("\nit took {:.0} s\n", self.took_s)
    }

    fn cells_table(&self) -> String {
        let headings = [
            "operation",
            "conn.",
            "per second",
            "mean ms",
            "p50 ms",
            "p99 ms",
            "node CPU µs",
            "database CPU µs",
            "log bytes",
            "errors",
        ];
        let row = |cell: &Cell| {
            vec![
                cell.what.name().to_owned(),
                cell.connections.to_string(),
                shown(cell.spread(|round| Some(round.per_second)), 0),
                shown(cell.spread(|round| Some(round.mean_ms)), 2),
                shown(cell.spread(|round| round.p50_ms), 2),
                shown(cell.spread(|round| round.p99_ms), 2),
                median(cell.spread(|round| round.node_us)),
                median(cell.spread(|round| round.database_us)),
                median(cell.spread(|round| Some(round.wal_bytes))),
                cell.rounds.iter().map(|round| round.errors).sum::<u64>().to_string(),
            ]
        };
        aligned(&headings, self.cells.iter().map(row).collect())
    }

    fn sizes_table(&self) -> String {
        let headings = [
            "accounts",
            "filled in s",
            "binds per second",
            "p99 ms",
            "database CPU µs",
            "log bytes",
            "look-ups per second",
            "node RSS MiB",
            "bytes an account",
        ];
        let row = |size: &Size| {
            let spread = |of: fn(&Round) -> Option<f64>| Spread::of(size.rounds.iter().filter_map(of));
            let bytes = size.relations.iter().map(|relation| relation.bytes).sum::<u64>();
            vec![
                size.accounts.to_string(),
                size.filled_in_s.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.0}")),
                shown(spread(|round| Some(round.per_second)), 0),
                shown(spread(|round| round.p99_ms), 2),
                median(spread(|round| round.database_us)),
                median(spread(|round| Some(round.wal_bytes))),
                shown(Spread::of(size.lookups.iter().map(|round| round.per_second)), 0),
                format!("{:.0}", mebibytes(size.resident_bytes)),
                (bytes / size.accounts.max(1)).to_string(),
            ]
        };
        aligned(&headings, self.sizes.iter().map(row).collect())
    }

    /// Bytes for each account, of what has any.
    fn relations_table(&self) -> String {
        let Some(last) = self.sizes.last() else { return String::new() };
        let of = |size: &Size, name: &str| {
            let relation = size.relations.iter().find(|relation| relation.name == name);
            relation.map_or(0, |relation| relation.bytes / size.accounts.max(1))
        };
        let mut headings = vec!["bytes an account, of".to_owned()];
        headings.extend(self.sizes.iter().map(|size| format!("{} accounts", size.accounts)));
        let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
        let mut rows = Vec::new();
        for relation in last.relations.iter().filter(|relation| of(last, &relation.name) > 0) {
            let kind = if relation.is_index { "index" } else { "table" };
            let mut row = vec![format!("{} ({kind})", relation.name)];
            row.extend(self.sizes.iter().map(|size| of(size, &relation.name).to_string()));
            rows.push(row);
        }
        aligned(&headings, rows)
    }
}

fn shown(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(String::new, |Spread { median, min, max }| {
        format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
    })
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |spread| format!("{:.0}", spread.median))
}

#[cfg(test)]
mod tests {
    use super::{Cell, Relation, Round, Size, What, verdicts};

    fn cell(what: What, rates: &[f64]) -> Cell {
        let round = |per_second: &f64| Round { per_second: *per_second, ..Round::default() };
        Cell { what, connections: 64, rounds: rates.iter().map(round).collect() }
    }

    fn size(accounts: u64, rate: f64, resident_bytes: u64) -> Size {
        let relations = vec![Relation { name: "accounts".to_owned(), is_index: false, bytes: 0 }];
        let rounds = cell(What::Bind, &[rate]).rounds;
        Size { accounts, filled_in_s: None, relations, rounds, lookups: Vec::new(), resident_bytes }
    }

    #[test]
    fn ratios_are_taken_round_by_round_and_judged() {
        let cells = [
            cell(What::Pgbench, &[100.0, 200.0, 100.0]),
            cell(What::Bind, &[60.0, 140.0, 50.0]),
            cell(What::BindOnTwoNodes, &[50.0, 150.0, 48.0]),
        ];
        let judged = verdicts(&cells, &[]);
        assert_eq!(judged.iter().map(super::Verdict::is_met).collect::<Vec<_>>(), [Some(true), Some(true)]);
        let judged = verdicts(&cells[..1], &[size(10, 100.0, 100), size(1000, 79.0, 111)]);
        let met: Vec<_> = judged.iter().map(super::Verdict::is_met).collect();
        assert_eq!(met, [None, None, Some(false), Some(false)]);
    }
}
