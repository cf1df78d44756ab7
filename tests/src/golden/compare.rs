//! Where an answer, or what is stored, differs from the recording.

use std::fmt;

use anyhow::Result;
use mobile_bind_domain::{Account, ClientType, Service};
use serde_json::Value;

use super::format::{Expected, User};
use super::placeholders::Placeholders;
use crate::harness::{Answer, TestServer};

/// One difference.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    case: String,
    step: String,
    field: String,
    expected: String,
    got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}, {}, {}", self.case, self.step, self.field, self.expected, self.got)
    }
}

/// Collects the differences of one step of one scenario.
pub(super) struct Comparison<'a> {
    pub(super) case: &'a str,
    pub(super) step: String,
    pub(super) found: &'a mut Vec<Difference>,
}

impl Comparison<'_> {
    pub(super) fn same(&mut self, field: &str, expected: impl fmt::Display, got: impl fmt::Display) {
        let (expected, got) = (expected.to_string(), got.to_string());
        if expected != got {
            let (case, step) = (self.case.to_owned(), self.step.clone());
            self.found.push(Difference { case, step, field: field.to_owned(), expected, got });
        }
    }

    /// Compares an answer; defines the token that it brings.
    pub(super) fn answer(
        &mut self,
        expected: &Expected,
        answer: &Answer,
        server: &TestServer,
        placeholders: &mut Placeholders,
    ) {
        self.same("status", expected.status, answer.status);
        if let Some(code) = expected.code {
            self.same("code", code, answer.code().map_or("none".to_owned(), |code| code.to_string()));
        }
        if let Some(Value::Object(data)) = &expected.data {
            for (field, value) in data {
                let got = &answer.body["data"][field];
                let wanted = match (field.as_str(), value.as_str()) {
                    ("id", Some(id)) => Value::String(placeholders.resolve_id(id, got.as_str().unwrap_or_default())),
                    ("referrer", Some(id)) if id != "0" => {
                        Value::String(placeholders.resolve_id(id, got.as_str().unwrap_or_default()))
                    }
                    (_, Some(text)) => Value::String(shop_settings(text, server)),
                    (_, None) => value.clone(),
                };
                self.same(field, wanted, got);
            }
        }
        if let Some(placeholder) = &expected.token {
            let token = answer.field("token");
            if token.is_empty() {
                self.same("token", placeholder, "none");
            }
            placeholders.define_token(placeholder, token);
        }
    }

    /// Compares an account with what is stored.
    pub(super) async fn account(
        &mut self,
        expected: &User,
        account: &Account,
        service: &Service,
        placeholders: &mut Placeholders,
    ) -> Result<()> {
        let field = |name: &str| expected.field(name).to_owned();
        let mobile = account.mobile.as_ref().map_or("", |mobile| mobile.as_str());
        let email = account.shop.as_ref().map_or("", |shop| shop.email.as_ref());
        let profile = &account.profile;
        self.same("status", field("status"), account.status.number());
        self.same("nickname", field("nickname"), profile.nickname.as_str());
        self.same("mobile", field("mobile"), mobile);
        self.same("email", field("email"), email);
        self.same("gender", field("gender"), profile.gender.number());
        self.same("avatar", field("avatar"), profile.avatar.as_str());
        self.same("province", field("province"), profile.province.as_str());
        self.same("city", field("city"), profile.city.as_str());
        self.same("county", field("county"), profile.county.as_str());
        let referrer = account.referrer.map_or("0".to_owned(), |id| id.get().to_string());
        let expected_referrer = match expected.field("referrer") {
            "" | "0" => "0".to_owned(),
            id => placeholders.resolve_id(id, &referrer),
        };
        self.same("referrer", expected_referrer, referrer);
        self.identities(expected, account, service).await
    }

    /// The recording has a row for each client type that the account was ever seen on. We have openids and unionids, and
    /// sessions.
    async fn identities(&mut self, expected: &User, account: &Account, service: &Service) -> Result<()> {
        let sessions = service.store.sessions_of(account.id).await?;
        for client_type in ClientType::ALL {
            let row = expected.identities.iter().find(|row| row.client_type == client_type.name());
            let known = client_type.platform().and_then(|platform| account.identities.get(&platform));
            let openid = known.and_then(|known| known.openid.as_ref()).map_or("", |openid| openid.as_str());
            let unionid = known.and_then(|known| known.unionid.as_ref()).map_or("", |unionid| unionid.as_str());
            let name = client_type.name();
            self.same(&format!("{name}_openid"), row.map_or("", |row| &row.openid), openid);
            self.same(&format!("{name}_unionid"), row.map_or("", |row| &row.unionid), unionid);
            let logged_in = sessions.iter().any(|session| session.client_type == client_type);
            if row.is_none() && logged_in {
                self.same(&format!("{name} session"), "none", "one");
            }
        }
        Ok(())
    }
}

fn shop_settings(text: &str, server: &TestServer) -> String {
    let shop = &server.settings.shop;
    text.replace("{{default_avatar}}", &shop.default_avatar).replace("{{attachment_host}}", &shop.attachment_host)
}
