//! The command line.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::ambient::SystemRandomness;
use crate::fill::fill;
use crate::keys::{self, Purpose};
use crate::settings::{Environment, Overrides, Settings, load, refuse_unsafe};
use crate::{App, Ports, logging, store_commands};

/// Binds mobile numbers to accounts: a drop-in for ShopXO's user/appmobilebind.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct CommandLine {
    /// The settings' file [default: mobile-bind.toml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where data and keys are kept [default: data].
    #[arg(long, global = true, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The store, like a URL [default: sled:].
    #[arg(long, global = true, value_name = "STORE")]
    store: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service (also what no command does).
    Serve,
    /// Prints the OpenAPI document.
    Openapi,
    /// Looks at the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Looks after the server's keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Looks after the store.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Writes a backup of the store and the keys, also while the service runs.
    Backup {
        /// A folder that is not there yet.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Puts a backup into a data folder that has neither store nor keys.
    Restore {
        /// The backup's folder.
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Says whether the service would start with these settings.
    Check,
    /// Prints the settings in force, as TOML.
    Print,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Makes a new key the current one, from the next start on; the old ones stay to read with.
    Change {
        /// Which keys.
        #[arg(value_enum)]
        purpose: KeyPurpose,
    },
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Adds made-up accounts, for measuring; refused in production.
    Fill {
        /// How many.
        #[arg(long)]
        users: u64,
    },
    /// Goes through the whole store, and says whether it fits together.
    Verify,
    /// Says what is in the store.
    Stats,
    /// Takes a store that was refused as older than its last answer, or as damaged, as it is.
    AcceptLoss,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KeyPurpose {
    /// The keys of session tokens.
    Tokens,
    /// The keys of verification codes.
    Codes,
}

impl CommandLine {
    /// Does what was asked.
    ///
    /// # Errors
    /// With what an operator needs to know.
    pub fn run(self) -> Result<()> {
        let overrides =
            Overrides { config: self.config, listen: self.listen, data_dir: self.data_dir, store: self.store };
        match self.command.unwrap_or(Command::Serve) {
            Command::Serve => serve(&load(&overrides)?),
            Command::Openapi => print(&mobile_bind_http::openapi_document()),
            Command::Config(ConfigCommand::Check) => check(&load(&overrides)?),
            Command::Config(ConfigCommand::Print) => print(&toml::to_string(&load(&overrides)?)?),
            Command::Keys(KeysCommand::Change { purpose }) => change_key(&load(&overrides)?, purpose),
            Command::Store(StoreCommand::Fill { users }) => runtime()?.block_on(fill(&load(&overrides)?, users)),
            Command::Store(StoreCommand::Verify) => print(&store_commands::verify(&load(&overrides)?)?),
            Command::Store(StoreCommand::Stats) => print(&store_commands::stats(&load(&overrides)?)?),
            Command::Store(StoreCommand::AcceptLoss) => print(&store_commands::accept_loss(&load(&overrides)?)?),
            Command::Backup { to } => {
                let told = runtime()?.block_on(store_commands::back_up(&load(&overrides)?, &to))?;
                print(&told)
            }
            Command::Restore { from } => print(&store_commands::restore(&load(&overrides)?, &from)?),
        }
    }
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

fn check(settings: &Settings) -> Result<()> {
    refuse_unsafe(settings)?;
    settings.policy()?;
    settings.capacity()?;
    settings.connection_limits()?;
    settings.metrics_listen()?;
    print("the settings are good\n")
}

fn change_key(settings: &Settings, purpose: KeyPurpose) -> Result<()> {
    let purpose = match purpose {
        KeyPurpose::Tokens => Purpose::Tokens(settings.tokens.algorithm),
        KeyPurpose::Codes => Purpose::Codes,
    };
    let id = keys::change(&settings.data_dir, purpose, &SystemRandomness)?;
    print(&format!("the current key is {id} from the next start on\n"))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")
}

fn serve(settings: &Settings) -> Result<()> {
    logging::start(settings)?;
    runtime()?.block_on(async {
        // Before anything is promised: a signal that comes early must not be lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ports = Ports { printer: Some(Box::new(std::io::stdout())), ..Ports::default() };
        let app = App::start(settings, ports).await?;
        print(&greeting(settings, app.address))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        app.stop().await
    })
}

/// Where it listens, in what mode, and what to try.
fn greeting(settings: &Settings, address: SocketAddr) -> String {
    let base = format!("http://{address}");
    let listening = format!("listening on {base}\n");
    match settings.environment {
        Environment::Production => listening + "environment: production\n",
        Environment::Development => format!(
            "{listening}environment: development (fake SMS, openids taken on trust unless platform_proof says otherwise)\n\
             bind a number: {base}/   and read its code: {base}/dev/inbox\n\
             or try:\n  curl -d mobile=17602128368 {base}/user/appmobilebindverifysend\n  \
             curl '{base}/dev/sms?mobile=17602128368'\n  \
             curl -d 'mobile=17602128368&verify=CODE' '{base}/user/appmobilebind?application_client_type=h5'\n"
        ),
    }
}
