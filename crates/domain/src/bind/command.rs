//! A bind request, parsed.

use crate::code::CodeAttempt;
use crate::identity::MAX_CHARS as IDENTIFIER_LIMIT;
use crate::policy::Rebind;
use crate::ports::{BindQuery, CallerQuery, EvidenceQuery};
use crate::referrer::ReferrerName;
use crate::{
    Avatar, ChallengeKey, CodeKeys, Gender, IdempotencyKey, Identity, Installation, OpenId, Operation, Platform,
    Policy, Profile, ProfileText, ProofId, Refusal, Repeatable, Requester, SessionId, Ticket, UnionId,
};

/// The parameters of a bind, as text; empty where absent.
#[derive(Clone, Copy, Default)]
pub struct BindParameters<'a> {
    /// `mobile`.
    pub mobile: &'a str,
    /// `verify`.
    pub verify: &'a str,
    /// `old_verify`: the code that was sent to the number that the account has now; read where that is wanted alone.
    pub old_verify: &'a str,
    /// `avatar`.
    pub avatar: &'a str,
    /// `province`.
    pub province: &'a str,
    /// `city`.
    pub city: &'a str,
    /// `county`.
    pub county: &'a str,
    /// `gender`.
    pub gender: &'a str,
    /// `nickname`.
    pub nickname: &'a str,
    /// `referrer`.
    pub referrer: &'a str,
    /// `{client type}_openid`; read for mini-programs alone.
    pub openid: &'a str,
    /// `{client type}_unionid`; read for mini-programs alone.
    pub unionid: &'a str,
    /// The session token.
    pub token: &'a str,
    /// `auth_ticket`; read for mini-programs alone.
    pub auth_ticket: &'a str,
    /// The request's idempotency key.
    pub idempotency_key: Option<&'a IdempotencyKey>,
}

/// The identity part of a mini-program's bind.
#[derive(Clone, Debug)]
pub(crate) struct ClaimedIdentity {
    pub(crate) identity: Option<Identity>,
    pub(crate) unionid: Option<UnionId>,
    /// The ticket that came with it, whatever it is for.
    pub(crate) ticket: Option<Ticket>,
}

impl ClaimedIdentity {
    /// What may speak for it.
    pub(crate) fn evidence(&self, installation: Option<&Installation>) -> EvidenceQuery {
        let proof = installation
            .zip(self.identity.as_ref())
            .map(|(installation, identity)| ProofId::of(installation, identity));
        EvidenceQuery { proof, marks: self.ticket.iter().map(Ticket::mark).collect() }
    }
}

/// A well-formed bind request.
#[derive(Clone, Debug)]
pub struct Bind {
    pub(crate) requester: Requester,
    pub(crate) key: ChallengeKey,
    pub(crate) attempt: CodeAttempt,
    pub(crate) old_attempt: Option<CodeAttempt>,
    pub(crate) profile: Profile,
    pub(crate) referrer: Option<ReferrerName>,
    pub(crate) claim: Option<ClaimedIdentity>,
    pub(crate) session: Option<SessionId>,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) repeatable: Option<Repeatable>,
}

impl Bind {
    /// Reads the parameters. `session` is what the token leads to, `ticket` what the ticket says.
    ///
    /// # Errors
    /// The first of the contract's checks 1 to 3 that fails, then a text that is too long.
    pub fn parse(
        requester: Requester,
        parameters: &BindParameters<'_>,
        session: Option<SessionId>,
        ticket: Option<Ticket>,
        policy: &Policy,
        keys: &CodeKeys,
    ) -> Result<Self, Refusal> {
        if is_empty(parameters.mobile) {
            return Err(Refusal::MobileMissing);
        }
        let attempt = CodeAttempt::new(parameters.verify).ok_or(Refusal::VerifyMissing)?;
        let mobile = policy.mobile_rule.parse(parameters.mobile);
        let mobile = mobile.ok_or(Refusal::MobileMalformed(Operation::Bind))?;
        let profile = profile(parameters)?;
        let platform = requester.client_type.platform();
        let claim = platform.map(|platform| claim(platform, parameters, ticket, policy)).transpose()?;
        let fingerprint = fingerprint(&requester, parameters, keys);
        let client = requester.client();
        let repeatable = parameters
            .idempotency_key
            .map(|key| Repeatable { name: keys.idempotency_name(Operation::Bind, &client, key), fingerprint });
        Ok(Self {
            key: ChallengeKey { mobile, client },
            requester,
            attempt,
            old_attempt: CodeAttempt::new(parameters.old_verify),
            profile,
            referrer: ReferrerName::parse(parameters.referrer, policy),
            claim,
            session,
            fingerprint,
            repeatable,
        })
    }

    /// What the decision needs.
    #[must_use]
    pub fn query(&self, policy: &Policy) -> BindQuery {
        let caller = match &self.claim {
            Some(claim) => CallerQuery::Identity {
                identity: claim.identity.clone(),
                unionid: claim.unionid.clone(),
                session: self.session,
            },
            None => CallerQuery::Session(self.session),
        };
        let installation = self.requester.installation.as_ref();
        let evidence = self.claim.as_ref().map(|claim| claim.evidence(installation)).unwrap_or_default();
        let idempotency = self.repeatable.as_ref().map(|repeatable| repeatable.name);
        let (key, referrer) = (self.key.clone(), self.referrer.clone());
        let former = policy.numbers.rebind == Rebind::OldCode && self.old_attempt.is_some();
        let holder_use = policy.numbers.recycled_after.is_some();
        BindQuery { key, caller, referrer, evidence, idempotency, former, holder_use }
    }
}

impl Bind {
    /// Names the proof that the installation may have for the openid.
    pub(crate) fn proof_id(&self) -> Option<ProofId> {
        self.claim.as_ref()?.evidence(self.requester.installation.as_ref()).proof
    }
}

/// Empty as ShopXO means it: PHP counts `0` as empty too.
pub(crate) fn is_empty(mobile: &str) -> bool {
    mobile.is_empty() || mobile == "0"
}

fn profile(parameters: &BindParameters<'_>) -> Result<Profile, Refusal> {
    fn text(parameter: &'static str, value: &str) -> Result<ProfileText<60>, Refusal> {
        ProfileText::new(value).ok_or(Refusal::TextTooLong { parameter, limit: 60 })
    }
    let avatar = Avatar::new(parameters.avatar);
    Ok(Profile {
        nickname: text("nickname", parameters.nickname)?,
        avatar: avatar.ok_or(Refusal::TextTooLong { parameter: "avatar", limit: 255 })?,
        gender: Gender::from_text(parameters.gender),
        province: text("province", parameters.province)?,
        city: text("city", parameters.city)?,
        county: text("county", parameters.county)?,
    })
}

pub(crate) fn claim(
    platform: Platform,
    parameters: &BindParameters<'_>,
    ticket: Option<Ticket>,
    policy: &Policy,
) -> Result<ClaimedIdentity, Refusal> {
    fn identifier<T>(parameter: &'static str, text: &str, new: fn(&str) -> Option<T>) -> Result<Option<T>, Refusal> {
        if text.is_empty() {
            return Ok(None);
        }
        new(text).map(Some).ok_or(Refusal::TextTooLong { parameter, limit: IDENTIFIER_LIMIT })
    }
    let openid = identifier(platform.openid_parameter(), parameters.openid, OpenId::new)?;
    let unionid = match platform.unionid_parameter() {
        Some(parameter) => identifier(parameter, parameters.unionid, UnionId::new)?,
        None => None,
    };
    let identity = openid.map(|openid| Identity { platform, app: policy.app(platform), openid });
    Ok(ClaimedIdentity { identity, unionid, ticket })
}

/// Digests everything that tells one bind from another, so that only the very same one is answered again.
fn fingerprint(requester: &Requester, parameters: &BindParameters<'_>, keys: &CodeKeys) -> [u8; 32] {
    let BindParameters {
        mobile,
        verify,
        old_verify,
        avatar,
        province,
        city,
        county,
        gender,
        nickname,
        referrer,
        openid,
        unionid,
        token,
        auth_ticket,
        idempotency_key: _,
    } = parameters;
    let client = requester.client().to_string();
    let mut parts = vec![client.as_bytes(), requester.client_type.name().as_bytes()];
    let texts = [
        mobile,
        verify,
        old_verify,
        avatar,
        province,
        city,
        county,
        gender,
        nickname,
        referrer,
        openid,
        unionid,
        token,
        auth_ticket,
    ];
    parts.extend(texts.map(|text| text.as_bytes()));
    keys.fingerprint(&parts)
}
