//! A snapshot built by hand, and a bind decided on it.

use std::time::Duration;

use mobile_bind_domain::bind::{self, AllottedAccount, Bind, BindParameters, Bound, Decision, Fresh};
use mobile_bind_domain::log_in::{self, LogIn, LogInDecision};
use mobile_bind_domain::outbox::MessageId;
use mobile_bind_domain::ports::{BindSnapshot, LogInSnapshot, OpenedSession, PlatformUser, SessionSnapshot};
use mobile_bind_domain::{
    Account, AccountId, Challenge, ChallengeKey, ClientType, CodeKey, CodeKeys, Expectation, KeyId, OpenId, Platform,
    PlatformProof, Policy, Proof, Refusal, Revision, Session, SessionId, SessionSeed, Ticket, Timestamp, UnionId,
    VerificationCode, Versioned, Write,
};

use super::{CODE, MOBILE, NOW, OPENID, UNIONID, WEIXIN, account_id, client, identity, keys, mobile, requester};

pub(crate) const CHALLENGE_REVISION: Revision = Revision(40);
pub(crate) const ACCOUNT_REVISION: Revision = Revision(30);
pub(crate) const NEW_ACCOUNT: u64 = 9;
pub(crate) const NOTICE: MessageId = MessageId([11; 16]);

/// Where a bind is decided: at [`NOW`], by the client `u`, to which [`CODE`] was sent a minute ago.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) policy: Policy,
    pub(crate) client_type: ClientType,
    /// Whether the platform vouched to the client for the openid and the unionid.
    pub(crate) proved: bool,
    /// The ticket that is sent along.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) snapshot: BindSnapshot,
    pub(crate) now: Timestamp,
}

pub(crate) fn challenge_key() -> ChallengeKey {
    ChallengeKey { mobile: mobile(MOBILE), client: client("u") }
}

/// A code that was sent so long before [`NOW`].
pub(crate) fn sent(code: &str, age: Duration, failures: u8) -> Versioned<Challenge> {
    let mac = keys().seal(&challenge_key(), &VerificationCode::from_digits(code).unwrap());
    let at = Timestamp::from_millis(NOW.as_millis() - u64::try_from(age.as_millis()).unwrap());
    let value = Challenge { failures, ..Challenge::issue(mac, at, Duration::from_secs(600)) };
    Versioned { revision: CHALLENGE_REVISION, value }
}

/// A session that is an hour old.
pub(crate) fn session_of(account: AccountId) -> Session {
    let at = Timestamp::from_seconds(NOW.as_seconds() - 3600);
    let seed = [account.get().to_le_bytes()[0]; 16];
    Session {
        id: SessionId(seed),
        seed: SessionSeed(seed),
        key: KeyId::new("k").unwrap(),
        account,
        client_type: ClientType::H5,
        issued_at: at,
        used_at: at,
    }
}

impl Scene {
    /// With the openids that a mini-program sends vouched for by its platform.
    pub(crate) fn new(client_type: ClientType) -> Self {
        let snapshot =
            BindSnapshot { challenge: Some(sent(CODE, Duration::from_secs(60), 0)), ..BindSnapshot::default() };
        let policy = Policy { platform_proof: PlatformProof::Required, ..Policy::default() };
        Self { policy, client_type, proved: true, ticket: None, snapshot, now: NOW }
    }

    pub(crate) fn number_held_by(mut self, account: super::Person) -> Self {
        self.snapshot.mobile_holder = Some(versioned(account.0));
        self
    }

    pub(crate) fn openid_held_by(mut self, account: super::Person) -> Self {
        self.snapshot.identity_holder = Some(versioned(account.0));
        self
    }

    pub(crate) fn unionid_held_by(mut self, account: super::Person) -> Self {
        self.snapshot.unionid_holder = Some(versioned(account.0));
        self
    }

    /// The token leads to a session of this account.
    pub(crate) fn logged_in(mut self, account: super::Person) -> Self {
        let session = session_of(account.0.id);
        self.snapshot.session = Some(SessionSnapshot { session, account: versioned(account.0) });
        self
    }

    pub(crate) fn command(&self, parameters: &BindParameters<'_>) -> Bind {
        let session = self.snapshot.session.as_ref().map(|found| found.session.id);
        let requester = requester(self.client_type, "u");
        Bind::parse(requester, parameters, session, self.ticket.clone(), &self.policy, &keys()).unwrap()
    }

    pub(crate) fn decide(&self, parameters: &BindParameters<'_>) -> Decision {
        let decision = self.decide_without_id(parameters);
        let Some(wanted) = decision.wanted else { return decision };
        // Had it to be compared again, the code would be wrong.
        let other = CodeKeys::new(CodeKey::new(KeyId::new("other").unwrap(), [8; 32]), Vec::new());
        self.decide_with(parameters, Some(wanted.with(account_id(NEW_ACCOUNT))), &other)
    }

    /// Decides while there is no id for an account that would have to be made.
    pub(crate) fn decide_without_id(&self, parameters: &BindParameters<'_>) -> Decision {
        self.decide_with(parameters, None, &keys())
    }

    fn decide_with(
        &self,
        parameters: &BindParameters<'_>,
        account: Option<AllottedAccount>,
        keys: &CodeKeys,
    ) -> Decision {
        let session =
            OpenedSession { seed: SessionSeed([9; 16]), id: SessionId([10; 16]), key: KeyId::new("k").unwrap() };
        let notice = self.policy.numbers.tell_old_number.then_some(NOTICE);
        let fresh = Fresh { account, session, notice };
        bind::decide(&self.snapshot(parameters), &self.command(parameters), &fresh, keys, &self.policy, self.now)
    }

    /// What a store would answer.
    pub(crate) fn snapshot(&self, parameters: &BindParameters<'_>) -> BindSnapshot {
        let mut snapshot = self.snapshot.clone();
        let month = Duration::from_secs(30 * 24 * 3600);
        let unionid = UnionId::new(parameters.unionid);
        if self.proved && !parameters.openid.is_empty() {
            snapshot.evidence.proof = Some(Proof::new(unionid, None, self.now, month));
        }
        snapshot
    }

    pub(crate) fn bound(&self, parameters: &BindParameters<'_>) -> Bound {
        self.decide(parameters).answer.unwrap()
    }

    /// Decides, and holds a refusal to leaving everything as it is.
    pub(crate) fn refused(&self, parameters: &BindParameters<'_>) -> Refusal {
        let decision = self.decide(parameters);
        assert!(decision.change.writes.iter().all(|write| self.is_counter(write)), "{:?}", decision.change);
        decision.answer.unwrap_err()
    }

    /// Decides, and holds a refusal of a right code to leaving that code as it was read.
    pub(crate) fn refused_with_the_code_left(&self, parameters: &BindParameters<'_>) -> Refusal {
        let decision = self.decide(parameters);
        assert!(decision.change.writes.is_empty(), "{:?}", decision.change);
        let unchanged = Expectation::Challenge(challenge_key(), CHALLENGE_REVISION);
        let room = |expectation: &Expectation| matches!(expectation, Expectation::Room { .. });
        assert!(decision.change.expectations.contains(&unchanged));
        assert!(decision.change.expectations.iter().all(|expected| *expected == unchanged || room(expected)));
        decision.answer.unwrap_err()
    }

    /// Whether a write is one that a refusal may make: one more failure of the very challenge, or a count.
    pub(crate) fn is_counter(&self, write: &Write) -> bool {
        match write {
            Write::Count { .. } => true,
            Write::Challenge { expected, key, challenge: Some(after) } => {
                let before = self.snapshot.challenge.as_ref().unwrap();
                let counted = Challenge { failures: before.value.failures + 1, ..before.value.clone() };
                *expected == before.revision && *key == challenge_key() && *after == counted
            }
            _ => false,
        }
    }
}

pub(crate) fn versioned(account: Account) -> Versioned<Account> {
    Versioned { revision: ACCOUNT_REVISION, value: account }
}

/// A log-in of whom the platform named, where nobody or somebody has the openid.
pub(crate) fn log_in(snapshot: &LogInSnapshot) -> LogInDecision {
    let openid = OpenId::new(OPENID).unwrap();
    let user = PlatformUser { openid, unionid: UnionId::new(UNIONID), session_key: None };
    let command = LogIn::new(requester(WEIXIN, "u"), identity(Platform::Weixin, OPENID), user, "code");
    let fresh = OpenedSession { seed: SessionSeed([9; 16]), id: SessionId([10; 16]), key: KeyId::new("k").unwrap() };
    log_in::decide(snapshot, &command, &fresh, &Policy::default(), NOW)
}
