//! Accounts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bind::ProvedIdentity;
use crate::{AppId, Identity, Mobile, OpenId, Platform, Profile, Timestamp, UnionId, VerifiedMobile};

/// An account's id: decimal, at most ten digits, starting at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The first id.
    pub const MIN: Self = Self(1);
    /// The last id of ten digits.
    pub const MAX: Self = Self(9_999_999_999);
    /// How many digits an id has at most.
    pub const MAX_DIGITS: usize = 10;

    /// `None` outside 1 to 9,999,999,999.
    #[must_use]
    pub fn new(id: u64) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&id).then_some(Self(id))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What one member gives another to name him as the referrer: `8888` and ten digits that end in the id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberCode(Box<str>);

impl MemberCode {
    /// The longest code, in characters (ShopXO's column).
    pub const MAX_CHARS: usize = 30;

    /// The code of a new account.
    #[must_use]
    pub fn of(id: AccountId) -> Self {
        Self(format!("8888{:010}", id.get()).into())
    }

    /// The account that has this code as a new account; `None` where no account could.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        let digits = self.0.strip_prefix("8888").filter(|digits| digits.len() == 10)?;
        digits.parse().ok().and_then(AccountId::new)
    }

    /// A code as it is written; `None` where it is empty, too long, or has anything but digits.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let well_formed = (1..=Self::MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        well_formed.then(|| Self(text.into()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an account may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountStatus {
    /// 0: everything.
    #[default]
    Normal,
    /// 1: may not post; binds normally.
    Muted,
    /// 2: may not log in.
    Disabled,
    /// 3: registered, waits for the shop's approval.
    AwaitingApproval,
}

impl AccountStatus {
    /// The interface's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Muted => 1,
            Self::Disabled => 2,
            Self::AwaitingApproval => 3,
        }
    }

    /// The status of that number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Normal),
            1 => Some(Self::Muted),
            2 => Some(Self::Disabled),
            3 => Some(Self::AwaitingApproval),
            _ => None,
        }
    }

    /// Whether its sessions count and new ones may be opened.
    #[must_use]
    pub const fn may_log_in(self) -> bool {
        matches!(self, Self::Normal | Self::Muted)
    }
}

/// What an account is on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformIdentity {
    /// The app that the openid belongs to.
    pub app: AppId,
    /// The openid, where one is known.
    pub openid: Option<OpenId>,
    /// The unionid, where one is known.
    pub unionid: Option<UnionId>,
}

/// What a shop keeps with an account and the interface answers, but a bind never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShopDetails {
    /// The name chosen at the shop.
    pub username: Box<str>,
    /// The e-mail address.
    pub email: Box<str>,
    /// The openid of the shop's web log-in by WeChat.
    pub weixin_web_openid: Box<str>,
    /// Unix seconds; 0 where unknown.
    pub birthday: i64,
    /// The postal address.
    pub address: Box<str>,
    /// Points.
    pub integral: i64,
    /// Points that are held back.
    pub locking_integral: i64,
    /// Whether a password is set.
    pub has_password: bool,
}

/// A person known to the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The id.
    pub id: AccountId,
    /// The member code, where one was given out.
    pub member_code: Option<MemberCode>,
    /// What the account may do.
    pub status: AccountStatus,
    /// The bound number.
    pub mobile: Option<Mobile>,
    /// The openid and unionid on each platform.
    pub identities: BTreeMap<Platform, PlatformIdentity>,
    /// What the owner told of himself.
    pub profile: Profile,
    /// What the shop knows besides; absent where it is all empty.
    pub shop: Option<Box<ShopDetails>>,
    /// Who invited the owner.
    pub referrer: Option<AccountId>,
    /// When the account was made.
    pub added_at: Timestamp,
    /// When it was last changed; `None` for a new one.
    pub updated_at: Option<Timestamp>,
    /// When it got the number that it holds, as far as that is known.
    pub mobile_since: Option<Timestamp>,
    /// When its owner was last seen, as far as no session tells: noted where one is ended.
    pub seen_at: Option<Timestamp>,
    /// When the shop deleted it.
    pub deleted_at: Option<Timestamp>,
    /// When its owner closed it.
    pub closed_at: Option<Timestamp>,
}

impl Account {
    /// A new account, which owns nothing yet.
    #[must_use]
    pub fn new(id: AccountId, now: Timestamp) -> Self {
        Self {
            id,
            member_code: Some(MemberCode::of(id)),
            status: AccountStatus::Normal,
            mobile: None,
            identities: BTreeMap::new(),
            profile: Profile::default(),
            shop: None,
            referrer: None,
            added_at: now,
            updated_at: None,
            mobile_since: None,
            seen_at: None,
            deleted_at: None,
            closed_at: None,
        }
    }

    /// When its owner was last here, as far as no session tells.
    pub(crate) fn last_noted(&self) -> Timestamp {
        [self.seen_at, self.mobile_since].into_iter().flatten().fold(self.added_at, Timestamp::max)
    }

    /// Notes that its owner is here, where only a session would tell so before the silence that makes a number recycled is over:
    /// a session is another record, and whoever takes the number at the same moment must find the account another. Answers whether
    /// anything was noted.
    pub(crate) fn note_presence(&mut self, now: Timestamp, silence: Option<Duration>) -> bool {
        let needed =
            self.held_mobile().is_some() && silence.is_some_and(|silence| self.last_noted().after(silence) <= now);
        if needed {
            self.seen_at = Some(now);
        }
        needed
    }

    /// Whether it holds its number, openids and member code. A deleted or closed account has let them go.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.deleted_at.is_none() && self.closed_at.is_none()
    }

    /// The identities that it holds, and nobody else may while it lives.
    pub fn held_identities(&self) -> impl Iterator<Item = Identity> + '_ {
        let live = self.is_live();
        self.identities.iter().filter(move |_| live).filter_map(|(&platform, identity)| {
            let openid = identity.openid.clone()?;
            Some(Identity { platform, app: identity.app.clone(), openid })
        })
    }

    /// The unionids that it holds, and nobody else may while it lives.
    pub fn held_unionids(&self) -> impl Iterator<Item = (Platform, &UnionId)> {
        let live = self.is_live();
        self.identities
            .iter()
            .filter(move |_| live)
            .filter_map(|(&platform, identity)| Some((platform, identity.unionid.as_ref()?)))
    }

    /// The number that it holds, and nobody else may while it lives.
    #[must_use]
    pub fn held_mobile(&self) -> Option<&Mobile> {
        self.mobile.as_ref().filter(|_| self.is_live())
    }

    /// The member code that leads to it while it lives.
    #[must_use]
    pub fn held_member_code(&self) -> Option<&MemberCode> {
        self.member_code.as_ref().filter(|_| self.is_live())
    }

    /// Takes a number that was proved to be in the caller's hands.
    pub(crate) fn take_mobile(&mut self, proof: VerifiedMobile, now: Timestamp) {
        self.mobile = Some(proof.into_mobile());
        self.mobile_since = Some(now);
    }

    /// What it may do, in a word for operators.
    #[must_use]
    pub const fn standing(&self) -> &'static str {
        match self.status {
            _ if self.deleted_at.is_some() => "deleted",
            _ if self.closed_at.is_some() => "closed",
            AccountStatus::Normal => "normal",
            AccountStatus::Muted => "muted",
            AccountStatus::Disabled => "disabled",
            AccountStatus::AwaitingApproval => "awaiting_approval",
        }
    }

    /// Lets its number go.
    pub(crate) fn lose_mobile(&mut self) {
        self.mobile = None;
        self.mobile_since = None;
    }

    /// Makes `identity` the account's own on its platform. One that it had there is freed, and its unionid with it.
    pub(crate) fn take_identity(&mut self, proof: &ProvedIdentity) {
        let identity = proof.identity();
        let openid = Some(identity.openid.clone());
        let known = self.identities.get(&identity.platform);
        if known.is_some_and(|known| known.openid == openid && known.app == identity.app) {
            return;
        }
        let unionid = known.filter(|known| known.openid.is_none()).and_then(|known| known.unionid.clone());
        let taken = PlatformIdentity { app: identity.app.clone(), openid, unionid };
        self.identities.insert(identity.platform, taken);
    }

    /// Stores a unionid where none is stored yet.
    pub(crate) fn fill_unionid(&mut self, platform: Platform, unionid: &UnionId) {
        if let Some(identity) = self.identities.get_mut(&platform) {
            identity.unionid.get_or_insert_with(|| unionid.clone());
        }
    }
}
