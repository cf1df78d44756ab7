//! Looking at a provider before it is needed: whether its name is known, its certificate right, the clocks agree, and it
//! knows the account. Nothing is sent to anybody.

use std::sync::Arc;
use std::time::Duration;

use mobile_bind_domain::Timestamp;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::exchange::{Fault, Standing, Vendor};
use crate::http_client::{HttpClient, Stamps};
use crate::provider::{Line, Provider};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How far clocks may be apart. The vendors allow five minutes at least (Tencent Cloud, Standard Webhooks): whoever is a
/// minute off is on his way there.
const SKEW: Duration = Duration::from_secs(60);

/// What was found about one side of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Whether all is well.
    pub well: bool,
    /// In words. No secret stands in it.
    pub what: String,
}

impl Observation {
    fn well(what: impl Into<String>) -> Self {
        Self { well: true, what: what.into() }
    }

    fn wrong(what: impl Into<String>) -> Self {
        Self { well: false, what: what.into() }
    }
}

/// Where a provider is.
pub(crate) struct Endpoint {
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Provider {
    /// Looks at the provider: DNS, connection, TLS, clocks, credentials. Stops where nothing can be told any more.
    pub async fn examine(&self) -> Vec<Observation> {
        let mut found = Vec::new();
        let endpoint = match self.endpoint() {
            Ok(endpoint) => endpoint,
            Err(error) => return vec![Observation::wrong(error.to_string())],
        };
        let stream = match connected(&endpoint, &mut found).await {
            Ok(stream) => stream,
            Err(wrong) => {
                found.push(wrong);
                return found;
            }
        };
        let tls = tls(&endpoint, stream).await;
        let reached = tls.well;
        found.push(tls);
        if !reached {
            return found;
        }
        match self.line() {
            Line::Http(vendor, client, stamps) => found.extend(inquire(vendor.as_ref(), client, stamps).await),
            Line::Smpp(smpp) => found.push(match timeout(PATIENCE, smpp.knock()).await {
                Ok(Ok(())) => Observation::well("credentials: the message centre binds the account"),
                Ok(Err(Fault { code, .. })) => Observation::wrong(format!(
                    "credentials: the message centre does not bind the account ({code}): compare account and secret with what \
                     its operator gave you"
                )),
                Err(_) => Observation::wrong("credentials: the message centre does not answer a bind"),
            }),
        }
        found
    }
}

async fn connected(endpoint: &Endpoint, found: &mut Vec<Observation>) -> Result<TcpStream, Observation> {
    let Endpoint { host, port, .. } = endpoint;
    let unknown =
        || Observation::wrong(format!("DNS: {host} is not known: look at the name and at this machine's resolver"));
    let addresses = timeout(PATIENCE, lookup_host((host.as_str(), *port))).await;
    let addresses: Vec<_> = addresses.map_err(|_| unknown())?.map_err(|_| unknown())?.collect();
    let first = addresses.first().ok_or_else(unknown)?.ip();
    found.push(match host.parse::<std::net::IpAddr>() {
        Ok(_) => Observation::well(format!("DNS: not needed, {host} is an address")),
        Err(_) => Observation::well(format!("DNS: {host} is {first}")),
    });
    let stream = timeout(PATIENCE, TcpStream::connect(addresses.as_slice())).await;
    let closed =
        || Observation::wrong(format!("connection: nobody answers at {host}:{port}: is a firewall in between?"));
    stream.map_err(|_| closed())?.map_err(|_| closed())
}

async fn tls(endpoint: &Endpoint, stream: TcpStream) -> Observation {
    if !endpoint.tls {
        return Observation::well("TLS: none, as its url says: codes go there in the clear");
    }
    let config = match ClientConfig::with_platform_verifier() {
        Ok(config) => config,
        Err(error) => return Observation::wrong(format!("TLS: this machine has no root certificates: {error}")),
    };
    let Ok(name) = ServerName::try_from(endpoint.host.clone()) else {
        return Observation::wrong("TLS: the host's name cannot be in a certificate");
    };
    match timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(_)) => Observation::well("TLS: the certificate is trusted"),
        Ok(Err(error)) => Observation::wrong(format!("TLS: {error}")),
        Err(_) => Observation::wrong("TLS: no answer"),
    }
}

async fn inquire(vendor: &dyn Vendor, client: &HttpClient, stamps: &Stamps) -> Vec<Observation> {
    let stamp = stamps.next();
    let request = vendor.inquiry(&stamp);
    let (answer, told) = match client.ask(&request, PATIENCE).await {
        Ok(answered) => answered,
        Err(Fault { code, .. }) => return vec![Observation::wrong(format!("answer: none ({code})"))],
    };
    let credentials = match vendor.standing(&answer) {
        Standing::Known => Observation::well("credentials: the vendor knows them"),
        Standing::NotAllowed(code) => Observation::well(format!(
            "credentials: the vendor knows them, and does not let them list signatures ({code})"
        )),
        Standing::Refused(code) => Observation::wrong(format!(
            "credentials: the vendor refuses them ({code}): compare account and secret with the vendor's console"
        )),
        Standing::Untold => Observation::well(
            "credentials: this kind has no call that would only tell; the first message will: `mobile-bind sms send --to NUMBER`",
        ),
        Standing::Unclear(code) => Observation::wrong(format!("credentials: the answer says nothing of them ({code})")),
    };
    vec![clocks(told, stamp.at, stamps.clock.now()), credentials]
}

/// What a `Date` header says of the clocks. It has whole seconds, and was written between the two moments.
fn clocks(told: Option<Timestamp>, asked: Timestamp, answered: Timestamp) -> Observation {
    let Some(told) = told else { return Observation::well("clocks: the answer has no date to compare with") };
    let ahead = asked.since(told).saturating_sub(Duration::from_secs(1));
    let behind = told.since(answered);
    let apart = ahead.max(behind);
    let which = if ahead > behind { "ahead of" } else { "behind" };
    if apart > SKEW {
        let seconds = apart.as_secs();
        Observation::wrong(format!(
            "clocks: this machine's is {seconds} seconds {which} the provider's, which refuses signatures from another time: set it \
             by NTP"
        ))
    } else {
        Observation::well(format!("clocks: no more than {} seconds apart", apart.as_secs() + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Observation, clocks};
    use crate::config::Kind;
    use crate::fake_provider::{FakeAccount, FakeProvider, Play};
    use crate::provider::Provider;
    use crate::secret::Secret;
    use crate::tests::{HandClock, config, shared};
    use mobile_bind_domain::Timestamp;

    const HTTP: [Kind; 4] = [Kind::Aliyun, Kind::Tencent, Kind::Twilio, Kind::Webhook];

    /// A fake whose clock is so far ahead, and what a provider of that kind finds with this secret.
    async fn found(kind: Kind, secret: Option<&str>, ahead: Duration) -> (Vec<Observation>, FakeProvider) {
        let clock = Arc::new(HandClock::default());
        clock.advance(ahead);
        let mut own = config(kind, "");
        let account = FakeAccount { kind, account: own.account.clone(), secret: own.secret.clone() };
        let fake = FakeProvider::start(&account, ([127, 0, 0, 1], 0).into(), Play::Accept, clock, None).await.unwrap();
        own.url = fake.url();
        if let Some(secret) = secret {
            own.secret = Secret::new(secret.to_owned());
        }
        (Provider::new("one", own, &shared()).unwrap().examine().await, fake)
    }

    fn about<'a>(found: &'a [Observation], subject: &str) -> &'a Observation {
        found.iter().find(|one| one.what.starts_with(subject)).unwrap_or_else(|| panic!("{subject}: {found:?}"))
    }

    #[tokio::test]
    async fn a_provider_that_is_right_is_well_in_every_respect_and_sends_nothing() {
        for kind in HTTP {
            let (found, _fake) = found(kind, None, Duration::ZERO).await;
            assert!(found.iter().all(|one| one.well), "{kind:?} {found:?}");
            for subject in ["DNS", "TLS", "clocks: no more than", "credentials"] {
                about(&found, subject);
            }
        }
    }

    #[tokio::test]
    async fn wrong_credentials_are_found_and_not_shown() {
        let wrong = "whsec_d3Jvbmctd3Jvbmctd3Jvbmctd3Jvbmct";
        for kind in [Kind::Aliyun, Kind::Tencent, Kind::Twilio] {
            let (found, _fake) = found(kind, Some(wrong), Duration::ZERO).await;
            let told = about(&found, "credentials");
            assert!(!told.well && told.what.contains("refuses them ("), "{kind:?} {told:?}");
            assert!(found.iter().all(|one| !one.what.contains("d3Jvbm")), "{found:?}");
        }
    }

    #[tokio::test]
    async fn clocks_that_differ_are_found() {
        for kind in HTTP {
            let (found, _fake) = found(kind, None, Duration::from_secs(1_200)).await;
            let told = about(&found, "clocks");
            assert!(!told.well && told.what.contains("seconds behind"), "{kind:?} {told:?}");
        }
    }

    #[tokio::test]
    async fn whoever_is_not_there_is_found_missing() {
        let (_, fake) = found(Kind::Twilio, None, Duration::ZERO).await;
        let url = fake.url();
        drop(fake);
        // Its connections end with its task.
        while tokio::net::TcpStream::connect(url.trim_start_matches("http://")).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let found = Provider::new("one", config(Kind::Twilio, &url), &shared()).unwrap().examine().await;
        assert!(!about(&found, "connection").well);
    }

    proptest! {
        /// A clock that is right is never called wrong, and one that is two minutes off never right.
        #[test]
        fn clocks_are_judged(at in 10_000_u64..1_000_000, took in 0_u64..5_000, within in 0_u64..5_000, off in -600_i64..600) {
            let asked = Timestamp::from_millis(at * 1_000 + within);
            let answered = asked.after(Duration::from_millis(took));
            let written = (asked.as_millis() + took.min(within)) / 1_000;
            let told = Timestamp::from_seconds(written.saturating_add_signed(off));
            let found = clocks(Some(told), asked, answered);
            prop_assert!(off.abs() > 55 || found.well, "{:?}", found);
            prop_assert!(off.abs() < 70 || !found.well, "{:?}", found);
        }
    }
}
