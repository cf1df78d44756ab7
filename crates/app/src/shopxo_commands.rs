//! What an operator does with a shop's own database before and after mobile-bind works on it.

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use mobile_bind_shopxo::Survey;

use crate::cli::print;
use crate::settings::Settings;
use crate::stores::shopxo_options;

#[derive(Debug, Subcommand)]
pub(crate) enum ShopxoCommand {
    /// Looks whether mobile-bind can work on the shop's database, and changes nothing; fails where something stands in the way.
    Check,
    /// Makes mobile-bind's own tables (mb_*) beside the shop's, or brings them up to date; the shop's stay as they are.
    Install,
    /// Removes mobile-bind's own tables with all that is in them. No service may run on them.
    Uninstall {
        /// Yes, remove them.
        #[arg(long)]
        yes: bool,
    },
}

/// Does what was asked.
///
/// # Errors
/// With what an operator needs to know.
pub(crate) async fn run(settings: &Settings, command: ShopxoCommand) -> Result<()> {
    let options = shopxo_options(settings)?;
    match command {
        ShopxoCommand::Check => {
            let found =
                mobile_bind_shopxo::survey(&options).await.context("the shop's database cannot be looked at")?;
            print(&told(&found))?;
            let obstacles = found.obstacles.len();
            ensure!(obstacles == 0, "things that stand in the way: {obstacles}");
            Ok(())
        }
        ShopxoCommand::Install => {
            let steps = mobile_bind_shopxo::install(&options).await.context("the tables could not be made")?;
            print(&match steps {
                0 => "mobile-bind's tables are up to date\n".to_owned(),
                steps => format!("mobile-bind's tables were made or brought up to date, steps taken: {steps}\n"),
            })
        }
        ShopxoCommand::Uninstall { yes: false } => bail!(
            "this removes codes, sessions' ids, limits, the audit and the server's keys that are with them; accounts, numbers and \
             tokens stay, as the shop's own. Say --yes to do it"
        ),
        ShopxoCommand::Uninstall { yes: true } => {
            let removed = mobile_bind_shopxo::uninstall(&options).await.context("the tables could not be removed")?;
            print(&match removed.as_slice() {
                [] => "there was nothing of mobile-bind's\n".to_owned(),
                tables => format!("removed: {}\n", tables.join(", ")),
            })
        }
    }
}

/// One line for each thing, the worst last.
fn told(found: &Survey) -> String {
    let kinds = [("found", &found.facts), ("note", &found.remarks), ("obstacle", &found.obstacles)];
    let lines =
        kinds.into_iter().flat_map(|(kind, texts)| texts.iter().map(move |text| format!("{kind:<8}  {text}\n")));
    let verdict = if found.obstacles.is_empty() { "nothing stands in the way\n" } else { "" };
    lines.collect::<String>() + verdict
}
