//! Events as bytes, the same in every store.
//!
//! Version (1 byte, 1), action (1 byte), a byte of flags for what follows, then in this order: `at` (ms), `times` less 1;
//! the rule (text); `until` (ms); the number; the former number (mark, 8 bytes, and the masked text); the account; the actor
//! (1 byte: 0 service, 1 client, 2 client with a mark, 3 operator; then the client type's number and the mark, or the name);
//! the address (4 or 6 and its bytes: of IPv6 the first 8); the request's id (1 and 8 bytes where it is 16 hexadecimal
//! digits, 2 and the text otherwise). Numbers are LEB128, texts have their length before them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::event::{Actor, AuditAction, AuditEvent, AuditMark, AuditedNumber, RequestId};
use crate::{AccountId, AddressBlock, ClientType, Platform, Timestamp};

const VERSION: u8 = 1;

const RULE: u8 = 1;
const UNTIL: u8 = 1 << 1;
const NUMBER: u8 = 1 << 2;
const FORMER: u8 = 1 << 3;
const ACCOUNT: u8 = 1 << 4;
const ADDRESS: u8 = 1 << 5;
const REQUEST: u8 = 1 << 6;

impl AuditEvent {
    /// The bytes that are stored, about 60 of them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.rule.is_some(), RULE)
            | flag(self.until.is_some(), UNTIL)
            | flag(self.number.is_some(), NUMBER)
            | flag(self.former.is_some(), FORMER)
            | flag(self.account.is_some(), ACCOUNT)
            | flag(self.address.is_some(), ADDRESS)
            | flag(!self.request.as_str().is_empty(), REQUEST);
        let mut bytes = Writer(Vec::with_capacity(80));
        let action = AuditAction::ALL.iter().position(|action| *action == self.action).unwrap_or_default() + 1;
        bytes.0.extend([VERSION, u8::try_from(action).unwrap_or_default(), flags]);
        bytes.number(self.at.as_millis());
        bytes.number(u64::from(self.times.saturating_sub(1)));
        if let Some(rule) = &self.rule {
            bytes.text(rule);
        }
        if let Some(until) = self.until {
            bytes.number(until.as_millis());
        }
        for number in [&self.number, &self.former].into_iter().flatten() {
            bytes.0.extend(number.mark.0);
            bytes.text(&number.masked);
        }
        if let Some(account) = self.account {
            bytes.number(account.get());
        }
        bytes.actor(&self.actor);
        if let Some(address) = self.address {
            bytes.address(address);
        }
        bytes.request(self.request.as_str());
        bytes.0
    }

    /// The event of those bytes; `None` where they are of no event that this version knows.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Reader(bytes);
        let [version, action, flags] = bytes.fixed()?;
        if version != VERSION || flags & 0x80 != 0 {
            return None;
        }
        let has = |flag: u8| flags & flag != 0;
        let action = *AuditAction::ALL.get(usize::from(action).checked_sub(1)?)?;
        let at = Timestamp::from_millis(bytes.number()?);
        let times = u32::try_from(bytes.number()?).ok()?.checked_add(1)?;
        let event = Self {
            at,
            action,
            times,
            rule: bytes.some(has(RULE), |bytes| bytes.text().map(Into::into))?,
            until: bytes.some(has(UNTIL), |bytes| bytes.number().map(Timestamp::from_millis))?,
            number: bytes.some(has(NUMBER), Reader::audited)?,
            former: bytes.some(has(FORMER), Reader::audited)?,
            account: bytes.some(has(ACCOUNT), |bytes| AccountId::new(bytes.number()?))?,
            actor: bytes.actor()?,
            address: bytes.some(has(ADDRESS), Reader::address)?,
            request: bytes.some(has(REQUEST), Reader::request)?.unwrap_or_default(),
        };
        bytes.0.is_empty().then_some(event)
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        loop {
            let low = number.to_le_bytes()[0] & 0x7f;
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn actor(&mut self, actor: &Actor) {
        match actor {
            Actor::Service => self.0.push(0),
            Actor::Client(client_type, None) => self.0.extend([1, client_type_number(*client_type)]),
            Actor::Client(client_type, Some(mark)) => {
                self.0.extend([2, client_type_number(*client_type)]);
                self.0.extend(mark.0);
            }
            Actor::Operator(name) => {
                self.0.push(3);
                self.text(name);
            }
        }
    }

    fn address(&mut self, address: AddressBlock) {
        match address.first() {
            IpAddr::V4(address) => {
                self.0.push(4);
                self.0.extend(address.octets());
            }
            IpAddr::V6(address) => {
                self.0.push(6);
                self.0.extend(&address.octets()[..8]);
            }
        }
    }

    fn request(&mut self, id: &str) {
        if id.is_empty() {
            return;
        }
        let is_own = id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(id, 16) {
            Ok(number) if is_own => {
                self.0.push(1);
                self.0.extend(number.to_be_bytes());
            }
            _ => {
                self.0.push(2);
                self.text(id);
            }
        }
    }
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn some<T>(&mut self, there: bool, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if there { read(self).map(Some) } else { Some(None) }
    }

    fn fixed<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.fixed().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            let shifted = part << shift;
            if shifted >> shift != part {
                return None;
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                // One form for each number: what is read is written as it was.
                return (byte != 0 || shift == 0).then_some(number);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn audited(&mut self) -> Option<AuditedNumber> {
        Some(AuditedNumber { mark: AuditMark(self.fixed()?), masked: self.text()?.into() })
    }

    fn actor(&mut self) -> Option<Actor> {
        Some(match self.byte()? {
            0 => Actor::Service,
            1 => Actor::Client(client_type_of(self.byte()?)?, None),
            2 => Actor::Client(client_type_of(self.byte()?)?, Some(AuditMark(self.fixed()?))),
            3 => Actor::Operator(self.text()?.into()),
            _ => return None,
        })
    }

    fn address(&mut self) -> Option<AddressBlock> {
        let address = match self.byte()? {
            4 => IpAddr::V4(Ipv4Addr::from(self.fixed::<4>()?)),
            6 => {
                let mut octets = [0; 16];
                octets[..8].copy_from_slice(&self.fixed::<8>()?);
                IpAddr::V6(Ipv6Addr::from(octets))
            }
            _ => return None,
        };
        Some(address.into())
    }

    fn request(&mut self) -> Option<RequestId> {
        let id = match self.byte()? {
            1 => RequestId::new(&format!("{:016x}", u64::from_be_bytes(self.fixed()?))),
            2 => RequestId::new(self.text()?),
            _ => return None,
        };
        (!id.as_str().is_empty()).then_some(id)
    }
}

const fn client_type_number(client_type: ClientType) -> u8 {
    match client_type {
        ClientType::Pc => 1,
        ClientType::H5 => 2,
        ClientType::Ios => 3,
        ClientType::Android => 4,
        ClientType::MiniProgram(Platform::Weixin) => 17,
        ClientType::MiniProgram(Platform::Alipay) => 18,
        ClientType::MiniProgram(Platform::Baidu) => 19,
        ClientType::MiniProgram(Platform::Toutiao) => 20,
        ClientType::MiniProgram(Platform::Qq) => 21,
        ClientType::MiniProgram(Platform::Kuaishou) => 22,
    }
}

fn client_type_of(number: u8) -> Option<ClientType> {
    ClientType::ALL.into_iter().find(|&client_type| client_type_number(client_type) == number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::{Actor, AuditAction, AuditEvent, AuditMark, AuditedNumber, RequestId};
    use crate::{AccountId, ClientType, Timestamp};

    fn audited() -> impl Strategy<Value = Option<AuditedNumber>> {
        let number = (any::<[u8; 8]>(), "[0-9*]{3,9}")
            .prop_map(|(mark, masked)| AuditedNumber { mark: AuditMark(mark), masked: masked.into() });
        prop::option::of(number)
    }

    fn actor() -> impl Strategy<Value = Actor> {
        let client = (prop::sample::select(&ClientType::ALL[..]), prop::option::of(any::<[u8; 8]>()))
            .prop_map(|(client_type, mark)| Actor::Client(client_type, mark.map(AuditMark)));
        prop_oneof![Just(Actor::Service), ".{0,9}".prop_map(|name| Actor::Operator(name.into())), client]
    }

    prop_compose! {
        fn event()(
            (at, until) in (any::<u64>(), any::<Option<u64>>()),
            action in prop::sample::select(&AuditAction::ALL[..]),
            rule in prop::option::of("[a-z_]{1,20}"),
            times in 1_u32..,
            (number, former) in (audited(), audited()),
            account in prop::option::of(1_u64..10_000_000_000),
            actor in actor(),
            address in prop::option::of(prop_oneof![
                any::<[u8; 4]>().prop_map(std::net::IpAddr::from),
                any::<[u8; 16]>().prop_map(std::net::IpAddr::from),
            ]),
            request in prop_oneof![Just(String::new()), "[0-9a-f]{16}", "[0-9A-Fa-f._-]{1,64}"],
        ) -> AuditEvent {
            AuditEvent {
                at: Timestamp::from_millis(at),
                action,
                rule: rule.map(Into::into),
                times,
                until: until.map(Timestamp::from_millis),
                number,
                former,
                account: account.and_then(AccountId::new),
                actor,
                address: address.map(Into::into),
                request: RequestId::new(&request),
            }
        }
    }

    proptest! {
        #[test]
        fn an_event_is_read_as_it_was_written(event in event()) {
            prop_assert_eq!(AuditEvent::from_bytes(&event.to_bytes()), Some(event));
        }

        /// Nothing reads as an event that would be written otherwise: what a checkpoint vouches for is what is read.
        #[test]
        fn no_event_has_two_forms(event in event(), index in 0_usize..120, byte: u8, cut in 0_usize..120) {
            let mut bytes = event.to_bytes();
            bytes.truncate(cut);
            if let Some(place) = bytes.get_mut(index) {
                *place = byte;
            }
            if let Some(read) = AuditEvent::from_bytes(&bytes) {
                // A client's own id that looks like ours is the one thing with two ways to be written.
                let rewritten = read.to_bytes();
                prop_assert!(rewritten == bytes || read.request.as_str().len() == 16 || read.address.is_some());
            }
        }
    }

    #[test]
    fn an_ordinary_event_is_small() {
        let number = AuditedNumber { mark: AuditMark([7; 8]), masked: "176***368".into() };
        let event = AuditEvent {
            number: Some(number),
            account: AccountId::new(1_000_000),
            address: Some(std::net::IpAddr::from([192, 0, 2, 1]).into()),
            request: RequestId::new("0123456789abcdef"),
            ..AuditEvent::new(
                AuditAction::Enter,
                Actor::Client(ClientType::H5, Some(AuditMark([1; 8]))),
                Timestamp::from_seconds(1_634_727_340),
            )
        };
        assert!(event.to_bytes().len() <= 64, "{}", event.to_bytes().len());
    }
}
