//! Which route a request is for: ShopXO's two kinds of URL, whatever their letter case, reach one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use poem::http::uri::PathAndQuery;
use poem::http::{Method, Uri};
use poem::{Body, Endpoint, Request, Response, Result};

/// The operations, which ShopXO's kinds of URL lead to.
pub(crate) const OPERATIONS: [&str; 7] = [
    SEND,
    "/user/appmobilebindverifystatus",
    "/user/appmobilebind",
    "/user/appminiuserauth",
    "/user/onekeyusermobilebind",
    "/user/tokenuserinfo",
    "/user/logout",
];

/// The operation that sends a code.
pub(crate) const SEND: &str = "/user/appmobilebindverifysend";

/// Everything else that may be named in the log.
const OTHERS: [&str; 19] = [
    "/",
    "/favicon.ico",
    "/pages/bind.js",
    "/pages/inbox.js",
    "/pages/console.js",
    "/pages/docs.js",
    "/pages/page.js",
    "/pages/page.css",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/.well-known/jwks.json",
    "/dev/sms",
    "/dev/sms/behaviour",
    "/dev/clock",
    "/dev/inbox",
    "/dev/inbox/events",
];

/// The route of a request, kept with its response for the log. A path that is none of ours is not repeated: anything may
/// stand in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteName(pub(crate) &'static str);

/// Gives every request its route's own URL before it is routed.
pub(crate) struct Rewriting<E>(pub(crate) E);

impl<E: Endpoint<Output = Response>> Endpoint for Rewriting<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let route = rewrite(&mut request);
        let mut response = self.0.call(request).await?;
        response.set_data(route);
        Ok(response)
    }
}

fn rewrite(request: &mut Request) -> RouteName {
    let uri = request.uri();
    let Some(operation) = operation(uri.path(), uri.query().unwrap_or_default()) else {
        let route = OTHERS.into_iter().find(|&route| route == request.uri().path());
        if request.uri().path_and_query().is_none() {
            // The forms of CONNECT and of `OPTIONS *`, which no route can have.
            *request.uri_mut() = Uri::from_static("/");
        }
        return RouteName(route.unwrap_or("unknown"));
    };
    if request.uri().path() != operation {
        let target = match request.uri().query() {
            Some(query) => format!("{operation}?{query}"),
            None => operation.to_owned(),
        };
        if let Ok(target) = PathAndQuery::try_from(target) {
            *request.uri_mut() = target.into();
        }
    }
    // ShopXO answers a GET that has everything in the query just the same.
    if request.method() == Method::GET {
        request.set_method(Method::POST);
        request.set_body(Body::empty());
    }
    RouteName(operation)
}

/// The operation that a URL names, as `/user/action` or `/api.php?s=user/action`; the case does not matter, nor does a
/// trailing `.html`.
pub(crate) fn operation(path: &str, query: &str) -> Option<&'static str> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if !path.eq_ignore_ascii_case("/api.php") {
        return named(&path);
    }
    let query = form_urlencoded::parse(query.as_bytes());
    let (_, operation) = query.filter(|(name, _)| name == "s").last()?;
    let rooted = if operation.starts_with('/') { operation } else { Cow::Owned(format!("/{operation}")) };
    named(&rooted)
}

fn named(path: &str) -> Option<&'static str> {
    let stem_length = path.len().checked_sub(".html".len());
    let stem = stem_length.and_then(|length| path.split_at_checked(length));
    let stem = stem.filter(|(_, end)| end.eq_ignore_ascii_case(".html")).map_or(path, |(stem, _)| stem);
    OPERATIONS.into_iter().find(|operation| operation.eq_ignore_ascii_case(stem))
}

#[cfg(test)]
mod tests {
    use poem::Request;
    use poem::http::{Method, Uri};
    use proptest::prelude::*;

    use super::{OPERATIONS, RouteName, operation, rewrite};

    fn find(uri: &str) -> Option<&'static str> {
        {
            let uri: Uri = uri.parse().unwrap();
            operation(uri.path(), uri.query().unwrap_or_default())
        }
    }

    #[test]
    fn both_kinds_of_url_lead_to_the_operation() {
        let same = [
            "/user/appmobilebind",
            "/USER/AppMobileBind.HTML",
            "/user%2Fappmobilebind?token=x",
            "/api.php?s=user/appmobilebind",
            "/api.php?s=/user/appmobilebind&token=x",
            "/api.php?a=b&s=User%2fAppMobileBind.html",
            "/api.php?s=user/logout&s=user/appmobilebind",
            "http://shop.example/api.php?s=user/appmobilebind",
        ];
        for uri in same {
            assert_eq!(find(uri), Some("/user/appmobilebind"), "{uri}");
        }
        for operation in OPERATIONS {
            assert_eq!(find(&format!("/api.php?s={}", &operation[1..])), Some(operation));
        }
    }

    #[test]
    fn nothing_else_does() {
        let others = [
            "/",
            "/api.php",
            "/api.php?s=",
            "/api.php?s=dev/sms",
            "/api.php?s=healthz",
            "/api.php?s=user/nothing",
            "/api.php?s=%FF",
            "/user/appmobilebind/",
            "/user/appmobilebindx",
            "/user/%FF",
            "/user/appmobilebind%",
            "/index.php?s=user/appmobilebind",
            "/.html",
        ];
        for uri in others {
            assert_eq!(find(uri), None, "{uri}");
        }
    }

    #[test]
    fn a_get_becomes_a_post_without_a_body() {
        let mut request = Request::builder().uri_str("/api.php?s=user/logout&token=T").body("token=U");
        assert_eq!(rewrite(&mut request), RouteName("/user/logout"));
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "/user/logout?s=user/logout&token=T");
        assert!(request.into_body().is_empty());
    }

    #[test]
    fn unknown_paths_are_not_named() {
        let mut request = Request::builder().uri_str("/user/17602128368").finish();
        assert_eq!(rewrite(&mut request), RouteName("unknown"));
        let mut request = Request::builder().method(Method::CONNECT).uri_str("shop.example:443").finish();
        assert_eq!(rewrite(&mut request), RouteName("unknown"));
        assert_eq!(request.uri().path(), "/");
    }

    proptest! {
        #[test]
        fn any_url_can_be_looked_at(text in "/(api.php)?[ -~é]{0,40}") {
            if let Ok(uri) = text.parse::<Uri>() {
                let mut request = Request::builder().uri(uri).finish();
                rewrite(&mut request);
            }
        }
    }
}
