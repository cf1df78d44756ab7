//! RSA2, Alipay's name for RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The bytes of a key in PEM (RFC 7468) or in base64 alone.
pub(crate) fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let base64 = Zeroizing::new(lines.collect::<String>());
    BASE64.decode(base64.as_bytes()).ok().map(Zeroizing::new)
}

pub(crate) fn private_key(text: &str) -> Option<KeyPair> {
    let der = decoded(text)?;
    KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der)).ok()
}

/// The signature in base64.
#[expect(clippy::disallowed_methods, reason = "the signature of this scheme draws nothing; the library asks for it")]
pub(crate) fn sign(key: &KeyPair, message: &[u8]) -> Option<String> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
    Some(BASE64.encode(&signature))
}

/// Whether a signature in base64 is the key's.
pub(crate) fn verifies(public_key: &[u8], message: &[u8], signature: &str) -> bool {
    let Ok(signature) = BASE64.decode(signature.as_bytes()) else { return false };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key).verify(message, &signature).is_ok()
}
