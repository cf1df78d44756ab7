//! Accounts.

use std::collections::BTreeMap;

use mobile_bind_domain::{
    Account, AccountStatus, AppId, Avatar, Gender, MemberCode, Mobile, OpenId, Platform, PlatformIdentity, Profile,
    ProfileText, Revision, ShopDetails, UnionId, Versioned,
};
use serde_json::{Value as Json, json};

use super::{
    Part, account_id, expected, millis, read, read_some, revision, stored_id, stored_text,
    timestamp as stored_timestamp, touch,
};
use crate::fault::Fault;
use crate::query::{Columns, Form, Holds, Value};
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
    let fields: Json = serde_json::from_str(stored).map_err(|_| Fault::Unreadable(KIND))?;
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

const UNCHANGED: Form = Form {
    rank: 20,
    holds: Holds::Each,
    text: "SELECT 1 FROM unnest($1::bigint[], $2::bigint[]) AS known (id, revision)
JOIN accounts a ON a.id = ANY ($1) AND a.id = known.id AND a.revision = known.revision FOR SHARE OF a",
};

const ABSENT: Form =
    Form { rank: 21, holds: Holds::None, text: "SELECT 1 FROM accounts a WHERE a.id = ANY ($1::bigint[])" };

/// An account as it was read.
const UPDATE: Form = Form {
    rank: 22,
    holds: Holds::Each,
    text:
        "UPDATE accounts a SET revision = w.revision, member_code = w.member_code, status = w.status, mobile = w.mobile,
    nickname = w.nickname, avatar = w.avatar, gender = w.gender, province = w.province, city = w.city,
    county = w.county, shop = w.shop::jsonb, referrer = w.referrer, added_at = w.added_at,
    updated_at = w.updated_at, deleted_at = w.deleted_at, closed_at = w.closed_at, mobile_since = w.mobile_since,
    seen_at = w.seen_at
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::smallint[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
    $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[]) AS w (id, revision, member_code, status, mobile, nickname,
    avatar, gender, province, city, county, shop, referrer, added_at, updated_at, deleted_at, closed_at, mobile_since,
    seen_at, known)
WHERE a.id = ANY ($1) AND a.id = w.id AND a.revision = w.known
RETURNING 1",
};

/// A new account. One that is there, or has what another live one has, breaks a unique constraint.
const INSERT: Form = Form {
    rank: 23,
    holds: Holds::Always,
    text: "INSERT INTO accounts (id, revision, member_code, status, mobile, nickname, avatar, gender, province, city, county,
    shop, referrer, added_at, updated_at, deleted_at, closed_at, mobile_since, seen_at)
SELECT w.id, w.revision, w.member_code, w.status, w.mobile, w.nickname, w.avatar, w.gender, w.province, w.city, w.county,
    w.shop::jsonb, w.referrer, w.added_at, w.updated_at, w.deleted_at, w.closed_at, w.mobile_since, w.seen_at
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::smallint[],
    $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
    $17::bigint[], $18::bigint[], $19::bigint[]) AS w (id, revision, member_code, status, mobile, nickname, avatar, gender,
    province, city, county, shop, referrer, added_at, updated_at, deleted_at, closed_at, mobile_since, seen_at)",
};

/// Identities that an account no longer has; those that it keeps are named by an array's text.
const DROP_IDENTITIES: Form = Form {
    rank: 24,
    holds: Holds::Always,
    text: "DELETE FROM identities i USING unnest($1::bigint[], $2::text[]) AS kept (account_id, platforms)
WHERE i.account_id = ANY ($1) AND i.account_id = kept.account_id AND i.platform <> ALL (kept.platforms::smallint[])",
};

/// The identities of a new account. One that another live account holds breaks a unique constraint.
const INSERT_IDENTITIES: Form = Form {
    rank: 25,
    holds: Holds::Always,
    text: "INSERT INTO identities (account_id, platform, app_id, openid, unionid, held)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::boolean[])",
};

const PUT_IDENTITIES: Form = Form {
    rank: 26,
    holds: Holds::Always,
    text: "INSERT INTO identities AS known (account_id, platform, app_id, openid, unionid, held)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::boolean[])
ON CONFLICT (account_id, platform) DO UPDATE
    SET app_id = excluded.app_id, openid = excluded.openid, unionid = excluded.unionid, held = excluded.held
    WHERE (known.app_id, known.held) <> (excluded.app_id, excluded.held)
        OR known.openid IS DISTINCT FROM excluded.openid OR known.unionid IS DISTINCT FROM excluded.unionid",
};

/// Writes an account that is as it was read, and its identities.
pub(crate) fn write(known: Revision, account: &Account, revision: Revision) -> Vec<Part> {
    let optional = |text: Option<&str>| Value::Text(text.map(stored_text));
    let id = stored_id(account.id);
    let mut row: Vec<Value> = vec![
        id.into(),
        expected(revision).into(),
        optional(account.member_code.as_ref().map(MemberCode::as_str)),
        Value::Small(i16::from(account.status.number())),
        optional(account.mobile.as_ref().map(Mobile::as_str)),
        stored_text(account.profile.nickname.as_str()).into(),
        stored_text(account.profile.avatar.as_str()).into(),
        Value::Small(i16::from(account.profile.gender.number())),
        stored_text(account.profile.province.as_str()).into(),
        stored_text(account.profile.city.as_str()).into(),
        stored_text(account.profile.county.as_str()).into(),
        Value::Text(account.shop.as_deref().map(stored_shop)),
        Value::Big(account.referrer.map(stored_id)),
        millis(account.added_at).into(),
        Value::Big(account.updated_at.map(millis)),
        Value::Big(account.deleted_at.map(millis)),
        Value::Big(account.closed_at.map(millis)),
        Value::Big(account.mobile_since.map(millis)),
        Value::Big(account.seen_at.map(millis)),
    ];
    let mut touches = vec![touch(KIND, &[&id])];
    touches.extend(account.mobile.as_ref().map(|mobile| touch("number", &[&mobile.as_str()])));
    let is_new = known == Revision::ABSENT;
    if !is_new {
        row.push(expected(known).into());
    }
    let mut parts = vec![Part { form: if is_new { &INSERT } else { &UPDATE }, row, touches }];
    if !is_new {
        let kept: Vec<String> =
            account.identities.keys().map(|&platform| platform_number(platform).to_string()).collect();
        let row = vec![id.into(), Value::from(format!("{{{}}}", kept.join(",")))];
        parts.push(Part { form: &DROP_IDENTITIES, row, touches: Vec::new() });
    }
    for (&platform, identity) in &account.identities {
        let openid = identity.openid.as_ref().map(OpenId::as_str);
        let row = vec![
            id.into(),
            Value::Small(platform_number(platform)),
            stored_text(identity.app.as_str()).into(),
            optional(openid),
            optional(identity.unionid.as_ref().map(UnionId::as_str)),
            Value::Flag(account.is_live()),
        ];
        let touches =
            openid.map(|openid| touch("openid", &[&platform_number(platform), &identity.app.as_str(), &openid]));
        let form = if is_new { &INSERT_IDENTITIES } else { &PUT_IDENTITIES };
        parts.push(Part { form, row, touches: touches.into_iter().collect() });
    }
    parts
}

/// Holds where the account is as it was read; nobody writes it until the change is committed.
pub(crate) fn unchanged(id: mobile_bind_domain::AccountId, known: Revision) -> Part {
    let id = stored_id(id);
    let touches = vec![touch(KIND, &[&id])];
    if known == Revision::ABSENT {
        return Part { form: &ABSENT, row: vec![id.into()], touches };
    }
    Part { form: &UNCHANGED, row: vec![id.into(), expected(known).into()], touches }
}
