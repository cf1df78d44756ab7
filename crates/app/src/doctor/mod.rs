//! `mobile-bind doctor`: looks for what makes a service work worse than it seems to. Each check is a function of the settings
//! in [`CHECKS`], in a file of its own.

mod providers;
mod proxies;
mod start;

use std::io::Write;

use anyhow::{Result, bail};
use async_trait::async_trait;

use crate::settings::Settings;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// All is well, and how one knows.
    Well(String),
    /// Something is wrong, and what to do.
    Wrong(String),
}

/// One thing that is looked at.
#[async_trait]
pub(crate) trait Check: Send + Sync {
    /// What it is about, in a word or two.
    fn name(&self) -> &'static str;

    /// Looks.
    async fn look(&self, settings: &Settings) -> Vec<Finding>;
}

/// Every check, in the order they are shown.
fn checks() -> Vec<Box<dyn Check>> {
    vec![Box::new(start::Start), Box::new(proxies::Proxies), Box::new(providers::Providers)]
}

/// Goes through all checks, and says what each found.
///
/// # Errors
/// Where something is wrong.
pub(crate) async fn doctor(settings: &Settings, out: &mut (dyn Write + Send)) -> Result<()> {
    let mut wrong = 0;
    for check in checks() {
        for finding in check.look(settings).await {
            match finding {
                Finding::Well(how) => writeln!(out, "ok    {}: {how}", check.name())?,
                Finding::Wrong(what) => {
                    wrong += 1;
                    writeln!(out, "WRONG {}: {what}", check.name())?;
                }
            }
        }
    }
    if wrong > 0 {
        bail!("{wrong} of the findings need attention");
    }
    Ok(())
}
