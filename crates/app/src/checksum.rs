//! A checksum over accounts, their sessions, proofs, what is spent, the audit and messages, the same whatever store they are in.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use mobile_bind_domain::audit::{Checkpoint, RecordedEvent};
use mobile_bind_domain::outbox::Attempt;
use mobile_bind_domain::{
    Account, Language, OutboxMessage, Platform, PlatformIdentity, Proof, ProofId, Session, ShopDetails, SpentMark,
    Timestamp,
};

/// How many there are, and SHA-256 over all of them in the order of their ids. Each store has messages in an order of its own:
/// theirs are joined by XOR first.
pub(crate) struct Checksum {
    accounts: u64,
    sessions: u64,
    proofs: u64,
    marks: u64,
    events: u64,
    messages: u64,
    of_messages: [u8; 32],
    context: Context,
    digest: String,
}

impl Default for Checksum {
    fn default() -> Self {
        Self {
            accounts: 0,
            sessions: 0,
            proofs: 0,
            marks: 0,
            events: 0,
            messages: 0,
            of_messages: [0; 32],
            context: Context::new(&SHA256),
            digest: String::new(),
        }
    }
}

impl PartialEq for Checksum {
    fn eq(&self, other: &Self) -> bool {
        let counts = |sum: &Self| [sum.accounts, sum.sessions, sum.proofs, sum.marks, sum.events, sum.messages];
        counts(self) == counts(other) && self.digest == other.digest
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accounts, sessions, proofs, marks, events, messages, digest, .. } = self;
        write!(
            f,
            "{accounts} accounts, {sessions} sessions, {proofs} proofs, {marks} spent marks, {events} events of the audit, \
             {messages} messages, checksum {digest}"
        )
    }
}

impl Checksum {
    /// Adds the next account and its sessions, which are in the order of their ids.
    pub(crate) fn add(&mut self, account: &Account, sessions: &[Session]) {
        self.accounts += 1;
        self.account(account);
        self.number(sessions.len() as u64);
        for session in sessions {
            self.sessions += 1;
            self.session(session);
        }
    }

    /// Adds the next proof, in the order of their ids, after all accounts.
    pub(crate) fn add_proof(&mut self, id: ProofId, proof: &Proof) {
        self.proofs += 1;
        let Proof { unionid, session_key, proved_at, expires_at } = proof;
        self.context.update(&id.0);
        self.optional(unionid.as_ref(), |sum, unionid| sum.text(unionid.as_str()));
        self.optional(session_key.as_ref(), |sum, sealed| {
            sum.number(sealed.as_bytes().len() as u64);
            sum.context.update(sealed.as_bytes());
        });
        self.time(*proved_at);
        self.time(*expires_at);
    }

    /// Adds what is spent next, in the order of the marks, after all proofs.
    pub(crate) fn add_spent(&mut self, mark: SpentMark, until: Timestamp) {
        self.marks += 1;
        self.context.update(&mark.0);
        self.time(until);
    }

    /// Adds the next event of the audit, node by node, after all that is spent.
    pub(crate) fn add_event(&mut self, event: &RecordedEvent) {
        self.events += 1;
        let RecordedEvent { node, sequence, mark, bytes } = event;
        self.number(u64::from(node.0));
        self.number(*sequence);
        self.optional(mark.as_ref(), |sum, mark| sum.context.update(&mark.0));
        self.number(bytes.len() as u64);
        self.context.update(bytes);
    }

    /// Adds the next checkpoint of the audit, after its node's events.
    pub(crate) fn add_checkpoint(&mut self, checkpoint: &Checkpoint) {
        let Checkpoint { node, segment, first, last, events, at, key, previous, tag } = checkpoint;
        for number in [u64::from(node.0), *segment, *first, *last, u64::from(*events)] {
            self.number(number);
        }
        self.time(*at);
        self.text(key.as_str());
        self.context.update(previous);
        self.context.update(tag);
    }

    /// Adds a message, in any order. Its code does not move.
    pub(crate) fn add_message(&mut self, message: &OutboxMessage) {
        self.messages += 1;
        let mut one = Self::default();
        one.message(message);
        let digest = one.context.finish();
        for (sum, byte) in self.of_messages.iter_mut().zip(digest.as_ref()) {
            *sum ^= byte;
        }
    }

    /// The sum of what was added.
    pub(crate) fn finished(mut self) -> Self {
        self.context.update(&self.of_messages);
        let digest = HEXLOWER.encode(self.context.clone().finish().as_ref());
        Self { digest, ..self }
    }

    fn number(&mut self, number: u64) {
        self.context.update(&number.to_be_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.context.update(&number.to_be_bytes());
    }

    /// Texts are kept apart by their lengths.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.context.update(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, add: impl FnOnce(&mut Self, T)) {
        self.context.update(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            add(self, value);
        }
    }

    fn time(&mut self, at: Timestamp) {
        self.number(at.as_millis());
    }

    /// Taken apart whole, so that no field is forgotten.
    fn account(&mut self, account: &Account) {
        let Account {
            id,
            member_code,
            status,
            mobile,
            identities,
            profile,
            shop,
            referrer,
            added_at,
            updated_at,
            mobile_since,
            seen_at,
            deleted_at,
            closed_at,
        } = account;
        self.number(id.get());
        self.optional(member_code.as_ref(), |sum, code| sum.text(code.as_str()));
        self.number(u64::from(status.number()));
        self.optional(mobile.as_ref(), |sum, mobile| sum.text(mobile.as_str()));
        self.number(identities.len() as u64);
        for (platform, identity) in identities {
            self.identity(*platform, identity);
        }
        for text in [&profile.nickname, &profile.province, &profile.city, &profile.county] {
            self.text(text.as_str());
        }
        self.text(profile.avatar.as_str());
        self.number(u64::from(profile.gender.number()));
        self.optional(shop.as_deref(), Self::shop);
        self.optional(*referrer, |sum, referrer| sum.number(referrer.get()));
        self.time(*added_at);
        for at in [updated_at, mobile_since, seen_at, deleted_at, closed_at] {
            self.optional(*at, Self::time);
        }
    }

    fn identity(&mut self, platform: Platform, identity: &PlatformIdentity) {
        let PlatformIdentity { app, openid, unionid } = identity;
        self.text(platform.name());
        self.text(app.as_str());
        self.optional(openid.as_ref(), |sum, openid| sum.text(openid.as_str()));
        self.optional(unionid.as_ref(), |sum, unionid| sum.text(unionid.as_str()));
    }

    fn shop(&mut self, shop: &ShopDetails) {
        let ShopDetails {
            username,
            email,
            weixin_web_openid,
            birthday,
            address,
            integral,
            locking_integral,
            has_password,
        } = shop;
        for text in [username, email, weixin_web_openid, address] {
            self.text(text);
        }
        for number in [birthday, integral, locking_integral] {
            self.signed(*number);
        }
        self.number(u64::from(*has_password));
    }

    fn message(&mut self, message: &OutboxMessage) {
        let OutboxMessage {
            key,
            client,
            purpose,
            language,
            state,
            error,
            sealed: _,
            attempts,
            queued_at,
            changed_at,
            expires_at,
            due_at,
            keep_until,
        } = message;
        self.text(key.mobile.as_str());
        self.context.update(&key.id.0);
        let language = match language {
            Language::Zh => "zh",
            Language::En => "en",
            Language::Cht => "cht",
            Language::Spa => "spa",
        };
        for text in [&client.to_string(), purpose.name(), language, state.name(), error] {
            self.text(text);
        }
        self.number(attempts.len() as u64);
        for Attempt { provider, reference, outcome, at } in attempts {
            for text in [provider, reference, outcome.name()] {
                self.text(text);
            }
            self.time(*at);
        }
        for at in [queued_at, changed_at, expires_at, keep_until] {
            self.time(*at);
        }
        self.optional(*due_at, Self::time);
    }

    fn session(&mut self, session: &Session) {
        let Session { id, seed, key, account, client_type, issued_at, used_at } = session;
        self.context.update(&id.0);
        self.context.update(&seed.0);
        self.text(key.as_str());
        self.number(account.get());
        self.text(client_type.name());
        self.time(*issued_at);
        self.time(*used_at);
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::{
        Account, AccountId, MemberCode, Mobile, Proof, ProofId, SealedSessionKey, SpentMark, Timestamp,
    };

    use super::Checksum;

    fn sum(accounts: &[Account]) -> String {
        let mut checksum = Checksum::default();
        accounts.iter().for_each(|account| checksum.add(account, &[]));
        checksum.finished().to_string()
    }

    #[test]
    fn whatever_differs_changes_the_sum() {
        let plain = Account::new(AccountId::MIN, Timestamp::default());
        let with_number = Account { mobile: Mobile::restore("17602128368"), ..plain.clone() };
        let with_code = Account { member_code: MemberCode::new("17602128368"), ..plain.clone() };
        let deleted = Account { deleted_at: Some(Timestamp::default()), ..plain.clone() };
        let closed = Account { closed_at: Some(Timestamp::default()), ..plain.clone() };
        let sums: std::collections::BTreeSet<String> = [&plain, &with_number, &with_code, &deleted, &closed]
            .map(|account| sum(std::slice::from_ref(account)))
            .into();
        assert_eq!(sums.len(), 5);
        let (id, at) = (ProofId([1; 32]), Timestamp::default());
        let proof = |expires_at| Proof { unionid: None, session_key: None, proved_at: at, expires_at };
        let sealed = Proof { session_key: SealedSessionKey::new(&[1]), ..proof(at) };
        let of_proof = |proof: &Proof| {
            let mut checksum = Checksum::default();
            checksum.add_proof(id, proof);
            checksum.finished().to_string()
        };
        let mut spent = Checksum::default();
        spent.add_spent(SpentMark([1; 32]), at);
        let later = proof(Timestamp::from_millis(1));
        let sums = [of_proof(&proof(at)), of_proof(&sealed), of_proof(&later), spent.finished().to_string()];
        assert_eq!(std::collections::BTreeSet::from(sums).len(), 4);
        assert_eq!(sum(std::slice::from_ref(&plain)), sum(&[plain]));
    }
}
