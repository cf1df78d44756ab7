//! Whether a mini-program's openid is its own.

use super::command::{Bind, ClaimedIdentity};
use crate::ports::{BindSnapshot, Evidence};
use crate::{Identity, PlatformProof, Policy, Proof, Refusal, Ticket, Timestamp, UnionId, Write};

/// What an openid rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grounds {
    /// The client's word, where that is the policy. A unionid on such grounds finds no account.
    Trust,
    /// The platform vouched for it to this installation. An installation's id travels in the open, so that this does not
    /// suffice to take a number away from an account.
    Installation,
    /// A ticket that was given to whoever logged in, and is spent by this.
    Ticket,
}

/// An openid that may be acted upon. Only [`ClaimedIdentity::prove`] and a platform's own answer make one.
#[derive(Clone, Debug)]
pub(crate) struct ProvedIdentity {
    identity: Identity,
    unionid: Option<UnionId>,
    grounds: Grounds,
}

impl ProvedIdentity {
    /// What a platform answered just now.
    pub(crate) fn by_platform(identity: Identity, unionid: Option<UnionId>) -> Self {
        Self { identity, unionid, grounds: Grounds::Ticket }
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn unionid(&self) -> Option<&UnionId> {
        self.unionid.as_ref()
    }

    pub(crate) fn grounds(&self) -> Grounds {
        self.grounds
    }
}

impl ClaimedIdentity {
    /// Whether the claim holds.
    ///
    /// # Errors
    /// Where there is no openid, or nothing speaks for it.
    pub(crate) fn prove(
        &self,
        evidence: &Evidence,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<ProvedIdentity, Refusal> {
        let identity = self.identity.clone().ok_or(Refusal::OpenIdMissing)?;
        let grounds = if self.ticket(evidence, now).is_some() {
            Grounds::Ticket
        } else if self.proof(evidence, now).is_some() {
            Grounds::Installation
        } else if policy.platform_proof == PlatformProof::Trust {
            Grounds::Trust
        } else {
            return Err(Refusal::IdentityUnproved);
        };
        Ok(ProvedIdentity { identity, unionid: self.unionid.clone(), grounds })
    }

    /// The same, whatever the policy says of trust.
    ///
    /// # Errors
    /// Where there is no openid, or nothing but the client's word for it.
    pub(crate) fn prove_strictly(
        &self,
        evidence: &Evidence,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<ProvedIdentity, Refusal> {
        let proved = self.prove(evidence, now, policy)?;
        if proved.grounds == Grounds::Trust { Err(Refusal::IdentityUnproved) } else { Ok(proved) }
    }

    /// The ticket, where it is for what is claimed and not spent.
    pub(crate) fn ticket(&self, evidence: &Evidence, now: Timestamp) -> Option<&Ticket> {
        let (identity, ticket) = (self.identity.as_ref()?, self.ticket.as_ref()?);
        let holds = now < ticket.expires_at()
            && ticket.proves(identity, self.unionid.as_ref())
            && !evidence.spent.contains(&ticket.mark());
        holds.then_some(ticket)
    }

    /// The installation's proof, where it is live and of what is claimed.
    fn proof<'e>(&self, evidence: &'e Evidence, now: Timestamp) -> Option<&'e Proof> {
        let proof = evidence.proof.as_ref().filter(|proof| proof.is_live(now))?;
        let whole = self.unionid.as_ref().is_none_or(|claimed| proof.unionid.as_ref() == Some(claimed));
        (whole && self.identity.is_some()).then_some(proof)
    }
}

impl Bind {
    /// What the use of a proof writes: the ticket is spent, and the installation's proof counts on.
    pub(crate) fn use_of_proof(&self, snapshot: &BindSnapshot, now: Timestamp, policy: &Policy) -> Vec<Write> {
        let Some(claim) = &self.claim else { return Vec::new() };
        let mut writes = Vec::new();
        if let Some(ticket) = claim.ticket(&snapshot.evidence, now) {
            writes.push(Write::Spend(ticket.mark(), ticket.expires_at()));
        }
        let noted = policy.proof_lifetime.saturating_sub(policy.proof_refresh_after);
        if let (Some(proof), Some(id)) = (claim.proof(&snapshot.evidence, now), self.proof_id())
            && proof.expires_at.since(now) <= noted
        {
            writes.push(Write::UseProof(id, now.after(policy.proof_lifetime)));
        }
        writes
    }
}
