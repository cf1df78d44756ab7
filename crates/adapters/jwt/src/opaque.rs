//! Opaque tokens: 32 hexadecimal digits, as in the interface document's example.

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use mobile_bind_domain::ports::{OpenedSession, TokenError, TokenIssuer};
use mobile_bind_domain::{KeyId, Session, SessionId, SessionSeed, Timestamp, Token};

use crate::{KeyError, TokenKey, TokenKeys};

/// Makes opaque tokens. A token is a MAC of the session's random seed, so that it can be made again for an answer that
/// was lost without ever being stored; the session's id is a hash of it, so that the store cannot give a token away.
pub struct OpaqueIssuer {
    keys: TokenKeys,
}

impl OpaqueIssuer {
    /// An issuer with these keys.
    #[must_use]
    pub fn new(keys: TokenKeys) -> Self {
        Self { keys }
    }
}

impl TokenIssuer for OpaqueIssuer {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        let key = &self.keys.current;
        let id = session_id(&token(key, seed));
        Ok(OpenedSession { seed, id, key: key.id.clone() })
    }

    fn issue(&self, session: &Session, _expires_at: Timestamp) -> Result<Token, TokenError> {
        let gone = |id: &KeyId| TokenError(Box::new(KeyError::Gone(id.clone())));
        let key = self.keys.all().find(|key| key.id == session.key).ok_or_else(|| gone(&session.key))?;
        Ok(Token::new(token(key, session.seed)))
    }

    fn read(&self, token: &str, _now: Timestamp) -> Option<SessionId> {
        let well_formed = token.len() == 32 && HEXLOWER.decode(token.as_bytes()).is_ok();
        well_formed.then(|| session_id(token))
    }
}

fn token(key: &TokenKey, seed: SessionSeed) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret());
    let mut context = hmac::Context::with_key(&key);
    context.update(b"opaque session token");
    context.update(&seed.0);
    HEXLOWER.encode(&first_half(context.sign().as_ref()))
}

fn session_id(token: &str) -> SessionId {
    SessionId(first_half(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()))
}

fn first_half(bytes: &[u8]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    half
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::ports::TokenIssuer;
    use mobile_bind_domain::{SessionSeed, Timestamp};

    use super::OpaqueIssuer;
    use crate::jwt::tests::{key, session_of};
    use crate::{Algorithm, TokenKeys};

    #[test]
    fn a_token_is_made_again_and_leads_to_its_session() {
        let old = key("old", Algorithm::Hs256, 1);
        let issuer = OpaqueIssuer::new(TokenKeys { current: old.clone(), older: vec![] });
        let session = session_of(&issuer.open(SessionSeed([7; 16])).unwrap());
        let token = issuer.issue(&session, Timestamp::default()).unwrap();
        assert_eq!(token.expose().len(), 32);
        assert!(token.expose().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
        assert_eq!(issuer.read(token.expose(), Timestamp::default()), Some(session.id));

        let changed = OpaqueIssuer::new(TokenKeys { current: key("new", Algorithm::Hs256, 2), older: vec![old] });
        assert_eq!(changed.issue(&session, Timestamp::default()).unwrap(), token);
        let lost = OpaqueIssuer::new(TokenKeys { current: key("new", Algorithm::Hs256, 2), older: vec![] });
        assert!(lost.issue(&session, Timestamp::default()).is_err());
    }

    #[test]
    fn rubbish_leads_nowhere() {
        let issuer = OpaqueIssuer::new(TokenKeys { current: key("k", Algorithm::Hs256, 1), older: vec![] });
        for token in ["", "nosuchtoken", "1FA48232D7A0392CA22269A3D35B540F", "1fa48232d7a0392ca22269a3d35b540"] {
            assert_eq!(issuer.read(token, Timestamp::default()), None, "{token}");
        }
    }
}
