//! What an operator does with a shop's own database before and after mobile-bind works on it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use mobile_bind_shopxo::{CacheOptions, Survey};

use crate::cli::print;
use crate::settings::Settings;
use crate::shopxo_shadow::{shadow_of_log, shadow_of_mirror};
use crate::stores::shopxo_options;

#[derive(Debug, Subcommand)]
pub(crate) enum ShopxoCommand {
    /// Looks whether mobile-bind can work on the shop's database, and changes nothing; fails where something stands in the way.
    Check,
    /// Makes mobile-bind's own tables (mb_*) beside the shop's, or brings them up to date; the shop's stay as they are.
    Install,
    /// Plays binds that the shop answers on a copy of its accounts (--store sled:FOLDER), and says where mobile-bind would have done
    /// something else. The copy is changed, the shop is not. nginx mirrors them (deploy/shopxo/mirror.conf) to the address that
    /// --listen names, until this is told to stop; or it has logged them (deploy/shopxo/shadow.conf).
    Shadow(Shadow),
    /// Removes mobile-bind's own tables with all that is in them. No service may run on them.
    Uninstall {
        /// Yes, remove them.
        #[arg(long)]
        yes: bool,
    },
}

/// What a shadow goes by.
#[derive(Debug, Args)]
pub(crate) struct Shadow {
    /// The log, where nginx has written one.
    #[arg(long, value_name = "FILE", conflicts_with = "wait_ms")]
    log: Option<PathBuf>,
    /// The shop's database, shopxo:mysql://…, where it is seen what the shop did. Its user needs SELECT and nothing else. Mirrored
    /// requests need it.
    #[arg(long, value_name = "STORE")]
    shop: Option<String>,
    /// A file that holds that, where there is a password in it.
    #[arg(long, value_name = "FILE", conflicts_with = "shop")]
    shop_file: Option<PathBuf>,
    /// How long the shop has to carry out a mirrored request before it is looked at.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2_000)]
    wait_ms: u64,
}

impl Shadow {
    async fn run(self, settings: &Settings) -> Result<()> {
        let shop = match self.shop_file {
            Some(file) => {
                let text = std::fs::read_to_string(&file);
                Some(text.with_context(|| format!("cannot read {}", file.display()))?.trim().to_owned())
            }
            None => self.shop,
        };
        match (self.log, shop) {
            (Some(log), shop) => shadow_of_log(settings, &log, shop.as_deref()).await,
            (None, Some(shop)) => shadow_of_mirror(settings, &shop, Duration::from_millis(self.wait_ms)).await,
            (None, None) => bail!(
                "a mirrored request does not tell what the shop answered: name the shop by --shop or --shop-file, or nginx's log by --log"
            ),
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// With what an operator needs to know.
pub(crate) async fn run(settings: &Settings, command: ShopxoCommand) -> Result<()> {
    match command {
        ShopxoCommand::Shadow(shadow) => shadow.run(settings).await,
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
