//! The command line.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::account::{self, AccountCommand};
use crate::ambient::SystemRandomness;
use crate::audit_commands::{self, AuditCommand};
use crate::copy::copy;
use crate::doctor;
use crate::fill::fill;
use crate::keys::{self, KeyPlace, Purpose};
use crate::providers::NOT_ASKED_TO_TELL;
use crate::settings::{Environment, Overrides, Settings, SmsSenderName, load, refuse_unsafe};
use crate::shopxo_commands::{self, ShopxoCommand};
use crate::sms_commands::{self, SmsCommand};
use crate::stores::OpenStore;
use crate::{App, Ports, Telemetry, logging, operators, shop_settings, store_commands, stores};

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
    /// Tries the SMS providers, or stands in for one.
    #[command(subcommand)]
    Sms(SmsCommand),
    /// Looks accounts up, and does what their owners or the shop want done.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Looks into the audit: what was decided, for whom and why.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Looks after the database.
    #[command(subcommand)]
    Db(DbCommand),
    /// Looks after a shop's own database.
    #[command(subcommand)]
    Shopxo(ShopxoCommand),
    /// Looks after the operators' console.
    #[command(subcommand)]
    Console(ConsoleCommand),
    /// Looks for what makes the service work worse than it seems to; fails where it finds something.
    Doctor,
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
    /// Copies all accounts, sessions, proofs of openids, the audit, messages and keys to another store, and compares them in the end. No service may run on either;
    /// what was broken off goes on where it was.
    Copy {
        /// The store to read, like a URL.
        #[arg(long, value_name = "STORE")]
        from: String,
        /// The store to write, like a URL: an empty one, or what an earlier copy has left.
        #[arg(long, value_name = "STORE")]
        to: String,
    },
    /// Takes a store that was refused as older than its last answer, or as damaged, as it is.
    AcceptLoss,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Brings the schema up to date; safe while nodes run, and however many do it at once.
    Migrate,
}

#[derive(Debug, Subcommand)]
enum ConsoleCommand {
    /// Makes a token for an operator, and prints it with what to put among the settings.
    Token {
        /// The operator's name: a to z, 0 to 9, _ and -.
        name: String,
    },
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
            Command::Config(ConfigCommand::Print) => {
                let (settings, origins) = runtime()?.block_on(shop_settings::printed(load(&overrides)?));
                let store = stores::without_password(&settings.store);
                print(&format!("{origins}{}", toml::to_string(&Settings { store, ..settings })?))
            }
            Command::Db(DbCommand::Migrate) => print(&runtime()?.block_on(stores::migrate(&load(&overrides)?))?),
            Command::Shopxo(command) => runtime()?.block_on(shopxo_commands::run(&load(&overrides)?, command)),
            Command::Console(ConsoleCommand::Token { name }) => print(&operators::new_token(&name, &SystemRandomness)?),
            Command::Keys(KeysCommand::Change { purpose }) => {
                runtime()?.block_on(change_key(&load(&overrides)?, purpose))
            }
            Command::Store(StoreCommand::Fill { users }) => runtime()?.block_on(fill(&load(&overrides)?, users)),
            Command::Store(StoreCommand::Verify) => print(&look_through(&load(&overrides)?, true)?),
            Command::Store(StoreCommand::Stats) => print(&look_through(&load(&overrides)?, false)?),
            Command::Store(StoreCommand::AcceptLoss) => print(&store_commands::accept_loss(&load(&overrides)?)?),
            Command::Sms(command) => runtime()?.block_on(sms_commands::run(&load(&overrides)?, command)),
            Command::Store(StoreCommand::Copy { from, to }) => {
                print(&runtime()?.block_on(copy(&load(&overrides)?, &from, &to))?)
            }
            Command::Account(command) => runtime()?.block_on(account::run(&load(&overrides)?, command)),
            Command::Audit(command) => runtime()?.block_on(audit_commands::run(&load(&overrides)?, command)),
            Command::Doctor => {
                let settings = load(&overrides)?;
                runtime()?.block_on(doctor::doctor(&settings, &mut std::io::stdout()))
            }
            Command::Backup { to } => {
                let told = runtime()?.block_on(store_commands::back_up(&load(&overrides)?, &to))?;
                print(&told)
            }
            Command::Restore { from } => print(&store_commands::restore(&load(&overrides)?, &from)?),
        }
    }
}

pub(crate) fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

/// Goes through the store; `judge` says whether what is wrong is told.
fn look_through(settings: &Settings, judge: bool) -> Result<String> {
    if stores::is_of_shop(settings)? {
        return runtime()?.block_on(store_commands::verify_shop(&stores::shopxo_options(settings)?, judge));
    }
    match stores::database(settings)? {
        Some(options) => runtime()?.block_on(store_commands::verify_database(&options, judge)),
        None if judge => store_commands::verify(settings),
        None => store_commands::stats(settings),
    }
}

fn check(settings: &Settings) -> Result<()> {
    refuse_unsafe(settings)?;
    settings.policy()?;
    settings.capacity()?;
    settings.connection_limits()?;
    settings.metrics_listen()?;
    settings.console()?;
    settings.sms_providers()?;
    settings.mini_programs()?;
    stores::database(settings)?;
    settings.tracing()?;
    for name in settings.providers_that_do_not_tell()? {
        print(&format!("sms.providers.{name} {NOT_ASKED_TO_TELL}\n"))?;
    }
    print("the settings are good\n")
}

async fn change_key(settings: &Settings, purpose: KeyPurpose) -> Result<()> {
    let purpose = match purpose {
        KeyPurpose::Tokens if stores::is_of_shop(settings)? => bail!("no key makes the tokens of a shop"),
        KeyPurpose::Tokens => Purpose::Tokens(settings.tokens.algorithm),
        KeyPurpose::Codes => Purpose::Codes,
    };
    // Keys that are in a folder can be changed while the service has the store open.
    let id = if stores::has_keys(settings)? {
        let opened = OpenStore::open(settings).await?;
        let changed = keys::change(&opened.keys(settings), purpose, &SystemRandomness).await;
        opened.port().close().await?;
        changed?
    } else {
        keys::change(&KeyPlace::Folder(settings.keys_folder()), purpose, &SystemRandomness).await?
    };
    print(&format!("the current key is {id} from the next start on\n"))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")
}

fn serve(settings: &Settings) -> Result<()> {
    let telemetry = Telemetry::start(settings)?;
    logging::start(settings, telemetry.as_ref())?;
    let served = run_until_told(settings);
    if let Some(telemetry) = telemetry {
        telemetry.stop();
    }
    served
}

fn run_until_told(settings: &Settings) -> Result<()> {
    runtime()?.block_on(async {
        // Before anything is promised: a signal that comes early must not be lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let ports = Ports { printer: Some(Box::new(std::io::stdout())), ..Ports::default() };
        let app = App::start(settings, ports).await?;
        print(&greeting(settings, &app))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        app.stop().await
    })
}

/// Where it listens, in what mode, and what to try.
fn greeting(settings: &Settings, app: &App) -> String {
    let base = format!("http://{}", app.address);
    let console = app.console_address.map(|address| format!("console: http://{address}/console\n"));
    let listening = format!("listening on {base}\n{}", console.unwrap_or_default());
    match settings.environment {
        Environment::Production => listening + "environment: production\n",
        Environment::Development if settings.sms.sender == SmsSenderName::Providers => {
            listening
                + "environment: development (real SMS, openids taken on trust unless platform_proof says otherwise)\n"
        }
        Environment::Development => format!(
            "{listening}environment: development (fake SMS, openids taken on trust unless platform_proof says otherwise)\n\
             bind a number: {base}/   and read its code: {base}/dev/inbox\n\
             or try:\n  curl -d mobile=17602128368 {base}/user/appmobilebindverifysend\n  \
             curl '{base}/dev/sms?mobile=17602128368'\n  \
             curl -d 'mobile=17602128368&verify=CODE' '{base}/user/appmobilebind?application_client_type=h5'\n"
        ),
    }
}
