//! Mobile numbers.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// The contract's number pattern: eleven digits of mainland China, starting 13 to 19.
pub const DEFAULT_PATTERN: &str = r"^1[3-9]\d{9}$";

/// The country calling code of numbers that are written without one.
pub const HOME: &str = "86";

/// A well-formed mobile number. `Debug` and `Display` mask it; [`Mobile::as_str`] gives it whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mobile(Box<str>);

impl Mobile {
    /// The longest number that is kept, in characters (ShopXO's column).
    pub const MAX_CHARS: usize = 30;

    /// Takes back a number that was well-formed when it was stored, whatever today's rule says of it.
    /// `None` where the text cannot have been a number.
    #[must_use]
    pub fn restore(stored: &str) -> Option<Self> {
        let plausible = !stored.is_empty() && stored.chars().count() <= Self::MAX_CHARS;
        plausible.then(|| Self(stored.into()))
    }

    /// The whole number: for the store, the SMS provider and its owner's own answer, never for a log.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The block of numbers that this one is in.
    #[must_use]
    pub fn range(&self) -> NumberRange {
        let end = self.0.char_indices().rev().nth(NumberRange::DIGITS - 1).map_or(0, |(index, _)| index);
        NumberRange(self.0.get(..end).unwrap_or_default().into())
    }

    /// The first and the last three characters, `176***368`, as the interface's `mobile_security` has it.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(&self.0)
    }
}

/// A block of ten thousand numbers, which operators are given at a time: a number less its last four digits. `Debug` masks
/// it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberRange(Box<str>);

impl NumberRange {
    /// How many digits the numbers of a block differ in.
    pub const DIGITS: usize = 4;

    /// The digits that they have in common.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberRange(***)")
    }
}

fn mask(number: &str) -> String {
    let characters: Vec<char> = number.chars().collect();
    if characters.len() < 8 {
        return "***".to_owned();
    }
    let head = characters.iter().take(3);
    let tail = characters.iter().skip(characters.len() - 3);
    head.chain(&['*', '*', '*']).chain(tail).collect()
}

impl fmt::Debug for Mobile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mobile({})", self.masked())
    }
}

impl fmt::Display for Mobile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Which texts are mobile numbers.
#[derive(Clone, Debug)]
pub struct MobileRule(Regex);

/// The configured number pattern is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("the number pattern is not a regular expression")]
pub struct MobileRuleError(#[source] regex::Error);

impl MobileRule {
    /// A rule from a regular expression. `\d` means the ASCII digits, and `$` the very end of the text: unlike
    /// in PHP, a trailing newline is malformed.
    ///
    /// # Errors
    /// Where the pattern does not compile.
    pub fn new(pattern: &str) -> Result<Self, MobileRuleError> {
        RegexBuilder::new(pattern).unicode(false).build().map(Self).map_err(MobileRuleError)
    }

    /// Reads a number; `None` where it is malformed.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Mobile> {
        if self.0.is_match(text) { Mobile::restore(text) } else { None }
    }

    /// The country calling code of a number that the rule has read.
    #[must_use]
    pub fn country<'a>(&'a self, _: &'a Mobile) -> &'a str {
        HOME
    }

    /// The pattern, as configured.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_PATTERN, MobileRule};
    use proptest::prelude::*;

    fn rule() -> MobileRule {
        MobileRule::new(DEFAULT_PATTERN).unwrap()
    }

    /// The contract's sentence, spelled out by hand.
    fn is_contract_number(text: &str) -> bool {
        let bytes = text.as_bytes();
        bytes.len() == 11
            && bytes[0] == b'1'
            && (b'3'..=b'9').contains(&bytes[1])
            && bytes.iter().all(u8::is_ascii_digit)
    }

    #[test]
    fn malformed_numbers() {
        for text in
            ["", "1760212836", "176021283688", "12602128368", "17602128368\n", " 17602128368", "１７６０２１２８３６８"]
        {
            assert!(rule().parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn ranges_are_of_ten_thousand_numbers() {
        let range = |text: &str| super::Mobile::restore(text).unwrap().range();
        assert_eq!(range("17602128368").as_str(), "1760212");
        assert_eq!(range("17602120000"), range("17602129999"));
        assert_ne!(range("17602128368"), range("17602138368"));
        assert_eq!(range("123").as_str(), "");
        assert!(!format!("{:?}", range("17602128368")).contains("17602"));
    }

    #[test]
    fn debug_and_display_mask() {
        let mobile = rule().parse("17602128368").unwrap();
        assert_eq!(format!("{mobile:?} {mobile}"), "Mobile(176***368) 176***368");
    }

    proptest! {
        #[test]
        fn accepts_exactly_the_contracts_numbers(text in r"1?[0-9]{9,12}\n?|\PC{0,14}") {
            prop_assert_eq!(rule().parse(&text).is_some(), is_contract_number(&text));
        }
    }
}
