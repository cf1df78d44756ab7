//! A run: which cells there are, in what order they are measured, and each of them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::ceiling;
use crate::figures::{Figures, count};
use crate::load::{Pace, load};
use crate::people::People;
use crate::preparation::{invite, tokens};
use crate::report::{Cell, Measured, Operation};
use crate::server::{Server, Setup};
use crate::workload::{Ring, Row, TRIES, Workload};

/// How a run is made.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How long a repeat of a cell takes.
    pub(crate) duration: Duration,
    /// How many repeats count; one more, a short one, warms up.
    pub(crate) repeats: usize,
    /// The numbers of connections.
    pub(crate) connections: Vec<usize>,
    /// What is measured.
    pub(crate) operations: Vec<Operation>,
    /// The rate of an open loop; `None` for closed loops.
    pub(crate) rate: Option<f64>,
    /// How many accounts the embedded stores have beforehand.
    pub(crate) users: u64,
}

/// How many tokens are looked up in turn.
const TOKENS: usize = 500;

/// More codes than these are not prepared for one repeat.
const MOST_INVITED: usize = 60_000;

impl Plan {
    /// The rows of the table. Every operation is measured at every number of connections; what stands beside it, the
    /// same on another store, too.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let grounds = |operation| match operation {
            Operation::Healthz | Operation::Lookup => vec![Some(Setup::Sled)],
            Operation::Bind => vec![Some(Setup::Sled), Some(Setup::Memory), Some(Setup::SledWithQuotas)],
            Operation::Flow => vec![Some(Setup::Sled), Some(Setup::Memory)],
            Operation::Send | Operation::Wrong => vec![Some(Setup::SledWithQuotas)],
            Operation::Sync | Operation::Group => vec![None],
        };
        let mut cells = Vec::new();
        for operation in &self.operations {
            for &connections in &self.connections {
                for setup in grounds(*operation) {
                    let pace = match (self.rate, setup) {
                        (Some(per_second), Some(_)) => Pace::Open { per_second },
                        _ => Pace::Closed,
                    };
                    cells.push(Cell { operation: *operation, setup, connections, pace });
                }
            }
        }
        cells.retain(is_worth_its_time);
        cells
    }
}

/// Leaves out what no target and no curve needs.
fn is_worth_its_time(cell: &Cell) -> bool {
    match (cell.operation, cell.setup) {
        (Operation::Sync, _) => cell.connections == 1,
        (Operation::Flow | Operation::Wrong, _) | (Operation::Bind, Some(Setup::SledWithQuotas)) => {
            cell.connections == 64 || cell.pace != Pace::Closed
        }
        _ => true,
    }
}

/// The servers that the cells are measured on; those that are not asked for stand idle.
pub(crate) struct Stage {
    servers: Vec<(Setup, Server)>,
    people: Arc<People>,
    /// Where the disk is measured.
    folder: std::path::PathBuf,
}

impl Stage {
    /// Starts a server for each setup that a cell needs, each on a store of its own with `users` accounts.
    pub(crate) async fn set(cells: &[Cell], users: u64, folder: &Path) -> Result<Self> {
        let mut servers = Vec::new();
        for (setup, name) in
            [(Setup::Sled, "sled"), (Setup::Memory, "memory"), (Setup::SledWithQuotas, "sled-with-quotas")]
        {
            if cells.iter().any(|cell| cell.setup == Some(setup)) {
                let folder = folder.join(name);
                if setup != Setup::Memory && users > 0 {
                    crate::server::fill(&folder, users)?;
                }
                servers.push((setup, Server::start(setup, &folder).await?));
            }
        }
        Ok(Self { servers, people: Arc::new(People::default()), folder: folder.to_owned() })
    }

    /// Measures all cells: a short round that warms up, then round by round, so that whatever else the machine does
    /// meets all cells alike.
    pub(crate) async fn measure(&self, cells: Vec<Cell>, plan: &Plan) -> Result<Vec<Measured>> {
        let mut measured: Vec<Measured> =
            cells.into_iter().map(|cell| Measured { cell, repeats: Vec::new() }).collect();
        let mut rates = Vec::new();
        for one in &measured {
            rates.push(self.figures(&one.cell, plan.duration / 4, 4_000.0).await?.per_second);
        }
        for repeat in 1..=plan.repeats {
            tell(&format!("repeat {repeat} of {}", plan.repeats));
            for (one, rate) in measured.iter_mut().zip(&mut rates) {
                let figures = self.figures(&one.cell, plan.duration, *rate).await;
                let figures = figures.with_context(|| format!("{} failed", describe(&one.cell)))?;
                // A round that went badly must not leave the next one without enough to do.
                *rate = rate.max(figures.per_second);
                one.repeats.push(figures);
            }
        }
        Ok(measured)
    }

    /// Ends the servers as an operator would.
    pub(crate) fn clear(self) -> Result<()> {
        self.servers.into_iter().try_for_each(|(_, server)| server.stop())
    }

    async fn figures(&self, cell: &Cell, duration: Duration, per_second: f64) -> Result<Figures> {
        let Some(setup) = cell.setup else {
            let load = match cell.operation {
                Operation::Sync => ceiling::alone(&self.folder, duration)?,
                _ => ceiling::grouped(&self.folder, cell.connections, duration)?,
            };
            return Ok(Figures::of(&load));
        };
        let server = self.servers.iter().find(|(own, _)| *own == setup).map(|(_, server)| server);
        measure(server.context("no such server was started")?, &self.people, cell, duration, per_second).await
    }
}

/// One repeat of one cell. `per_second` is what is expected of it, and says how much must be prepared.
pub(crate) async fn measure(
    server: &Server,
    people: &Arc<People>,
    cell: &Cell,
    duration: Duration,
    per_second: f64,
) -> Result<Figures> {
    let per_second = match cell.pace {
        Pace::Closed => per_second * 1.2,
        Pace::Open { per_second } => per_second,
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
    let wanted = ((per_second * duration.as_secs_f64()) as usize).clamp(cell.connections * 8, MOST_INVITED);
    let workload = match cell.operation {
        Operation::Healthz => Workload::Health,
        Operation::Send => Workload::Send(Arc::clone(people)),
        Operation::Bind => Workload::Bind(Row::new(invite(server, people, wanted).await?, 1)),
        Operation::Flow => Workload::Flow(Arc::clone(people)),
        Operation::Lookup => Workload::LookUp(Ring::new(tokens(server, people, TOKENS).await?)),
        Operation::Wrong => {
            let numbers = wanted.div_ceil(TRIES).max(cell.connections);
            Workload::Guess(Row::new(invite(server, people, numbers).await?, TRIES))
        }
        Operation::Sync | Operation::Group => anyhow::bail!("the disk is not measured through a server"),
    };
    let before = server.processor_time()?;
    let load = load(server.address, cell.connections, cell.pace, workload, duration).await?;
    let used = server.processor_time()?.saturating_sub(before);
    let mut figures = Figures::of(&load).with_processor_time(used);
    figures.resident_bytes = Some(server.resident()?);
    figures.disk_bytes = Some(server.on_disk()?);
    anyhow::ensure!(count(figures.operations) > 0.0, "nothing was answered");
    Ok(figures)
}

fn describe(cell: &Cell) -> String {
    format!("{} on {} at {} connections", cell.operation.name(), cell.ground(), cell.connections)
}

/// Tells the person at the terminal how far it is. Standard output belongs to the results.
pub(crate) fn tell(text: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "bench: {text}");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Plan;
    use crate::load::Pace;
    use crate::report::Operation;
    use crate::server::Setup;

    fn plan(rate: Option<f64>) -> Plan {
        Plan {
            duration: Duration::from_secs(1),
            repeats: 1,
            connections: vec![1, 64],
            operations: Operation::ALL.to_vec(),
            rate,
            users: 0,
        }
    }

    #[test]
    fn binds_stand_beside_the_memory_store_and_the_disk_alone() {
        let cells = plan(None).cells();
        let has = |operation, setup, connections| {
            let found = |cell: &&_| {
                let cell: &&crate::report::Cell = cell;
                (cell.operation, cell.setup, cell.connections) == (operation, setup, connections)
            };
            cells.iter().filter(found).count()
        };
        assert_eq!(has(Operation::Bind, Some(Setup::Sled), 1), 1);
        assert_eq!(has(Operation::Bind, Some(Setup::Memory), 64), 1);
        assert_eq!(has(Operation::Sync, None, 1), 1);
        assert_eq!(has(Operation::Sync, None, 64), 0);
        assert!(cells.iter().all(|cell| cell.pace == Pace::Closed));
    }

    #[test]
    fn a_rate_opens_the_loops_of_servers_alone() {
        let cells = plan(Some(500.0)).cells();
        for cell in cells {
            assert_eq!(cell.pace == Pace::Open { per_second: 500.0 }, cell.setup.is_some());
        }
    }
}
