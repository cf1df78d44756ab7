//! Session keys of platforms, sealed before they leave this crate: AES-256-GCM (NIST SP 800-38D), bound to the platform, the
//! app and the openid.
//!
//! A sealed key is the key id's length (1 byte), the key id, the nonce (12 bytes), the ciphertext and its tag.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use mobile_bind_domain::{KeyId, Platform, SealedSessionKey};
use zeroize::Zeroizing;

/// A key: 32 bytes from a CSPRNG.
#[derive(Clone)]
pub(crate) struct SealingKey {
    id: KeyId,
    secret: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id.as_str())
    }
}

/// The keys in use: the current one seals, older ones still open.
#[derive(Clone, Debug)]
pub struct SealingKeys(Vec<SealingKey>);

/// Whose a session key is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    pub(crate) platform: Platform,
    pub(crate) app: &'a str,
    pub(crate) openid: &'a str,
}

impl Owner<'_> {
    fn aad(&self) -> Aad<Vec<u8>> {
        let mut bytes = Vec::new();
        for text in [self.platform.name(), self.app, self.openid] {
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Aad::from(bytes)
    }
}

impl SealingKeys {
    /// These keys, the current one first.
    #[must_use]
    pub fn new(keys: Vec<(KeyId, Zeroizing<[u8; 32]>)>) -> Self {
        Self(keys.into_iter().map(|(id, secret)| SealingKey { id, secret }).collect())
    }

    pub(crate) fn seal(&self, session_key: &str, owner: Owner<'_>) -> Option<SealedSessionKey> {
        let SealingKey { id, secret } = self.0.first()?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, secret.as_slice()).ok()?;
        let mut text = session_key.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(owner.aad(), &mut text).ok()?;
        let length = u8::try_from(id.as_str().len()).ok()?;
        SealedSessionKey::new(&[&[length], id.as_str().as_bytes(), nonce.as_ref(), &text].concat())
    }

    /// The session key; `None` where its key is gone, or it is another's.
    pub(crate) fn open(&self, sealed: &SealedSessionKey, owner: Owner<'_>) -> Option<Zeroizing<String>> {
        let (&length, rest) = sealed.as_bytes().split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN)?;
        let found = self.0.iter().find(|key| key.id.as_str().as_bytes() == id)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, found.secret.as_slice()).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = key.open_in_place(nonce, owner.aad(), &mut text).ok()?;
        std::str::from_utf8(opened).ok().map(|text| Zeroizing::new(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::{KeyId, Platform};

    use super::{Owner, SealingKeys};

    fn keys(keys: &[(&str, u8)]) -> SealingKeys {
        let key = |&(id, byte): &(&str, u8)| (KeyId::new(id).unwrap(), [byte; 32].into());
        SealingKeys::new(keys.iter().map(key).collect())
    }

    #[test]
    fn a_sealed_key_opens_for_its_owner_alone() {
        let first = keys(&[("a", 1)]);
        let own = Owner { platform: Platform::Weixin, app: "wx", openid: "o" };
        let sealed = first.seal("tiihtNczf5v6AKRyjwEUhQ==", own).unwrap();
        assert_ne!(first.seal("tiihtNczf5v6AKRyjwEUhQ==", own).unwrap(), sealed, "the nonce is another each time");
        assert!(!String::from_utf8_lossy(sealed.as_bytes()).contains("tiiht"));
        let opened = first.open(&sealed, own).unwrap();
        assert_eq!(opened.as_str(), "tiihtNczf5v6AKRyjwEUhQ==");
        for other in [Owner { platform: Platform::Qq, ..own }, Owner { app: "wy", ..own }, Owner { openid: "p", ..own }]
        {
            assert!(first.open(&sealed, other).is_none());
        }
        let changed = keys(&[("b", 2), ("a", 1)]);
        assert!(changed.open(&sealed, own).is_some());
        assert!(keys(&[("b", 2)]).open(&sealed, own).is_none());
        assert!(keys(&[("a", 3)]).open(&sealed, own).is_none());
    }
}
