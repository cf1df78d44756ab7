//! A number that a platform vouches for, in place of a code.

use std::time::Duration;

use crate::ports::{PlatformFailure, VouchedNumber};
use crate::{Identity, Mobile, Operation, Policy, Refusal, SpentMark, Timestamp};

/// How far a platform's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(60);

/// A number that a platform vouched for a moment ago. Only [`Vouched::accept`] makes one.
#[derive(Clone, Debug)]
pub struct Vouched {
    mobile: Mobile,
    mark: SpentMark,
    until: Timestamp,
}

impl Vouched {
    /// Takes a platform's word, where it is fresh and the number is one.
    ///
    /// # Errors
    /// Where the platform said so long ago, or the number is malformed.
    pub fn accept(
        number: VouchedNumber,
        identity: &Identity,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Self, Refusal> {
        let fresh = |at: Timestamp| now.since(at) <= policy.voucher_lifetime && at.since(now) <= SKEW;
        if !number.vouched_at.is_none_or(fresh) {
            return Err(Refusal::Platform(PlatformFailure::Stale));
        }
        let home = number.country == policy.country_code;
        let text = if home { number.national } else { format!("+{}{}", number.country, number.national) };
        let mobile = policy.mobile_rule.parse(&text).ok_or(Refusal::MobileMalformed(Operation::Bind))?;
        let Identity { platform, app, openid } = identity;
        let parts = [platform.name(), app.as_str(), openid.as_str(), mobile.as_str()].map(str::as_bytes);
        let mark = SpentMark::of(b"vouched number", &[&parts[..], &[&number.occasion]].concat());
        // No key that opens it lives longer.
        Ok(Self { mobile, mark, until: now.after(policy.session_key_lifetime + policy.voucher_lifetime) })
    }

    /// The number, as the service writes it.
    #[must_use]
    pub fn mobile(&self) -> &Mobile {
        &self.mobile
    }

    /// What is marked when it is used.
    #[must_use]
    pub fn mark(&self) -> SpentMark {
        self.mark
    }

    /// Until when that must be remembered.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Vouched;
    use crate::ports::{PlatformFailure, VouchedNumber};
    use crate::{AppId, Identity, OpenId, Operation, Platform, Policy, Refusal, Timestamp};

    fn accept(country: &str, national: &str, at: Option<u64>, occasion: &[u8]) -> Result<Vouched, Refusal> {
        let identity =
            Identity { platform: Platform::Weixin, app: AppId::new("wx").unwrap(), openid: OpenId::new("o").unwrap() };
        let (country, national) = (country.to_owned(), national.to_owned());
        let vouched_at = at.map(Timestamp::from_seconds);
        let number = VouchedNumber { country, national, vouched_at, occasion: occasion.to_vec() };
        let policy = Policy { voucher_lifetime: Duration::from_secs(300), ..Policy::default() };
        Vouched::accept(number, &identity, Timestamp::from_seconds(1000), &policy)
    }

    #[test]
    fn a_word_is_taken_while_it_is_fresh() {
        for (at, taken) in [
            (None, true),
            (Some(1000), true),
            (Some(700), true),
            (Some(699), false),
            (Some(1060), true),
            (Some(1061), false),
        ] {
            let accepted = accept("86", "17602128368", at, b"1");
            assert_eq!(accepted.is_ok(), taken, "{at:?}");
            if let Err(refusal) = accepted {
                assert_eq!(refusal, Refusal::Platform(PlatformFailure::Stale));
            }
        }
    }

    #[test]
    fn a_number_is_written_as_the_service_does() {
        assert_eq!(accept("86", "17602128368", None, b"1").unwrap().mobile().as_str(), "17602128368");
        for (country, national) in [("852", "51234567"), ("86", "1760212836"), ("1", "17602128368"), ("86", "")] {
            let refusal = accept(country, national, None, b"1").unwrap_err();
            assert_eq!(refusal, Refusal::MobileMalformed(Operation::Bind), "{country} {national}");
        }
    }

    #[test]
    fn each_occasion_has_a_mark_of_its_own() {
        let mark = |national, occasion| accept("86", national, None, occasion).unwrap().mark();
        assert_eq!(mark("17602128368", b"1"), mark("17602128368", b"1"));
        assert_ne!(mark("17602128368", b"1"), mark("17602128368", b"2"));
        assert_ne!(mark("17602128368", b"1"), mark("17602128369", b"1"));
    }
}
