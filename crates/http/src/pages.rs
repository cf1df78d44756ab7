//! The pages: the one to bind on, the API's explorer, in development the inbox, and the operators' console. They are built from
//! `web/` and embedded as they are committed; `cargo xtask codegen` builds them.

use std::sync::Arc;

use mobile_bind_domain::Service;
use poem::http::{HeaderValue, header};
use poem::{Body, Endpoint, Response, Route, get};

use crate::answer::CaptchaWidget;

/// Nothing from elsewhere, nothing inline, no frame around it. Pico's arrows and ticks are `data:` images.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// What a captcha's widget needs besides, on the bind page alone. Its script is not known to keep to trusted types.
struct WidgetPolicy {
    provider: &'static str,
    policy: HeaderValue,
}

const WIDGET_POLICIES: [WidgetPolicy; 2] = [
    // https://developers.cloudflare.com/turnstile/reference/content-security-policy/
    WidgetPolicy {
        provider: "turnstile",
        policy: HeaderValue::from_static(
            "default-src 'none'; script-src 'self' https://challenges.cloudflare.com; style-src 'self'; \
             img-src 'self' data:; connect-src 'self'; frame-src https://challenges.cloudflare.com; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
    },
    // https://docs.hcaptcha.com/, "Content-Security-Policy Settings"
    WidgetPolicy {
        provider: "hcaptcha",
        policy: HeaderValue::from_static(
            "default-src 'none'; script-src 'self' https://hcaptcha.com https://*.hcaptcha.com; \
             style-src 'self' https://hcaptcha.com https://*.hcaptcha.com; img-src 'self' data:; \
             connect-src 'self' https://hcaptcha.com https://*.hcaptcha.com; \
             frame-src https://hcaptcha.com https://*.hcaptcha.com; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'",
        ),
    },
];

/// What the bind page may load, where this captcha is configured.
fn bind_policy(captcha: Option<&CaptchaWidget>) -> HeaderValue {
    let with = |widget: &CaptchaWidget| WIDGET_POLICIES.into_iter().find(|with| with.provider == widget.provider);
    captcha.and_then(with).map_or(POLICY, |with| with.policy)
}

/// The page to bind on.
const BIND: &str = include_str!("../pages/bind.html");
/// The page that shows what was sent.
const INBOX: &str = include_str!("../pages/inbox.html");
/// The API's explorer.
const DOCS: &str = include_str!("../pages/docs.html");
/// The page that shows operators how it goes.
const CONSOLE: &str = include_str!("../pages/console.html");

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// What the pages load: name, content type, text.
const ASSETS: [(&str, &str, &str); 6] = [
    ("bind.js", SCRIPT, include_str!("../pages/bind.js")),
    ("inbox.js", SCRIPT, include_str!("../pages/inbox.js")),
    ("console.js", SCRIPT, include_str!("../pages/console.js")),
    ("docs.js", SCRIPT, include_str!("../pages/docs.js")),
    ("page.js", SCRIPT, include_str!("../pages/page.js")),
    ("page.css", STYLE, include_str!("../pages/page.css")),
];

/// What browsers ask of every site, the explorer's pages among them.
const ICON: &str = concat!(
    r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect x="4" y="1" width="8" height="14" rx="2""#,
    r##" fill="#1567d3"/><path d="m6 8 1.5 1.5L10.5 6" fill="none" stroke="#fff" stroke-width="1.4"/></svg>"##,
);

/// The icon.
pub(crate) fn icon() -> impl Endpoint<Output = Response> + 'static {
    get(poem::endpoint::make_sync(|_| Response::builder().content_type("image/svg+xml").body(ICON)))
}

/// What every page loads.
const SHARED: [&str; 2] = ["page.js", "page.css"];

/// What the pages load, under `/pages`: what all of them do, and the scripts that are named.
pub(crate) fn assets(scripts: &[&str]) -> Route {
    let served = ASSETS.into_iter().filter(|(name, ..)| SHARED.contains(name) || scripts.contains(name));
    served.fold(Route::new(), |route, (name, content_type, text)| {
        let serve = move |_| Response::builder().content_type(content_type).body(text);
        route.at(format!("/{name}"), get(poem::endpoint::make_sync(serve)))
    })
}

/// The page to bind on, with what it must know of the settings as they are when it is asked for: how many digits a code has,
/// how long a number rests, and whether there is an inbox to point to. Which captcha is wanted a refusal tells it, but its policy
/// must allow for that.
pub(crate) fn bind(
    service: Arc<Service>,
    captcha: Option<&CaptchaWidget>,
    has_inbox: bool,
) -> impl Endpoint<Output = Response> + use<> {
    let inbox = if has_inbox { "data-inbox " } else { "" };
    let security = bind_policy(captcha);
    get(poem::endpoint::make_sync(move |_| {
        let policy = service.policy.get();
        let (length, interval) = (policy.code_length.digits(), policy.send_interval.as_secs());
        let settings = format!("<html data-code-length=\"{length}\" data-send-interval=\"{interval}\" {inbox}");
        shown(BIND.replacen("<html ", &settings, 1), &security)
    }))
}

/// The inbox.
pub(crate) fn inbox() -> impl Endpoint<Output = Response> + 'static {
    page(INBOX)
}

/// The explorer.
pub(crate) fn docs() -> impl Endpoint<Output = Response> + 'static {
    page(DOCS)
}

/// The console.
pub(crate) fn console() -> impl Endpoint<Output = Response> + 'static {
    page(CONSOLE)
}

fn page(html: &'static str) -> impl Endpoint<Output = Response> + 'static {
    get(poem::endpoint::make_sync(move |_| shown(html, &POLICY)))
}

fn shown(html: impl Into<Body>, policy: &HeaderValue) -> Response {
    let response = Response::builder().content_type("text/html; charset=utf-8");
    response.header(header::CONTENT_SECURITY_POLICY, policy).body(html)
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, BIND, CONSOLE, DOCS, INBOX};

    /// What a page names in `src` and `href`.
    fn named(html: &str) -> Vec<&str> {
        let attributes = ["src=\"", "href=\""];
        let starts = attributes.iter().flat_map(|name| html.match_indices(*name).map(|(at, text)| at + text.len()));
        starts.map(|start| html[start..].split('"').next().unwrap()).collect()
    }

    #[test]
    fn the_pages_name_only_what_is_embedded() {
        for html in [BIND, INBOX, CONSOLE, DOCS] {
            assert!(html.starts_with("<!doctype html>"));
            let names = named(html);
            assert!(names.len() >= 2, "{names:?}");
            for name in names {
                let embedded = ASSETS.iter().any(|(asset, ..)| name == format!("/pages/{asset}"));
                assert!(embedded || name.starts_with("data:") || name.starts_with("/dev"), "{name}");
            }
            // The policy forbids both.
            assert!(!html.contains("<style") && !html.contains("<script>") && !html.contains(" style="));
        }
    }

    #[test]
    fn scripts_load_only_what_is_embedded() {
        for (name, _, script) in ASSETS.iter().filter(|(name, ..)| name.ends_with(".js")) {
            for (_, rest) in script.match_indices("from\"./").map(|(at, text)| script.split_at(at + text.len())) {
                let imported = rest.split('"').next().unwrap();
                assert!(ASSETS.iter().any(|(asset, ..)| *asset == imported), "{name} imports {imported}");
            }
        }
    }
}
