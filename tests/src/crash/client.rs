//! What a client of the service asks.

use anyhow::{Context, Result};
use serde_json::Value;

/// A client with connections of its own.
pub(super) struct Client {
    base: String,
    http: reqwest::Client,
}

/// A bind as it is asked for; sent again, it is the very same.
#[derive(Clone, Debug)]
pub(super) struct BindRequest {
    pub(super) uuid: String,
    pub(super) mobile: String,
    pub(super) verify: String,
    pub(super) nickname: String,
    /// A WeChat openid; without one the client is a browser.
    pub(super) openid: Option<String>,
    /// The session of the caller, where he has one.
    pub(super) token: Option<String>,
}

/// The envelope.
#[derive(Debug)]
pub(super) struct Answer(Value);

impl Answer {
    pub(super) fn code(&self) -> i64 {
        self.0["code"].as_i64().unwrap_or(i64::MIN)
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.0["data"][name].as_str().unwrap_or_default()
    }
}

impl Client {
    pub(super) fn new(base: &str) -> Result<Self> {
        Ok(Self { base: base.to_owned(), http: reqwest::Client::builder().no_proxy().build()? })
    }

    pub(super) async fn send_code(&self, uuid: &str, mobile: &str) -> Result<Answer> {
        self.post("/user/appmobilebindverifysend", &[("uuid", uuid), ("mobile", mobile)]).await
    }

    pub(super) async fn bind(&self, bind: &BindRequest) -> Result<Answer> {
        let client_type = if bind.openid.is_some() { "weixin" } else { "h5" };
        let mut form = vec![
            ("application_client_type", client_type),
            ("uuid", bind.uuid.as_str()),
            ("mobile", bind.mobile.as_str()),
            ("verify", bind.verify.as_str()),
            ("nickname", bind.nickname.as_str()),
        ];
        form.extend(bind.openid.as_deref().map(|openid| ("weixin_openid", openid)));
        form.extend(bind.token.as_deref().map(|token| ("token", token)));
        self.post("/user/appmobilebind", &form).await
    }

    pub(super) async fn look_up(&self, token: &str) -> Result<Answer> {
        self.post("/user/tokenuserinfo", &[("token", token)]).await
    }

    /// The last code that went to a number.
    pub(super) async fn code(&self, mobile: &str) -> Result<String> {
        let request = self.http.get(format!("{}/dev/sms?mobile={mobile}", self.base));
        let messages: Value = request.send().await?.json().await?;
        Ok(messages[0]["code"].as_str().context("no code was sent")?.to_owned())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        // Digits, letters and hyphens alone: nothing has to be escaped.
        let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Ok(Answer(request.send().await?.json().await?))
    }
}
