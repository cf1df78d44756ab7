//! Making session tokens and reading them.

use crate::{KeyId, Session, SessionId, SessionSeed, Timestamp, Token};

/// What a new session gets from the issuer.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The seed it was opened with.
    pub seed: SessionSeed,
    /// The id that its token leads to.
    pub id: SessionId,
    /// The key that its token is made with.
    pub key: KeyId,
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the session token could not be made")]
pub struct TokenError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Makes tokens and reads them. A token is never stored: it can be made again from its session.
pub trait TokenIssuer: Send + Sync {
    /// The id and key of a session that starts from this seed.
    ///
    /// # Errors
    /// Where the current key cannot be used.
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError>;

    /// The token of a session: the same each time. `expires_at` is the session's absolute end.
    ///
    /// # Errors
    /// Where the session's key is gone or cannot be used.
    fn issue(&self, session: &Session, expires_at: Timestamp) -> Result<Token, TokenError>;

    /// The session that a token leads to; `None` where it was not made here, was tampered with, or has expired. Whether
    /// the session is live is the store's to say.
    fn read(&self, token: &str, now: Timestamp) -> Option<SessionId>;
}
