//! What the platforms answer.

use std::collections::BTreeMap;

use aws_lc_rs::cipher::{AES_128, AES_192, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use data_encoding::BASE64;
use mobile_bind_domain::Platform;
use mobile_bind_domain::ports::PlatformFailure;
use serde_json::{Value, json};

use super::{Play, ShownNumber, Stage};
use crate::config::PlatformConfig;
use crate::rsa;
use crate::vendors::{ALIPAY_METHOD, alipay_signed};

type Fields = BTreeMap<String, String>;

fn fields(text: &[u8]) -> Fields {
    form_urlencoded::parse(text).into_owned().collect()
}

/// The answer to a request.
pub(super) fn of(stage: &Stage, path: &str, query: &str, body: &[u8]) -> String {
    let query = fields(query.as_bytes());
    let json = || -> Fields {
        let members: BTreeMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        members.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect()
    };
    let answer = match path {
        "/sns/jscode2session" => session(stage, &query),
        "/cgi-bin/token" => token(stage, &query),
        "/wxa/business/getuserphonenumber" => phone(stage, &query, &json()),
        "/api/apps/v2/jscode2session" => toutiao(stage, &json()),
        "/oauth2/mp/code2session" => kuaishou(stage, &fields(body)),
        "/oauth/jscode2sessionkey" => baidu(stage, &fields(body)),
        "/gateway.do" => return alipay(stage, &fields(body)),
        "/fake/number" => shown(stage, &query),
        _ => json!({ "errcode": 404, "errmsg": "there is no such address" }),
    };
    answer.to_string()
}

fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map(String::as_str).unwrap_or_default()
}

struct User {
    name: String,
    session_key: String,
}

/// Whose a code is: it counts once.
fn user(stage: &Stage, platform: Platform, code: &str) -> Result<User, PlatformFailure> {
    if let Some(failure) = stage.state().play.and_then(Play::failure) {
        return Err(failure);
    }
    let (name, _) = code.split_once('.').filter(|(name, _)| !name.is_empty()).ok_or(PlatformFailure::Stale)?;
    let mut state = stage.state();
    if !state.used.insert(format!("{} {code}", platform.name())) {
        return Err(PlatformFailure::Stale);
    }
    let mut bytes = vec![0; if platform == Platform::Baidu { 24 } else { 16 }];
    stage.randomness.fill(&mut bytes);
    let session_key = BASE64.encode(&bytes);
    state.session_keys.insert((platform, name.to_owned()), session_key.clone());
    Ok(User { name: name.to_owned(), session_key })
}

fn openid(platform: Platform, user: &str) -> String {
    format!("o-{}-{user}", platform.name())
}

fn configured<'s>(stage: &'s Stage, platform: Platform, id: &str, secret: &str) -> Option<&'s PlatformConfig> {
    stage.config(platform).filter(|config| config.app_id == id && config.secret.expose() == secret)
}

fn tencent_code(failure: PlatformFailure) -> i64 {
    match failure {
        PlatformFailure::Stale => 40163,
        PlatformFailure::Blocked => 40226,
        _ => -1,
    }
}

/// weixin and qq, told apart by the app.
fn session(stage: &Stage, query: &Fields) -> Value {
    let (id, secret) = (field(query, "appid"), field(query, "secret"));
    let found =
        [Platform::Weixin, Platform::Qq].into_iter().find_map(|platform| configured(stage, platform, id, secret));
    let Some(config) = found else { return json!({ "errcode": 40125, "errmsg": "invalid appsecret" }) };
    if field(query, "grant_type") != "authorization_code" {
        return json!({ "errcode": 40002, "errmsg": "invalid grant_type" });
    }
    match user(stage, config.platform, field(query, "js_code")) {
        Ok(User { name, session_key }) => json!({
            "openid": openid(config.platform, &name), "session_key": session_key, "unionid": format!("u-{name}")
        }),
        Err(failure) => json!({ "errcode": tencent_code(failure), "errmsg": "an inner text" }),
    }
}

fn token(stage: &Stage, query: &Fields) -> Value {
    if configured(stage, Platform::Weixin, field(query, "appid"), field(query, "secret")).is_none() {
        return json!({ "errcode": 40125, "errmsg": "invalid appsecret" });
    }
    let mut state = stage.state();
    state.tokens += 1;
    state.access_token = format!("fake-access-token-{}", state.tokens);
    json!({ "access_token": state.access_token, "expires_in": 7200 })
}

fn phone(stage: &Stage, query: &Fields, body: &Fields) -> Value {
    let mut state = stage.state();
    if state.access_token.is_empty() || field(query, "access_token") != state.access_token {
        return json!({ "errcode": 40001, "errmsg": "invalid credential" });
    }
    if let Some(failure) = state.play.and_then(Play::failure) {
        return json!({ "errcode": tencent_code(failure), "errmsg": "an inner text" });
    }
    let code = field(body, "code");
    let number = code.strip_prefix("number-").and_then(|rest| rest.split_once('.'));
    let Some((mobile, _)) = number.filter(|_| state.used.insert(format!("number {code}"))) else {
        return json!({ "errcode": 40029, "errmsg": "invalid code" });
    };
    let app_id = stage.config(Platform::Weixin).map(|config| config.app_id.clone()).unwrap_or_default();
    let info = phone_info(mobile, &app_id, stage.clock.now().as_seconds());
    json!({ "errcode": 0, "errmsg": "ok", "phone_info": info })
}

fn phone_info(mobile: &str, app_id: &str, now: u64) -> Value {
    json!({
        "phoneNumber": mobile, "purePhoneNumber": mobile, "countryCode": "86",
        "watermark": { "timestamp": now, "appid": app_id }
    })
}

fn toutiao(stage: &Stage, body: &Fields) -> Value {
    if configured(stage, Platform::Toutiao, field(body, "appid"), field(body, "secret")).is_none() {
        return json!({ "err_no": 40017, "err_tips": "bad secret" });
    }
    match user(stage, Platform::Toutiao, field(body, "code")) {
        Ok(User { name, session_key }) => json!({ "err_no": 0, "err_tips": "success", "data": {
            "openid": openid(Platform::Toutiao, &name), "session_key": session_key, "anonymous_openid": "",
            "unionid": format!("u-{name}")
        }}),
        Err(PlatformFailure::Stale) => json!({ "err_no": 40018, "err_tips": "bad code" }),
        Err(_) => json!({ "err_no": -1, "err_tips": "busy" }),
    }
}

fn kuaishou(stage: &Stage, form: &Fields) -> Value {
    if configured(stage, Platform::Kuaishou, field(form, "app_id"), field(form, "app_secret")).is_none() {
        return json!({ "result": 100_200_101, "error": "invalid_client", "error_msg": "an inner text" });
    }
    match user(stage, Platform::Kuaishou, field(form, "js_code")) {
        Ok(User { name, session_key }) => {
            json!({ "result": 1, "open_id": openid(Platform::Kuaishou, &name), "session_key": session_key })
        }
        Err(PlatformFailure::Stale) => json!({ "result": 100_200_105, "error_msg": "an inner text" }),
        Err(_) => json!({ "result": 100_200_500, "error_msg": "an inner text" }),
    }
}

fn baidu(stage: &Stage, form: &Fields) -> Value {
    let config = stage.config(Platform::Baidu);
    let known = config.is_some_and(|config| {
        config.app_key == field(form, "client_id") && config.secret.expose() == field(form, "sk")
    });
    if !known {
        return json!({ "error": "invalid_client", "error_description": "unknown client id" });
    }
    match user(stage, Platform::Baidu, field(form, "code")) {
        Ok(User { name, session_key }) => {
            json!({ "openid": openid(Platform::Baidu, &name), "session_key": session_key })
        }
        Err(PlatformFailure::Stale) => {
            json!({ "error": "invalid_grant", "error_description": "Invalid authorization code: an inner text" })
        }
        Err(_) => json!({ "error": "temporarily_unavailable", "error_description": "an inner text" }),
    }
}

/// Written by hand: what is signed are the very bytes of the member.
fn alipay(stage: &Stage, form: &Fields) -> String {
    let refuse = |code: &str, sub_code: &str| {
        json!({ "error_response": { "code": code, "msg": "refused", "sub_code": sub_code, "sub_msg": "an inner text" } })
            .to_string()
    };
    let known = stage.config(Platform::Alipay).is_some_and(|config| config.app_id == field(form, "app_id"));
    let signed: BTreeMap<&str, &str> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let method = (field(form, "method"), field(form, "sign_type"), field(form, "grant_type"));
    if !known {
        return refuse("40002", "isv.invalid-app-id");
    }
    if !rsa::verifies(&stage.app_key, alipay_signed(&signed).as_bytes(), field(form, "sign")) {
        return refuse("40002", "isv.invalid-signature");
    }
    if method != (ALIPAY_METHOD, "RSA2", "authorization_code") || field(form, "timestamp").len() != 19 {
        return refuse("40002", "isv.invalid-parameter");
    }
    match user(stage, Platform::Alipay, field(form, "code")) {
        Err(PlatformFailure::Stale) => refuse("40002", "isv.code-invalid"),
        Err(_) => refuse("20000", "isp.unknow-error"),
        Ok(User { name, .. }) => {
            let openid = openid(Platform::Alipay, &name);
            let member = format!("{{\"access_token\":\"fake\",\"open_id\":\"{openid}\",\"expires_in\":300}}");
            let forged = stage.state().play == Some(Play::Forge);
            let signed = if forged { format!("{member} ") } else { member.clone() };
            let signature = rsa::sign(&stage.signing, signed.as_bytes()).unwrap_or_default();
            format!("{{\"alipay_system_oauth_token_response\":{member},\"sign\":\"{signature}\"}}")
        }
    }
}

fn shown(stage: &Stage, query: &Fields) -> Value {
    let platform = Platform::ALL.into_iter().find(|platform| platform.name() == field(query, "platform"));
    let number = platform.and_then(|platform| number(stage, platform, field(query, "user"), field(query, "mobile")));
    match number {
        Some(ShownNumber { code, encrypted_data, iv }) => {
            json!({ "code": code, "encrypted_data": encrypted_data, "iv": iv })
        }
        None => json!({ "error": "this user has not logged in on this platform" }),
    }
}

pub(super) fn number(stage: &Stage, platform: Platform, user: &str, mobile: &str) -> Option<ShownNumber> {
    let config = stage.config(platform)?;
    let session_key = stage.state().session_keys.get(&(platform, user.to_owned()))?.clone();
    let mut random = [0; 32];
    stage.randomness.fill(&mut random);
    let (iv, head) = random.split_first_chunk::<16>()?;
    let info = phone_info(mobile, &config.app_id, stage.clock.now().as_seconds());
    let (algorithm, mut text) = match platform {
        Platform::Baidu => {
            let json = json!({ "mobile": mobile }).to_string();
            let length = u32::try_from(json.len()).ok()?.to_be_bytes();
            (&AES_192, [head, &length[..], json.as_bytes(), config.app_key.as_bytes()].concat())
        }
        _ => (&AES_128, info.to_string().into_bytes()),
    };
    let key = BASE64.decode(session_key.as_bytes()).ok()?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, &key).ok()?).ok()?;
    key.less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from(*iv))).ok()?;
    let nonce = data_encoding::HEXLOWER.encode(head.get(..8)?);
    let code = format!("number-{mobile}.{nonce}");
    Some(ShownNumber { code, encrypted_data: BASE64.encode(&text), iv: BASE64.encode(iv) })
}
