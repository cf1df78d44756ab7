//! The keys that tokens are made with.

use std::fmt;

use mobile_bind_domain::KeyId;
use zeroize::Zeroizing;

/// How a JWT is signed. A key has one algorithm, and a token is never verified by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: only this service can verify.
    Hs256,
    /// Ed25519 (RFC 8037): anyone can verify by the published key.
    EdDsa,
}

/// A key: 32 bytes from a CSPRNG, which are the HMAC key or the Ed25519 seed.
#[derive(Clone)]
pub struct TokenKey {
    /// The `kid` in a token's header.
    pub id: KeyId,
    /// What it signs with.
    pub algorithm: Algorithm,
    secret: Zeroizing<[u8; 32]>,
}

impl TokenKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(id: KeyId, algorithm: Algorithm, secret: [u8; 32]) -> Self {
        Self { id, algorithm, secret: Zeroizing::new(secret) }
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenKey({}, {:?})", self.id.as_str(), self.algorithm)
    }
}

/// The keys in use: new tokens are made with the current one, tokens of older ones are still read.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// Makes new tokens.
    pub current: TokenKey,
    /// Only read.
    pub older: Vec<TokenKey>,
}

impl TokenKeys {
    pub(crate) fn all(&self) -> impl Iterator<Item = &TokenKey> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

/// A key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key that a session was opened with is not among the keys any more.
    #[error("the key {0:?} is gone")]
    Gone(KeyId),
    /// The bytes are no key of their algorithm.
    #[error("the key cannot be used")]
    Unusable,
    /// Signing failed.
    #[error("the token could not be signed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}
