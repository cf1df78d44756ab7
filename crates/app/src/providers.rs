//! The SMS providers, plugged together.

use std::sync::Arc;

use anyhow::Result;
use mobile_bind_domain::ports::{Clock, Randomness};
use mobile_bind_sms::{Failover, HearReceipt, HttpClient, Provider, Shared};

use crate::settings::Settings;

/// What is said of a provider that has no words for old numbers, where another one has.
pub(crate) const NOT_ASKED_TO_TELL: &str = "is not asked to tell old numbers: templates.number_changed is not set";

/// One sender of all providers that are configured.
///
/// # Errors
/// With the name of the setting that cannot be used.
pub(crate) fn failover(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    randomness: &Arc<dyn Randomness>,
    receipts: HearReceipt,
) -> Result<Failover> {
    let shared =
        Shared { client: HttpClient::new()?, clock: Arc::clone(clock), randomness: Arc::clone(randomness), receipts };
    let configs = settings.sms_providers()?.into_iter();
    let providers = configs.map(|(name, config)| Ok(Arc::new(Provider::new(&name, config, &shared)?)));
    Ok(Failover::new(providers.collect::<Result<_>>()?, Arc::clone(randomness)))
}
