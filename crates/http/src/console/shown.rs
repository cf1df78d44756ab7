//! Accounts and events as the console shows them: masked, times in milliseconds since the Unix epoch.

use mobile_bind_domain::administration::{AccountDetails, AccountOrder, LookedUp};
use mobile_bind_domain::audit::{Actor, AuditEvent, AuditedNumber, words};
use mobile_bind_domain::{Account, OpenId, PlatformIdentity, Service, Session, Timestamp, UnionId};
use serde::Serialize;

/// What a look-up found.
#[derive(Serialize)]
pub(super) struct LookedUpShown {
    /// The service's clock.
    now: u64,
    account: Option<AccountShown>,
    /// Oldest first.
    events: Vec<EventShown>,
}

impl LookedUpShown {
    pub(super) fn of(looked_up: &LookedUp, service: &Service) -> Self {
        let now = service.clock.now();
        Self {
            now: now.as_millis(),
            account: looked_up.details.as_ref().map(|details| AccountShown::of(details, service, now)),
            events: looked_up.events.iter().map(EventShown::of).collect(),
        }
    }
}

#[derive(Serialize)]
struct AccountShown {
    id: u64,
    status: &'static str,
    mobile: Option<String>,
    mobile_since: Option<u64>,
    identities: Vec<IdentityShown>,
    sessions: Vec<SessionShown>,
    added_at: u64,
    seen_at: Option<u64>,
    ended_at: Option<u64>,
    /// What can be done to it.
    orders: Vec<&'static str>,
}

const ORDERS: [(AccountOrder, &str); 5] = [
    (AccountOrder::Unbind, "unbind"),
    (AccountOrder::Revoke(None), "revoke"),
    (AccountOrder::Disable, "disable"),
    (AccountOrder::Enable, "enable"),
    (AccountOrder::Delete, "delete"),
];

impl AccountShown {
    fn of(details: &AccountDetails, service: &Service, now: Timestamp) -> Self {
        let (account, policy) = (&details.account.value, service.policy.get().session);
        let session = |session: &Session| SessionShown {
            client_type: session.client_type.name(),
            issued_at: session.issued_at.as_millis(),
            used_at: session.used_at.as_millis(),
            ends_at: session.ends_at(&policy).as_millis(),
        };
        let can = |(order, name): (AccountOrder, &'static str)| details.check(order).is_ok().then_some(name);
        Self {
            id: account.id.get(),
            status: account.standing(),
            mobile: account.mobile.as_ref().map(mobile_bind_domain::Mobile::masked),
            mobile_since: account.mobile_since.map(Timestamp::as_millis),
            identities: identities(account, OpenId::masked, UnionId::masked),
            sessions: details.live_sessions(now, &policy).map(session).collect(),
            added_at: account.added_at.as_millis(),
            seen_at: details.seen_at().map(Timestamp::as_millis),
            ended_at: account.deleted_at.or(account.closed_at).map(Timestamp::as_millis),
            orders: ORDERS.into_iter().filter_map(can).collect(),
        }
    }
}

/// What an account is on one platform.
#[derive(Serialize)]
struct IdentityShown {
    platform: &'static str,
    app: String,
    openid: Option<String>,
    unionid: Option<String>,
}

fn identities(account: &Account, openid: fn(&OpenId) -> String, unionid: fn(&UnionId) -> String) -> Vec<IdentityShown> {
    let shown = |(platform, identity): (&mobile_bind_domain::Platform, &PlatformIdentity)| IdentityShown {
        platform: platform.name(),
        app: identity.app.as_str().to_owned(),
        openid: identity.openid.as_ref().map(openid),
        unionid: identity.unionid.as_ref().map(unionid),
    };
    account.identities.iter().map(shown).collect()
}

#[derive(Serialize)]
struct SessionShown {
    client_type: &'static str,
    issued_at: u64,
    used_at: u64,
    ends_at: u64,
}

/// What is masked otherwise.
#[derive(Serialize)]
pub(super) struct WholeShown {
    mobile: Option<String>,
    identities: Vec<IdentityShown>,
}

impl WholeShown {
    pub(super) fn of(account: &Account) -> Self {
        let mobile = account.mobile.as_ref().map(|mobile| mobile.as_str().to_owned());
        let whole = identities(account, |openid| openid.as_str().to_owned(), |unionid| unionid.as_str().to_owned());
        Self { mobile, identities: whole }
    }
}

/// An event of the audit.
#[derive(Serialize)]
struct EventShown {
    at: u64,
    action: &'static str,
    times: u32,
    rule: Option<String>,
    /// The rule in words, for a page that has none of its own.
    reason: Option<String>,
    until: Option<u64>,
    number: Option<String>,
    former: Option<String>,
    account: Option<u64>,
    /// The client's type; nothing where it was no client.
    client_type: Option<&'static str>,
    operator: Option<String>,
    address: Option<String>,
    request: String,
}

impl EventShown {
    fn of(event: &AuditEvent) -> Self {
        let masked = |number: &AuditedNumber| number.masked.to_string();
        let (client_type, operator) = match &event.actor {
            Actor::Client(client_type, _) => (Some(client_type.name()), None),
            Actor::Operator(name) => (None, Some(name.to_string())),
            Actor::Service => (None, None),
        };
        Self {
            at: event.at.as_millis(),
            action: event.action.name(),
            times: event.times,
            rule: event.rule.as_deref().map(ToOwned::to_owned),
            reason: event.rule.as_deref().map(|rule| words(rule).to_owned()),
            until: event.until.map(Timestamp::as_millis),
            number: event.number.as_ref().map(masked),
            former: event.former.as_ref().map(masked),
            account: event.account.map(mobile_bind_domain::AccountId::get),
            client_type,
            operator,
            address: event.address.map(|address| address.first().to_string()),
            request: event.request.as_str().to_owned(),
        }
    }
}
