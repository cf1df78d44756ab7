//! Verification codes: what is sent, and what a client tries.

use std::fmt;

use zeroize::Zeroizing;

use crate::ports::Randomness;

/// How many digits a code has: 4 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeLength(u8);

impl CodeLength {
    /// `None` outside 4 to 8.
    #[must_use]
    pub fn new(digits: u8) -> Option<Self> {
        (4..=8).contains(&digits).then_some(Self(digits))
    }

    /// The number of digits.
    #[must_use]
    pub fn digits(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for CodeLength {
    /// 4: ShopXO's client takes no more.
    fn default() -> Self {
        Self(4)
    }
}

/// A code as it is sent: 4 to 8 digits, 0–9. `Debug` masks it; only its MAC is ever stored.
#[derive(Clone, PartialEq, Eq)]
pub struct VerificationCode(Zeroizing<String>);

impl VerificationCode {
    /// Draws a code, every one as likely as any other.
    #[must_use]
    pub fn draw(randomness: &dyn Randomness, length: CodeLength) -> Self {
        let mut digits = Zeroizing::new(String::with_capacity(length.digits()));
        while digits.len() < length.digits() {
            let mut byte = [0];
            randomness.fill(&mut byte);
            // 250 is the largest multiple of ten that fits: a plain remainder would favour 0 to 5.
            if byte[0] < 250 {
                digits.push(char::from(b'0' + byte[0] % 10));
            }
        }
        Self(digits)
    }

    /// A code from its digits; `None` where the text is not 4 to 8 ASCII digits.
    #[must_use]
    pub fn from_digits(digits: &str) -> Option<Self> {
        let well_formed = (4..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        well_formed.then(|| Self(Zeroizing::new(digits.to_owned())))
    }

    /// The digits: for the message alone.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for VerificationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerificationCode(***)")
    }
}

/// What a client sent as its code, ASCII white space trimmed. It need not look like a code: whatever is not the very
/// digits that were sent is a wrong try.
#[derive(Clone)]
pub struct CodeAttempt(Zeroizing<String>);

impl CodeAttempt {
    /// `None` where nothing is left after trimming.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let trimmed = text.trim_matches(|character: char| character.is_ascii_whitespace());
        (!trimmed.is_empty()).then(|| Self(Zeroizing::new(trimmed.to_owned())))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for CodeAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeAttempt(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::{CodeAttempt, CodeLength, VerificationCode};
    use crate::ports::Randomness;

    struct Counting(AtomicU8);

    impl Randomness for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn every_digit_is_as_likely() {
        let source = Counting(AtomicU8::new(0));
        let mut seen = [0_u32; 10];
        for _ in 0..500 {
            for digit in VerificationCode::draw(&source, CodeLength::default()).digits().bytes() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        assert!(seen.iter().all(|&count| count == 200), "{seen:?}");
    }

    #[test]
    fn lengths_are_four_to_eight() {
        let allowed: Vec<u8> = (0..=20).filter(|&digits| CodeLength::new(digits).is_some()).collect();
        assert_eq!(allowed, [4, 5, 6, 7, 8]);
    }

    #[test]
    fn attempts_are_trimmed_of_ascii_white_space_alone() {
        assert_eq!(CodeAttempt::new(" 0944\n").unwrap().as_bytes(), b"0944");
        assert!(CodeAttempt::new(" \t\n").is_none());
        assert_eq!(CodeAttempt::new("\u{3000}0944").unwrap().as_bytes(), "\u{3000}0944".as_bytes());
    }

    #[test]
    fn debug_masks() {
        let code = VerificationCode::from_digits("0944").unwrap();
        let attempt = CodeAttempt::new("0944").unwrap();
        assert!(!format!("{code:?}{attempt:?}").contains("0944"));
    }
}
