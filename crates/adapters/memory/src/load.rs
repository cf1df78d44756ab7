//! Snapshots.

use std::collections::HashMap;

use mobile_bind_domain::ports::{
    BindQuery, BindSnapshot, CallerQuery, Contested, EarlierBind, Evidence, EvidenceQuery, LogInQuery, LogInSnapshot,
    ReceiptSnapshot, SendQuery, SendSnapshot, SessionSnapshot,
};
use mobile_bind_domain::referrer::ReferrerName;
use mobile_bind_domain::{
    Account, AccountId, ChallengeKey, ClientType, IdempotencyName, IdempotentOutcome, SessionId, Subject, Tally,
    Timestamp,
};

use crate::state::{Claim, State};

impl State {
    pub(crate) fn load_send(&self, query: &SendQuery) -> SendSnapshot {
        let caller = query.session.and_then(|id| self.load_session(id));
        let of_account = caller.as_ref().map(|caller| Subject::SendsOf(caller.account.value.id));
        let tallies = self.load_tallies(query.subjects().into_iter().chain(of_account));
        let earlier = query.idempotency.and_then(|name| self.idempotency.get(&name).cloned());
        SendSnapshot { challenge: self.challenges.get(&query.key).cloned(), caller, earlier, tallies }
    }

    pub(crate) fn load_bind(&self, query: &BindQuery) -> BindSnapshot {
        let (mut identity_holder, mut unionid_holder) = (None, None);
        let session;
        match &query.caller {
            CallerQuery::Identity { identity, unionid, session: by_token } => {
                session = by_token.and_then(|id| self.load_session(id));
                let platform = identity.as_ref().map(|identity| identity.platform);
                identity_holder = identity.clone().and_then(|identity| self.holder(&Claim::Identity(identity)));
                let claim = platform.zip(unionid.clone()).map(|(platform, id)| Claim::UnionId(platform, id));
                unionid_holder = claim.and_then(|claim| self.holder(&claim));
            }
            CallerQuery::Session(id) => session = id.and_then(|id| self.load_session(id)),
        }
        let receipt = self.receipts.get(&query.key).map(|receipt| ReceiptSnapshot {
            session: receipt.session.and_then(|id| self.load_session(id)),
            receipt: receipt.clone(),
        });
        let former = query.former_mobile(identity_holder.as_ref(), unionid_holder.as_ref(), session.as_ref());
        let former = former.map(|mobile| ChallengeKey { mobile: mobile.clone(), client: query.key.client.clone() });
        let mobile_holder = self.holder(&Claim::Mobile(query.key.mobile.clone()));
        let holder_used_at =
            mobile_holder.as_ref().filter(|_| query.holder_use).and_then(|holder| self.used_at(holder.value.id));
        let on_former = former.as_ref().map(|key| Subject::FailuresOn(key.mobile.clone()));
        let subjects = query.subjects().into_iter().chain(on_former);
        BindSnapshot {
            challenge: self.challenges.get(&query.key).cloned(),
            receipt,
            mobile_holder,
            holder_used_at,
            former_challenge: former.as_ref().and_then(|key| self.challenges.get(key).cloned()),
            earlier: query.idempotency.and_then(|name| self.load_earlier(name)),
            identity_holder,
            unionid_holder,
            contested: Contested::default(),
            session,
            referrer: query.referrer.as_ref().and_then(|name| self.load_referrer(name)),
            tallies: self.load_tallies(subjects),
            evidence: self.load_evidence(&query.evidence),
        }
    }

    pub(crate) fn load_log_in(&self, query: &LogInQuery) -> LogInSnapshot {
        let platform = query.identity.platform;
        let unionid = query.unionid.clone().map(|unionid| Claim::UnionId(platform, unionid));
        LogInSnapshot {
            identity_holder: self.holder(&Claim::Identity(query.identity.clone())),
            unionid_holder: unionid.and_then(|claim| self.holder(&claim)),
            contested: Contested::default(),
            evidence: self.load_evidence(&query.evidence),
        }
    }

    fn load_evidence(&self, query: &EvidenceQuery) -> Evidence {
        Evidence {
            proof: query.proof.and_then(|id| self.proofs.get(&id).cloned()),
            spent: query.marks.iter().filter(|mark| self.spent.contains_key(mark)).copied().collect(),
        }
    }

    pub(crate) fn load_session(&self, id: SessionId) -> Option<SessionSnapshot> {
        let session = self.sessions.get(&id)?.clone();
        let account = self.accounts.get(&session.account)?.clone();
        Some(SessionSnapshot { session, account })
    }

    fn used_at(&self, account: AccountId) -> Option<Timestamp> {
        let first = (account, ClientType::Pc);
        let ids = self.sessions_of.range(first..).take_while(|((holder, _), _)| *holder == account).map(|(_, id)| id);
        ids.filter_map(|id| self.sessions.get(id)).map(|session| session.used_at).max()
    }

    fn load_earlier(&self, name: IdempotencyName) -> Option<EarlierBind> {
        let record = self.idempotency.get(&name)?.clone();
        let session = match record.value.outcome {
            IdempotentOutcome::Bound { session: Some(id), .. } => self.load_session(id),
            _ => None,
        };
        Some(EarlierBind { record, session })
    }

    fn load_referrer(&self, name: &ReferrerName) -> Option<Account> {
        let found = match name {
            ReferrerName::Id(id) => self.accounts.get(id).cloned(),
            ReferrerName::Mobile(mobile) => self.holder(&Claim::Mobile(mobile.clone())),
            ReferrerName::Code(code) => self.holder(&Claim::MemberCode(code.clone())),
        };
        found.map(|account| account.value).filter(Account::is_live)
    }

    fn load_tallies(&self, subjects: impl IntoIterator<Item = Subject>) -> HashMap<Subject, Tally> {
        let find = |subject: Subject| self.tallies.get(&subject).cloned().map(|tally| (subject, tally));
        subjects.into_iter().filter_map(find).collect()
    }
}
