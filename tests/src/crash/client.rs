//! What a client of the service asks.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// Longer than the service takes for any answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client with connections of its own.
pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
}

/// A bind as it is asked for; sent again, it is the very same.
#[derive(Clone, Debug)]
pub(crate) struct BindRequest {
    pub(crate) uuid: String,
    pub(crate) mobile: String,
    pub(crate) verify: String,
    pub(crate) nickname: String,
    /// A WeChat openid; without one the client is a browser.
    pub(crate) openid: Option<String>,
    /// The session of the caller, where he has one.
    pub(crate) token: Option<String>,
}

/// The envelope.
#[derive(Debug)]
pub(crate) struct Answer(Value);

impl Answer {
    pub(crate) fn code(&self) -> i64 {
        self.0["code"].as_i64().unwrap_or(i64::MIN)
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.0["data"][name].as_str().unwrap_or_default()
    }
}

impl Client {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        Ok(Self { base: base.to_owned(), http: http.build()? })
    }

    pub(crate) async fn send_code(&self, uuid: &str, mobile: &str) -> Result<Answer> {
        self.post("/user/appmobilebindverifysend", &[("uuid", uuid), ("mobile", mobile)]).await
    }

    pub(crate) async fn bind(&self, bind: &BindRequest) -> Result<Answer> {
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

    pub(crate) async fn look_up(&self, token: &str) -> Result<Answer> {
        self.post("/user/tokenuserinfo", &[("token", token)]).await
    }

    /// The last code that went to a number.
    pub(crate) async fn code(&self, mobile: &str) -> Result<String> {
        let request = self.http.get(format!("{}/dev/sms?mobile={mobile}", self.base));
        let messages: Value = request.send().await?.json().await?;
        Ok(messages[0]["code"].as_str().context("no code was sent")?.to_owned())
    }

    /// Whether the service says that it can do its work.
    pub(crate) async fn is_ready(&self) -> Result<bool> {
        Ok(self.http.get(format!("{}/readyz", self.base)).send().await?.status().is_success())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Result<Answer> {
        // Digits, letters and hyphens alone: nothing has to be escaped.
        let body = form.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let request = self.http.post(format!("{}{path}", self.base)).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        Ok(Answer(request.send().await?.json().await?))
    }
}
