//! The user object: the interface document's 37 fields in its order, then what today's ShopXO adds.

use std::sync::atomic::Ordering;

use mobile_bind_domain::{Account, ClientType, Gender, Language, OpenId, Platform, Timestamp, UnionId};
use poem_openapi::Object;
use serde::Serialize;

use crate::{Presentation, catalogue, time_text};

/// An account as its owner sees it. Numbers and times are strings, as the interface has always answered them; times are
/// Unix seconds, and `0` means never.
#[derive(Serialize, Object)]
#[oai(rename = "User")]
pub(crate) struct User {
    /// The account's id: decimal, at most ten digits.
    id: String,
    /// The openid on Alipay; empty where there is none.
    alipay_openid: String,
    /// The openid on WeChat; empty where there is none.
    weixin_openid: String,
    /// The unionid on WeChat; empty where there is none.
    weixin_unionid: String,
    /// The openid of the shop's web log-in by WeChat; empty where there is none.
    weixin_web_openid: String,
    /// The openid on Baidu; empty where there is none.
    baidu_openid: String,
    /// The openid on Toutiao; empty where there is none.
    toutiao_openid: String,
    /// The openid on QQ; empty where there is none.
    qq_openid: String,
    /// The unionid on QQ; empty where there is none.
    qq_unionid: String,
    /// What the account may do: `0` everything, `1` everything but post.
    status: String,
    /// The session token to send with every further request.
    token: String,
    /// The name chosen at the shop; may be empty.
    username: String,
    /// The nickname; may be empty.
    nickname: String,
    /// The bound mobile number.
    mobile: String,
    /// The e-mail address; may be empty.
    email: String,
    /// `0` undisclosed, `1` female, `2` male.
    gender: String,
    /// The avatar's URL; the shop's default where the account has none.
    avatar: String,
    /// The province; may be empty.
    province: String,
    /// The city; may be empty.
    city: String,
    /// The birthday; `0` where unknown.
    birthday: String,
    /// The postal address; may be empty.
    address: String,
    /// Points.
    integral: String,
    /// Points that are held back.
    locking_integral: String,
    /// The id of the inviting user; `0` where there is none.
    referrer: String,
    /// Kept for the shop's distribution plugin; always `0`.
    plugins_distribution_level: String,
    /// Kept for the shop's member level plugin; always `0`.
    plugins_user_level: String,
    /// When the shop deleted the account.
    is_delete_time: String,
    /// When the account was made.
    add_time: String,
    /// When the account was last changed.
    upd_time: String,
    /// `add_time` as `YYYY-MM-DD HH:MM:SS` in the shop's time zone.
    add_time_text: String,
    /// `upd_time` as `YYYY-MM-DD HH:MM:SS` in the shop's time zone; empty where never.
    upd_time_text: String,
    /// The gender in words.
    gender_text: String,
    /// The birthday as `YYYY-MM-DD` in the shop's time zone; empty where unknown.
    birthday_text: String,
    /// The mobile number, masked.
    mobile_security: String,
    /// The e-mail address, masked: its first character and its domain. Empty where there is none.
    email_security: String,
    /// What to show as the name: nickname, else username, else the masked number, else the masked e-mail address.
    user_name_view: String,
    /// 1 where the shop wants every user to bind a number, else 0.
    is_mandatory_bind_mobile: i32,
    /// The member code that another user can name as `referrer`; empty where there is none.
    number_code: String,
    /// The county; may be empty.
    county: String,
    /// The unionid on Toutiao; empty where there is none.
    toutiao_unionid: String,
    /// The openid on Kuaishou; empty where there is none.
    kuaishou_openid: String,
    /// When its owner closed the account.
    is_logout_time: String,
    /// The kind of installation; always `default`.
    system_type: String,
    /// The client type that the request named.
    platform: String,
    /// Province, city and county in one.
    address_info: String,
    /// 1 where a password is set, else 0.
    is_setup_pwd: i32,
}

/// What the object shows besides the account itself.
pub(crate) struct Viewing<'a> {
    pub(crate) token: &'a str,
    pub(crate) client_type: ClientType,
    pub(crate) language: Language,
    pub(crate) presentation: &'a Presentation,
}

impl User {
    pub(crate) fn new(account: &Account, viewing: &Viewing<'_>) -> Self {
        let presentation = viewing.presentation;
        let shop = account.shop.as_deref().cloned().unwrap_or_default();
        let profile = &account.profile;
        let nickname = profile.nickname.as_str();
        let [province, city, county] = [&profile.province, &profile.city, &profile.county].map(|text| text.as_str());
        let mobile = account.mobile.as_ref();
        let mobile_security = mobile.map(mobile_bind_domain::Mobile::masked).unwrap_or_default();
        let email_security = mask_email(&shop.email);
        let names = [nickname, &shop.username, &mobile_security, &email_security];
        let user_name_view = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned();
        let openid = |platform| openid(account, platform);
        let unionid = |platform| unionid(account, platform);
        let date_time = |at: Option<Timestamp>| {
            at.map(|at| time_text::date_time(at.as_seconds().cast_signed(), &presentation.time_zone))
        };
        Self {
            id: account.id.get().to_string(),
            alipay_openid: openid(Platform::Alipay),
            weixin_openid: openid(Platform::Weixin),
            weixin_unionid: unionid(Platform::Weixin),
            weixin_web_openid: shop.weixin_web_openid.into(),
            baidu_openid: openid(Platform::Baidu),
            toutiao_openid: openid(Platform::Toutiao),
            qq_openid: openid(Platform::Qq),
            qq_unionid: unionid(Platform::Qq),
            status: account.status.number().to_string(),
            token: viewing.token.to_owned(),
            username: shop.username.into(),
            nickname: nickname.to_owned(),
            mobile: mobile.map(|mobile| mobile.as_str().to_owned()).unwrap_or_default(),
            email: shop.email.into(),
            gender: profile.gender.number().to_string(),
            avatar: avatar(account, presentation),
            province: province.to_owned(),
            city: city.to_owned(),
            birthday: shop.birthday.to_string(),
            address: shop.address.into(),
            integral: shop.integral.to_string(),
            locking_integral: shop.locking_integral.to_string(),
            referrer: account.referrer.map_or(0, mobile_bind_domain::AccountId::get).to_string(),
            plugins_distribution_level: "0".to_owned(),
            plugins_user_level: "0".to_owned(),
            is_delete_time: seconds(account.deleted_at),
            add_time: seconds(Some(account.added_at)),
            upd_time: seconds(account.updated_at),
            add_time_text: date_time(Some(account.added_at)).unwrap_or_default(),
            upd_time_text: date_time(account.updated_at).unwrap_or_default(),
            gender_text: gender_text(profile.gender, viewing.language).to_owned(),
            birthday_text: match shop.birthday {
                0 => String::new(),
                birthday => time_text::date(birthday, &presentation.time_zone),
            },
            mobile_security,
            email_security,
            user_name_view,
            is_mandatory_bind_mobile: i32::from(presentation.mandatory_bind.load(Ordering::Relaxed)),
            number_code: account.member_code.as_ref().map(|code| code.as_str().to_owned()).unwrap_or_default(),
            county: county.to_owned(),
            toutiao_unionid: unionid(Platform::Toutiao),
            kuaishou_openid: openid(Platform::Kuaishou),
            is_logout_time: seconds(account.closed_at),
            system_type: "default".to_owned(),
            platform: viewing.client_type.name().to_owned(),
            address_info: [province, city, county].concat(),
            is_setup_pwd: i32::from(shop.has_password),
        }
    }
}

fn seconds(at: Option<Timestamp>) -> String {
    at.map_or(0, Timestamp::as_seconds).to_string()
}

fn openid(account: &Account, platform: Platform) -> String {
    let identity = account.identities.get(&platform).filter(|_| account.is_live());
    let openid = identity.and_then(|identity| identity.openid.as_ref());
    openid.map(OpenId::as_str).unwrap_or_default().to_owned()
}

fn unionid(account: &Account, platform: Platform) -> String {
    let identity = account.identities.get(&platform).filter(|_| account.is_live());
    let unionid = identity.and_then(|identity| identity.unionid.as_ref());
    unionid.map(UnionId::as_str).unwrap_or_default().to_owned()
}

fn avatar(account: &Account, presentation: &Presentation) -> String {
    let avatar = &account.profile.avatar;
    if avatar.is_path() {
        return format!("{}{}", presentation.attachment_host, avatar.as_str());
    }
    let url = avatar.as_str();
    if url.is_empty() { presentation.default_avatar.clone() } else { url.to_owned() }
}

fn gender_text(gender: Gender, language: Language) -> &'static str {
    let phrase = match gender {
        Gender::Undisclosed => catalogue::GENDER_UNDISCLOSED,
        Gender::Female => catalogue::GENDER_FEMALE,
        Gender::Male => catalogue::GENDER_MALE,
    };
    phrase.text(language)
}

/// `u***@x.com`: the first character and the domain; what is no address shows nothing but that it is there.
fn mask_email(email: &str) -> String {
    if email.is_empty() {
        return String::new();
    }
    let masked = email.rsplit_once('@').and_then(|(local, domain)| Some((local.chars().next()?, domain)));
    masked.map_or_else(|| "***".to_owned(), |(first, domain)| format!("{first}***@{domain}"))
}

#[cfg(test)]
mod tests;
