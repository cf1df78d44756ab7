//! Events of the audit as people and programs read them.

use mobile_bind_domain::administration::AccountName;
use mobile_bind_domain::audit::{AuditAction, AuditNode, AuditedNumber, Findings, words};
use mobile_bind_domain::{AuditEvent, Mobile, Service, Timestamp};
use mobile_bind_http::rfc3339;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use data_encoding::HEXLOWER;

/// An event, for people and for programs.
#[derive(Deserialize, Serialize)]
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) json: Value,
}

impl Told {
    pub(crate) fn of(event: &AuditEvent) -> Self {
        Self { line: line(event), json: json(event) }
    }
}

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

/// One event in a line.
fn line(event: &AuditEvent) -> String {
    let mut line = format!("{} {:<11}", rfc3339(event.at), event.action.name());
    let number = event.number.as_ref().map(|number| number.masked.to_string());
    let former = event.former.as_ref().map(|number| format!("before {}", number.masked));
    let account = event.account.map(|id| format!("account {}", id.get()));
    let address = event.address.map(|address| format!("from {}", address.first()));
    let rule = event.rule.as_ref().map(|rule| format!("rule {rule}"));
    let until = event.until.map(|until| format!("until {}", rfc3339(until)));
    let times = (event.times > 1).then(|| format!("{} times", event.times));
    let request = event.request.as_str();
    let request = (!request.is_empty()).then(|| format!("request {request}"));
    let by = Some(format!("by {}", event.actor));
    for part in [number, former, account, rule, times, until, by, address, request].into_iter().flatten() {
        line += " ";
        line += &part;
    }
    line + "\n"
}

/// What a node's part of the audit is like.
pub(crate) fn findings(node: AuditNode, findings: &Findings) -> String {
    let mut text = format!(
        "node {}: {} segments with {} events are sealed and in order, {} events are not sealed yet\n",
        node.0, findings.segments, findings.sealed, findings.unsealed
    );
    if let Some(first) = findings.first_segment.filter(|first| *first > 1) {
        text += &format!("node {}: segments before {first} were dropped\n", node.0);
    }
    if let Some(last) = &findings.last {
        let tag = HEXLOWER.encode(&last.tag);
        text += &format!("node {}: last checkpoint: segment {}, tag {tag}\n", node.0, last.segment);
    }
    text
}

/// Why a number was refused, in words. That somebody asked is noted first.
///
/// # Errors
/// Where the store is unavailable.
pub(crate) async fn why(service: &Service, operator: &str, mobile: Mobile) -> anyhow::Result<String> {
    let masked = mobile.masked();
    let found = service.look_up_account(operator, &AccountName::Mobile(mobile)).await?;
    let now = service.clock.now();
    let account = match &found.details {
        Some(details) => format!("account {} has it", details.account.value.id.get()),
        None => "no account has it".to_owned(),
    };
    let refusals: Vec<&AuditEvent> = found.events.iter().filter(|event| event.action.is_refusal()).collect();
    let mut text = format!("{masked}: {account}\n");
    match refusals.last() {
        None => text += "nothing was refused, as far as the audit goes back\n",
        Some(last) => text += &verdict(last, now),
    }
    for event in &found.events {
        text += &told(event);
    }
    Ok(text)
}

/// The last refusal, and whether it still holds.
fn verdict(last: &AuditEvent, now: Timestamp) -> String {
    let rule = last.rule.as_deref().unwrap_or("no rule");
    let mut text = format!("refused last at {}: {} ({rule})\n", rfc3339(last.at), words(rule));
    match last.until {
        Some(until) if until > now => {
            let seconds = until.since(now).as_millis().div_ceil(1_000);
            text += &format!("it may try again at {}, in {seconds} s\n", rfc3339(until));
        }
        Some(until) => text += &format!("that has ended: it may have tried again since {}\n", rfc3339(until)),
        None => text += "it may try again at once\n",
    }
    text
}

/// One event in a sentence.
fn told(event: &AuditEvent) -> String {
    let what = match event.action {
        AuditAction::Send => "a code was sent",
        AuditAction::RefuseSend => "no code was sent",
        AuditAction::RefuseBind => "a bind was refused",
        AuditAction::Try => "a code was tried",
        AuditAction::Create => "an account was made",
        AuditAction::Enter => "its account was entered",
        AuditAction::Change => "an account got it",
        AuditAction::Detach => "an account lost it",
        AuditAction::LogOut => "a session was ended by its holder",
        AuditAction::Revoke => "sessions were ended",
        AuditAction::Unbind => "it was taken from its account",
        AuditAction::Disable => "its account was disabled",
        AuditAction::Enable => "its account was enabled",
        AuditAction::Delete => "its account was deleted",
        AuditAction::Export => "its owner's data was given out",
        AuditAction::Unmask => "its account was shown whole",
        AuditAction::LookUp => "it was looked up",
    };
    let times = if event.times > 1 { format!(", {} times", event.times) } else { String::new() };
    let why = event.rule.as_deref().map(|rule| format!(": {}", words(rule))).unwrap_or_default();
    let address = event.address.map(|address| format!(" from {}", address.first())).unwrap_or_default();
    format!("  {} {what}{times}{why} (by {}{address})\n", rfc3339(event.at), event.actor)
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::audit::{Actor, AuditAction, AuditMark, AuditedNumber};
    use mobile_bind_domain::{AuditEvent, ClientType, RequestId, Timestamp};

    use super::{Told, told, verdict};

    const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

    fn refusal() -> AuditEvent {
        AuditEvent {
            rule: Some("send_limit".into()),
            times: 7,
            until: Some(Timestamp::from_seconds(1_634_727_400)),
            number: Some(AuditedNumber { mark: AuditMark([9; 8]), masked: "176***368".into() }),
            request: RequestId::new("r1"),
            ..AuditEvent::new(AuditAction::RefuseSend, Actor::Client(ClientType::H5, None), NOW)
        }
    }

    #[test]
    fn an_event_is_a_line_and_an_object() {
        let told = Told::of(&refusal());
        assert_eq!(
            told.line,
            "2021-10-20T10:55:40Z refuse_send 176***368 rule send_limit 7 times until 2021-10-20T10:56:40Z by h5 \
             request r1\n"
        );
        assert_eq!((&told.json["times"], &told.json["account"]), (&7.into(), &serde_json::Value::Null));
    }

    #[test]
    fn a_refusal_says_why_and_until_when() {
        assert!(told(&refusal()).contains("no code was sent, 7 times: a quota on messages was used up"));
        let soon = verdict(&refusal(), Timestamp::from_millis(1_634_727_390_500));
        assert!(soon.contains("it may try again at 2021-10-20T10:56:40Z, in 10 s"), "{soon}");
        let late = verdict(&refusal(), Timestamp::from_seconds(1_634_727_401));
        assert!(late.contains("that has ended"), "{late}");
        let other = AuditEvent { until: None, ..refusal() };
        assert!(verdict(&other, NOW).contains("at once"));
    }
}
