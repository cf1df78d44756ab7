//! The span of an operation: which one, for what client type, and what became of it. Nothing else of a request is in it.

use mobile_bind_domain::{ClientType, Refusal, SPANS};
use tracing::field::Empty;
use tracing::{Instrument, Span, trace_span};

use crate::metrics::outcome_name;

/// The span of an operation of a client.
pub(crate) fn operation(name: &'static str, client_type: ClientType) -> Span {
    trace_span!(
        target: SPANS,
        "operation",
        otel.name = name,
        mobile_bind.operation = name,
        mobile_bind.client_type = client_type.name(),
        mobile_bind.outcome = Empty,
    )
}

/// Does the work of an operation in its span.
pub(crate) async fn within<T>(span: Span, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    let outcome = work.instrument(span.clone()).await;
    span.record("mobile_bind.outcome", outcome_name(&outcome));
    outcome
}
