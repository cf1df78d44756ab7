//! Who is asking: the kind of client, the installation, the address, the language.

use std::fmt;

use crate::audit::RequestId;
use std::net::{IpAddr, Ipv6Addr};

/// The kind of client, as `application_client_type` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClientType {
    /// A browser on a computer; also what an unknown name counts as.
    Pc,
    /// A mobile web page.
    H5,
    /// An iOS app.
    Ios,
    /// An Android app.
    Android,
    /// A mini-program.
    MiniProgram(Platform),
}

/// The platforms that have mini-programs, and thus openids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Platform {
    /// WeChat.
    Weixin,
    /// Alipay.
    Alipay,
    /// Baidu.
    Baidu,
    /// Toutiao (Douyin).
    Toutiao,
    /// QQ.
    Qq,
    /// Kuaishou.
    Kuaishou,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 6] = [Self::Weixin, Self::Alipay, Self::Baidu, Self::Toutiao, Self::Qq, Self::Kuaishou];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weixin => "weixin",
            Self::Alipay => "alipay",
            Self::Baidu => "baidu",
            Self::Toutiao => "toutiao",
            Self::Qq => "qq",
            Self::Kuaishou => "kuaishou",
        }
    }

    /// The parameter that carries its openid.
    #[must_use]
    pub const fn openid_parameter(self) -> &'static str {
        match self {
            Self::Weixin => "weixin_openid",
            Self::Alipay => "alipay_openid",
            Self::Baidu => "baidu_openid",
            Self::Toutiao => "toutiao_openid",
            Self::Qq => "qq_openid",
            Self::Kuaishou => "kuaishou_openid",
        }
    }

    /// The parameter that carries its unionid, which joins one person's openids of several apps; not every platform
    /// has them.
    #[must_use]
    pub const fn unionid_parameter(self) -> Option<&'static str> {
        match self {
            Self::Weixin => Some("weixin_unionid"),
            Self::Toutiao => Some("toutiao_unionid"),
            Self::Qq => Some("qq_unionid"),
            Self::Alipay | Self::Baidu | Self::Kuaishou => None,
        }
    }
}

impl ClientType {
    /// Every client type.
    pub const ALL: [Self; 10] = [
        Self::Pc,
        Self::H5,
        Self::Ios,
        Self::Android,
        Self::MiniProgram(Platform::Weixin),
        Self::MiniProgram(Platform::Alipay),
        Self::MiniProgram(Platform::Baidu),
        Self::MiniProgram(Platform::Toutiao),
        Self::MiniProgram(Platform::Qq),
        Self::MiniProgram(Platform::Kuaishou),
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pc => "pc",
            Self::H5 => "h5",
            Self::Ios => "ios",
            Self::Android => "android",
            Self::MiniProgram(platform) => platform.name(),
        }
    }

    /// The type of that very name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|client_type| client_type.name() == name)
    }

    /// The mini-program platform, where it is one.
    #[must_use]
    pub const fn platform(self) -> Option<Platform> {
        match self {
            Self::MiniProgram(platform) => Some(platform),
            Self::Pc | Self::H5 | Self::Ios | Self::Android => None,
        }
    }
}

/// The language of answers and messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Simplified Chinese.
    #[default]
    Zh,
    /// English.
    En,
    /// Traditional Chinese.
    Cht,
    /// Spanish.
    Spa,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 4] = [Self::Zh, Self::En, Self::Cht, Self::Spa];
}

/// The client installation's id: the `uuid` that a client makes once and sends with every request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installation(Box<str>);

impl Installation {
    /// The longest id, in characters.
    pub const MAX_CHARS: usize = 128;

    /// `None` where the text is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let well_formed = !text.is_empty() && text.chars().count() <= Self::MAX_CHARS;
        well_formed.then(|| Self(text.into()))
    }

    /// The id as sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An address as limits count it: IPv4 whole, IPv6 by its /64, which one subscriber has to himself (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressBlock(IpAddr);

impl AddressBlock {
    /// The first address of the block.
    #[must_use]
    pub const fn first(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for AddressBlock {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(prefix))
            }
        })
    }
}

/// Whom a code belongs to: the installation that asked for it or, where it sent no `uuid`, its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// Known by its `uuid`.
    Installation(Installation),
    /// Known by its address alone.
    Address(AddressBlock),
}

impl fmt::Display for Client {
    /// `uuid:…` or `address:…`: distinct for distinct clients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation(installation) => write!(f, "uuid:{}", installation.as_str()),
            Self::Address(block) => write!(f, "address:{}", block.first()),
        }
    }
}

/// What is known of whoever sent a request.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The kind of client.
    pub client_type: ClientType,
    /// Its installation id, where it sent one.
    pub installation: Option<Installation>,
    /// Where the request came from.
    pub address: AddressBlock,
    /// The language to answer in.
    pub language: Language,
    /// The request, as its answer names it.
    pub request: RequestId,
}

impl Requester {
    /// Whom a code that this request asks for belongs to.
    #[must_use]
    pub fn client(&self) -> Client {
        match &self.installation {
            Some(installation) => Client::Installation(installation.clone()),
            None => Client::Address(self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressBlock, ClientType};
    use std::net::IpAddr;

    fn block(text: &str) -> AddressBlock {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_count_by_block() {
        assert_eq!(block("2001:db8:0:1::1"), block("2001:db8:0:1:ffff::2"));
        assert_ne!(block("2001:db8:0:1::1"), block("2001:db8:0:2::1"));
        assert_eq!(block("::ffff:192.0.2.1"), block("192.0.2.1"));
        assert_ne!(block("192.0.2.1"), block("192.0.2.2"));
    }

    #[test]
    fn client_types_are_known_by_their_very_name() {
        for client_type in ClientType::ALL {
            assert_eq!(ClientType::from_name(client_type.name()), Some(client_type));
        }
        assert!(["", "WEIXIN", "weixin ", "foo"].iter().all(|name| ClientType::from_name(name).is_none()));
    }
}
