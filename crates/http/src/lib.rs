//! The HTTP side: what comes over the wire becomes a command of the domain, one use case is called, and what it answers
//! goes back in ShopXO's envelope.
//!
//! [`endpoint()`] is the whole service for a server to run; [`openapi_document`] describes it. No rule about binding stands
//! here, and nothing that a request carries (numbers, codes, tokens, query strings) is logged.

mod admission;
mod answer;
mod api;
mod asked;
mod callbacks;
mod catalogue;
mod client_address;
mod completion;
mod connections;
mod console;
mod cors;
mod development;
mod document;
mod endpoint;
mod envelope;
mod examples;
mod fault;
mod language;
mod metrics;
mod observation;
mod overload;
mod pages;
mod parameters;
mod readiness;
mod refusal_table;
mod rewriting;
mod schemas;
mod shedding;
mod spans;
mod time_text;
mod user;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use admission::{Admission, Capacity};
pub use answer::CaptchaWidget;
pub use callbacks::{CallAnswer, ProviderCall, ProviderCalls};
pub use client_address::{ForwardedHeader, Forwarding, UnlistedProxy};
pub use connections::{Connection, ConnectionLimits, Door, LimitedAcceptor};
pub use console::{Console, ConsoleParts, Operators, Recorder};
pub use development::{Behaviour, Development, DevelopmentMessage};
pub use document::openapi_document;
pub use endpoint::endpoint;
pub use metrics::{Outcome, Scrape, describe_metrics, metrics_endpoint};
pub use observation::method_name;
pub use time_text::rfc3339;

/// How the shop wants accounts shown.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// The URL that an account without an avatar answers.
    pub default_avatar: String,
    /// What an avatar that is only a path is answered under; no slash at the end.
    pub attachment_host: String,
    /// The time zone of `add_time_text` and its like.
    pub time_zone: jiff::tz::TimeZone,
    /// What `is_mandatory_bind_mobile` answers.
    pub mandatory_bind: Arc<AtomicBool>,
    /// The captcha that clients show where one is wanted.
    pub captcha: Option<CaptchaWidget>,
}

/// What the service is made of.
pub struct Parts {
    /// The use cases.
    pub service: Arc<mobile_bind_domain::Service>,
    /// How accounts are shown.
    pub presentation: Presentation,
    /// Whose word on clients' addresses counts.
    pub forwarding: Forwarding,
    /// The origins that browsers may call from: none where empty, any where `*` is among them.
    pub cors_origins: Vec<String>,
    /// A JWK set (RFC 7517) to publish at `/.well-known/jwks.json`.
    pub key_set: Option<serde_json::Value>,
    /// Who is let in.
    pub admission: Arc<Admission>,
    /// What `/metrics` shows; without it the route does not exist.
    pub metrics: Option<Arc<dyn Scrape>>,
    /// Whether the page to bind on is served, at `/`.
    pub bind_page: bool,
    /// What takes providers' calls with receipts; without it the route does not exist.
    pub callbacks: Option<Arc<dyn ProviderCalls>>,
    /// What the routes under `/dev` reach; without it they do not exist.
    pub development: Option<Arc<dyn Development>>,
}
