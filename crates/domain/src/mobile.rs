//! Mobile numbers.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use crate::ports::{InternationalNumber, NumberPlans};

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
#[derive(Clone)]
pub struct MobileRule {
    /// Numbers that name no country.
    pattern: Regex,
    /// The calling code of theirs.
    home: Box<str>,
    /// The calling codes of the other countries whose numbers are taken.
    abroad: Box<[Box<str>]>,
    plans: Option<Arc<dyn NumberPlans>>,
}

impl fmt::Debug for MobileRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pattern, home, abroad, plans: _ } = self;
        f.debug_struct("MobileRule").field("pattern", pattern).field("home", home).field("abroad", abroad).finish()
    }
}

/// The digits of a number that names its country with `+` or `00`, however they are grouped.
fn international_digits(text: &str) -> Option<String> {
    let rest = text.strip_prefix('+').or_else(|| text.strip_prefix("00"))?;
    let is_separator = |c: &char| matches!(c, ' ' | '-' | '.' | '(' | ')');
    let digits: String = rest.chars().filter(|c| !is_separator(c)).collect();
    (digits.len() <= MOST_DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
}

/// ITU-T E.164: the most digits that a number has, its country's code among them.
const MOST_DIGITS: usize = 15;

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
        let pattern = RegexBuilder::new(pattern).unicode(false).build().map_err(MobileRuleError)?;
        Ok(Self { pattern, home: HOME.into(), abroad: Box::default(), plans: None })
    }

    /// The same, where numbers that name no country are of the one with this calling code.
    #[must_use]
    pub fn at_home_in(self, country: &str) -> Self {
        Self { home: country.into(), ..self }
    }

    /// The same, with numbers of other countries, by their calling codes.
    #[must_use]
    pub fn with_abroad(self, countries: &[String], plans: Arc<dyn NumberPlans>) -> Self {
        Self { abroad: countries.iter().map(|code| code.as_str().into()).collect(), plans: Some(plans), ..self }
    }

    /// Reads a number; `None` where it is malformed, or of a country whose numbers are not taken. Where other countries' are
    /// taken, numbers may name theirs with `+` or `00`, and be grouped. However it is written, a number is kept in one way: without
    /// its country where that is the rule's own, else as E.164 with `+`.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Mobile> {
        if self.pattern.is_match(text) {
            return Mobile::restore(text);
        }
        if self.abroad.is_empty() {
            // ShopXO's clients write numbers in one way, and it answers every other as malformed.
            return None;
        }
        let digits = international_digits(text)?;
        if let Some(national) = digits.strip_prefix(&*self.home).filter(|national| self.pattern.is_match(national)) {
            return Mobile::restore(national);
        }
        self.abroad.iter().find(|code| digits.starts_with(&***code))?;
        let InternationalNumber { country, national } = self.plans.as_ref()?.read(&digits)?;
        let is_taken = self.abroad.iter().any(|code| **code == *country);
        if is_taken { Mobile::restore(&format!("+{country}{national}")) } else { None }
    }

    /// The country calling code of a number that the rule has read.
    #[must_use]
    pub fn country(&self, mobile: &Mobile) -> &str {
        let digits = mobile.as_str().strip_prefix('+').unwrap_or_default();
        self.abroad.iter().find(|code| digits.starts_with(&***code)).unwrap_or(&self.home)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{DEFAULT_PATTERN, MobileRule};
    use crate::ports::{InternationalNumber, NumberPlans};
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

    /// Countries whose mobile numbers are eight digits that begin with 5.
    struct Eight;

    impl NumberPlans for Eight {
        fn read(&self, digits: &str) -> Option<InternationalNumber> {
            let (country, national) = digits.split_at_checked(3)?;
            let fits = national.len() == 8 && national.starts_with('5');
            fits.then(|| InternationalNumber { country: country.to_owned(), national: national.to_owned() })
        }
    }

    fn abroad() -> MobileRule {
        rule().with_abroad(&["852".to_owned()], Arc::new(Eight))
    }

    #[test]
    fn a_number_of_home_is_one_however_it_is_written() {
        assert_eq!(abroad().parse("17602128368").unwrap().as_str(), "17602128368");
        for text in ["+8617602128368", "+86 176 0212 8368", "008617602128368", "0086-176-0212-8368", "+86(176)02128368"]
        {
            assert_eq!(abroad().parse(text).unwrap().as_str(), "17602128368", "{text}");
            assert!(rule().parse(text).is_none(), "as at ShopXO where it is the only country: {text}");
        }
        for text in ["8617602128368", "+86 1760212836", "+86 176021283688", "+86 12602128368", "+8617602128368\n", "+"]
        {
            assert!(abroad().parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn numbers_of_other_countries_are_taken_where_they_are_allowed() {
        for text in ["+85251234567", "+852 5123 4567", "00852-51234567"] {
            let mobile = abroad().parse(text).unwrap();
            assert_eq!((mobile.as_str(), abroad().country(&mobile)), ("+85251234567", "852"), "{text}");
            assert!(rule().parse(text).is_none(), "{text}");
            // As it was stored.
            assert_eq!(abroad().parse(mobile.as_str()), Some(mobile));
        }
        for text in ["+85351234567", "+85261234567", "85251234567", "51234567", "+852512345678901234567"] {
            assert!(abroad().parse(text).is_none(), "{text}");
        }
        assert_eq!(abroad().country(&rule().parse("17602128368").unwrap()), "86");
    }

    #[test]
    fn numbers_without_a_country_are_of_the_shops() {
        let rule = MobileRule::new(r"^5\d{7}$").unwrap().at_home_in("852");
        let rule = rule.with_abroad(&["853".to_owned()], Arc::new(Eight));
        let mobile = rule.parse("+852 5123 4567").unwrap();
        assert_eq!((mobile.as_str(), rule.country(&mobile)), ("51234567", "852"));
        assert!(rule.parse("+8617602128368").is_none());
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
        /// However it is grouped, a number is the same one; no text is read as two.
        #[test]
        fn grouping_changes_nothing(
            number in "1[3-9][0-9]{9}",
            prefix in prop_oneof![Just("+86"), Just("0086")],
            at in 0_usize..12,
            separator in prop_oneof![Just(" "), Just("-"), Just("."), Just("")],
        ) {
            let (head, tail) = number.split_at(at.min(number.len()));
            let text = format!("{prefix}{separator}{head}{separator}{tail}");
            prop_assert_eq!(abroad().parse(&text), abroad().parse(&number));
        }

        #[test]
        fn accepts_exactly_the_contracts_numbers(text in r"1?[0-9]{9,12}\n?|\PC{0,14}") {
            prop_assert_eq!(rule().parse(&text).is_some(), is_contract_number(&text));
        }
    }
}
