//! The numbering plans of all countries, as libphonenumber has them: <https://github.com/google/libphonenumber>. They are put
//! into memory when the first number is read, so a service for one country alone never has them there.

use mobile_bind_domain::ports::{InternationalNumber, NumberPlans};
use phonenumber::{Mode, Type};

/// ITU-T E.164: the most digits that a number has, its country's code among them.
const MOST_DIGITS: usize = 15;

/// Reads numbers by libphonenumber's data.
#[derive(Clone, Copy, Debug, Default)]
pub struct LibraryPlans;

impl NumberPlans for LibraryPlans {
    fn read(&self, digits: &str) -> Option<InternationalNumber> {
        if digits.len() > MOST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let number = phonenumber::parse(None, format!("+{digits}")).ok()?;
        // In some plans, such as North America's, nothing tells a mobile number from one of a fixed line.
        let kind = number.number_type(&phonenumber::metadata::DATABASE);
        if !number.is_valid() || !matches!(kind, Type::Mobile | Type::FixedLineOrMobile) {
            return None;
        }
        let country = number.code().value().to_string();
        let written = number.format().mode(Mode::E164).to_string();
        let national = written.strip_prefix('+')?.strip_prefix(country.as_str())?.to_owned();
        Some(InternationalNumber { country, national })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::LibraryPlans;
    use mobile_bind_domain::ports::NumberPlans;

    fn read(digits: &str) -> Option<(String, String)> {
        LibraryPlans.read(digits).map(|number| (number.country, number.national))
    }

    #[test]
    fn mobile_numbers_of_many_countries_are_read() {
        for (country, national) in [
            ("852", "51234567"),
            ("853", "66123456"),
            ("886", "912345678"),
            ("1", "2015550123"),
            ("44", "7400123456"),
            ("49", "15123456789"),
            ("65", "81234567"),
            ("34", "612345678"),
        ] {
            let found = read(&format!("{country}{national}"));
            assert_eq!(found, Some((country.to_owned(), national.to_owned())));
        }
    }

    #[test]
    fn a_zero_that_is_dialled_within_the_country_is_left_out() {
        assert_eq!(read("4407400123456"), Some(("44".to_owned(), "7400123456".to_owned())));
    }

    #[test]
    fn other_numbers_are_none() {
        // Too short, too long, fixed lines, no country, and no digits.
        for digits in ["8525123456", "852512345678", "85221234567", "442071234567", "999123456789", "", "852 51234567"]
        {
            assert_eq!(read(digits), None, "{digits}");
        }
    }

    proptest! {
        /// What was read is written in the one way that is read as the same again.
        #[test]
        fn reading_is_idempotent(digits in "(1|44|49|65|852|886)0?[1-9][0-9]{5,10}") {
            if let Some((country, national)) = read(&digits) {
                prop_assert_eq!(read(&format!("{country}{national}")), Some((country, national)));
            }
        }

        #[test]
        fn nothing_that_is_sent_panics(text in "\\PC{0,24}") {
            let _ = LibraryPlans.read(&text);
        }
    }
}
