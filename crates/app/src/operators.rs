//! The operators: who they are at the command line, and who may see the console. Only hashes of their tokens are kept: a token is drawn from 256 bits, so that a
//! plain SHA-256 of it cannot be guessed back.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use mobile_bind_domain::ports::Randomness;
use zeroize::Zeroizing;

/// What a token begins with, so that one that is lying about is known for what it is.
const MARK: &str = "mbc_";
/// What is in a token, in bytes.
const TOKEN_LENGTH: usize = 32;
/// What a hash begins with among the settings.
const SCHEME: &str = "sha256:";

/// Operators, by the hashes of their tokens.
pub struct Operators(Vec<(String, [u8; SHA256_OUTPUT_LEN])>);

impl Operators {
    /// Reads what stands in `console.operators`.
    ///
    /// # Errors
    /// Where a name or a hash cannot be used.
    pub fn read(settings: &BTreeMap<String, String>) -> Result<Self> {
        let one = |(name, hash): (&String, &String)| -> Result<_> {
            check_name(name)?;
            let written = hash.trim().strip_prefix(SCHEME).and_then(|hash| {
                HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok())
            });
            let hash = written.with_context(|| {
                format!(
                    "console.operators.{name} is no hash: `mobile-bind console token {name}` makes a token and its hash"
                )
            })?;
            Ok((name.clone(), hash))
        };
        settings.iter().map(one).collect::<Result<_>>().map(Self)
    }
}

impl mobile_bind_http::Operators for Operators {
    fn named(&self, token: &str) -> Option<String> {
        let shown = digest(&SHA256, token.as_bytes());
        // All are looked at, whichever it is.
        let found = self.0.iter().fold(None, |found, (name, hash)| {
            if verify_slices_are_equal(hash, shown.as_ref()).is_ok() { Some(name) } else { found }
        });
        found.cloned()
    }
}

/// A new token for an operator, and what to put among the settings, in words.
///
/// # Errors
/// Where the name cannot be used.
pub(crate) fn new_token(name: &str, randomness: &dyn Randomness) -> Result<Zeroizing<String>> {
    check_name(name)?;
    let mut bytes = Zeroizing::new([0; TOKEN_LENGTH]);
    randomness.fill(bytes.as_mut());
    let secret = Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_ref()));
    let token = Zeroizing::new(format!("{MARK}{}", secret.as_str()));
    let hash = HEXLOWER.encode(digest(&SHA256, token.as_bytes()).as_ref());
    Ok(Zeroizing::new(format!(
        "The token of {name}, shown this once:\n\n    {}\n\nAmong the settings goes its hash alone:\n\n    \
         [console.operators]\n    {name} = \"{SCHEME}{hash}\"\n",
        token.as_str()
    )))
}

fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    ensure!(
        (1..=32).contains(&name.len()) && name.bytes().all(plain),
        "an operator's name is 1 to 32 of a to z, 0 to 9, _ and -"
    );
    Ok(())
}

/// Who gives an order at the command line: who he says that he is, else the Unix user.
///
/// # Errors
/// Where the name cannot stand in the audit.
pub(crate) fn operator(named: Option<&str>) -> Result<String> {
    let name = named.map_or_else(unix_user, str::to_owned);
    let plain = |character: char| !character.is_control() && !character.is_whitespace();
    ensure!(
        (1..=64).contains(&name.chars().count()) && name.chars().all(plain),
        "an operator's name has 1 to 64 characters, and no spaces"
    );
    Ok(name)
}

/// By the process's own user id: the environment says whatever it was told.
fn unix_user() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("uid:{id}"))
}

#[cfg(test)]
mod tests {
    use mobile_bind_http::Operators as _;

    use super::*;
    use crate::ambient::SystemRandomness;

    fn made(name: &str) -> (String, String) {
        let told = new_token(name, &SystemRandomness).unwrap();
        let line = |mark: &str| told.lines().find(|line| line.contains(mark)).unwrap().trim().to_owned();
        let hash = line(SCHEME).split('"').nth(1).unwrap().to_owned();
        (line(MARK), hash)
    }

    #[test]
    fn a_token_names_its_operator_and_no_other() {
        let ((alice, alices), (bob, bobs)) = (made("alice"), made("bob"));
        let settings = [("alice".to_owned(), alices.clone()), ("bob".to_owned(), bobs)].into();
        let operators = Operators::read(&settings).unwrap();
        assert_eq!(operators.named(&alice).as_deref(), Some("alice"));
        assert_eq!(operators.named(&bob).as_deref(), Some("bob"));
        for wrong in ["", MARK, &alice[1..], &format!("{alice} "), &alices] {
            assert_eq!(operators.named(wrong), None);
        }
        assert_ne!(alice, made("alice").0);
    }

    #[test]
    fn an_operator_has_a_name_that_can_stand_in_a_line() {
        assert_eq!(operator(Some("Ann.Lee")).unwrap(), "Ann.Lee");
        for name in ["", "a b", "a\nb", &"a".repeat(65)] {
            assert!(operator(Some(name)).is_err(), "{name:?}");
        }
        assert!(!operator(None).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_hash_names_the_cure() {
        for hash in ["", "sha256:", "sha256:00", "mbc_token", &"0".repeat(64)] {
            let error = Operators::read(&[("alice".to_owned(), hash.to_owned())].into()).err().unwrap().to_string();
            assert!(error.contains("mobile-bind console token alice"), "{error}");
        }
        for name in ["", "Alice", "a b", &"a".repeat(33)] {
            assert!(new_token(name, &SystemRandomness).is_err(), "{name}");
        }
    }
}
