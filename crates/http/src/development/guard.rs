//! Who may call the development routes. They show codes, so no web page may reach them through a browser on the same
//! machine: neither by naming the machine (DNS rebinding needs a name) nor from another origin.

use std::net::IpAddr;

use poem::http::uri::{Authority, Uri};
use poem::http::{HeaderMap, header};
use poem::{Endpoint, Request, Response, Result};

use crate::endpoint::Head;
use crate::fault::WireFault;

/// Lets through what names the server by address and comes from no other origin.
pub(super) struct Guard<E>(pub(super) E);

impl<E: Endpoint<Output = Response>> Endpoint for Guard<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        if may_call(&request) {
            self.0.call(request).await
        } else {
            Ok(WireFault::Forbidden.response(Head::of(&request).language()))
        }
    }
}

fn may_call(request: &Request) -> bool {
    let Some(host) = host(request.headers(), request.uri()) else { return false };
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    is_local(host.host()) && origins.all(|origin| origin.to_str().is_ok_and(|origin| is_of(origin, &host)))
}

/// The one `Host` of the request; HTTP/2 has it in the URI.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        (None, None) => uri.authority().cloned(),
        _ => None,
    }
}

/// Whether a host is an IP literal or `localhost`, which no foreign name server can answer for.
fn is_local(host: &str) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bracketed.unwrap_or(host).parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

fn is_of(origin: &str, host: &Authority) -> bool {
    let parts = origin.split_once("://");
    parts.is_some_and(|(scheme, authority)| {
        matches!(scheme, "http" | "https") && authority.eq_ignore_ascii_case(host.as_str())
    })
}

#[cfg(test)]
mod tests {
    use poem::Request;

    use super::may_call;

    fn called(headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        may_call(&request.uri_str("/dev/sms").finish())
    }

    #[test]
    fn the_server_is_named_by_address() {
        for host in ["127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "localhost:8080", "LOCALHOST", "192.0.2.7:80"] {
            assert!(called(&[("host", host)]), "{host}");
        }
        for host in ["shop.example", "localhost.shop.example", "127.0.0.1.shop.example:8080", "x@127.0.0.1:80/", ""] {
            assert!(!called(&[("host", host)]), "{host}");
        }
        assert!(!called(&[]));
        assert!(!called(&[("host", "127.0.0.1"), ("host", "127.0.0.1")]));
    }

    #[test]
    fn the_origin_is_the_server_itself() {
        let from = |origin| called(&[("host", "127.0.0.1:8080"), ("origin", origin)]);
        assert!(from("http://127.0.0.1:8080") && from("https://127.0.0.1:8080"));
        for other in ["http://127.0.0.1:3000", "http://127.0.0.1", "http://localhost:8080", "null", "", "file://"] {
            assert!(!from(other), "{other}");
        }
    }
}
