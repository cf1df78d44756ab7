//! Sealing the codes of messages that wait in the outbox: AES-256-GCM-SIV (RFC 8452), which keeps its promises also where a
//! nonce should come twice, since nonces are drawn at random by many nodes under one key.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use mobile_bind_domain::outbox::SealedCode;
use mobile_bind_domain::ports::{CodeSealer, Randomness, SealError};
use mobile_bind_domain::{KeyId, MessageKey, VerificationCode};
use zeroize::Zeroizing;

/// A key and its id.
pub type SealingKey = (KeyId, Zeroizing<[u8; 32]>);

/// Seals with the first of its keys, and opens with each. What is sealed is the nonce (12 bytes), the digits encrypted, and
/// the tag (16 bytes); number and id of the message are authenticated with it.
pub struct AeadSealer {
    current: (KeyId, LessSafeKey),
    older: Vec<(KeyId, LessSafeKey)>,
    randomness: Arc<dyn Randomness>,
}

impl AeadSealer {
    /// A sealer with these keys, the current one first.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new(keys: Vec<SealingKey>, randomness: Arc<dyn Randomness>) -> Result<Self, SealError> {
        let usable = |(id, secret): SealingKey| {
            let key = UnboundKey::new(&AES_256_GCM_SIV, secret.as_slice()).map_err(|_| SealError)?;
            Ok((id, LessSafeKey::new(key)))
        };
        let mut keys = keys.into_iter().map(usable);
        let current = keys.next().ok_or(SealError)??;
        Ok(Self { current, older: keys.collect::<Result<_, _>>()?, randomness })
    }
}

/// What a code is sealed for: the id, which has a fixed length, then the number.
fn context(message: &MessageKey) -> Aad<Vec<u8>> {
    Aad::from([&message.id.0[..], message.mobile.as_str().as_bytes()].concat())
}

impl CodeSealer for AeadSealer {
    fn seal(&self, message: &MessageKey, code: &VerificationCode) -> Result<SealedCode, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.randomness.fill(&mut nonce);
        let (id, key) = &self.current;
        // Encrypted in place: the digits are nowhere else.
        let mut digits = code.digits().as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, context(message), &mut digits).map_err(|_| SealError)?;
        Ok(SealedCode { key: id.clone(), bytes: [&nonce[..], &digits].concat().into() })
    }

    fn open(&self, message: &MessageKey, sealed: &SealedCode) -> Option<VerificationCode> {
        let known = std::iter::once(&self.current).chain(&self.older);
        let (_, key) = known.into_iter().find(|(id, _)| *id == sealed.key)?;
        let (&nonce, rest) = sealed.bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let digits = key.open_in_place(Nonce::assume_unique_for_key(nonce), context(message), &mut rest).ok()?;
        VerificationCode::from_digits(std::str::from_utf8(digits).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use mobile_bind_domain::outbox::{MessageId, SealedCode};
    use mobile_bind_domain::ports::{CodeSealer, Randomness};
    use mobile_bind_domain::{KeyId, MessageKey, Mobile, VerificationCode};
    use zeroize::Zeroizing;

    use super::AeadSealer;

    struct Counting(AtomicU8);

    impl Randomness for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    fn sealer(keys: &[(&str, u8)]) -> AeadSealer {
        let keys = keys.iter().map(|(id, byte)| (KeyId::new(id).unwrap(), Zeroizing::new([*byte; 32])));
        AeadSealer::new(keys.collect(), Arc::new(Counting(AtomicU8::new(0)))).unwrap()
    }

    fn message(mobile: &str, id: u8) -> MessageKey {
        MessageKey { mobile: Mobile::restore(mobile).unwrap(), id: MessageId([id; 16]) }
    }

    #[test]
    fn a_code_opens_for_its_own_message_alone() {
        let (sealer, code) = (sealer(&[("a", 1)]), VerificationCode::from_digits("0944").unwrap());
        let home = message("17602128368", 1);
        let sealed = sealer.seal(&home, &code).unwrap();
        assert_eq!(sealer.open(&home, &sealed).unwrap().digits(), "0944");
        assert!(sealer.open(&message("17602128368", 2), &sealed).is_none());
        assert!(sealer.open(&message("17602128369", 1), &sealed).is_none());
        assert_ne!(sealer.seal(&home, &code).unwrap(), sealed, "the same code never looks the same");
        assert!(!format!("{sealed:?}").contains("0944"));
        assert!(!sealed.bytes.windows(4).any(|window| window == b"0944"));
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let (sealer, home) = (sealer(&[("a", 1)]), message("17602128368", 1));
        let sealed = sealer.seal(&home, &VerificationCode::from_digits("0944").unwrap()).unwrap();
        for place in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[place] ^= 1;
            assert!(sealer.open(&home, &SealedCode { bytes, ..sealed.clone() }).is_none(), "{place}");
        }
        for length in 0..sealed.bytes.len() {
            let bytes = sealed.bytes[..length].into();
            assert!(sealer.open(&home, &SealedCode { bytes, ..sealed.clone() }).is_none(), "{length}");
        }
    }

    #[test]
    fn an_older_key_opens_and_a_lost_one_does_not() {
        let home = message("17602128368", 1);
        let sealed = sealer(&[("a", 1)]).seal(&home, &VerificationCode::from_digits("0944").unwrap()).unwrap();
        assert!(sealer(&[("b", 2), ("a", 1)]).open(&home, &sealed).is_some());
        assert!(sealer(&[("b", 2)]).open(&home, &sealed).is_none());
        assert!(AeadSealer::new(Vec::new(), Arc::new(Counting(AtomicU8::new(0)))).is_err());
    }
}
