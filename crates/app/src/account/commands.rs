//! `mobile-bind account …`.

use std::io::{BufRead, Write};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use mobile_bind_domain::ClientType;
use serde_json::Value;

use super::desk::{AccountOrder, AccountRequest, Named, Shown};
use crate::cli::print;
use crate::operators;
use crate::orders::{HiddenNumber, Order, ask};
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Shows an account, masked.
    Show {
        #[command(flatten)]
        whose: Whose,
        /// Shows number, openids and what the owner told of himself whole; the audit keeps who asked.
        #[arg(long)]
        unmask: bool,
    },
    /// Shows an account's sessions; no token can be made of what is shown.
    Sessions {
        #[command(flatten)]
        whose: Whose,
    },
    /// Takes the number from an account; it is free at once, and the sessions go on.
    Unbind {
        #[command(flatten)]
        whose: Whose,
    },
    /// Lets an account log in no more, and ends its sessions.
    Disable {
        #[command(flatten)]
        whose: Whose,
    },
    /// Lets a disabled account log in again; it is a normal one then, also where it had been muted.
    Enable {
        #[command(flatten)]
        whose: Whose,
    },
    /// Deletes an account for good: erases what is known of its owner, frees number and openids at once, ends its sessions.
    /// One that its owner has closed is named by its id.
    Delete {
        #[command(flatten)]
        whose: Whose,
        /// Asks nothing.
        #[arg(long)]
        yes: bool,
    },
    /// Prints all that is kept of a person, as JSON; the audit keeps who asked.
    Export {
        #[command(flatten)]
        whose: Whose,
    },
    /// Ends an account's sessions: their tokens are worth nothing from then on.
    Revoke {
        #[command(flatten)]
        whose: Whose,
        /// Only the session on this client type (weixin, h5, …).
        #[arg(long, value_name = "TYPE", value_parser = client_type)]
        client_type: Option<ClientType>,
    },
}

/// Which account, and who asks.
#[derive(Debug, Args)]
pub(crate) struct Whose {
    #[command(flatten)]
    name: Name,
    /// Who asks, for the audit [default: the Unix user].
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Name {
    /// The number that the account has.
    #[arg(long, value_name = "NUMBER")]
    mobile: Option<String>,
    /// The account's id.
    #[arg(long, value_name = "ID")]
    id: Option<u64>,
}

fn client_type(text: &str) -> Result<ClientType, String> {
    let known = || ClientType::ALL.map(ClientType::name).join(", ");
    ClientType::from_name(text).ok_or_else(|| format!("the client types are {}", known()))
}

/// Does what was asked.
///
/// # Errors
/// With what the operator needs to know: that there is no such account, or nothing to do, for two.
pub(crate) async fn run(settings: &Settings, command: AccountCommand) -> Result<()> {
    let (whose, order) = match command {
        AccountCommand::Show { whose, unmask } => {
            let shown: Shown = asked(settings, &whose, AccountOrder::Show { unmask }).await?;
            return print(&shown.text);
        }
        AccountCommand::Export { whose } => {
            let data: Value = asked(settings, &whose, AccountOrder::Export).await?;
            return print(&format!("{}\n", serde_json::to_string_pretty(&data)?));
        }
        AccountCommand::Delete { whose, yes } => return delete(settings, whose, yes).await,
        AccountCommand::Sessions { whose } => (whose, AccountOrder::Sessions),
        AccountCommand::Unbind { whose } => (whose, AccountOrder::Unbind),
        AccountCommand::Disable { whose } => (whose, AccountOrder::Disable),
        AccountCommand::Enable { whose } => (whose, AccountOrder::Enable),
        AccountCommand::Revoke { whose, client_type } => {
            (whose, AccountOrder::Revoke { client_type: client_type.map(|client_type| client_type.name().to_owned()) })
        }
    };
    print(&asked::<String>(settings, &whose, order).await?)
}

/// Deletes the very account that was shown, whoever has its number by then.
async fn delete(settings: &Settings, mut whose: Whose, yes: bool) -> Result<()> {
    let shown: Shown = asked(settings, &whose, AccountOrder::Show { unmask: false }).await?;
    if !yes {
        print(&shown.text)?;
        ensure!(confirmed()?, "nothing was deleted");
    }
    whose.name = Name { mobile: None, id: Some(shown.id) };
    print(&asked::<String>(settings, &whose, AccountOrder::Delete).await?)
}

fn confirmed() -> Result<bool> {
    write!(std::io::stderr(), "This cannot be undone. Type yes to delete this account: ")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("nothing can be asked: --yes deletes without asking")?;
    Ok(line.trim() == "yes")
}

async fn asked<A: serde::de::DeserializeOwned>(settings: &Settings, whose: &Whose, order: AccountOrder) -> Result<A> {
    let name = match (&whose.name.mobile, whose.name.id) {
        (Some(mobile), _) => Named::Mobile(HiddenNumber(mobile.clone())),
        (None, Some(id)) => Named::Id(id),
        (None, None) => anyhow::bail!("name the account by --mobile or --id"),
    };
    let operator = operators::operator(whose.operator.as_deref())?;
    ask(settings, Order::Account(AccountRequest { name, operator, order })).await
}
