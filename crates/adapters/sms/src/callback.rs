//! Providers that call to tell what became of messages: who may, and what they say.

use std::net::IpAddr;
use std::str::FromStr;

use crate::config::{BadConfig, Kind};
use crate::provider::Provider;
use crate::receipts::{Receipt, is_twilios, read_receipts};
use crate::secret::Secret;
use crate::signing::same;
use crate::vendors::webhook::{SigningKey, read_callback};

/// Addresses that a provider calls from: one, or all that begin with the same bits (`192.0.2.0/24`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    bits: u8,
}

impl FromStr for AddressRange {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let first: IpAddr = address.parse().map_err(|_| ())?;
        let all = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), str::parse).map_err(|_| ())?;
        if bits > all { Err(()) } else { Ok(Self { first, bits }) }
    }
}

impl AddressRange {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let differing = match (self.first.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                u128::from(u32::from(first) ^ u32::from(address)).checked_shr(32 - u32::from(self.bits.min(32)))
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (u128::from(first) ^ u128::from(address)).checked_shr(128 - u32::from(self.bits))
            }
            _ => return false,
        };
        // Shifted out altogether: every address is in it.
        differing.unwrap_or_default() == 0
    }
}

/// How a provider's calls are known.
#[derive(Clone, Debug, Default)]
pub struct CallbackConfig {
    /// What the path ends in; without it the provider has no such calls to make.
    pub key: Secret,
    /// Where calls come from; from anywhere where empty.
    pub from: Vec<AddressRange>,
    /// The URL that the provider is told to call, as it knows it: what Twilio signs.
    pub url: String,
}

impl CallbackConfig {
    /// Whether it will do for that kind.
    pub(crate) fn check(&self, kind: Kind) -> Result<(), BadConfig> {
        let bad = |key, problem: &str| Err(BadConfig { key, problem: problem.to_owned() });
        if self.key.is_empty() {
            let unused = self.from.is_empty() && self.url.is_empty();
            return if unused { Ok(()) } else { bad("receipts_key", "is missing: the path of receipts ends in it") };
        }
        let text = self.key.expose();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if text.len() < 16 || !text.bytes().all(plain) {
            return bad("receipts_key", "must be of 16 letters, digits, - and _ at least");
        }
        match kind {
            Kind::Aliyun | Kind::Tencent if self.from.is_empty() => {
                bad("receipts_from", "is missing: this vendor does not sign its calls")
            }
            Kind::Twilio if !self.url.starts_with("http") => {
                bad("receipts_url", "is missing: the vendor signs the URL that it calls")
            }
            Kind::Smpp => bad("receipts_key", "has no meaning for this kind: receipts come by its own connection"),
            _ if kind != Kind::Twilio && !self.url.is_empty() => {
                bad("receipts_url", "has no meaning for this kind: the vendor's console has it")
            }
            _ => Ok(()),
        }
    }
}

/// A call that may be a provider's.
pub struct Call<'a> {
    /// What the path ended in.
    pub key: &'a str,
    /// Where it came from.
    pub from: IpAddr,
    /// The request's headers, by their names in lower case.
    pub header: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The body.
    pub body: &'a [u8],
    /// Seconds since the Unix epoch.
    pub now: u64,
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It is not the provider's, or the provider makes none.
    Forbidden,
    /// It cannot be read.
    Unreadable,
}

impl Provider {
    /// The receipts in a call, where it is this provider's.
    ///
    /// # Errors
    /// Where it is not, or says nothing that can be read.
    pub fn receipts(&self, call: &Call<'_>) -> Result<Vec<Receipt>, NotTaken> {
        let config = self.callbacks();
        let allowed = config.from.is_empty() || config.from.iter().any(|range| range.contains(call.from));
        if config.key.is_empty() || !same(config.key.expose(), call.key) || !allowed || !self.is_signed(call) {
            return Err(NotTaken::Forbidden);
        }
        let read = match self.kind() {
            Kind::Webhook => read_callback(call.body).map(|receipt| vec![receipt]),
            kind => read_receipts(kind, call.body),
        };
        let receipts = read.ok_or(NotTaken::Unreadable)?;
        receipts.iter().for_each(|receipt| self.note_receipt(receipt));
        Ok(receipts)
    }

    /// Whether the vendor's signature is right, where it signs.
    fn is_signed(&self, call: &Call<'_>) -> bool {
        let header = |name: &str| (call.header)(name).unwrap_or_default();
        match self.kind() {
            Kind::Aliyun | Kind::Tencent => true,
            Kind::Twilio => is_twilios(self.secret(), &self.callbacks().url, call.body, &header("x-twilio-signature")),
            Kind::Webhook => SigningKey::new(self.secret()).is_some_and(|key| {
                key.has_signed(
                    &header("webhook-id"),
                    &header("webhook-timestamp"),
                    &header("webhook-signature"),
                    call.body,
                    call.now,
                )
            }),
            Kind::Smpp => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AddressRange;

    #[test]
    fn a_range_has_the_addresses_that_begin_alike() {
        let contains =
            |range: &str, address: &str| range.parse::<AddressRange>().unwrap().contains(address.parse().unwrap());
        assert!(contains("192.0.2.0/24", "192.0.2.255") && !contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("192.0.2.7", "::ffff:192.0.2.7"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "2001:db8::1"));
        for bad in ["", "192.0.2", "192.0.2.0/33", "192.0.2.0/x", "::/129"] {
            assert!(bad.parse::<AddressRange>().is_err(), "{bad}");
        }
    }
}
