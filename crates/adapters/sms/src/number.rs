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

#[cfg(test)]
mod tests {
    use super::international;
    use mobile_bind_domain::Mobile;

    #[test]
    fn a_number_without_a_country_is_of_home() {
        let written = |text: &str| international(&Mobile::restore(text).unwrap(), "86");
        assert_eq!(written("17602128368"), "8617602128368");
        assert_eq!(written("+491701234567"), "491701234567");
        assert_eq!(written("00491701234567"), "491701234567");
    }
}
