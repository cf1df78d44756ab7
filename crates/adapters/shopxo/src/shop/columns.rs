//! The shop's columns that an account is made of, and what they mean.

use std::collections::BTreeMap;

use mobile_bind_domain::{
    Account, AccountId, AccountStatus, AppId, Avatar, Gender, MemberCode, Mobile, OpenId, Platform, PlatformIdentity,
    Profile, ProfileText, ShopDetails, Timestamp, UnionId,
};
use mysql_async::Value;

use super::companion::Companion;
use crate::fault::Fault;
use crate::records::Columns;

/// What stands in `pwd` where an account that had a password elsewhere was brought here: the shop's are 32 hexadecimal
/// digits, so that none leads to it, and the shop knows that there is one to be set anew.
const PASSWORD_ELSEWHERE: &str = "set-elsewhere";

/// How long the shop's texts are, in characters.
const CODE: usize = 30;
const NAME: usize = 60;
const URL: usize = 255;
const ADDRESS: usize = 150;

/// What one account is at the shop: its row in `user`, and what its rows in `user_platform` say of each platform.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct ShopColumns {
    number_code: String,
    status: i64,
    has_password: bool,
    username: String,
    nickname: String,
    mobile: String,
    email: String,
    gender: i64,
    avatar: String,
    province: String,
    city: String,
    county: String,
    birthday: i64,
    address: String,
    integral: i64,
    locking_integral: i64,
    referrer: i64,
    is_delete_time: i64,
    is_logout_time: i64,
    add_time: i64,
    upd_time: i64,
    pub(super) weixin_web_openid: String,
    /// The openid and the unionid, empty where there is none, on each platform that has one.
    pub(super) identities: BTreeMap<Platform, (String, String)>,
}

/// What is read of `user`, in the order in which [`ShopColumns::read`] takes it.
pub(super) const USER: &str = "u.number_code, u.status, u.pwd <> '', u.username, u.nickname, u.mobile, u.email, u.gender, \
     u.avatar, u.province, u.city, u.county, u.birthday, u.address, u.integral, u.locking_integral, u.referrer, \
     u.is_delete_time, u.is_logout_time, u.add_time, u.upd_time";

/// The shop's columns of a platform: its openid and, where it has them, its unionid.
pub(super) fn names(platform: Platform) -> (&'static str, Option<&'static str>) {
    (platform.openid_parameter(), platform.unionid_parameter())
}

impl ShopColumns {
    /// Reads what [`USER`] names.
    pub(super) fn read(columns: &mut Columns) -> Result<Self, Fault> {
        Ok(Self {
            number_code: columns.take()?,
            status: columns.take()?,
            has_password: columns.take::<i64>()? != 0,
            username: columns.take()?,
            nickname: columns.take()?,
            mobile: columns.take()?,
            email: columns.take()?,
            gender: columns.take()?,
            avatar: columns.take()?,
            province: columns.take()?,
            city: columns.take()?,
            county: columns.take()?,
            birthday: columns.take()?,
            address: columns.take()?,
            integral: columns.take()?,
            locking_integral: columns.take()?,
            referrer: columns.take()?,
            is_delete_time: columns.take()?,
            is_logout_time: columns.take()?,
            add_time: columns.take()?,
            upd_time: columns.take()?,
            weixin_web_openid: String::new(),
            identities: BTreeMap::new(),
        })
    }

    /// What stands in the row of `user`, by its column.
    pub(super) fn user(&self) -> [(&'static str, Value); 21] {
        let password = if self.has_password { PASSWORD_ELSEWHERE } else { "" };
        [
            ("number_code", self.number_code.as_str().into()),
            ("status", self.status.into()),
            ("pwd", password.into()),
            ("username", self.username.as_str().into()),
            ("nickname", self.nickname.as_str().into()),
            ("mobile", self.mobile.as_str().into()),
            ("email", self.email.as_str().into()),
            ("gender", self.gender.into()),
            ("avatar", self.avatar.as_str().into()),
            ("province", self.province.as_str().into()),
            ("city", self.city.as_str().into()),
            ("county", self.county.as_str().into()),
            ("birthday", self.birthday.into()),
            ("address", self.address.as_str().into()),
            ("integral", self.integral.into()),
            ("locking_integral", self.locking_integral.into()),
            ("referrer", self.referrer.into()),
            ("is_delete_time", self.is_delete_time.into()),
            ("is_logout_time", self.is_logout_time.into()),
            ("add_time", self.add_time.into()),
            ("upd_time", self.upd_time.into()),
        ]
    }

    /// What stands in the row of a platform, by its column.
    pub(super) fn platform(&self, platform: Platform) -> Vec<(&'static str, Value)> {
        let (openid, unionid) = self.identities.get(&platform).cloned().unwrap_or_default();
        let (openid_column, unionid_column) = names(platform);
        let unionid = unionid_column.map(|column| (column, unionid.into()));
        [(openid_column, openid.into())].into_iter().chain(unionid).collect()
    }

    /// The account that this says. `asking` is the app that is asked for, which an openid belongs to whose app is not known:
    /// a shop has one on each platform.
    pub(super) fn account(
        &self,
        id: AccountId,
        companion: Option<&Companion>,
        asking: Option<(Platform, &AppId)>,
    ) -> Account {
        let app = |platform| {
            let known = companion.and_then(|companion| companion.apps.get(&platform));
            let asked = asking.filter(|(asked, _)| *asked == platform).map(|(_, app)| app);
            known.or(asked).cloned().unwrap_or_default()
        };
        let identity = |(&platform, (openid, unionid)): (&Platform, &(String, String))| {
            let (openid, unionid) = (OpenId::new(openid), UnionId::new(unionid));
            let known = openid.is_some() || unionid.is_some();
            known.then(|| (platform, PlatformIdentity { app: app(platform), openid, unionid }))
        };
        let text = |text: &str| ProfileText::new(text).unwrap_or_default();
        let status = u8::try_from(self.status).ok().and_then(AccountStatus::from_number);
        let companion_of_number = companion.filter(|companion| companion.mobile == self.mobile);
        let shop = self.details();
        Account {
            id,
            member_code: MemberCode::new(&self.number_code),
            status: status.unwrap_or(AccountStatus::Disabled),
            mobile: Mobile::restore(&self.mobile),
            identities: self.identities.iter().filter_map(identity).collect(),
            profile: Profile {
                nickname: text(&self.nickname),
                avatar: Avatar::new(&self.avatar).unwrap_or_default(),
                gender: Gender::from_text(&self.gender.to_string()),
                province: text(&self.province),
                city: text(&self.city),
                county: text(&self.county),
            },
            shop: (shop != ShopDetails::default()).then(|| Box::new(shop)),
            referrer: u64::try_from(self.referrer).ok().and_then(AccountId::new),
            added_at: seconds(self.add_time).unwrap_or_default(),
            updated_at: seconds(self.upd_time),
            mobile_since: companion_of_number.and_then(|companion| companion.mobile_since),
            seen_at: companion.and_then(|companion| companion.seen_at),
            deleted_at: seconds(self.is_delete_time),
            closed_at: seconds(self.is_logout_time),
        }
    }

    fn details(&self) -> ShopDetails {
        ShopDetails {
            username: self.username.as_str().into(),
            email: self.email.as_str().into(),
            weixin_web_openid: self.weixin_web_openid.as_str().into(),
            birthday: self.birthday,
            address: self.address.as_str().into(),
            integral: self.integral,
            locking_integral: self.locking_integral,
            has_password: self.has_password,
        }
    }

    /// The columns that say what `account` is, where these say what `known` is. What is the same stays as it stands here,
    /// also where it says something that mobile-bind does not know.
    pub(super) fn saying(&self, known: &Account, account: &Account) -> Result<Self, Fault> {
        let mut columns = self.clone();
        if known.member_code != account.member_code {
            columns.number_code = exact(account.member_code.as_ref().map_or("", MemberCode::as_str), CODE)?;
        }
        if known.status != account.status {
            columns.status = account.status.number().into();
        }
        if known.mobile != account.mobile {
            columns.mobile = exact(account.mobile.as_ref().map_or("", Mobile::as_str), CODE)?;
        }
        columns.set_profile(&known.profile, &account.profile)?;
        columns.set_details(account.shop.as_deref().unwrap_or(&ShopDetails::default()))?;
        columns.set_identities(known, account)?;
        if known.referrer != account.referrer {
            let referrer = account.referrer.map_or(0, AccountId::get);
            columns.referrer = unsigned(referrer)?;
        }
        let times = [
            (&mut columns.add_time, Some(known.added_at), Some(account.added_at)),
            (&mut columns.upd_time, known.updated_at, account.updated_at),
            (&mut columns.is_delete_time, known.deleted_at, account.deleted_at),
            (&mut columns.is_logout_time, known.closed_at, account.closed_at),
        ];
        for (column, known, time) in times {
            if known != time {
                *column = unsigned(time.map_or(0, |time| time.as_seconds().max(1)))?;
            }
        }
        Ok(columns)
    }

    fn set_profile(&mut self, known: &Profile, profile: &Profile) -> Result<(), Fault> {
        let texts = [
            (&mut self.nickname, &known.nickname, &profile.nickname),
            (&mut self.province, &known.province, &profile.province),
            (&mut self.city, &known.city, &profile.city),
            (&mut self.county, &known.county, &profile.county),
        ];
        for (column, known, text) in texts {
            if known != text {
                *column = fitting(text.as_str(), NAME)?;
            }
        }
        if known.avatar != profile.avatar {
            self.avatar = fitting(profile.avatar.as_str(), URL)?;
        }
        if known.gender != profile.gender {
            self.gender = profile.gender.number().into();
        }
        Ok(())
    }

    fn set_details(&mut self, details: &ShopDetails) -> Result<(), Fault> {
        if self.details() == *details {
            return Ok(());
        }
        self.username = fitting(&details.username, NAME)?;
        self.email = fitting(&details.email, NAME)?;
        self.weixin_web_openid = exact(&details.weixin_web_openid, NAME)?;
        self.address = fitting(&details.address, ADDRESS)?;
        self.birthday = signed(details.birthday)?;
        self.integral = signed(details.integral)?;
        self.locking_integral = signed(details.locking_integral)?;
        self.has_password = details.has_password;
        Ok(())
    }

    fn set_identities(&mut self, known: &Account, account: &Account) -> Result<(), Fault> {
        for platform in Platform::ALL {
            let identity = account.identities.get(&platform);
            if known.identities.get(&platform) == identity {
                continue;
            }
            let openid = identity.and_then(|identity| identity.openid.as_ref()).map_or("", OpenId::as_str);
            let unionid = identity.and_then(|identity| identity.unionid.as_ref()).map_or("", UnionId::as_str);
            if !unionid.is_empty() && platform.unionid_parameter().is_none() {
                return Err(Fault::Unwritable("unionid on a platform without them"));
            }
            if identity.is_some() {
                self.identities.insert(platform, (exact(openid, NAME)?, exact(unionid, NAME)?));
            } else {
                self.identities.remove(&platform);
            }
        }
        Ok(())
    }
}

fn seconds(column: i64) -> Option<Timestamp> {
    u64::try_from(column).ok().filter(|&seconds| seconds > 0).map(Timestamp::from_seconds)
}

const TOO_LARGE: Fault = Fault::Unwritable("account that is larger than the shop's columns");

/// A text that is not longer than its column. What the shop's columns do not keep, spaces at the end, is not in it.
fn fitting(text: &str, longest: usize) -> Result<String, Fault> {
    let kept = text.trim_end_matches(' ');
    if kept.chars().count() <= longest { Ok(kept.to_owned()) } else { Err(TOO_LARGE) }
}

/// A text by which an account is found, so that it must be kept to the letter.
fn exact(text: &str, longest: usize) -> Result<String, Fault> {
    fitting(text, longest).and_then(|kept| if kept == text { Ok(kept) } else { Err(TOO_LARGE) })
}

fn unsigned(number: u64) -> Result<i64, Fault> {
    u32::try_from(number).map(i64::from).map_err(|_| TOO_LARGE)
}

fn signed(number: i64) -> Result<i64, Fault> {
    i32::try_from(number).map(i64::from).map_err(|_| TOO_LARGE)
}

#[cfg(test)]
#[path = "columns/tests.rs"]
mod tests;
