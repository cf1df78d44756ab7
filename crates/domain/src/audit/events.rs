//! Which events tell of which decision.

use super::event::{Actor, AuditAction, AuditEvent, AuditedNumber};
use super::rule::rule;
use crate::bind::{Bind, Decision};
use crate::ports::{BindSnapshot, callers_mobile};
use crate::{AccountId, CodeKeys, Mobile, Refusal, Requester, Revision, Timestamp, Write};

/// An event about a client's request.
pub(crate) fn by_client(
    action: AuditAction,
    requester: &Requester,
    mobile: Option<&Mobile>,
    keys: &CodeKeys,
    now: Timestamp,
) -> AuditEvent {
    let installation = requester.installation.as_ref().map(|installation| keys.audit_client(installation));
    AuditEvent {
        number: mobile.map(|mobile| AuditedNumber::of(mobile, keys)),
        address: Some(requester.address),
        request: requester.request.clone(),
        ..AuditEvent::new(action, Actor::Client(requester.client_type, installation), now)
    }
}

/// Says in an event why something was refused.
pub(crate) fn refused(event: AuditEvent, refusal: &Refusal) -> AuditEvent {
    let (name, wait) = rule(refusal);
    AuditEvent { rule: Some(name.into()), until: wait.map(|wait| event.at.after(wait)), ..event }
}

/// The events of a bind; none where it was answered again what it was answered before.
pub(crate) fn of_bind(
    command: &Bind,
    snapshot: &BindSnapshot,
    decision: &Decision,
    keys: &CodeKeys,
    now: Timestamp,
) -> Vec<AuditEvent> {
    let mobile = &command.key.mobile;
    let event = |action| by_client(action, &command.requester, Some(mobile), keys, now);
    let written = |write: &Write| match write {
        Write::Account { expected, account } => Some((*expected, account.clone())),
        _ => None,
    };
    let accounts: Vec<_> = decision.change.writes.iter().filter_map(written).collect();
    let holder = snapshot.mobile_holder.as_ref();
    let mut events = Vec::new();
    let mut placed: Option<(AuditAction, AccountId)> = None;
    for (expected, account) in &accounts {
        if account.held_mobile() != Some(mobile) {
            events.push(AuditEvent { account: Some(account.id), ..event(AuditAction::Detach) });
            continue;
        }
        let entered = holder.is_some_and(|holder| holder.value.id == account.id);
        let action = match expected {
            &Revision::ABSENT => AuditAction::Create,
            _ if entered => AuditAction::Enter,
            _ => AuditAction::Change,
        };
        placed = Some((action, account.id));
    }
    let revoked = decision.change.writes.iter().filter_map(revoked);
    events.extend(revoked.map(|account| AuditEvent { account: Some(account), ..event(AuditAction::Revoke) }));
    match &decision.answer {
        Ok(bound) => {
            if decision.change.writes.is_empty() {
                return events;
            }
            let (action, account) = placed.unwrap_or((AuditAction::Enter, bound.account.id));
            let former = snapshot.former_mobile(account).filter(|_| action == AuditAction::Change);
            let former = former.map(|former| AuditedNumber::of(former, keys));
            events.push(AuditEvent { account: Some(account), former, ..event(action) });
        }
        Err(refusal) => {
            let (action, account) = match (placed, refusal) {
                // The account was made, and waits for approval.
                (Some((action, account)), _) => (action, Some(account)),
                (None, Refusal::CodeWrong | Refusal::OldCodeWrong) => (AuditAction::Try, None),
                (None, _) => (AuditAction::RefuseBind, None),
            };
            let former = about_the_old_number(refusal).then(|| snapshot.callers_number()).flatten();
            let former = former.map(|former| AuditedNumber::of(former, keys));
            events.push(refused(AuditEvent { account, former, ..event(action) }, refusal));
        }
    }
    events
}

/// Whose sessions a write ends.
fn revoked(write: &Write) -> Option<AccountId> {
    match write {
        Write::EndSessions { account, .. } => Some(*account),
        _ => None,
    }
}

fn about_the_old_number(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::OldCodeWanted { .. } | Refusal::OldCodeExpired | Refusal::OldCodeWrong)
}

impl BindSnapshot {
    /// The number that the caller has now.
    fn callers_number(&self) -> Option<&Mobile> {
        callers_mobile(self.identity_holder.as_ref(), self.unionid_holder.as_ref(), self.session.as_ref())
    }

    /// The number that an account among those loaded has now.
    pub(crate) fn former_mobile(&self, account: AccountId) -> Option<&Mobile> {
        let session = self.session.as_ref().map(|found| &found.account);
        let known = [self.identity_holder.as_ref(), self.unionid_holder.as_ref(), session];
        known.into_iter().flatten().find(|known| known.value.id == account)?.value.held_mobile()
    }
}
