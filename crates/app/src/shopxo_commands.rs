//! What an operator does with a shop's own database before and after mobile-bind works on it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use mobile_bind_shopxo::{CacheOptions, Survey};

use crate::cli::print;
use crate::settings::Settings;
use crate::shopxo_shadow::shadow;
use crate::stores::shopxo_options;

#[derive(Debug, Subcommand)]
pub(crate) enum ShopxoCommand {
    /// Looks whether mobile-bind can work on the shop's database, and changes nothing; fails where something stands in the way.
    Check,
    /// Makes mobile-bind's own tables (mb_*) beside the shop's, or brings them up to date; the shop's stay as they are.
    Install,
    /// Plays binds that the shop has answered, as nginx logged them (deploy/shopxo/shadow.conf), on a copy of its accounts (--store
    /// sled:FOLDER), and says which of them would be refused here. The copy is changed, the shop is not.
    Shadow {
        /// The log.
        #[arg(long, value_name = "FILE")]
        log: PathBuf,
    },
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
    match command {
        ShopxoCommand::Shadow { log } => print(&shadow(settings, &log).await?),
        ShopxoCommand::Check => {
            let options = shopxo_options(settings)?;
            let looked = mobile_bind_shopxo::survey(&options).await;
            let mut found = looked.context("the shop's database cannot be looked at")?;
            look_at_cache(options.cache.as_ref(), &mut found).await;
            print(&told(&found))?;
            let obstacles = found.obstacles.len();
            ensure!(obstacles == 0, "things that stand in the way: {obstacles}");
            Ok(())
        }
        ShopxoCommand::Install => {
            let steps = mobile_bind_shopxo::install(&shopxo_options(settings)?)
                .await
                .context("the tables could not be made")?;
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
            let removed = mobile_bind_shopxo::uninstall(&shopxo_options(settings)?)
                .await
                .context("the tables could not be removed")?;
            print(&match removed.as_slice() {
                [] => "there was nothing of mobile-bind's\n".to_owned(),
                tables => format!("removed: {}\n", tables.join(", ")),
            })
        }
    }
}

async fn look_at_cache(cache: Option<&CacheOptions>, found: &mut Survey) {
    let Some(cache) = cache else {
        found.remarks.push(
            "no cache of the shop's is named (shopxo.cache_url): where it caches, it knows a token that ended here until its own \
             entry goes"
                .to_owned(),
        );
        return;
    };
    match mobile_bind_shopxo::check_cache(cache).await {
        Ok(()) => found.facts.push("the shop's cache in Redis answers".to_owned()),
        Err(error) => found.obstacles.push(error.to_string()),
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
