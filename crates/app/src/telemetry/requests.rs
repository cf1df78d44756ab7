//! The span around a request, and where it comes from.

use mobile_bind_domain::SPANS;
use mobile_bind_http::{Outcome, method_name};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use poem::http::HeaderMap;
use poem::{Endpoint, Request, Response, Result};
use tracing::field::Empty;
use tracing::{Instrument, trace_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Puts a span around every request. Only there where spans are sent.
pub(crate) struct TracedRequests<E>(pub(crate) E);

/// The caller's trace, by W3C Trace Context, <https://www.w3.org/TR/trace-context/>: `traceparent` alone. `tracestate` is free text,
/// which would be sent on.
struct Caller<'a>(&'a HeaderMap);

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key == "traceparent" { self.0.get(key)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for TracedRequests<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let method = method_name(request.method());
        let span = trace_span!(
            target: SPANS,
            "request",
            otel.kind = "server",
            otel.status_code = Empty,
            http.request.method = method,
            http.route = Empty,
            http.response.status_code = Empty,
            mobile_bind.code = Empty,
        );
        if request.headers().contains_key("traceparent") {
            let caller = TraceContextPropagator::new().extract(&Caller(request.headers()));
            // It fails where the span is not sent, which is as well.
            let _ = span.set_parent(caller);
        }
        let answered = self.0.call(request).instrument(span.clone()).await;
        if let Ok(response) = &answered {
            let Outcome { route, status, code } = Outcome::of(response);
            // Which route it is was not known when it began, and then a field does not rename it any more.
            span.context().span().update_name(format!("{method} {route}"));
            span.record("http.route", route);
            span.record("http.response.status_code", i64::from(status));
            if let Some(code) = code {
                span.record("mobile_bind.code", code);
            }
            if status >= 500 {
                span.record("otel.status_code", "ERROR");
            }
        }
        answered
    }
}
