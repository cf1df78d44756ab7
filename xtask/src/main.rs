//! The project's own chores: `cargo xtask <chore>`. Thin by intent: each runs cargo or the binary, and what continuous
//! integration runs is what a developer runs.

mod bench;
mod browser;
mod check;
mod ci;
mod client;
mod clients;
mod codegen;
mod crash;
mod databases;
mod deliver;
mod dependencies;
mod failover;
mod golden;
mod layers;
mod mariadb;
mod openapi;
mod postgres;
mod prop;
mod scaling;
mod server;
mod service;
mod step;
mod test;
mod tools;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Writes from the code what is made from it: the OpenAPI document, the client's types, the pages.
    Codegen {
        /// Writes nothing; fails where the file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Looks at everything but behaviour: format, lints, dependencies, layer rules, generated files.
    Check,
    /// Runs all tests, or the ones that are named.
    Test {
        /// Passed on to cargo test: -p PACKAGE, --test SUITE, a name.
        #[arg(allow_hyphen_values = true)]
        cargo: Vec<String>,
        /// Passed on to the tests themselves, such as --nocapture.
        #[arg(last = true)]
        harness: Vec<String>,
    },
    /// The gates of the OpenAPI document.
    #[command(subcommand)]
    Openapi(OpenapiChore),
    /// Lints, type-checks and tests the TypeScript client, the last against the service.
    Client,
    /// Generates clients in other languages without a warning, and binds a number with those for Python and PHP.
    Clients,
    /// Uses the pages in a real browser, as built for tests.
    Browser {
        /// Passed on to playwright test, such as --project phone.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Replays recorded conversations against a server of its own.
    Golden {
        /// The recordings [default: the project's own].
        file: Option<PathBuf>,
    },
    /// Kills the service in the middle of its work, and looks whether anything is lost.
    Crash {
        /// How often.
        #[arg(default_value = "50")]
        kills: NonZeroU32,
        /// What the random moments and choices come from [default: another one each time].
        #[arg(long)]
        seed: Option<u64>,
        /// Takes a debug build, which is there sooner.
        #[arg(long)]
        debug: bool,
    },
    /// Sends while a provider hangs, lies, limits and dies and the service is killed, and looks whether a message is lost or doubled.
    Deliver {
        /// How many messages.
        #[arg(default_value = "10000")]
        sends: NonZeroU32,
        /// Takes a debug build, which is there sooner.
        #[arg(long)]
        debug: bool,
    },
    /// Takes the primary away from under two nodes, and looks whether anything is lost or doubled. Arguments are passed on:
    /// --kills N, --strict, --seed S, --record FOLDER.
    Failover {
        /// Passed on to the driver.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs the tests with many more cases for each property.
    Prop {
        /// How many cases a property gets.
        #[arg(long, default_value = "2000")]
        cases: NonZeroU32,
    },
    /// Puts load on the release binary and prints what it bears; `cargo xtask bench --help` tells more.
    #[command(disable_help_flag = true)]
    Bench {
        /// Passed on to the load driver.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Says what a hundred million and a thousand million accounts need.
    Scaling {
        /// Prints nothing; fails where docs/scaling.md holds something else.
        #[arg(long)]
        check: bool,
        /// Writes it into docs/scaling.md.
        #[arg(long, conflicts_with = "check")]
        write: bool,
    },
    /// What continuous integration runs: check, test, golden, the document's gates, the client, the pages.
    Ci,
}

#[derive(Debug, Subcommand)]
enum OpenapiChore {
    /// Validates the document and its examples.
    Lint,
    /// Refuses a change that would break existing clients.
    Compat {
        /// The revision whose document they were made from [default: the last release, else where this branch began].
        #[arg(long, value_name = "REV")]
        base: Option<String>,
    },
    /// Lets schemathesis compare the service with the document.
    Conform {
        /// The service as it is released, instead of as it is built for tests.
        #[arg(long)]
        release: bool,
    },
}

/// Exits with the code of the command that failed, so that a chore is as good as the command it runs.
fn main() -> ExitCode {
    let Err(error) = run(CommandLine::parse().chore) else {
        return ExitCode::SUCCESS;
    };
    step::say(&format!("error: {error:#}"));
    error.downcast_ref::<step::Failed>().map_or(ExitCode::FAILURE, step::Failed::exit_code)
}

fn run(chore: Chore) -> Result<()> {
    match chore {
        Chore::Codegen { check } => codegen::run(check),
        Chore::Check => check::run(),
        Chore::Test { cargo, harness } => test::run(&cargo, &harness),
        Chore::Openapi(OpenapiChore::Lint) => openapi::lint(),
        Chore::Openapi(OpenapiChore::Compat { base }) => openapi::compat(base.as_deref()),
        Chore::Openapi(OpenapiChore::Conform { release }) => openapi::conform(release),
        Chore::Client => client::run(),
        Chore::Clients => clients::run(),
        Chore::Browser { arguments } => browser::run(&arguments),
        Chore::Golden { file } => golden::run(file.as_deref()),
        Chore::Scaling { check, write } => scaling::run(check, write),
        Chore::Crash { kills, seed, debug } => crash::run(kills, seed, debug),
        Chore::Deliver { sends, debug } => deliver::run(sends, debug),
        Chore::Failover { arguments } => failover::run(&arguments),
        Chore::Prop { cases } => prop::run(cases),
        Chore::Bench { arguments } => bench::run(&arguments),
        Chore::Ci => ci::run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_arguments(words: &str) -> String {
        let words = format!("xtask test {words}");
        let Chore::Test { cargo, harness } = CommandLine::parse_from(words.split_whitespace()).chore else {
            panic!("another chore")
        };
        test::arguments(&cargo, &harness).join(" ")
    }

    #[test]
    fn tests_take_arguments_for_cargo_and_for_themselves() {
        for (words, expected) in [
            ("", "test --locked --workspace"),
            ("bind", "test --locked --workspace bind"),
            ("bind -- --nocapture", "test --locked --workspace bind -- --nocapture"),
            ("-- --nocapture", "test --locked --workspace -- --nocapture"),
            ("-p xtask bind -- --nocapture", "test --locked -p xtask bind -- --nocapture"),
            ("--package=xtask", "test --locked --package=xtask"),
            ("--test suite", "test --locked --workspace --test suite"),
        ] {
            assert_eq!(test_arguments(words), expected);
        }
    }

    #[test]
    fn the_load_driver_gets_all_that_follows() {
        let words = ["xtask", "bench", "--quick", "--json", "report.json", "--help"];
        let Chore::Bench { arguments } = CommandLine::parse_from(words).chore else { panic!("another chore") };
        assert_eq!(arguments, ["--quick", "--json", "report.json", "--help"]);
    }

    #[test]
    fn no_cases_at_all_are_refused() {
        assert!(CommandLine::try_parse_from(["xtask", "prop", "--cases", "0"]).is_err());
    }
}
