//! What the tests share: a scene to decide a bind on, a service over a store in memory, and names for both.

pub(crate) mod scene;
pub(crate) mod world;

use std::net::{IpAddr, Ipv4Addr};

use mobile_bind_domain::bind::BindParameters;
use mobile_bind_domain::{
    Account, AccountId, AccountStatus, AppId, Client, ClientType, CodeKey, CodeKeys, Identity, Installation, KeyId,
    Language, Mobile, OpenId, Platform, PlatformIdentity, Requester, Timestamp, UnionId,
};

pub(crate) const MOBILE: &str = "17602128368";
pub(crate) const CODE: &str = "0944";
pub(crate) const OPENID: &str = "oB6US5SNOngn196qzb3lagEBTh6w";
pub(crate) const UNIONID: &str = "o1Ang5xo5tiJD-l7Y1kY7-hT6emk";
pub(crate) const WEIXIN: ClientType = ClientType::MiniProgram(Platform::Weixin);
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_634_727_340);

/// The document's number and code, and nothing else.
pub(crate) const BIND: BindParameters<'static> = BindParameters {
    mobile: MOBILE,
    verify: CODE,
    old_verify: "",
    avatar: "",
    province: "",
    city: "",
    county: "",
    gender: "",
    nickname: "",
    referrer: "",
    openid: "",
    unionid: "",
    token: "",
    auth_ticket: "",
    idempotency_key: None,
};

/// The same by a mini-program, with its openid and unionid.
pub(crate) const MINI_BIND: BindParameters<'static> = BindParameters { openid: OPENID, unionid: UNIONID, ..BIND };

pub(crate) fn mobile(number: &str) -> Mobile {
    Mobile::restore(number).unwrap()
}

pub(crate) fn keys() -> CodeKeys {
    CodeKeys::new(CodeKey::new(KeyId::new("k").unwrap(), [7; 32]), Vec::new())
}

pub(crate) fn client(uuid: &str) -> Client {
    Client::Installation(Installation::new(uuid).unwrap())
}

pub(crate) fn requester(client_type: ClientType, uuid: &str) -> Requester {
    Requester {
        client_type,
        installation: Installation::new(uuid),
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into(),
        language: Language::Zh,
        request: Default::default(),
    }
}

pub(crate) fn identity(platform: Platform, openid: &str) -> Identity {
    Identity { platform, app: AppId::default(), openid: OpenId::new(openid).unwrap() }
}

pub(crate) fn account_id(id: u64) -> AccountId {
    AccountId::new(id).unwrap()
}

/// An account in the making.
pub(crate) struct Person(pub(crate) Account);

pub(crate) fn person(id: u64) -> Person {
    Person(Account::new(account_id(id), Timestamp::from_seconds(1_627_535_697)))
}

impl Person {
    pub(crate) fn mobile(mut self, number: &str) -> Self {
        self.0.mobile = Some(mobile(number));
        self
    }

    pub(crate) fn status(mut self, status: AccountStatus) -> Self {
        self.0.status = status;
        self
    }

    pub(crate) fn weixin(mut self, openid: Option<&str>, unionid: Option<&str>) -> Self {
        let identity = PlatformIdentity {
            app: AppId::default(),
            openid: openid.and_then(OpenId::new),
            unionid: unionid.and_then(UnionId::new),
        };
        self.0.identities.insert(Platform::Weixin, identity);
        self
    }
}

/// The openid and the unionid that an account has at WeChat.
pub(crate) fn weixin_of(account: &Account) -> (Option<&str>, Option<&str>) {
    let identity = account.identities.get(&Platform::Weixin);
    let openid = identity.and_then(|identity| identity.openid.as_ref()).map(OpenId::as_str);
    (openid, identity.and_then(|identity| identity.unionid.as_ref()).map(UnionId::as_str))
}
