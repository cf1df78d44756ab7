//! Ranges of addresses, as operators list them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// Addresses with a common beginning, written as in `203.0.113.0/24`, `2001:db8::/32` or `192.0.2.1` (RFC 4632, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange(IpNet);

/// The text is no range of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no range of addresses: write it as 203.0.113.0/24, 2001:db8::/32 or 192.0.2.1")]
pub struct AddressRangeError(String);

impl AddressRange {
    /// Whether an address is in it. An IPv4 address that is written as an IPv6 one counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let trimmed = text.trim();
        let range = trimmed.parse().ok().or_else(|| trimmed.parse::<IpAddr>().ok().map(IpNet::from));
        range.map(Self).ok_or_else(|| AddressRangeError(text.to_owned()))
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::AddressRange;

    fn contains(range: &str, address: &str) -> bool {
        range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_contain_what_begins_alike() {
        assert!(contains("203.0.113.0/24", "203.0.113.255") && !contains("203.0.113.0/24", "203.0.114.0"));
        assert!(contains("203.0.113.9/24", "203.0.113.1"), "bits beyond the length do not count");
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.0"));
        assert!(contains("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "2001:db8::1") && !contains("::/0", "192.0.2.1"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in ["", "203.0.113.0/33", "2001:db8::/129", "203.0.113.0/", "203.0.113/24", "/8", "host"] {
            assert!(text.parse::<AddressRange>().is_err(), "{text}");
        }
        assert_eq!(" 203.0.113.0/24 ".parse::<AddressRange>().unwrap().to_string(), "203.0.113.0/24");
    }
}
