//! From settings to what the server takes on at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mobile_bind_domain::AddressRange;
use mobile_bind_http::{Capacity, ConnectionLimits};

use super::{ForwardedHeader, Settings};
use crate::operators::Operators;

impl From<ForwardedHeader> for mobile_bind_http::ForwardedHeader {
    fn from(header: ForwardedHeader) -> Self {
        match header {
            ForwardedHeader::XForwardedFor => Self::XForwardedFor,
            ForwardedHeader::Forwarded => Self::Forwarded,
        }
    }
}

impl Settings {
    /// How many requests are worked on at once.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn capacity(&self) -> Result<Capacity> {
        ensure!(self.server.max_in_flight > 0, "server.max_in_flight must be at least 1");
        ensure!(self.server.max_in_flight_overloaded > 0, "server.max_in_flight_overloaded must be at least 1");
        ensure!(self.sms.max_in_flight > 0, "sms.max_in_flight must be at least 1");
        Ok(Capacity {
            requests: self.server.max_in_flight,
            requests_in_overload: self.server.max_in_flight_overloaded,
            sends: self.sms.max_in_flight,
            long_wait: Duration::from_millis(self.server.overload_wait_ms),
        })
    }

    /// What connections may cost.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn connection_limits(&self) -> Result<ConnectionLimits> {
        let server = &self.server;
        ensure!(server.max_connections > 0, "server.max_connections must be at least 1");
        ensure!(server.idle_timeout_s > 0, "server.idle_timeout_s must be at least 1");
        ensure!(
            server.request_timeout_s > self.sms.timeout_s,
            "server.request_timeout_s must be more than sms.timeout_s: a send waits for its sender"
        );
        Ok(ConnectionLimits {
            open: server.max_connections,
            idle: Duration::from_secs(server.idle_timeout_s),
            request: Duration::from_secs(server.request_timeout_s),
        })
    }

    /// The proxies whose word on clients' addresses counts.
    ///
    /// # Errors
    /// With the name of the setting that cannot be used.
    pub fn trusted_proxies(&self) -> Result<Vec<AddressRange>> {
        let ranges = self.server.trusted_proxies.iter().map(|text| text.parse::<AddressRange>());
        ranges.collect::<Result<_, _>>().context("server.trusted_proxies cannot be used")
    }

    /// The store, like a URL: as it is set, or as the file says.
    ///
    /// # Errors
    /// Where the file cannot be read or holds nothing.
    pub fn store_address(&self) -> Result<String> {
        if self.store_file.is_empty() {
            return Ok(self.store.clone());
        }
        let text = std::fs::read_to_string(&self.store_file);
        let address = text.with_context(|| format!("store_file {} cannot be read", self.store_file))?.trim().to_owned();
        ensure!(!address.is_empty(), "store_file {} holds nothing", self.store_file);
        Ok(address)
    }

    /// The folder of key files.
    #[must_use]
    pub fn keys_folder(&self) -> PathBuf {
        if self.keys_dir.is_empty() { self.data_dir.join("keys") } else { PathBuf::from(&self.keys_dir) }
    }

    /// The console's address and operators, where there is to be one.
    ///
    /// # Errors
    /// Where it is no address of this machine alone, or there is nobody to see it.
    pub fn console(&self) -> Result<Option<(SocketAddr, Operators)>> {
        let operators = Operators::read(&self.console.operators)?;
        let listen = self.console.listen.trim();
        if listen.is_empty() {
            return Ok(None);
        }
        let address: SocketAddr = listen.parse().context("console.listen is no address: write it as 127.0.0.1:9091")?;
        ensure!(
            address.ip().is_loopback(),
            "console.listen = \"{listen}\" is refused: it listens on loopback alone; reach it by a tunnel \
             (ssh -L 9091:127.0.0.1:9091 HOST), or by a proxy of your own with TLS"
        );
        ensure!(
            !self.console.operators.is_empty(),
            "console.listen is set, and nobody may see it: `mobile-bind console token NAME` makes a token"
        );
        Ok(Some((address, operators)))
    }

    /// The address that the metrics have for themselves.
    ///
    /// # Errors
    /// Where it is no address.
    pub fn metrics_listen(&self) -> Result<Option<SocketAddr>> {
        let listen = self.metrics.listen.trim();
        let read = |text: &str| text.parse().context("metrics.listen is no address: write it as 127.0.0.1:9090");
        if listen.is_empty() { Ok(None) } else { read(listen).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    #[test]
    fn nothing_at_all_is_no_capacity() {
        let mut settings = Settings::default();
        assert!(settings.capacity().is_ok() && settings.connection_limits().is_ok());
        settings.server.max_in_flight = 0;
        assert!(settings.capacity().unwrap_err().to_string().contains("server.max_in_flight"));
        settings.server.max_in_flight = 1;
        settings.server.max_in_flight_overloaded = 0;
        assert!(settings.capacity().unwrap_err().to_string().contains("server.max_in_flight_overloaded"));
        settings.server.max_connections = 0;
        assert!(settings.connection_limits().unwrap_err().to_string().contains("server.max_connections"));
    }

    #[test]
    fn a_request_has_time_for_its_sender() {
        let mut settings = Settings::default();
        settings.sms.timeout_s = settings.server.request_timeout_s;
        assert!(settings.connection_limits().unwrap_err().to_string().contains("sms.timeout_s"));
    }

    #[test]
    fn the_console_is_for_this_machine_and_for_somebody() {
        let mut settings = Settings::default();
        assert!(settings.console().unwrap().is_none());
        settings.console.listen = "127.0.0.1:9091".to_owned();
        let error = |settings: &Settings| settings.console().err().unwrap().to_string();
        assert!(error(&settings).contains("mobile-bind console token"));
        settings.console.operators.insert("alice".to_owned(), format!("sha256:{}", "0".repeat(64)));
        assert_eq!(settings.console().unwrap().unwrap().0.port(), 9091);
        settings.console.listen = "0.0.0.0:9091".to_owned();
        assert!(error(&settings).contains("loopback"));
        settings.console.listen = "9091".to_owned();
        assert!(error(&settings).contains("console.listen"));
    }

    #[test]
    fn metrics_have_an_address_or_none() {
        let mut settings = Settings::default();
        assert_eq!(settings.metrics_listen().unwrap(), None);
        settings.metrics.listen = "127.0.0.1:9090".to_owned();
        assert_eq!(settings.metrics_listen().unwrap().unwrap().port(), 9090);
        settings.metrics.listen = "9090".to_owned();
        assert!(settings.metrics_listen().unwrap_err().to_string().contains("metrics.listen"));
    }
}
