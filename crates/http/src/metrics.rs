//! What is measured of the wire, by the `metrics` facade, and the route that shows it. No label holds a number, a token, an
//! openid or anything else that a client can make up: the number of series is bounded.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use mobile_bind_domain::ports::PlatformFailure;
use mobile_bind_domain::ports::{ReplicationFacts, StoreFacts};
use mobile_bind_domain::{ClientType, Refusal, Service};
use poem::endpoint::BoxEndpoint;
use poem::{Endpoint, EndpointExt, Request, Response, Result, Route, get};

use crate::envelope::EnvelopeCode;
use crate::rewriting::RouteName;

const REQUESTS: &str = "mobile_bind_http_requests_total";
pub(crate) const REQUEST_DURATION: &str = "mobile_bind_http_request_duration_seconds";
pub(crate) const SENDS: &str = "mobile_bind_sends_total";
pub(crate) const BINDS: &str = "mobile_bind_binds_total";
/// Requests forwarded by a private address that is not listed as a proxy.
pub(crate) const UNLISTED_PROXY: &str = "mobile_bind_unlisted_proxy_requests_total";
pub(crate) const LOG_INS: &str = "mobile_bind_log_ins_total";
const STORE_READY: &str = "mobile_bind_store_ready";
const NODE_INFO: &str = "mobile_bind_node_info";
const POOL_CONNECTIONS: &str = "mobile_bind_store_pool_connections";
const POOL_WAITING: &str = "mobile_bind_store_pool_waiting";
const STANDBYS: &str = "mobile_bind_store_standbys";
const REPLICATION_LAG_BYTES: &str = "mobile_bind_store_replication_lag_bytes";
const REPLICATION_LAG: &str = "mobile_bind_store_replication_lag_seconds";
/// Requests that are being worked on.
pub(crate) const IN_FLIGHT: &str = "mobile_bind_http_requests_in_flight";
/// Requests that were turned away at once.
pub(crate) const SHED: &str = "mobile_bind_http_requests_shed_total";
/// Open connections.
pub(crate) const CONNECTIONS: &str = "mobile_bind_connections";
/// Connections that were closed before their time.
pub(crate) const CONNECTIONS_CLOSED: &str = "mobile_bind_connections_closed_total";

/// Renders everything that was measured in this process.
pub trait Scrape: Send + Sync {
    /// The Prometheus text format, version 0.0.4.
    fn render(&self) -> String;
}

/// Tells the recorder in force what the metrics of this crate mean.
pub fn describe_metrics() {
    describe_counter!(REQUESTS, "Requests answered, by route, HTTP status and the envelope's code.");
    describe_histogram!(REQUEST_DURATION, Unit::Seconds, "How long requests took to answer, by route.");
    describe_gauge!(IN_FLIGHT, "Requests being worked on, by bulkhead: sends, or all other requests.");
    describe_counter!(SHED, "Requests turned away at once because their bulkhead was full.");
    describe_counter!(SENDS, "Codes asked for, by client type and what became of it.");
    describe_counter!(LOG_INS, "Log-ins of mini-programs, by client type and what became of them.");
    describe_counter!(BINDS, "Binds, by client type and what became of them.");
    describe_counter!(UNLISTED_PROXY, "Requests forwarded by a private address that is not in server.trusted_proxies.");
    describe_gauge!(STORE_READY, "Whether the store can be read and written: 1 or 0.");
    describe_gauge!(
        NODE_INFO,
        "1; the labels name the kind of store, and this node's number in a store that nodes share."
    );
    describe_gauge!(POOL_CONNECTIONS, "Connections to the database: how many may be open, are open, are in use.");
    describe_gauge!(POOL_WAITING, "Requests that wait for a connection to the database.");
    describe_gauge!(
        STANDBYS,
        "The database's standbys, by whether a change waits for them; NaN where it does not tell."
    );
    describe_gauge!(REPLICATION_LAG_BYTES, Unit::Bytes, "How far the slowest standby is behind; NaN where not told.");
    describe_gauge!(
        REPLICATION_LAG,
        Unit::Seconds,
        "How long the slowest standby takes to show a change; NaN where not told."
    );
    describe_gauge!(CONNECTIONS, "Open connections.");
    describe_counter!(CONNECTIONS_CLOSED, "Connections closed by the server, by reason: idle, slow or full.");
}

/// When something began.
#[expect(clippy::disallowed_methods, reason = "how long an answer took is told to operators; no rule depends on it")]
pub(crate) fn started() -> Instant {
    Instant::now()
}

/// Counts answered requests. It holds on to the series that it has met: to find one by its labels costs more than to count.
#[derive(Default)]
pub(crate) struct Answered(RwLock<HashMap<Outcome, Series>>);

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// One of ours.
    pub route: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The envelope's code, where there is an envelope.
    pub code: Option<i32>,
}

impl Outcome {
    /// What an answer of this service says of it.
    #[must_use]
    pub fn of(response: &Response) -> Self {
        Self {
            route: response.data::<RouteName>().map_or("unknown", |route| route.0),
            status: response.status().as_u16(),
            code: response.data::<EnvelopeCode>().map(|code| code.0),
        }
    }
}

struct Series {
    requests: Counter,
    duration: Histogram,
}

impl Answered {
    /// Counts one.
    pub(crate) fn count(&self, outcome: Outcome, took: Duration) {
        let record = |series: &Series| {
            series.requests.increment(1);
            series.duration.record(took);
        };
        if let Some(series) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&outcome) {
            return record(series);
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        record(known.entry(outcome).or_insert_with(|| Series::of(outcome)));
    }
}

impl Series {
    fn of(Outcome { route, status, code }: Outcome) -> Self {
        let code = code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        Self {
            requests: counter!(REQUESTS, "route" => route, "status" => status.to_string(), "code" => code),
            duration: histogram!(REQUEST_DURATION, "route" => route),
        }
    }
}

/// Counts a send.
pub(crate) fn sent<T>(client_type: ClientType, outcome: &Result<T, Refusal>) {
    counter!(SENDS, "client_type" => client_type.name(), "outcome" => outcome_name(outcome)).increment(1);
}

/// Counts a mini-program's log-in.
pub(crate) fn logged_in<T>(client_type: ClientType, outcome: &Result<T, Refusal>) {
    counter!(LOG_INS, "client_type" => client_type.name(), "outcome" => outcome_name(outcome)).increment(1);
}

/// Counts a bind.
pub(crate) fn bound<T>(client_type: ClientType, outcome: &Result<T, Refusal>) {
    counter!(BINDS, "client_type" => client_type.name(), "outcome" => outcome_name(outcome)).increment(1);
}

/// What became of an operation, in a word of ours.
pub(crate) fn outcome_name<T>(outcome: &Result<T, Refusal>) -> &'static str {
    let Err(refusal) = outcome else { return "done" };
    match refusal {
        Refusal::MobileMissing | Refusal::VerifyMissing | Refusal::TokenMissing => "missing",
        Refusal::MobileMalformed(_) | Refusal::TextTooLong { .. } => "malformed",
        Refusal::CodeExpired => "code_expired",
        Refusal::CodeWrong => "code_wrong",
        Refusal::OldCodeWanted { .. } => "old_code_wanted",
        Refusal::OldCodeExpired => "old_code_expired",
        Refusal::OldCodeWrong => "old_code_wrong",
        Refusal::NumberChangeDenied => "number_change_denied",
        Refusal::NumberChangedLately { .. } => "number_changed_lately",
        Refusal::NumberRecycled => "number_recycled",
        Refusal::TestNumberExpired => "test_number_expired",
        Refusal::OpenIdMissing => "openid_missing",
        Refusal::IdentityUnproved => "identity_unproved",
        Refusal::AuthCodeMissing | Refusal::VoucherMissing => "missing",
        Refusal::NoMiniProgram => "no_mini_program",
        Refusal::Platform(failure) => match failure {
            PlatformFailure::NotConfigured => "platform_not_configured",
            PlatformFailure::NotOffered => "platform_not_offered",
            PlatformFailure::Stale => "platform_stale",
            PlatformFailure::Blocked => "platform_blocked",
            PlatformFailure::Busy => "platform_busy",
            PlatformFailure::AppRefused => "platform_app_refused",
            PlatformFailure::Unavailable => "platform_unavailable",
            PlatformFailure::Unreadable => "platform_unreadable",
        },
        Refusal::HeldByOther => "held_by_other",
        Refusal::HeldBySeveral => "held_by_several",
        Refusal::HeldByCaller => "held_by_caller",
        Refusal::NumberForbidden => "number_forbidden",
        Refusal::AccountDisabled => "account_disabled",
        Refusal::AccountAwaitingApproval => "account_awaiting_approval",
        Refusal::TokenUnknown | Refusal::LoginRequired => "login_required",
        Refusal::SendTooSoon { .. } => "too_soon",
        Refusal::SendLimit { .. } | Refusal::TryLimit { .. } => "over_limit",
        Refusal::CaptchaWanted { .. } => "captcha_wanted",
        Refusal::IdempotencyKeyReused => "idempotency_key_reused",
        Refusal::SmsRefused => "sms_refused",
        Refusal::SmsLimited => "sms_limited",
        Refusal::SmsUnavailable => "sms_unavailable",
        Refusal::SmsUnknown => "sms_unknown",
        Refusal::NotStored(_) => "not_stored",
    }
}

/// Shows what a node knows of its store.
fn show(facts: StoreFacts) {
    let node = facts.node.map_or_else(String::new, |node| node.to_string());
    gauge!(NODE_INFO, "store" => facts.kind, "node" => node).set(1.0);
    let Some(pool) = facts.pool else { return };
    for (state, count) in [("limit", pool.limit), ("open", pool.open), ("in_use", pool.in_use)] {
        gauge!(POOL_CONNECTIONS, "state" => state).set(as_f64(count));
    }
    gauge!(POOL_WAITING).set(as_f64(pool.waiting));
    // What is not known must not look like what was known last.
    let known = |of: fn(ReplicationFacts) -> f64| facts.replication.map_or(f64::NAN, of);
    gauge!(STANDBYS, "mode" => "synchronous").set(known(|found| f64::from(found.synchronous)));
    let others = known(|found| f64::from(found.standbys.saturating_sub(found.synchronous)));
    gauge!(STANDBYS, "mode" => "asynchronous").set(others);
    gauge!(REPLICATION_LAG_BYTES).set(known(|found| as_f64(usize::try_from(found.lag_bytes).unwrap_or(usize::MAX))));
    gauge!(REPLICATION_LAG).set(known(|found| found.lag.map_or(0.0, |lag| lag.as_secs_f64())));
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more than 53 bits")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// A service that shows the metrics at `/metrics` and does nothing else, for an address of its own.
pub fn metrics_endpoint(service: Arc<Service>, scrape: Arc<dyn Scrape>) -> BoxEndpoint<'static, Response> {
    Route::new().at("/metrics", get(MetricsRoute { service, scrape })).map_to_response().boxed()
}

/// What was measured, and how the store is now.
pub(crate) struct MetricsRoute {
    pub(crate) service: Arc<Service>,
    pub(crate) scrape: Arc<dyn Scrape>,
}

impl Endpoint for MetricsRoute {
    type Output = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        let ready = self.service.store.check().await.is_ok();
        gauge!(STORE_READY).set(if ready { 1.0 } else { 0.0 });
        show(self.service.store.facts());
        Ok(Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(self.scrape.render()))
    }
}
