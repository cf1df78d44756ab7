//! Where a request comes from. A proxy says so in `X-Forwarded-For` or `Forwarded` (RFC 7239), and so can anybody: only what
//! trusted proxies have added counts, which is all from the right up to the first hop that is not one of them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::counter;
use mobile_bind_domain::AddressRange;
use poem::http::HeaderMap;
use poem::{Endpoint, Request, Response, Result};
use tracing::warn;

use crate::metrics::UNLISTED_PROXY;

/// Which header the trusted proxies write. The other one, which they may let through as a stranger sent it, is not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl ForwardedHeader {
    const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// Told when a proxy that is not listed forwards requests, by its address.
pub type UnlistedProxy = Arc<dyn Fn(IpAddr) + Send + Sync>;

/// Whose word on addresses counts.
#[derive(Clone, Default)]
pub struct Forwarding {
    /// The proxies.
    pub trusted: Vec<AddressRange>,
    /// What they write.
    pub header: ForwardedHeader,
    /// Told when a private address that is not listed forwards requests; now and then, not each time.
    pub unlisted: Option<UnlistedProxy>,
}

impl fmt::Debug for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarding")
            .field("trusted", &self.trusted)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// The address that a request counts against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress(pub(crate) IpAddr);

impl ClientAddress {
    /// The request's, as the proxies tell it.
    pub(crate) fn of(request: &Request) -> IpAddr {
        request.data::<Self>().map_or_else(|| peer(request), |address| address.0)
    }
}

fn peer(request: &Request) -> IpAddr {
    let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.to_canonical())
}

impl Forwarding {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|range| range.contains(address))
    }

    /// The nearest hop that is no trusted proxy. Where one of them says nothing that can be read, it is that proxy itself.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        if !self.trusts(peer) {
            return client;
        }
        let values = headers.get_all(self.header.name()).iter().rev();
        for hop in values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',')) {
            let Some(address) = self.read(hop) else { return client };
            client = address;
            if !self.trusts(client) {
                return client;
            }
        }
        client
    }

    fn read(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => hop,
            ForwardedHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value)
            })?,
        };
        address(node.trim().trim_matches('"'))
    }

    /// Whether an address that is not listed forwards requests as a proxy does.
    fn is_unlisted_proxy(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let forwards = || headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        is_private(peer) && forwards() && !self.trusts(peer)
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711`.
fn address(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.split_once(']')?.0.parse().ok();
    let with_port = || node.parse().ok().map(|address: SocketAddr| address.ip());
    node.parse().ok().or_else(bracketed).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// An address that strangers cannot have: of this machine or of a private network (RFC 1918, RFC 4193, RFC 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && second & 0xc0 == 64;
            address.is_private() || address.is_loopback() || address.is_link_local() || shared
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// One warning out of so many requests.
const WARN_EVERY: u64 = 10_000;

/// Notes with each request where it comes from.
pub(crate) struct Addressed<E> {
    pub(crate) inner: E,
    pub(crate) forwarding: Forwarding,
    pub(crate) unlisted: AtomicU64,
}

impl<E: Endpoint<Output = Response>> Endpoint for Addressed<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let peer = peer(&request);
        if self.forwarding.is_unlisted_proxy(peer, request.headers()) {
            self.warn(peer);
        } else if !self.forwarding.trusted.is_empty() {
            let address = self.forwarding.client(peer, request.headers());
            request.set_data(ClientAddress(address));
        }
        self.inner.call(request).await
    }
}

impl<E> Addressed<E> {
    fn warn(&self, peer: IpAddr) {
        counter!(UNLISTED_PROXY).increment(1);
        if !self.unlisted.fetch_add(1, Ordering::Relaxed).is_multiple_of(WARN_EVERY) {
            return;
        }
        warn!(
            proxy = %peer,
            "a proxy that is not listed forwards requests, and all its clients share one quota: put its address into \
             server.trusted_proxies"
        );
        if let Some(unlisted) = &self.forwarding.unlisted {
            unlisted(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use poem::http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;

    use super::{ForwardedHeader, Forwarding, is_private};

    fn forwarding(header: ForwardedHeader) -> Forwarding {
        let trusted = ["10.0.0.0/8", "2001:db8:ff::/48"].map(|range| range.parse().unwrap()).to_vec();
        Forwarding { trusted, header, unlisted: None }
    }

    fn client(header: ForwardedHeader, peer: &str, values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header.name(), HeaderValue::from_str(value).unwrap());
        }
        forwarding(header).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_nearest_hop_that_is_no_trusted_proxy_counts() {
        let client = |peer, values: &[&str]| client(ForwardedHeader::XForwardedFor, peer, values);
        assert_eq!(client("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 203.0.113.7, 10.1.2.3"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "203.0.113.7, 10.1.2.3"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["10.1.1.1, 10.1.2.3"]), "10.1.1.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.7:4711"]), "203.0.113.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(client("2001:db8:ff::2", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn what_strangers_say_does_not_count() {
        let client = |peer, values: &[&str]| client(ForwardedHeader::XForwardedFor, peer, values);
        assert_eq!(client("203.0.113.7", &["6.6.6.6"]), "203.0.113.7");
        assert_eq!(client("192.168.0.1", &["6.6.6.6"]), "192.168.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, nonsense, 10.2.0.1"]), "10.2.0.1");
        let mut headers = HeaderMap::new();
        headers.append("forwarded", HeaderValue::from_static("for=6.6.6.6"));
        let other = forwarding(ForwardedHeader::XForwardedFor).client("10.0.0.1".parse().unwrap(), &headers);
        assert_eq!(other.to_string(), "10.0.0.1", "the header that the proxies do not write");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        let client = |values: &[&str]| client(ForwardedHeader::Forwarded, "10.0.0.1", values);
        assert_eq!(client(&["for=192.0.2.43"]), "192.0.2.43");
        assert_eq!(client(&["For=\"[2001:db8:cafe::17]:4711\""]), "2001:db8:cafe::17");
        assert_eq!(client(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60");
        assert_eq!(client(&["proto=http; for=192.0.2.43, for=10.9.9.9"]), "192.0.2.43");
        assert_eq!(client(&["for=6.6.6.6, for=_hidden"]), "10.0.0.1");
        assert_eq!(client(&["for=6.6.6.6, for=unknown, for=10.9.9.9"]), "10.9.9.9");
    }

    #[test]
    fn private_addresses() {
        for text in
            ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.1.1", "::1", "fd00::1"]
        {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in ["203.0.113.7", "100.128.0.1", "172.32.0.1", "2001:db8::1"] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        /// Whatever a stranger writes in front, what the proxy adds at the end decides.
        #[test]
        fn a_stranger_cannot_choose_his_address(forged in "[ -~]{0,60}", own in any::<[u8; 4]>()) {
            let own = IpAddr::from(own);
            prop_assume!(!forwarding(ForwardedHeader::XForwardedFor).trusts(own));
            let value = format!("{forged}, {own}");
            prop_assert_eq!(client(ForwardedHeader::XForwardedFor, "10.0.0.1", &[&value]), own.to_string());
        }
    }
}
