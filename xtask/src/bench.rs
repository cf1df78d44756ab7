//! The measurements. The driver is a program of its own; its output and exit code are the answer.

use anyhow::Result;

use crate::mariadb::Database;
use crate::postgres::{self, Cluster};
use crate::step::Step;

/// Where the driver finds the database server, and its programs.
const ADDRESS: &str = "MOBILE_BIND_BENCH_POSTGRES";
const PROGRAMS: &str = "MOBILE_BIND_BENCH_POSTGRES_PROGRAMS";

/// The scenario that needs a shop's database server, and where the driver finds it.
const OVER_A_SHOP: &str = "over-a-shop";
const SHOPS_SERVER: &str = "MOBILE_BIND_BENCH_MYSQL";

/// Builds the service and the driver as they are released, and runs the driver with `arguments`.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    // Each by itself: together, the service would be built with what the driver asks of their common dependencies.
    Step::cargo(["build", "--release", "--locked", "-p", "mobile-bind"]).run()?;
    let driver = ["run", "--release", "--locked", "-p", "mobile-bind-bench", "--bin", "bench", "--"];
    let driver = Step::cargo(driver).arguments(arguments);
    if arguments.iter().any(|argument| argument == OVER_A_SHOP) {
        // It goes when this does.
        let database = Database::durable()?;
        return driver.variable(SHOPS_SERVER, &database.address).run();
    }
    let Some(store) = store(arguments).filter(|store| store.starts_with("postgres")) else { return driver.run() };
    // It goes when this does.
    let own = if store == "postgres:" { Some(Cluster::durable()?) } else { None };
    let address = own.as_ref().map_or(store, |cluster| cluster.address.as_str());
    let programs = postgres::programs(&["psql", "pgbench"])?;
    driver.variable(ADDRESS, address).variable(PROGRAMS, &programs.to_string_lossy()).run()
}

/// What `--store` names among the driver's arguments.
fn store(arguments: &[String]) -> Option<&str> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--store" {
            return arguments.next().map(String::as_str);
        }
        if let Some(store) = argument.strip_prefix("--store=") {
            return Some(store);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::store;

    #[test]
    fn the_store_is_found_in_either_form() {
        let of = |line: &str| {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            store(&words).map(str::to_owned)
        };
        assert_eq!(of("--check --store postgres: --quick").as_deref(), Some("postgres:"));
        assert_eq!(of("--store=postgres://h").as_deref(), Some("postgres://h"));
        assert_eq!(of("--quick --store"), None);
    }
}
