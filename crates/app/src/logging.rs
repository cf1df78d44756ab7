//! Logs: by tracing, to standard error; human in development, JSON otherwise. Beside them, where a collector is named, spans.

use anyhow::{Context, Result};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::Telemetry;
use crate::settings::{Environment, LogFormat, Settings};

/// A subscriber as the settings say, writing to `writer`.
///
/// # Errors
/// Where `log.level` is no filter.
pub fn subscriber<W>(settings: &Settings, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter(settings)?).with_writer(writer).with_ansi(false);
    Ok(if is_json(settings) {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.finish())
    })
}

/// The same, which sends spans as well. Each has its own filter: `log.level` says nothing about spans.
///
/// # Errors
/// Where `log.level` is no filter.
pub fn subscriber_with_spans<W>(
    settings: &Settings,
    writer: W,
    telemetry: &Telemetry,
) -> Result<Box<dyn Subscriber + Send + Sync>>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> =
        if is_json(settings) { Box::new(lines.json().flatten_event(true)) } else { Box::new(lines) };
    let lines = lines.with_filter(filter(settings)?);
    Ok(Box::new(tracing_subscriber::registry().with(lines).with(telemetry.layer())))
}

fn filter(settings: &Settings) -> Result<EnvFilter> {
    // The web framework's own lines at start and stop say nothing that ours do not.
    EnvFilter::try_new(format!("poem=warn,{}", settings.log.level)).context("log.level is no filter")
}

fn is_json(settings: &Settings) -> bool {
    match settings.log.format {
        LogFormat::Json => true,
        LogFormat::Human => false,
        LogFormat::Auto => settings.environment == Environment::Production,
    }
}

/// Logs to standard error, and sends spans where there is telemetry, from now on.
///
/// # Errors
/// Where `log.level` is no filter, or logging was set up before.
pub fn start(settings: &Settings, telemetry: Option<&Telemetry>) -> Result<()> {
    let subscriber = match telemetry {
        Some(telemetry) => subscriber_with_spans(settings, std::io::stderr, telemetry)?,
        None => subscriber(settings, std::io::stderr)?,
    };
    tracing::subscriber::set_global_default(subscriber).context("logging is set up already")
}
