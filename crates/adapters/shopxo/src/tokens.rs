//! Session tokens as the shop has them: 32 hexadecimal digits, which its `user_platform` keeps.

use data_encoding::HEXLOWER;
use mobile_bind_domain::ports::{OpenedSession, TokenError, TokenIssuer};
use mobile_bind_domain::{KeyId, Session, SessionId, SessionSeed, Timestamp, Token};

use crate::fault::Fault;

/// Makes tokens that the shop takes, and reads those that it made. The seed, from a CSPRNG, is the session's id, and its digits
/// are the token: the shop looks tokens up as they are, so nothing can stand between. An id is therefore as secret as a token,
/// and is nowhere shown whole: not in the audit, not in a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShopTokens;

/// What sessions have for a key: no key makes these tokens.
const KEY: &str = "shop";

pub(crate) fn key() -> Result<KeyId, Fault> {
    KeyId::new(KEY).ok_or(Fault::Unreadable("key id"))
}

/// A session's token.
pub(crate) fn text_of(id: SessionId) -> String {
    HEXLOWER.encode(&id.0)
}

/// The session of a token; `None` where it is not 32 lower-case hexadecimal digits.
pub(crate) fn id_in(token: &str) -> Option<SessionId> {
    let bytes = HEXLOWER.decode(token.as_bytes()).ok()?;
    bytes.try_into().ok().map(SessionId)
}

/// The session that a shop's token names; `None` where it is none of ShopXO's.
#[must_use]
pub fn session_of_token(token: &str) -> Option<SessionId> {
    id_in(token)
}

impl TokenIssuer for ShopTokens {
    fn open(&self, seed: SessionSeed) -> Result<OpenedSession, TokenError> {
        let key = key().map_err(|fault| TokenError(Box::new(fault)))?;
        Ok(OpenedSession { seed, id: SessionId(seed.0), key })
    }

    fn issue(&self, session: &Session, _: Timestamp) -> Result<Token, TokenError> {
        Ok(Token::new(text_of(session.id)))
    }

    fn read(&self, token: &str, _: Timestamp) -> Option<SessionId> {
        id_in(token)
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::ports::TokenIssuer;
    use mobile_bind_domain::{AccountId, ClientType, Session, SessionSeed, Timestamp};
    use proptest::prelude::*;

    use super::ShopTokens;

    proptest! {
        #[test]
        fn a_token_leads_to_its_session_and_is_what_the_shop_can_keep(seed: [u8; 16]) {
            let opened = ShopTokens.open(SessionSeed(seed)).unwrap();
            let (at, account) = (Timestamp::from_seconds(1), AccountId::MIN);
            let session = Session {
                id: opened.id,
                seed: opened.seed,
                key: opened.key,
                account,
                client_type: ClientType::H5,
                issued_at: at,
                used_at: at,
            };
            let token = ShopTokens.issue(&session, at).unwrap();
            prop_assert_eq!(token.expose().len(), 32);
            prop_assert_eq!(ShopTokens.read(token.expose(), at), Some(session.id));
            prop_assert_ne!(format!("{:?}", session.id), format!("SessionId({})", token.expose()));
            let shown = format!("{session:?}");
            prop_assert!(!shown.contains(token.expose()), "{}", shown);
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,70}") {
            prop_assert!(ShopTokens.read(&text, Timestamp::from_seconds(1)).is_none());
        }
    }

    #[test]
    fn what_the_shop_would_not_have_written_is_no_token() {
        for text in ["", "00", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde", "zz"] {
            assert!(ShopTokens.read(text, Timestamp::from_seconds(1)).is_none(), "{text}");
        }
    }
}
