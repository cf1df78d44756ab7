//! The databases that the tests need.

use anyhow::{Result, anyhow};

use crate::mariadb::{self, Database};
use crate::postgres::{self, Cluster};
use crate::step::Step;

/// A PostgreSQL and a MariaDB. They go when this does.
pub(crate) struct Databases {
    postgres: Cluster,
    mariadb: Database,
}

impl Databases {
    /// Starts both, at the same time.
    ///
    /// # Errors
    /// Where one is not installed, or does not start.
    pub(crate) fn start() -> Result<Self> {
        std::thread::scope(|scope| {
            let mariadb = scope.spawn(Database::start);
            let postgres = Cluster::start();
            let mariadb = mariadb.join().map_err(|_| anyhow!("the start of MariaDB was given up"))?;
            Ok(Self { postgres: postgres?, mariadb: mariadb? })
        })
    }

    /// Tells a step where they are.
    pub(crate) fn told(&self, step: Step) -> Step {
        step.variable(postgres::ADDRESS, &self.postgres.address).variable(mariadb::ADDRESS, &self.mariadb.address)
    }
}
