//! Accounts as they are stored.

use mobile_bind_domain::{
    Account, AccountId, AccountStatus, AppId, Avatar, Gender, MemberCode, Mobile, OpenId, PlatformIdentity, Profile,
    ProfileText, ShopDetails, Timestamp, UnionId,
};
use serde::{Deserialize, Serialize};

use super::Record;
use crate::layout::{platform_number, platform_of};

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredAccount<'a> {
    #[serde(borrow)]
    V1(AccountV1<'a>),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct AccountV1<'a> {
    id: u64,
    #[serde(borrow)]
    member_code: MemberCodeV1<'a>,
    /// The interface's number.
    status: u8,
    mobile: Option<&'a str>,
    #[serde(borrow)]
    identities: Vec<IdentityV1<'a>>,
    nickname: &'a str,
    avatar: &'a str,
    /// The interface's number.
    gender: u8,
    province: &'a str,
    city: &'a str,
    county: &'a str,
    #[serde(borrow)]
    shop: Option<ShopDetailsV1<'a>>,
    referrer: Option<u64>,
    added_at: u64,
    updated_at: Option<u64>,
    mobile_since: Option<u64>,
    seen_at: Option<u64>,
    deleted_at: Option<u64>,
    closed_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
enum MemberCodeV1<'a> {
    None,
    /// The one that is made of the account's id.
    Own,
    Given(&'a str),
}

#[derive(Serialize, Deserialize)]
struct IdentityV1<'a> {
    /// As in keys.
    platform: u8,
    app: &'a str,
    openid: Option<&'a str>,
    unionid: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct ShopDetailsV1<'a> {
    username: &'a str,
    email: &'a str,
    weixin_web_openid: &'a str,
    birthday: i64,
    address: &'a str,
    integral: i64,
    locking_integral: i64,
    has_password: bool,
}

impl Record for Account {
    const KIND: &'static str = "account";
    type Stored<'a> = StoredAccount<'a>;

    fn to_stored(&self) -> StoredAccount<'_> {
        let identities = self.identities.iter().map(|(&platform, identity)| IdentityV1 {
            platform: platform_number(platform),
            app: identity.app.as_str(),
            openid: identity.openid.as_ref().map(OpenId::as_str),
            unionid: identity.unionid.as_ref().map(UnionId::as_str),
        });
        StoredAccount::V1(AccountV1 {
            id: self.id.get(),
            member_code: match &self.member_code {
                None => MemberCodeV1::None,
                Some(code) if code.account() == Some(self.id) => MemberCodeV1::Own,
                Some(code) => MemberCodeV1::Given(code.as_str()),
            },
            status: self.status.number(),
            mobile: self.mobile.as_ref().map(Mobile::as_str),
            identities: identities.collect(),
            nickname: self.profile.nickname.as_str(),
            avatar: self.profile.avatar.as_str(),
            gender: self.profile.gender.number(),
            province: self.profile.province.as_str(),
            city: self.profile.city.as_str(),
            county: self.profile.county.as_str(),
            shop: self.shop.as_deref().map(ShopDetailsV1::from),
            referrer: self.referrer.map(AccountId::get),
            added_at: self.added_at.as_millis(),
            updated_at: self.updated_at.map(Timestamp::as_millis),
            mobile_since: self.mobile_since.map(Timestamp::as_millis),
            seen_at: self.seen_at.map(Timestamp::as_millis),
            deleted_at: self.deleted_at.map(Timestamp::as_millis),
            closed_at: self.closed_at.map(Timestamp::as_millis),
        })
    }

    fn from_stored(stored: StoredAccount<'_>) -> Option<Self> {
        let StoredAccount::V1(stored) = stored;
        let mut identities = std::collections::BTreeMap::new();
        for identity in stored.identities {
            let known = PlatformIdentity {
                app: AppId::new(identity.app)?,
                openid: some(identity.openid, OpenId::new)?,
                unionid: some(identity.unionid, UnionId::new)?,
            };
            identities.insert(platform_of(identity.platform)?, known);
        }
        let id = AccountId::new(stored.id)?;
        Some(Self {
            id,
            member_code: match stored.member_code {
                MemberCodeV1::None => None,
                MemberCodeV1::Own => Some(MemberCode::of(id)),
                MemberCodeV1::Given(code) => Some(MemberCode::new(code)?),
            },
            status: AccountStatus::from_number(stored.status)?,
            mobile: some(stored.mobile, Mobile::restore)?,
            identities,
            profile: Profile {
                nickname: ProfileText::new(stored.nickname)?,
                avatar: Avatar::new(stored.avatar)?,
                gender: gender(stored.gender)?,
                province: ProfileText::new(stored.province)?,
                city: ProfileText::new(stored.city)?,
                county: ProfileText::new(stored.county)?,
            },
            shop: stored.shop.map(|shop| Box::new(shop.into())),
            referrer: some(stored.referrer, AccountId::new)?,
            added_at: Timestamp::from_millis(stored.added_at),
            updated_at: stored.updated_at.map(Timestamp::from_millis),
            mobile_since: stored.mobile_since.map(Timestamp::from_millis),
            seen_at: stored.seen_at.map(Timestamp::from_millis),
            deleted_at: stored.deleted_at.map(Timestamp::from_millis),
            closed_at: stored.closed_at.map(Timestamp::from_millis),
        })
    }
}

/// Reads what may be absent; `None` where it is there and cannot be read.
fn some<S, T>(stored: Option<S>, read: impl FnOnce(S) -> Option<T>) -> Option<Option<T>> {
    match stored {
        Some(stored) => read(stored).map(Some),
        None => Some(None),
    }
}

fn gender(number: u8) -> Option<Gender> {
    [Gender::Undisclosed, Gender::Female, Gender::Male].into_iter().find(|gender| gender.number() == number)
}

impl<'a> From<&'a ShopDetails> for ShopDetailsV1<'a> {
    fn from(details: &'a ShopDetails) -> Self {
        Self {
            username: &details.username,
            email: &details.email,
            weixin_web_openid: &details.weixin_web_openid,
            birthday: details.birthday,
            address: &details.address,
            integral: details.integral,
            locking_integral: details.locking_integral,
            has_password: details.has_password,
        }
    }
}

impl From<ShopDetailsV1<'_>> for ShopDetails {
    fn from(stored: ShopDetailsV1<'_>) -> Self {
        Self {
            username: stored.username.into(),
            email: stored.email.into(),
            weixin_web_openid: stored.weixin_web_openid.into(),
            birthday: stored.birthday,
            address: stored.address.into(),
            integral: stored.integral,
            locking_integral: stored.locking_integral,
            has_password: stored.has_password,
        }
    }
}
