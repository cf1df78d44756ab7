//! Logs: by tracing, to standard error; human in development, JSON otherwise.

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::settings::{Environment, LogFormat, Settings};

/// A subscriber as the settings say, writing to `writer`.
///
/// # Errors
/// Where `log.level` is no filter.
pub fn subscriber<W>(settings: &Settings, writer: W) -> Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // The web framework's own lines at start and stop say nothing that ours do not.
    let filter = format!("poem=warn,{}", settings.log.level);
    let filter = EnvFilter::try_new(filter).context("log.level is no filter")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    let json = match settings.log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => settings.environment == Environment::Production,
    };
    Ok(if json { Box::new(builder.json().flatten_event(true).finish()) } else { Box::new(builder.finish()) })
}

/// Logs to standard error from now on.
///
/// # Errors
/// Where `log.level` is no filter, or logging was set up before.
pub fn start(settings: &Settings) -> Result<()> {
    tracing::subscriber::set_global_default(subscriber(settings, std::io::stderr)?).context("logging is set up already")
}
