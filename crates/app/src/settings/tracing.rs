//! From settings to where spans go.

use anyhow::{Context, Result, ensure};
use poem::http::Uri;

use super::Settings;

/// Where a collector takes spans, below its address (OTLP/HTTP).
const TRACES: &str = "/v1/traces";

/// Spans that are to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tracing {
    /// The collector's URL for spans.
    pub(crate) endpoint: String,
    /// The share of requests that are sent: 0 to 1.
    pub(crate) sampling_ratio: f64,
    /// `service.name`.
    pub(crate) service_name: String,
    /// `service.instance.id`.
    pub(crate) node: String,
}

impl Settings {
    /// What is to be sent where; `None` where no collector is named.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub(crate) fn tracing(&self) -> Result<Option<Tracing>> {
        let telemetry = &self.telemetry;
        let ratio = telemetry.sampling_ratio;
        ensure!((0.0..=1.0).contains(&ratio), "telemetry.sampling_ratio must be between 0.0 and 1.0");
        ensure!(!telemetry.service_name.trim().is_empty(), "telemetry.service_name must not be empty");
        let endpoint = telemetry.otlp_endpoint.trim();
        if endpoint.is_empty() {
            return Ok(None);
        }
        let node = match telemetry.node.trim() {
            "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
            node => node.to_owned(),
        };
        Ok(Some(Tracing {
            endpoint: traces_url(endpoint)?,
            sampling_ratio: ratio,
            service_name: telemetry.service_name.trim().to_owned(),
            node,
        }))
    }
}

fn traces_url(endpoint: &str) -> Result<String> {
    let url: Uri = endpoint.parse().context("telemetry.otlp_endpoint is no URL: write it as http://127.0.0.1:4318")?;
    ensure!(
        url.scheme_str() != Some("https"),
        "telemetry.otlp_endpoint is https://, which is not spoken: name a collector on this machine by http://, and let it \
         encrypt"
    );
    ensure!(url.scheme_str() == Some("http"), "telemetry.otlp_endpoint must begin with http://");
    let authority = url.authority().context("telemetry.otlp_endpoint names no host")?;
    ensure!(
        !authority.as_str().contains('@') && url.query().is_none(),
        "telemetry.otlp_endpoint takes neither a password nor a query"
    );
    let path = if url.path() == "/" { TRACES } else { url.path() };
    Ok(format!("http://{authority}{path}"))
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn settings(endpoint: &str) -> Settings {
        let mut settings = Settings::default();
        endpoint.clone_into(&mut settings.telemetry.otlp_endpoint);
        settings
    }

    #[test]
    fn no_collector_is_no_tracing() {
        assert_eq!(Settings::default().tracing().unwrap(), None);
    }

    #[test]
    fn a_collector_is_named_with_or_without_its_path() {
        let url = |endpoint: &str| settings(endpoint).tracing().unwrap().unwrap().endpoint;
        assert_eq!(url("http://127.0.0.1:4318"), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url(" http://collector:4318/ "), "http://collector:4318/v1/traces");
        assert_eq!(url("http://collector/tenant/v1/traces"), "http://collector/tenant/v1/traces");
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_name() {
        for endpoint in [
            "https://collector:4318",
            "127.0.0.1:4318",
            "ftp://collector",
            "http://u:p@collector",
            "http://c/?key=1",
            "collector one",
        ] {
            let error = settings(endpoint).tracing().unwrap_err().to_string();
            assert!(error.contains("telemetry.otlp_endpoint"), "{endpoint}: {error}");
            assert_eq!(endpoint.starts_with("https"), error.contains("https"), "{endpoint}: {error}");
        }
        for ratio in [-0.1, 1.1, f64::NAN] {
            let mut settings = settings("");
            settings.telemetry.sampling_ratio = ratio;
            assert!(settings.tracing().unwrap_err().to_string().contains("telemetry.sampling_ratio"));
        }
    }

    #[test]
    fn a_node_without_a_name_is_called_as_its_machine() {
        let mut settings = settings("http://127.0.0.1:4318");
        assert!(!settings.tracing().unwrap().unwrap().node.is_empty());
        "one".clone_into(&mut settings.telemetry.node);
        assert_eq!(settings.tracing().unwrap().unwrap().node, "one");
    }
}
