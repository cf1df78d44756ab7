//! Tickets: what a mini-program's log-in answers, to prove its openid once more without the platform.
//!
//! A ticket is `t1.KEY.PAYLOAD.MAC`: the id of the key, and in base64url (RFC 4648, section 5) what it says and HMAC-SHA-256
//! over that under a purpose of its own. No session token has that form, and no MAC of anything else verifies.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::ports::Randomness;
use crate::{AppId, CodeKeys, CodeMac, Identity, KeyId, OpenId, Platform, SpentMark, Timestamp, UnionId};

const FORM: &str = "t1";
const PURPOSE: &[u8] = b"auth ticket";

/// A ticket as the client holds it. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthTicket(Zeroizing<String>);

impl AuthTicket {
    /// The whole ticket: for its holder alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AuthTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthTicket(***)")
    }
}

/// What a ticket says. Only [`Ticket::read`] makes one of a text, and only where its MAC is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    id: [u8; 16],
    identity: Identity,
    unionid: Option<UnionId>,
    expires_at: Timestamp,
}

impl Ticket {
    /// A ticket for an identity that the platform vouched for just now.
    #[must_use]
    pub fn issue(
        identity: Identity,
        unionid: Option<UnionId>,
        expires_at: Timestamp,
        keys: &CodeKeys,
        randomness: &dyn Randomness,
    ) -> AuthTicket {
        let mut id = [0; 16];
        randomness.fill(&mut id);
        let payload = Self { id, identity, unionid, expires_at }.payload();
        let mac = keys.sign(PURPOSE, &payload);
        let (payload, tag) = (BASE64URL_NOPAD.encode(&payload), BASE64URL_NOPAD.encode(&mac.tag));
        AuthTicket(Zeroizing::new(format!("{FORM}.{}.{payload}.{tag}", mac.key.as_str())))
    }

    /// The ticket of a text; `None` where it was not made here, was tampered with, or has expired.
    #[must_use]
    pub fn read(text: &str, keys: &CodeKeys, now: Timestamp) -> Option<Self> {
        let mut parts = text.split('.');
        let (form, key, payload, tag) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if form != FORM || parts.next().is_some() {
            return None;
        }
        let payload = BASE64URL_NOPAD.decode(payload.as_bytes()).ok()?;
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).ok()?.try_into().ok()?;
        if !keys.verify(PURPOSE, &payload, &CodeMac { key: KeyId::new(key)?, tag }) {
            return None;
        }
        Self::of_payload(&payload).filter(|ticket| now < ticket.expires_at)
    }

    /// Whether it is for that identity, and its unionid where one is claimed.
    #[must_use]
    pub fn proves(&self, identity: &Identity, unionid: Option<&UnionId>) -> bool {
        self.identity == *identity && unionid.is_none_or(|claimed| self.unionid.as_ref() == Some(claimed))
    }

    /// What is marked when it is used.
    #[must_use]
    pub fn mark(&self) -> SpentMark {
        SpentMark::of(PURPOSE, &[&self.id])
    }

    /// From when on it proves nothing.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    fn payload(&self) -> Vec<u8> {
        let Self { id, identity: Identity { platform, app, openid }, unionid, expires_at } = self;
        let mut payload = [&id[..], &expires_at.as_millis().to_be_bytes()].concat();
        let unionid = unionid.as_ref().map(UnionId::as_str).unwrap_or_default();
        for text in [platform.name(), app.as_str(), openid.as_str(), unionid] {
            // The domain's texts have 60 characters at most.
            payload.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            payload.extend_from_slice(text.as_bytes());
        }
        payload
    }

    fn of_payload(payload: &[u8]) -> Option<Self> {
        let (&id, rest) = payload.split_first_chunk::<16>()?;
        let (&expires_at, mut rest) = rest.split_first_chunk::<8>()?;
        let mut text = || -> Option<&str> {
            let (&length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_be_bytes(length)))?;
            rest = after;
            std::str::from_utf8(text).ok()
        };
        let platform = text()?;
        let platform = Platform::ALL.into_iter().find(|known| known.name() == platform)?;
        let (app, openid, unionid) = (AppId::new(text()?)?, OpenId::new(text()?)?, UnionId::new(text()?));
        let expires_at = Timestamp::from_millis(u64::from_be_bytes(expires_at));
        rest.is_empty().then_some(Self { id, identity: Identity { platform, app, openid }, unionid, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Ticket;
    use crate::ports::Randomness;
    use crate::{AppId, CodeKey, CodeKeys, Identity, KeyId, OpenId, Platform, Timestamp, UnionId};

    struct Sevens;

    impl Randomness for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn key(id: &str, byte: u8) -> CodeKey {
        CodeKey::new(KeyId::new(id).unwrap(), [byte; 32])
    }

    fn identity(platform: Platform, app: &str, openid: &str) -> Identity {
        Identity { platform, app: AppId::new(app).unwrap(), openid: OpenId::new(openid).unwrap() }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_ticket_proves_its_identity_until_it_expires() {
        let keys = CodeKeys::new(key("a", 1), vec![]);
        let own = identity(Platform::Weixin, "wx", "o");
        let issued = Ticket::issue(own.clone(), UnionId::new("u"), at(10), &keys, &Sevens);
        let ticket = Ticket::read(issued.expose(), &keys, at(9)).unwrap();
        assert!(Ticket::read(issued.expose(), &keys, at(10)).is_none());
        assert!(ticket.proves(&own, None) && ticket.proves(&own, UnionId::new("u").as_ref()));
        assert!(!ticket.proves(&own, UnionId::new("v").as_ref()));
        for other in [
            identity(Platform::Qq, "wx", "o"),
            identity(Platform::Weixin, "wy", "o"),
            identity(Platform::Weixin, "wx", "O"),
        ] {
            assert!(!ticket.proves(&other, None));
        }
        let changed = CodeKeys::new(key("b", 2), vec![key("a", 1)]);
        assert_eq!(Ticket::read(issued.expose(), &changed, at(9)), Some(ticket));
        let lost = CodeKeys::new(key("b", 2), vec![]);
        assert!(Ticket::read(issued.expose(), &lost, at(9)).is_none());
        let same_name = CodeKeys::new(key("a", 3), vec![]);
        assert!(Ticket::read(issued.expose(), &same_name, at(9)).is_none());
        assert_eq!(format!("{issued:?}"), "AuthTicket(***)");
    }

    proptest! {
        /// No other text than the very ticket is one.
        #[test]
        fn whatever_is_changed_is_refused(place in 0_usize..200, byte in 0x20_u8..0x7f) {
            let keys = CodeKeys::new(key("a", 1), vec![]);
            let issued = Ticket::issue(identity(Platform::Weixin, "wx", "o"), None, at(10), &keys, &Sevens);
            let mut bytes = issued.expose().as_bytes().to_vec();
            let place = place % bytes.len();
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            prop_assert!(Ticket::read(&String::from_utf8(bytes).unwrap(), &keys, at(1)).is_none());
        }

        #[test]
        fn any_text_can_be_read(text in "t1\\.a\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,50}|\\PC{0,40}") {
            prop_assert!(Ticket::read(&text, &CodeKeys::new(key("a", 1), vec![]), at(1)).is_none());
        }
    }
}
