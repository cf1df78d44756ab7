//! Events of the audit as people and programs read them.

use mobile_bind_domain::AuditEvent;
use mobile_bind_domain::audit::AuditedNumber;
use mobile_bind_http::rfc3339;
use serde_json::{Value, json};

/// One event; what it has nothing of is null.
pub(crate) fn json(event: &AuditEvent) -> Value {
    let masked = |number: &Option<AuditedNumber>| number.as_ref().map(|number| number.masked.to_string());
    let request = event.request.as_str();
    json!({
        "at": rfc3339(event.at),
        "action": event.action.name(),
        "rule": event.rule,
        "times": event.times,
        "until": event.until.map(rfc3339),
        "mobile": masked(&event.number),
        "former_mobile": masked(&event.former),
        "account": event.account.map(|id| id.get()),
        "actor": event.actor.to_string(),
        "address": event.address.map(|address| address.first().to_string()),
        "request": (!request.is_empty()).then_some(request),
    })
}
