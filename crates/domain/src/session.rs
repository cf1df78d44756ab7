//! Sessions: the record that stands behind every token.

use std::fmt;

use zeroize::Zeroizing;

use crate::policy::SessionPolicy;
use crate::{AccountId, ClientType, KeyId, Timestamp};

/// Sixteen bytes from a CSPRNG, from which a session's id, and an opaque token, are made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSeed(pub [u8; 16]);

impl fmt::Debug for SessionSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSeed(***)")
    }
}

/// Names a session; worth nothing without the token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({:02x}{:02x}***)", self.0[0], self.0[1])
    }
}

/// A session: one account logged in on one client type. A new one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id that a valid token leads to.
    pub id: SessionId,
    /// What the token is made from again when an answer must be repeated.
    pub seed: SessionSeed,
    /// The key that the token was made with.
    pub key: KeyId,
    /// Whose session it is.
    pub account: AccountId,
    /// Where he logged in.
    pub client_type: ClientType,
    /// When.
    pub issued_at: Timestamp,
    /// When it was last used, to within [`SessionPolicy::refresh_after`].
    pub used_at: Timestamp,
}

impl Session {
    /// When it ends if it is not used again; never later than its absolute lifetime.
    #[must_use]
    pub fn ends_at(&self, policy: &SessionPolicy) -> Timestamp {
        self.used_at.after(policy.inactivity).min(self.expires_at(policy))
    }

    /// When it ends even if it is used: what a token's own expiry says.
    #[must_use]
    pub fn expires_at(&self, policy: &SessionPolicy) -> Timestamp {
        self.issued_at.after(policy.absolute)
    }

    /// Whether its token is still good.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, policy: &SessionPolicy) -> bool {
        now < self.ends_at(policy)
    }
}

/// A session token as the client holds it. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// The token of that text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The whole token: for its holder alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Session, SessionId, SessionSeed};
    use crate::policy::SessionPolicy;
    use crate::{AccountId, ClientType, KeyId, Timestamp};

    #[test]
    fn use_prolongs_a_session_up_to_its_absolute_lifetime() {
        let policy = SessionPolicy {
            inactivity: Duration::from_secs(100),
            absolute: Duration::from_secs(250),
            refresh_after: Duration::from_secs(1),
        };
        let issued_at = Timestamp::from_seconds(1000);
        let mut session = Session {
            id: SessionId([0; 16]),
            seed: SessionSeed([0; 16]),
            key: KeyId::new("k").unwrap(),
            account: AccountId::MIN,
            client_type: ClientType::Pc,
            issued_at,
            used_at: issued_at,
        };
        let live = |session: &Session, second| session.is_live(Timestamp::from_seconds(second), &policy);
        assert!(live(&session, 1099) && !live(&session, 1100));
        session.used_at = Timestamp::from_seconds(1090);
        assert!(live(&session, 1189) && !live(&session, 1190));
        session.used_at = Timestamp::from_seconds(1240);
        assert!(live(&session, 1249) && !live(&session, 1250));
    }
}
