//! Naming the inviting user.

use data_encoding::BASE64;

use crate::{AccountId, MemberCode, Mobile, Policy};

/// How a referrer is named. Text that names nobody is no referrer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrerName {
    /// By account id, plain or encoded.
    Id(AccountId),
    /// By number.
    Mobile(Mobile),
    /// By member code.
    Code(MemberCode),
}

impl ReferrerName {
    /// Reads a `referrer` parameter. `None` where it names nobody.
    #[must_use]
    pub fn parse(text: &str, policy: &Policy) -> Option<Self> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            if let Some(mobile) = policy.mobile_rule.parse(text) {
                return policy.referrer_by_mobile.then_some(Self::Mobile(mobile));
            }
            let is_id = text.len() <= AccountId::MAX_DIGITS;
            let id = || text.parse().ok().and_then(AccountId::new).map(Self::Id);
            return if is_id { id() } else { MemberCode::new(text).map(Self::Code) };
        }
        decode(text).map(Self::Id)
    }
}

/// Undoes ShopXO's encoding: the hexadecimal form of base64(decimal id), the two digits of each byte swapped.
fn decode(text: &str) -> Option<AccountId> {
    // The longest id, ten digits, has sixteen base64 characters.
    if !text.is_ascii() || !text.len().is_multiple_of(2) || text.len() > 32 {
        return None;
    }
    let byte = |pair: &[u8]| match pair {
        [low, high] => u8::try_from(hex_digit(*high)? * 16 + hex_digit(*low)?).ok(),
        _ => None,
    };
    let base64: Vec<u8> = text.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    let decimal = String::from_utf8(BASE64.decode(&base64).ok()?).ok()?;
    if !decimal.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    AccountId::new(decimal.parse().ok()?)
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, HEXUPPER};
    use proptest::prelude::*;

    use super::ReferrerName;
    use crate::{AccountId, Policy};

    fn encode(id: u64) -> String {
        let hexadecimal = HEXUPPER.encode(BASE64.encode(id.to_string().as_bytes()).as_bytes());
        hexadecimal.as_bytes().chunks(2).flat_map(|pair| [char::from(pair[1]), char::from(pair[0])]).collect()
    }

    #[test]
    fn the_contracts_example() {
        let policy = Policy::default();
        assert_eq!(encode(7), "E477D3D3");
        assert_eq!(ReferrerName::parse("E477D3D3", &policy), AccountId::new(7).map(ReferrerName::Id));
    }

    #[test]
    fn each_way_of_naming() {
        let policy = Policy::default();
        assert!(matches!(ReferrerName::parse("7", &policy), Some(ReferrerName::Id(_))));
        assert!(matches!(ReferrerName::parse("88887777777777", &policy), Some(ReferrerName::Code(_))));
        assert!(matches!(ReferrerName::parse("13500135000", &policy), Some(ReferrerName::Mobile(_))));
        let strict = Policy { referrer_by_mobile: false, ..policy };
        assert_eq!(ReferrerName::parse("13500135000", &strict), None);
    }

    #[test]
    fn nobody() {
        for text in ["", "0", "7' or 1=1", "E477D3D", "zz", "-7", "7.0"] {
            assert_eq!(ReferrerName::parse(text, &Policy::default()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn encoded_ids_are_read_back(id in 1_u64..=9_999_999_999) {
            let expected = AccountId::new(id).map(ReferrerName::Id);
            prop_assert_eq!(ReferrerName::parse(&encode(id), &Policy::default()), expected);
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,80}") {
            let _ = ReferrerName::parse(&text, &Policy::default());
        }
    }
}
