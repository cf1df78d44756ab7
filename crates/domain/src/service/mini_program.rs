//! A mini-program's log-in, and a bind of the number that its platform vouches for.

use tracing::field::Empty;
use tracing::{Instrument, Span, trace_span};

use super::{LoggedIn, SPANS, Service, not_stored};
use crate::bind::{self, Bind, BindParameters, Fresh, Vouched};
use crate::log_in::{self, LogIn, LogInOutcome};
use crate::ports::{
    BindSnapshot, CommitError, LogInQuery, NumberEvidence, PlatformFailure, PlatformUser, VouchedNumber,
};
use crate::{AuthTicket, Identity, OpenId, Operation, Platform, Refusal, Requester, Ticket, UnionId};

/// Who logged in at a platform.
#[derive(Clone, Debug)]
pub struct PlatformLogIn {
    /// The account and its token, where there is one.
    pub account: Option<LoggedIn>,
    /// The openid.
    pub openid: OpenId,
    /// The unionid, where the platform tells.
    pub unionid: Option<UnionId>,
    /// Proves the openid once more.
    pub ticket: AuthTicket,
}

/// What a bind by the platform's word takes besides the profile, as text; empty where absent.
#[derive(Clone, Copy, Default)]
pub struct VouchParameters<'a> {
    /// `code`.
    pub code: &'a str,
    /// `encrypted_data`.
    pub encrypted_data: &'a str,
    /// `iv`.
    pub iv: &'a str,
}

impl Service {
    /// Logs a mini-program in by its platform's log-in code.
    ///
    /// # Errors
    /// Where there is no code, the platform does not take it, or the account may not log in.
    pub async fn log_in(&self, requester: Requester, auth_code: &str) -> Result<PlatformLogIn, Refusal> {
        let platform = requester.client_type.platform().ok_or(Refusal::NoMiniProgram)?;
        if auth_code.is_empty() {
            return Err(Refusal::AuthCodeMissing);
        }
        let span = asking(platform);
        let user = self.platforms.log_in(platform, auth_code).instrument(span.clone()).await;
        let user = answered(&span, user)?;
        let PlatformUser { openid, unionid, .. } = user.clone();
        let identity = Identity { platform, app: self.policy.get().app(platform), openid: openid.clone() };
        let command = LogIn::new(requester, identity.clone(), user, auth_code);
        let query = command.query();
        for _ in 0..self.policy.get().attempts {
            let snapshot =
                self.store.load_log_in(&query).await.map_err(|error| not_stored(Operation::LogIn, &error))?;
            let fresh = self.open_session(Operation::LogIn)?;
            let now = self.clock.now();
            let decide = || log_in::decide(&snapshot, &command, &fresh, &self.policy.get(), now);
            let decision = trace_span!(target: SPANS, "decide").in_scope(decide);
            let answer = match decision.answer {
                Ok(LogInOutcome::Entered(bound)) => Ok(Some(self.logged_in(*bound)?)),
                Ok(LogInOutcome::Stranger) => Ok(None),
                Err(refusal) => Err(refusal),
            };
            match self.commit(decision.change).await {
                Ok(()) => {
                    let expires_at = now.after(self.policy.get().ticket_lifetime);
                    let randomness = self.randomness.as_ref();
                    let ticket = Ticket::issue(identity, unionid.clone(), expires_at, &self.keys, randomness);
                    return answer.map(|account| PlatformLogIn { account, openid, unionid, ticket });
                }
                Err(CommitError::Conflict) => {}
                Err(CommitError::Store(error)) => return Err(not_stored(Operation::LogIn, &error)),
            }
        }
        Err(Refusal::NotStored(Operation::LogIn))
    }

    /// Binds the number that the platform vouches for. `parameters.mobile` and `parameters.verify` are not read.
    ///
    /// # Errors
    /// As a bind, and where the platform does not vouch for a number.
    pub async fn bind_vouched(
        &self,
        requester: Requester,
        parameters: &BindParameters<'_>,
        vouch: VouchParameters<'_>,
    ) -> Result<LoggedIn, Refusal> {
        let platform = requester.client_type.platform().ok_or(Refusal::NoMiniProgram)?;
        if parameters.openid.is_empty() {
            return Err(Refusal::OpenIdMissing);
        }
        let by_code = !vouch.code.is_empty();
        if !by_code && (vouch.encrypted_data.is_empty() || vouch.iv.is_empty()) {
            return Err(Refusal::VoucherMissing);
        }
        let now = self.clock.now();
        let ticket = Ticket::read(parameters.auth_ticket, &self.keys, now);
        let claim = bind::claim(platform, parameters, ticket, &self.policy.get())?;
        let identity = claim.identity.clone().ok_or(Refusal::OpenIdMissing)?;
        let evidence = claim.evidence(requester.installation.as_ref());
        let query = LogInQuery { identity: identity.clone(), unionid: None, evidence };
        let known = self.store.load_log_in(&query).await.map_err(|error| not_stored(Operation::Bind, &error))?.evidence;
        // Nobody asks a platform about an openid that is not his.
        claim.prove_strictly(&known, now, &self.policy.get())?;
        let session_key = known
            .proof
            .as_ref()
            .filter(|proof| proof.is_live(now) && now.since(proof.proved_at) < self.policy.get().session_key_lifetime);
        let session_key = session_key.and_then(|proof| proof.session_key.as_ref());
        let span = asking(platform);
        let shown = match session_key {
            _ if by_code => NumberEvidence::Code(vouch.code),
            Some(session_key) => NumberEvidence::Encrypted { data: vouch.encrypted_data, iv: vouch.iv, session_key },
            None => return Err(Refusal::IdentityUnproved),
        };
        let number = self.platforms.vouch(&identity, shown).instrument(span.clone()).await;
        let number: VouchedNumber = answered(&span, number)?;
        let vouched = Vouched::accept(number, &identity, now, &self.policy.get())?;
        let verify = if by_code { vouch.code } else { vouch.encrypted_data };
        let mobile = vouched.mobile().as_str().to_owned();
        let parameters = BindParameters { mobile: &mobile, verify, ..*parameters };
        self.bind_to(requester, &parameters, &vouched).await
    }

    async fn bind_to(
        &self,
        requester: Requester,
        parameters: &BindParameters<'_>,
        vouched: &Vouched,
    ) -> Result<LoggedIn, Refusal> {
        let session = self.read_token(parameters.token);
        let ticket = Ticket::read(parameters.auth_ticket, &self.keys, self.clock.now());
        let command = Bind::parse(requester, parameters, session, ticket, &self.policy.get(), &self.keys)?;
        let mut query = command.query(&self.policy.get());
        query.evidence.marks.push(vouched.mark());
        let decide = |snapshot: &BindSnapshot, fresh: &Fresh, now| {
            bind::decide_vouched(snapshot, &command, vouched, fresh, &self.keys, &self.policy.get(), now)
        };
        self.carry_out(&command, &query, decide).await
    }
}

fn asking(platform: Platform) -> Span {
    let name = platform.name();
    trace_span!(target: SPANS, "platform", mobile_bind.platform = name, mobile_bind.outcome = Empty, otel.status_code = Empty)
}

fn answered<T>(span: &Span, answer: Result<T, PlatformFailure>) -> Result<T, Refusal> {
    span.record("mobile_bind.outcome", if answer.is_ok() { "answered" } else { "failed" });
    if answer.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    answer.map_err(Refusal::Platform)
}
