//! What is remembered of a platform's word for an openid, and what may count only once.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::{Identity, Installation, Timestamp, UnionId};

/// Names the proof that an installation has for an identity: SHA-256 over both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProofId(pub [u8; 32]);

impl ProofId {
    /// The name of an installation's proof for an identity.
    #[must_use]
    pub fn of(installation: &Installation, identity: &Identity) -> Self {
        let Identity { platform, app, openid } = identity;
        let parts = [installation.as_str(), platform.name(), app.as_str(), openid.as_str()];
        Self(digest(b"proof", parts.iter().map(|part| part.as_bytes())))
    }
}

impl fmt::Debug for ProofId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofId({:02x}{:02x}***)", self.0[0], self.0[1])
    }
}

/// The key that a platform shares with its client for one log-in, sealed: only the platforms' adapter can open it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSessionKey(Box<[u8]>);

impl SealedSessionKey {
    /// The most bytes that a sealed key has.
    pub const MAX_BYTES: usize = 255;

    /// `None` where there is nothing, or too much.
    #[must_use]
    pub fn new(sealed: &[u8]) -> Option<Self> {
        (1..=Self::MAX_BYTES).contains(&sealed.len()).then(|| Self(sealed.into()))
    }

    /// The sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSessionKey(***)")
    }
}

/// That a platform vouched for an openid to an installation. Which openid, and which installation, its [`ProofId`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The unionid that came with the openid: it is proved as well.
    pub unionid: Option<UnionId>,
    /// The session key of that log-in, where the platform gave one.
    pub session_key: Option<SealedSessionKey>,
    /// When the platform vouched for it last.
    pub proved_at: Timestamp,
    /// From when on it proves nothing, unless it is used before.
    pub expires_at: Timestamp,
}

impl Proof {
    /// What is proved now.
    #[must_use]
    pub fn new(
        unionid: Option<UnionId>,
        session_key: Option<SealedSessionKey>,
        now: Timestamp,
        lifetime: Duration,
    ) -> Self {
        Self { unionid, session_key, proved_at: now, expires_at: now.after(lifetime) }
    }

    /// Whether it still proves anything.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// Names something that counts only once: a ticket, a log-in code, a number that a platform vouched for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpentMark(pub [u8; 32]);

impl SpentMark {
    /// The mark of what `parts` say; `purpose` keeps unlike things apart.
    #[must_use]
    pub fn of(purpose: &[u8], parts: &[&[u8]]) -> Self {
        Self(digest(purpose, parts.iter().copied()))
    }
}

impl fmt::Debug for SpentMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpentMark({:02x}{:02x}***)", self.0[0], self.0[1])
    }
}

/// SHA-256 over parts that are kept apart by their lengths.
fn digest<'a>(purpose: &'a [u8], parts: impl Iterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in std::iter::once(purpose).chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::{Proof, ProofId, SealedSessionKey, SpentMark};
    use crate::{AppId, Identity, Installation, OpenId, Platform, Timestamp};

    #[test]
    fn whatever_differs_names_another_proof() {
        let id = |uuid: &str, platform, app: &str, openid: &str| {
            let (app, openid) = (AppId::new(app).unwrap(), OpenId::new(openid).unwrap());
            ProofId::of(&Installation::new(uuid).unwrap(), &Identity { platform, app, openid })
        };
        let all = [
            id("u", Platform::Weixin, "a", "o"),
            id("v", Platform::Weixin, "a", "o"),
            id("u", Platform::Qq, "a", "o"),
            id("u", Platform::Weixin, "b", "o"),
            id("u", Platform::Weixin, "a", "O"),
            id("u", Platform::Weixin, "ao", "o"),
            id("u", Platform::Weixin, "", "ao"),
        ];
        assert_eq!(BTreeSet::from(all).len(), all.len());
        assert_eq!(all[0], id("u", Platform::Weixin, "a", "o"));
    }

    #[test]
    fn marks_keep_purposes_and_parts_apart() {
        let marks = [
            SpentMark::of(b"a", &[b"b", b"c"]),
            SpentMark::of(b"a", &[b"bc"]),
            SpentMark::of(b"ab", &[b"c"]),
            SpentMark::of(b"a", &[b"b", b"c", b""]),
        ];
        assert_eq!(BTreeSet::from(marks).len(), marks.len());
    }

    #[test]
    fn a_proof_ends_on_time() {
        let proof = Proof::new(None, None, Timestamp::from_seconds(10), Duration::from_secs(5));
        assert!(proof.is_live(Timestamp::from_millis(14_999)) && !proof.is_live(Timestamp::from_seconds(15)));
    }

    #[test]
    fn sealed_keys_are_of_some_length_and_show_nothing() {
        assert!(SealedSessionKey::new(&[]).is_none() && SealedSessionKey::new(&[0; 256]).is_none());
        let sealed = SealedSessionKey::new(&[0xab; 255]).unwrap();
        assert_eq!((sealed.as_bytes().len(), format!("{sealed:?}")), (255, "SealedSessionKey(***)".to_owned()));
    }
}
