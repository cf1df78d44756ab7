//! The server keys that codes are MACed with. Codes are short: without a key their hash would be a matter of a loop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::audit::AuditMark;
use crate::{
    ChallengeKey, Client, CodeAttempt, IdempotencyKey, IdempotencyName, Installation, Mobile, Operation,
    VerificationCode,
};

/// Names a key, so that records made with an older one stay readable after a change of keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// The longest key id, in bytes.
    pub const MAX_BYTES: usize = 32;

    /// `None` where the text is empty, too long, or has a character outside `A–Z a–z 0–9 - _`.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let well_formed = (1..=Self::MAX_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        well_formed.then(|| Self(text.into()))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One key and its id.
#[derive(Clone)]
pub struct CodeKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
    /// How many MACs were made with it.
    uses: Arc<AtomicU64>,
}

impl CodeKey {
    /// A key of 32 bytes from a CSPRNG.
    #[must_use]
    pub fn new(id: KeyId, secret: [u8; 32]) -> Self {
        Self { id, secret: Zeroizing::new(secret), uses: Arc::default() }
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> &KeyId {
        &self.id
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeKey({})", self.id.as_str())
    }
}

/// HMAC-SHA-256 (RFC 2104, FIPS 198-1) of a code, bound to its number and its client, and the key's id.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeMac {
    /// The key that made it.
    pub key: KeyId,
    /// The 32 bytes of the MAC.
    pub tag: [u8; 32],
}

impl fmt::Debug for CodeMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeMac({})", self.key.as_str())
    }
}

/// The keys in use: new MACs are made with the current one, old ones still verify.
#[derive(Clone, Debug)]
pub struct CodeKeys {
    current: CodeKey,
    older: Vec<CodeKey>,
}

impl CodeKeys {
    /// The current key, and those that came before it.
    #[must_use]
    pub fn new(current: CodeKey, older: Vec<CodeKey>) -> Self {
        Self { current, older }
    }

    /// How many MACs were made with these keys so far.
    #[must_use]
    pub fn uses(&self) -> u64 {
        std::iter::once(&self.current).chain(&self.older).map(|key| key.uses.load(Ordering::Relaxed)).sum()
    }

    /// The MAC under which a code is stored.
    #[must_use]
    pub fn seal(&self, key: &ChallengeKey, code: &VerificationCode) -> CodeMac {
        let mac = code_mac(&self.current, key, code.digits().as_bytes());
        CodeMac { key: self.current.id.clone(), tag: mac.finalize().into_bytes().into() }
    }

    /// Whether the attempt is the very code, in constant time. A MAC whose key is gone matches nothing.
    #[must_use]
    pub fn opens(&self, sealed: &CodeMac, key: &ChallengeKey, attempt: &CodeAttempt) -> bool {
        let Some(found) = self.find(&sealed.key) else { return false };
        code_mac(found, key, attempt.as_bytes()).verify_slice(&sealed.tag).is_ok()
    }

    /// A keyed digest that tells whether two requests had the same parameters. `parts` are kept apart by their
    /// lengths.
    #[must_use]
    pub fn fingerprint(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed(&self.current, b"fingerprint", parts).finalize().into_bytes().into()
    }

    /// What the audit finds a number by, under the current key.
    #[must_use]
    pub fn audit_mark(&self, mobile: &Mobile) -> AuditMark {
        mark(&self.current, b"audit number", mobile.as_str())
    }

    /// What the audit finds a number by, under every key.
    #[must_use]
    pub fn audit_marks(&self, mobile: &Mobile) -> Vec<AuditMark> {
        let all = std::iter::once(&self.current).chain(&self.older);
        all.map(|key| mark(key, b"audit number", mobile.as_str())).collect()
    }

    /// What the audit tells clients apart by.
    #[must_use]
    pub fn audit_client(&self, installation: &Installation) -> AuditMark {
        mark(&self.current, b"audit client", installation.as_str())
    }

    /// What audit segments are sealed with.
    pub(crate) fn audit_mac(&self) -> (&KeyId, Hmac<Sha256>) {
        (&self.current.id, keyed(&self.current, b"audit segment", &[]))
    }

    /// What segments that were sealed with that key are sealed with.
    pub(crate) fn audit_mac_with(&self, id: &KeyId) -> Option<Hmac<Sha256>> {
        Some(keyed(self.find(id)?, b"audit segment", &[]))
    }

    /// Keys for another purpose, derived from these, the current one first.
    #[must_use]
    pub fn derived(&self, purpose: &[u8]) -> Vec<(KeyId, Zeroizing<[u8; 32]>)> {
        let keys = std::iter::once(&self.current).chain(&self.older);
        let derive = |key: &CodeKey| Zeroizing::new(keyed(key, purpose, &[]).finalize().into_bytes().into());
        keys.map(|key| (key.id.clone(), derive(key))).collect()
    }

    /// The name of a client's request, by the client's own key for it.
    #[must_use]
    pub fn idempotency_name(&self, operation: Operation, client: &Client, key: &IdempotencyKey) -> IdempotencyName {
        let operation: &[u8] = match operation {
            Operation::Send => b"send",
            Operation::Status => b"status",
            Operation::Bind => b"bind",
            Operation::Session => b"session",
            Operation::LogIn => b"log in",
        };
        let client = client.to_string();
        let parts = [operation, client.as_bytes(), key.as_str().as_bytes()];
        IdempotencyName(keyed(&self.current, b"idempotency", &parts).finalize().into_bytes().into())
    }

    /// The MAC of a message, under a purpose that keeps it apart from all others.
    pub(crate) fn sign(&self, purpose: &[u8], message: &[u8]) -> CodeMac {
        let tag = keyed(&self.current, purpose, &[message]).finalize().into_bytes().into();
        CodeMac { key: self.current.id.clone(), tag }
    }

    /// Whether a MAC is that of the message, in constant time. One whose key is gone is of nothing.
    pub(crate) fn verify(&self, purpose: &[u8], message: &[u8], mac: &CodeMac) -> bool {
        let Some(found) = self.find(&mac.key) else { return false };
        keyed(found, purpose, &[message]).verify_slice(&mac.tag).is_ok()
    }

    fn find(&self, id: &KeyId) -> Option<&CodeKey> {
        std::iter::once(&self.current).chain(&self.older).find(|key| &key.id == id)
    }
}

fn mark(key: &CodeKey, purpose: &[u8], text: &str) -> AuditMark {
    let hash: [u8; 32] = keyed(key, purpose, &[text.as_bytes()]).finalize().into_bytes().into();
    let mut mark = [0; 8];
    mark.copy_from_slice(&hash[..8]);
    AuditMark(mark)
}

fn code_mac(key: &CodeKey, challenge: &ChallengeKey, digits: &[u8]) -> Hmac<Sha256> {
    let client = challenge.client.to_string();
    keyed(key, b"code", &[challenge.mobile.as_str().as_bytes(), client.as_bytes(), digits])
}

fn keyed(key: &CodeKey, purpose: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    key.uses.fetch_add(1, Ordering::Relaxed);
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.secret.as_slice()).expect("any key length is valid");
    for part in std::iter::once(&purpose).chain(parts) {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::{CodeKey, CodeKeys, KeyId};
    use crate::{ChallengeKey, Client, CodeAttempt, Installation, Mobile, VerificationCode};

    fn key(id: &str, byte: u8) -> CodeKey {
        CodeKey::new(KeyId::new(id).unwrap(), [byte; 32])
    }

    fn challenge(mobile: &str, uuid: &str) -> ChallengeKey {
        ChallengeKey {
            mobile: Mobile::restore(mobile).unwrap(),
            client: Client::Installation(Installation::new(uuid).unwrap()),
        }
    }

    #[test]
    fn a_code_opens_for_its_number_and_client_alone() {
        let keys = CodeKeys::new(key("a", 1), vec![]);
        let (code, attempt) = (VerificationCode::from_digits("0944").unwrap(), CodeAttempt::new("0944").unwrap());
        let home = challenge("17602128368", "u");
        let sealed = keys.seal(&home, &code);
        assert!(keys.opens(&sealed, &home, &attempt));
        assert!(!keys.opens(&sealed, &challenge("17602128369", "u"), &attempt));
        assert!(!keys.opens(&sealed, &challenge("17602128368", "v"), &attempt));
        assert!(!keys.opens(&sealed, &home, &CodeAttempt::new("00944").unwrap()));
    }

    #[test]
    fn an_older_key_still_opens_and_a_lost_one_does_not() {
        let (code, attempt) = (VerificationCode::from_digits("0944").unwrap(), CodeAttempt::new("0944").unwrap());
        let home = challenge("17602128368", "u");
        let sealed = CodeKeys::new(key("a", 1), vec![]).seal(&home, &code);
        assert!(CodeKeys::new(key("b", 2), vec![key("a", 1)]).opens(&sealed, &home, &attempt));
        assert!(!CodeKeys::new(key("b", 2), vec![]).opens(&sealed, &home, &attempt));
    }

    #[test]
    fn fingerprints_keep_parts_apart() {
        let keys = CodeKeys::new(key("a", 1), vec![]);
        assert_ne!(keys.fingerprint(&[b"ab", b"c"]), keys.fingerprint(&[b"a", b"bc"]));
    }
}
