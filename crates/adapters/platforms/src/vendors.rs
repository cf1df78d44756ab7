//! The platforms' languages, apart from the network: what is asked to learn whose a log-in code is, and what an answer means.

use std::collections::BTreeMap;

use mobile_bind_domain::ports::PlatformFailure;
use mobile_bind_domain::{Platform, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::config::PlatformConfig;
use crate::http_client::Outgoing;
use crate::rsa;

pub(crate) mod failure;

/// Who a code is of, in the platform's words.
pub(crate) struct Answered {
    pub(crate) openid: String,
    pub(crate) unionid: String,
    pub(crate) session_key: Zeroizing<String>,
}

/// The request that asks whose a code is.
pub(crate) fn request(config: &PlatformConfig, code: &str, now: Timestamp) -> Result<Outgoing, PlatformFailure> {
    let (base, app_id, secret) = (config.base(), config.app_id.as_str(), config.secret.expose());
    Ok(match config.platform {
        // https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/user-login/code2Session.html; QQ took it over.
        Platform::Weixin | Platform::Qq => {
            let grant = ("grant_type", "authorization_code");
            let query = [("appid", app_id), ("secret", secret), ("js_code", code), grant];
            Outgoing::get(&format!("{base}/sns/jscode2session"), &query)
        }
        // https://developer.open-douyin.com/docs/resource/zh-CN/mini-app/develop/server/log-in/code-2-session
        Platform::Toutiao => {
            let body = json!({ "appid": app_id, "secret": secret, "code": code, "anonymous_code": "" });
            Outgoing::post_json(format!("{base}/api/apps/v2/jscode2session"), &body)
        }
        Platform::Kuaishou => {
            let fields = [("app_id", app_id), ("app_secret", secret), ("js_code", code)];
            Outgoing::post_form(format!("{base}/oauth2/mp/code2session"), &fields)
        }
        Platform::Baidu => {
            let fields = [("code", code), ("client_id", config.app_key.as_str()), ("sk", secret)];
            Outgoing::post_form(format!("{base}/oauth/jscode2sessionkey"), &fields)
        }
        Platform::Alipay => alipay_request(config, code, now)?,
    })
}

/// What the answer says.
pub(crate) fn read(config: &PlatformConfig, body: &[u8]) -> Result<Answered, PlatformFailure> {
    match config.platform {
        Platform::Weixin | Platform::Qq => {
            let answer: TencentAnswer = parsed(body)?;
            failure::tencent(config.platform, answer.errcode).map_or(Ok(()), Err)?;
            Ok(Answered { openid: answer.openid, unionid: answer.unionid, session_key: answer.session_key.into() })
        }
        Platform::Toutiao => {
            let answer: ToutiaoAnswer = parsed(body)?;
            failure::toutiao(answer.err_no).map_or(Ok(()), Err)?;
            let data = answer.data.ok_or(PlatformFailure::Unreadable)?;
            Ok(Answered { openid: data.openid, unionid: data.unionid, session_key: data.session_key.into() })
        }
        Platform::Kuaishou => {
            let answer: KuaishouAnswer = parsed(body)?;
            failure::kuaishou(answer.result, &answer.error, &answer.error_msg).map_or(Ok(()), Err)?;
            Ok(Answered { openid: answer.open_id, unionid: String::new(), session_key: answer.session_key.into() })
        }
        Platform::Baidu => {
            let answer: BaiduAnswer = parsed(body)?;
            failure::baidu(integer(&answer.errno), &answer.error, &answer.description).map_or(Ok(()), Err)?;
            Ok(Answered { openid: answer.openid, unionid: String::new(), session_key: answer.session_key.into() })
        }
        Platform::Alipay => alipay_answer(config, body),
    }
}

pub(crate) fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, PlatformFailure> {
    serde_json::from_slice(body).map_err(|_| PlatformFailure::Unreadable)
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct TencentAnswer {
    errcode: i64,
    openid: String,
    unionid: String,
    session_key: String,
}

#[derive(Deserialize)]
struct ToutiaoAnswer {
    err_no: i64,
    data: Option<ToutiaoData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ToutiaoData {
    session_key: String,
    openid: String,
    unionid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KuaishouAnswer {
    result: i64,
    open_id: String,
    session_key: String,
    error: String,
    error_msg: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BaiduAnswer {
    openid: String,
    session_key: String,
    errno: Value,
    error: String,
    #[serde(rename = "error_description")]
    description: String,
}

/// The method that asks whose a code is.
pub(crate) const ALIPAY_METHOD: &str = "alipay.system.oauth.token";
const ALIPAY_ANSWER: &str = "alipay_system_oauth_token_response";

/// What is signed: all fields but the signature, in order, as `name=value` joined by `&`, nothing encoded.
pub(crate) fn alipay_signed(fields: &BTreeMap<&str, &str>) -> String {
    let pairs = fields.iter().filter(|(name, value)| **name != "sign" && !value.is_empty());
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn alipay_request(config: &PlatformConfig, code: &str, now: Timestamp) -> Result<Outgoing, PlatformFailure> {
    // Alipay's clock is that of Beijing, eight hours ahead all the year.
    let seconds = i64::try_from(now.as_seconds()).unwrap_or_default() + 8 * 3600;
    let timestamp = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let timestamp = timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let mut fields = BTreeMap::from([
        ("app_id", config.app_id.as_str()),
        ("charset", "utf-8"),
        ("code", code),
        ("format", "JSON"),
        ("grant_type", "authorization_code"),
        ("method", ALIPAY_METHOD),
        ("sign_type", "RSA2"),
        ("timestamp", timestamp.as_str()),
        ("version", "1.0"),
    ]);
    let key = rsa::private_key(config.secret.expose()).ok_or(PlatformFailure::AppRefused)?;
    let signature = rsa::sign(&key, alipay_signed(&fields).as_bytes()).ok_or(PlatformFailure::AppRefused)?;
    fields.insert("sign", &signature);
    let fields: Vec<(&str, &str)> = fields.into_iter().collect();
    Ok(Outgoing::post_form(format!("{}/gateway.do", config.base()), &fields))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AlipayUser {
    open_id: String,
    user_id: String,
    code: String,
    sub_code: String,
}

/// Only what Alipay has signed is believed: the bytes of the member, as they stand in the answer.
fn alipay_answer(config: &PlatformConfig, body: &[u8]) -> Result<Answered, PlatformFailure> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|_| PlatformFailure::Unreadable)?;
    let signature = members.get("sign").and_then(|sign| serde_json::from_str::<String>(sign.get()).ok());
    if let Some(error) = members.get("error_response") {
        // Refusals need no signature: whoever can forge them can as well give no answer.
        let error: AlipayUser = parsed(error.get().as_bytes())?;
        // What says nothing of itself is no good answer either.
        return Err(failure::alipay(&error.code, &error.sub_code).unwrap_or(PlatformFailure::Unreadable));
    }
    let answer = members.get(ALIPAY_ANSWER).ok_or(PlatformFailure::Unreadable)?.get();
    let public_key = rsa::decoded(&config.public_key).ok_or(PlatformFailure::AppRefused)?;
    let signature = signature.ok_or(PlatformFailure::Unreadable)?;
    if !rsa::verifies(&public_key, answer.as_bytes(), &signature) {
        return Err(PlatformFailure::Unreadable);
    }
    let user: AlipayUser = parsed(answer.as_bytes())?;
    failure::alipay(&user.code, &user.sub_code).map_or(Ok(()), Err)?;
    let openid = if user.open_id.is_empty() { user.user_id } else { user.open_id };
    Ok(Answered { openid, unionid: String::new(), session_key: Zeroizing::default() })
}

/// A number in JSON that some platforms write as text.
pub(crate) fn integer(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}
