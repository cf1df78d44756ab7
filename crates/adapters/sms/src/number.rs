//! Numbers as vendors want them.

use mobile_bind_domain::Mobile;

/// The digits of E.164: the calling code of the country, then the national number. A number that names no country with
/// `+` or `00` is one of `home`.
pub(crate) fn international(mobile: &Mobile, home: &str) -> String {
    let text = mobile.as_str();
    match text.strip_prefix('+').or_else(|| text.strip_prefix("00")) {
        Some(digits) => digits.to_owned(),
        None => format!("{home}{text}"),
    }
}

/// The calling codes of two digits (ITU-T E.164, list of assigned codes); 1 and 7 have one digit, all others three.
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51",
    "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90",
    "91", "92", "93", "94", "95", "98",
];

/// The calling code of a number's country; `home` where the number names none.
#[must_use]
pub fn country(mobile: &Mobile, home: &str) -> String {
    let digits = international(mobile, home);
    let length = match digits.get(..1) {
        Some("1" | "7") => 1,
        _ if digits.get(..2).is_some_and(|code| TWO_DIGITS.contains(&code)) => 2,
        _ => 3,
    };
    digits.get(..length).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{country, international};
    use mobile_bind_domain::Mobile;

    #[test]
    fn a_number_without_a_country_is_of_home() {
        let written = |text: &str| international(&Mobile::restore(text).unwrap(), "86");
        assert_eq!(written("17602128368"), "8617602128368");
        assert_eq!(written("+491701234567"), "491701234567");
        assert_eq!(written("00491701234567"), "491701234567");
    }

    #[test]
    fn a_country_is_known_by_its_calling_code() {
        let code = |text: &str| country(&Mobile::restore(text).unwrap(), "86");
        assert_eq!(code("17602128368"), "86");
        assert_eq!(code("+14155550100"), "1");
        assert_eq!(code("+491701234567"), "49");
        assert_eq!(code("0085261234567"), "852");
        assert_eq!(code("+"), "");
    }
}
