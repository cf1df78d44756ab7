//! All that is kept of a person.

use anyhow::Result;
use mobile_bind_domain::administration::{AccountDetails, AccountName};
use mobile_bind_domain::{Mobile, OutboxMessage, Service, Timestamp};
use serde_json::{Value, json};

use super::sheet;
use crate::audit_text;
use mobile_bind_http::rfc3339;

/// How many messages are told of, newest first.
const MESSAGES: usize = 1_000;

/// What is kept of an account's owner, as JSON: no token, code or key can be made of it.
pub(super) async fn export(service: &Service, operator: &str, name: &AccountName) -> Result<Value> {
    let found = service.find_account(name).await?;
    let account = &found.account.value;
    // Before it is given out: what cannot be noted is not.
    service.note_disclosure(operator, account, true).await?;
    let messages = match account.held_mobile() {
        Some(mobile) => service.store.messages_to(mobile, MESSAGES).await?,
        None => Vec::new(),
    };
    let messages: Vec<Value> = messages.iter().map(|message| told(&message.value)).collect();
    let events = service.audit_about(account).await?;
    Ok(json!({
        "exported_at": rfc3339(service.clock.now()),
        "account": of_account(&found),
        "identities": identities(&found),
        "sessions": sessions(service, &found),
        "messages": messages,
        "audit": events.iter().map(audit_text::json).collect::<Vec<_>>(),
    }))
}

fn of_account(found: &AccountDetails) -> Value {
    let account = &found.account.value;
    let time = |at: Option<Timestamp>| at.map(rfc3339);
    let personal: serde_json::Map<String, Value> =
        sheet::personal(account).into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    json!({
        "id": account.id.get(),
        "member_code": account.member_code.as_ref().map(|code| code.as_str()),
        "status": sheet::status(account),
        "mobile": account.mobile.as_ref().map(Mobile::as_str),
        "mobile_since": time(account.mobile_since),
        "profile": personal,
        "integral": account.shop.as_ref().map(|shop| shop.integral),
        "locking_integral": account.shop.as_ref().map(|shop| shop.locking_integral),
        "has_password": account.shop.as_ref().map(|shop| shop.has_password),
        "referrer": account.referrer.map(|id| id.get()),
        "made_at": rfc3339(account.added_at),
        "changed_at": time(account.updated_at),
        "seen_at": time(found.seen_at()),
        "deleted_at": time(account.deleted_at),
        "closed_at": time(account.closed_at),
    })
}

fn identities(found: &AccountDetails) -> Vec<Value> {
    let told = |(platform, identity): (&mobile_bind_domain::Platform, &mobile_bind_domain::PlatformIdentity)| {
        json!({
            "platform": platform.name(),
            "app": identity.app.as_str(),
            "openid": identity.openid.as_ref().map(|id| id.as_str()),
            "unionid": identity.unionid.as_ref().map(|id| id.as_str()),
        })
    };
    found.account.value.identities.iter().map(told).collect()
}

fn sessions(service: &Service, found: &AccountDetails) -> Vec<Value> {
    let told = |session: &mobile_bind_domain::Session| {
        json!({
            "client_type": session.client_type.name(),
            "issued_at": rfc3339(session.issued_at),
            "used_at": rfc3339(session.used_at),
            "ends_at": rfc3339(session.ends_at(&service.policy.get().session)),
        })
    };
    found.sessions.iter().map(told).collect()
}

fn told(message: &OutboxMessage) -> Value {
    json!({
        "queued_at": rfc3339(message.queued_at),
        "purpose": message.purpose.name(),
        "state": message.state.name(),
        "changed_at": rfc3339(message.changed_at),
    })
}
