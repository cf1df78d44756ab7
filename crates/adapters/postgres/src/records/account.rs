//! Accounts.

use std::collections::BTreeMap;

use mobile_bind_domain::{
    Account, AccountStatus, AppId, Avatar, Gender, MemberCode, Mobile, OpenId, Platform, PlatformIdentity, Profile,
    ProfileText, Revision, ShopDetails, UnionId, Versioned,
};
use serde_json::{Value, json};

use super::{
    account_id, expected, millis, read, read_some, revision, stored_id, stored_text, timestamp as stored_timestamp,
};
use crate::fault::Fault;
use crate::query::{Columns, Parameter, Statement, parameter};
use crate::text;

const KIND: &str = "account";

/// How many columns follow the id.
const REST: usize = 19;

/// The columns of the account `alias`, in the order [`take`] reads them.
pub(crate) fn columns(alias: &str) -> String {
    const NAMES: [&str; 19] = [
        "id",
        "revision",
        "member_code",
        "status",
        "mobile",
        "nickname",
        "avatar",
        "gender",
        "province",
        "city",
        "county",
        "shop::text",
        "referrer",
        "added_at",
        "updated_at",
        "mobile_since",
        "seen_at",
        "deleted_at",
        "closed_at",
    ];
    let columns: String = NAMES.iter().map(|name| format!("{alias}.{name}, ")).collect();
    columns
        + &format!(
            "(SELECT json_agg(json_build_array(i.platform, i.app_id, i.openid, i.unionid))::text \
             FROM identities i WHERE i.account_id = {alias}.id)"
        )
}

/// Live accounts alone; what the partial unique indexes are made for.
pub(crate) fn live(alias: &str) -> String {
    format!("{alias}.deleted_at IS NULL AND {alias}.closed_at IS NULL")
}

/// Reads an account; `None` where it is not there.
pub(crate) fn take(columns: &mut Columns<'_>) -> Result<Option<Versioned<Account>>, Fault> {
    let Some(id) = columns.present::<i64>(KIND, REST)? else { return Ok(None) };
    let revision = revision(columns.take(KIND)?, KIND)?;
    let id = account_id(id, KIND)?;
    let member_code = read_some(columns.take(KIND)?, KIND, MemberCode::new)?;
    let status: i16 = columns.take(KIND)?;
    let status = u8::try_from(status).ok().and_then(AccountStatus::from_number).ok_or(Fault::Unreadable(KIND))?;
    let mobile = read_some(columns.take(KIND)?, KIND, Mobile::restore)?;
    let profile = Profile {
        nickname: read(columns.take(KIND)?, KIND, ProfileText::new)?,
        avatar: read(columns.take(KIND)?, KIND, Avatar::new)?,
        gender: gender(columns.take(KIND)?)?,
        province: read(columns.take(KIND)?, KIND, ProfileText::new)?,
        city: read(columns.take(KIND)?, KIND, ProfileText::new)?,
        county: read(columns.take(KIND)?, KIND, ProfileText::new)?,
    };
    let shop = columns.take::<Option<&str>>(KIND)?.map(shop).transpose()?.map(Box::new);
    let referrer = columns.take::<Option<i64>>(KIND)?.map(|id| account_id(id, KIND)).transpose()?;
    let added_at = stored_timestamp(columns.take(KIND)?, KIND)?;
    let mut time = || columns.take::<Option<i64>>(KIND)?.map(|at| stored_timestamp(at, KIND)).transpose();
    let (updated_at, mobile_since, seen_at, deleted_at, closed_at) = (time()?, time()?, time()?, time()?, time()?);
    let identities = columns.take::<Option<&str>>(KIND)?.map_or(Ok(BTreeMap::new()), identities)?;
    let value = Account {
        id,
        member_code,
        status,
        mobile,
        identities,
        profile,
        shop,
        referrer,
        added_at,
        updated_at,
        mobile_since,
        seen_at,
        deleted_at,
        closed_at,
    };
    Ok(Some(Versioned { revision, value }))
}

fn gender(number: i16) -> Result<Gender, Fault> {
    let all = [Gender::Undisclosed, Gender::Female, Gender::Male];
    all.into_iter().find(|gender| i16::from(gender.number()) == number).ok_or(Fault::Unreadable(KIND))
}

fn identities(stored: &str) -> Result<BTreeMap<Platform, PlatformIdentity>, Fault> {
    let rows: Vec<(i16, String, Option<String>, Option<String>)> =
        serde_json::from_str(stored).map_err(|_| Fault::Unreadable(KIND))?;
    let identity = |(platform, app, openid, unionid): (i16, String, Option<String>, Option<String>)| {
        let identity = PlatformIdentity {
            app: read(&app, KIND, AppId::new)?,
            openid: read_some(openid.as_deref(), KIND, OpenId::new)?,
            unionid: read_some(unionid.as_deref(), KIND, UnionId::new)?,
        };
        Ok((platform_of(platform).ok_or(Fault::Unreadable(KIND))?, identity))
    };
    rows.into_iter().map(identity).collect()
}

pub(crate) const fn platform_number(platform: Platform) -> i16 {
    match platform {
        Platform::Weixin => 1,
        Platform::Alipay => 2,
        Platform::Baidu => 3,
        Platform::Toutiao => 4,
        Platform::Qq => 5,
        Platform::Kuaishou => 6,
    }
}

pub(crate) fn platform_of(number: i16) -> Option<Platform> {
    Platform::ALL.into_iter().find(|&platform| platform_number(platform) == number)
}

fn stored_shop(shop: &ShopDetails) -> String {
    json!({
        "username": text::stored(&shop.username),
        "email": text::stored(&shop.email),
        "weixin_web_openid": text::stored(&shop.weixin_web_openid),
        "birthday": shop.birthday,
        "address": text::stored(&shop.address),
        "integral": shop.integral,
        "locking_integral": shop.locking_integral,
        "has_password": shop.has_password,
    })
    .to_string()
}

fn shop(stored: &str) -> Result<ShopDetails, Fault> {
    let fields: Value = serde_json::from_str(stored).map_err(|_| Fault::Unreadable(KIND))?;
    let read = || {
        let text = |name: &str| Some(text::restored(fields[name].as_str()?)?.into());
        Some(ShopDetails {
            username: text("username")?,
            email: text("email")?,
            weixin_web_openid: text("weixin_web_openid")?,
            birthday: fields["birthday"].as_i64()?,
            address: text("address")?,
            integral: fields["integral"].as_i64()?,
            locking_integral: fields["locking_integral"].as_i64()?,
            has_password: fields["has_password"].as_bool()?,
        })
    };
    read().ok_or(Fault::Unreadable(KIND))
}

/// A new account and its identities. One that is there, or holds what another live one does, breaks a unique constraint.
const INSERT: &str = "WITH claimed AS (
    INSERT INTO identities (account_id, platform, app_id, openid, unionid, held)
    SELECT $1::bigint, i.platform, i.app_id, i.openid, i.unionid, $18::boolean
    FROM unnest($19::smallint[], $20::text[], $21::text[], $22::text[]) AS i (platform, app_id, openid, unionid)
)
INSERT INTO accounts (id, revision, member_code, status, mobile, nickname, avatar, gender, province, city, county, shop,
    referrer, added_at, updated_at, deleted_at, closed_at, mobile_since, seen_at)
VALUES ($1, $2::bigint, $3::text, $4::smallint, $5::text, $6::text, $7::text, $8::smallint, $9::text, $10::text, $11::text,
    $12::text::jsonb, $13::bigint, $14::bigint, $15::bigint, $16::bigint, $17::bigint, $23::bigint,
    $24::bigint)";

/// An account as it was read, and its identities: those that it no longer has go.
const UPDATE: &str = "WITH written AS (
    UPDATE accounts SET revision = $2::bigint, member_code = $3::text, status = $4::smallint, mobile = $5::text,
        nickname = $6::text, avatar = $7::text, gender = $8::smallint, province = $9::text, city = $10::text,
        county = $11::text, shop = $12::text::jsonb, referrer = $13::bigint, added_at = $14::bigint,
        updated_at = $15::bigint, deleted_at = $16::bigint, closed_at = $17::bigint, mobile_since = $23::bigint,
        seen_at = $24::bigint
    WHERE id = $1::bigint AND revision = $25::bigint
    RETURNING 1
), dropped AS (
    DELETE FROM identities WHERE account_id = $1 AND platform <> ALL ($19::smallint[])
), claimed AS (
    INSERT INTO identities AS known (account_id, platform, app_id, openid, unionid, held)
    SELECT $1, i.platform, i.app_id, i.openid, i.unionid, $18::boolean
    FROM unnest($19, $20::text[], $21::text[], $22::text[]) AS i (platform, app_id, openid, unionid)
    ON CONFLICT (account_id, platform) DO UPDATE
        SET app_id = excluded.app_id, openid = excluded.openid, unionid = excluded.unionid, held = excluded.held
        WHERE (known.app_id, known.held) <> (excluded.app_id, excluded.held)
            OR known.openid IS DISTINCT FROM excluded.openid OR known.unionid IS DISTINCT FROM excluded.unionid
)
SELECT 1 / count(*) FROM written";

/// Writes an account that is as it was read.
pub(crate) fn write(known: Revision, account: &Account, revision: Revision) -> Statement {
    let optional = |text: Option<&str>| text.map(stored_text);
    let mut parameters: Vec<Parameter> = vec![
        parameter(stored_id(account.id)),
        parameter(expected(revision)),
        parameter(optional(account.member_code.as_ref().map(MemberCode::as_str))),
        parameter(i16::from(account.status.number())),
        parameter(optional(account.mobile.as_ref().map(Mobile::as_str))),
        parameter(stored_text(account.profile.nickname.as_str())),
        parameter(stored_text(account.profile.avatar.as_str())),
        parameter(i16::from(account.profile.gender.number())),
        parameter(stored_text(account.profile.province.as_str())),
        parameter(stored_text(account.profile.city.as_str())),
        parameter(stored_text(account.profile.county.as_str())),
        parameter(account.shop.as_deref().map(stored_shop)),
        parameter(account.referrer.map(stored_id)),
        parameter(millis(account.added_at)),
        parameter(account.updated_at.map(millis)),
        parameter(account.deleted_at.map(millis)),
        parameter(account.closed_at.map(millis)),
        parameter(account.is_live()),
    ];
    let identities = account.identities.iter();
    let (mut platforms, mut apps, mut openids, mut unionids) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (&platform, identity) in identities {
        platforms.push(platform_number(platform));
        apps.push(stored_text(identity.app.as_str()));
        openids.push(optional(identity.openid.as_ref().map(OpenId::as_str)));
        unionids.push(optional(identity.unionid.as_ref().map(UnionId::as_str)));
    }
    parameters.extend([parameter(platforms), parameter(apps), parameter(openids), parameter(unionids)]);
    parameters.extend([parameter(account.mobile_since.map(millis)), parameter(account.seen_at.map(millis))]);
    if known == Revision::ABSENT {
        return Statement::new(INSERT, parameters);
    }
    parameters.push(parameter(expected(known)));
    Statement::new(UPDATE, parameters)
}

/// Holds where the account is as it was read; nobody writes it until the change is committed.
pub(crate) fn unchanged(id: mobile_bind_domain::AccountId, known: Revision) -> Statement {
    let id = parameter(stored_id(id));
    if known == Revision::ABSENT {
        return Statement::new("SELECT 1 / (1 - count(*)) FROM accounts WHERE id = $1::bigint", vec![id]);
    }
    let text = "SELECT 1 / count(*) FROM (
    SELECT 1 FROM accounts WHERE id = $1::bigint AND revision = $2::bigint FOR SHARE
) AS known";
    Statement::new(text, vec![id, parameter(expected(known))])
}
