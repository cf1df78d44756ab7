//! Every example of an answer in the document is what the service answers: each is provoked over real HTTP.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use mobile_bind::settings::{LimitMode, PlatformSource, ProofSetting, Rebind, Recycled, Settings};
use mobile_bind_domain::ports::Clock;
use mobile_bind_domain::{Account, AccountStatus, AppId, Change, OpenId, Platform, PlatformIdentity, Revision, Write};
use mobile_bind_http::openapi_document;
use mobile_bind_platforms::fake::Play;
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::harness::{Answer, TestServer};
use mobile_bind_tests::shop::Shop;
use serde_json::{Value, json};

const MOBILE: &str = "17602128368";
const OTHER: &str = "13800138000";
const WEIXIN: &str = "application_client_type=weixin";
/// Whom the fake platform names.
const USER: &str = "o-weixin-user";
const OPENID: &str = "oB6US5SNOngn196qzb3lagEBTh6w";

/// The document's operations: their path, the example of their body, and their examples of answers with status 200.
fn operations() -> Vec<(String, Value, serde_json::Map<String, Value>)> {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let operation = |(path, item): (&String, &Value)| {
        let operation = &item["post"];
        let schema = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
        let body = document.pointer(schema.trim_start_matches('#')).unwrap()["example"].clone();
        let examples = operation["responses"]["200"]["content"]["application/json"]["examples"].as_object().unwrap();
        (path.clone(), body, examples.clone())
    };
    document["paths"].as_object().unwrap().iter().map(operation).collect()
}

/// A server, and the document's request to one operation.
struct Scene {
    server: TestServer,
    path: String,
    body: Value,
}

impl Scene {
    async fn answer(&self, path: &str, body: &Value) -> Answer {
        let json = Some("application/json");
        self.server.request(reqwest::Method::POST, path, json, body.to_string()).await.unwrap()
    }

    /// The document's request, with some of it put differently.
    async fn ask(&self, query: &str, changes: Value) -> Answer {
        let mut body = self.body.clone();
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.answer(&format!("{}?{query}", self.path), &body).await
    }

    /// One of two requests under the same key.
    async fn keyed(&self, body: &Value) -> Answer {
        let request = self.server.client().post(self.server.url(&self.path)).json(body);
        let keyed = request.header("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324");
        self.server.send(keyed).await.unwrap()
    }

    async fn code(&self, mobile: &str) -> String {
        let sent = self.answer("/user/appmobilebindverifysend", &json!({ "mobile": mobile })).await;
        assert_eq!(sent.code(), Some(0), "{}", sent.text);
        self.server.last_code(mobile).unwrap()
    }

    async fn bind(&self, query: &str, mobile: &str) -> Answer {
        let verify = self.code(mobile).await;
        let body = json!({ "mobile": mobile, "verify": verify, "weixin_openid": OPENID });
        self.answer(&format!("/user/appmobilebind?{query}"), &body).await
    }

    /// The token of an account that holds a number.
    async fn token(&self, mobile: &str) -> String {
        let bound = self.bind("", mobile).await;
        assert_eq!(bound.code(), Some(0), "{}", bound.text);
        self.server.clock.advance(Duration::from_secs(61));
        bound.field("token").to_owned()
    }

    /// Does what leads to an example.
    async fn provoke(&self, example: &str) -> Answer {
        let (server, none) = (&self.server, json!({}));
        match (self.path.as_str(), example) {
            ("/user/onekeyusermobilebind", name) if !matches!(name, "parameterInvalid" | "bodyUnreadable") => {
                self.vouched(name).await
            }
            (_, "parameterInvalid") => self.ask("", json!({ "lang": ["x"] })).await,
            (path, "bodyUnreadable") => {
                let json = Some("application/json");
                server.request(reqwest::Method::POST, path, json, "{").await.unwrap()
            }
            (_, "mobileMissing") => self.ask("", json!({ "mobile": "" })).await,
            (_, "mobileMalformed") => self.ask("", json!({ "mobile": "12345678901" })).await,
            (_, "sent") => self.ask("", none).await,
            (_, "accepted") => {
                self.code(MOBILE).await;
                self.until_settled().await
            }
            (_, "notAskedFor") => self.ask("", none).await,
            (_, "tooMany") => {
                self.code(OTHER).await;
                self.ask("", none).await
            }
            (_, "tooSoon") => {
                self.ask("", none.clone()).await;
                self.ask("", none).await
            }
            (_, "captchaWanted") => {
                self.code(OTHER).await;
                self.ask("", none).await
            }
            ("/user/appmobilebindverifysend", "idempotencyKeyReused") => {
                self.keyed(&json!({ "mobile": OTHER })).await;
                self.keyed(&self.body).await
            }
            (_, "idempotencyKeyReused") => {
                let body = json!({ "mobile": MOBILE, "verify": self.code(MOBILE).await, "nickname": "another" });
                assert_eq!(self.keyed(&body).await.code(), Some(0));
                self.keyed(&self.body).await
            }
            (_, "providerRefused") => {
                server.app.sms.set_behaviour(MOBILE, Behaviour::Refuse);
                self.ask("", none).await
            }
            (_, "providerSilent") => {
                server.app.sms.set_behaviour(MOBILE, Behaviour::Hang);
                self.ask("", none).await
            }
            (_, "verifyMissing") => self.ask("", json!({ "verify": "" })).await,
            (_, "textTooLong") => self.ask("", json!({ "nickname": "q".repeat(61) })).await,
            (_, "codeExpired") => self.ask(WEIXIN, none).await,
            (_, "codeWrong") => self.wrong_code().await,
            (_, "tooManyTries") => {
                self.wrong_code().await;
                self.ask(WEIXIN, json!({ "verify": "0000" })).await
            }
            (_, "openidMissing") => {
                self.ask(WEIXIN, json!({ "verify": self.code(MOBILE).await, "weixin_openid": "" })).await
            }
            (_, "bound" | "openidUnproved" | "numberForbidden" | "awaitingApproval") => {
                self.ask(WEIXIN, json!({ "verify": self.code(MOBILE).await })).await
            }
            ("/user/appminiuserauth", "stranger") => self.ask(WEIXIN, json!({ "authcode": "stranger.1" })).await,
            (_, "authCodeMissing") => self.ask(WEIXIN, json!({ "authcode": "" })).await,
            (_, "noMiniProgram") => self.ask("application_client_type=h5", none).await,
            (_, "platformNotConfigured" | "authCodeStale") => self.ask(WEIXIN, none).await,
            ("/user/appminiuserauth", "platformBusy") => {
                server.app.platforms.as_ref().unwrap().play(Play::Busy);
                self.ask(WEIXIN, json!({ "authcode": "stranger.1" })).await
            }
            (_, "accountDisabled") => {
                self.log_in().await;
                let body = json!({ "mobile": MOBILE, "verify": self.code(MOBILE).await, "weixin_openid": USER });
                assert_eq!(self.answer(&format!("/user/appmobilebind?{WEIXIN}"), &body).await.code(), Some(0));
                self.disable().await;
                self.ask(WEIXIN, json!({ "authcode": "user.2" })).await
            }
            (_, "heldByOther") => {
                let token = self.token(OTHER).await;
                self.token(MOBILE).await;
                self.ask("", json!({ "verify": self.code(MOBILE).await, "token": token })).await
            }
            ("/user/appminiuserauth", "heldBySeveral") => self.ask(WEIXIN, json!({ "authcode": "user.1" })).await,
            (_, "heldBySeveral") => self.ask("", json!({ "verify": self.code(MOBILE).await })).await,
            (_, "heldByCaller") => {
                let token = self.token(MOBILE).await;
                self.ask("", json!({ "verify": self.code(MOBILE).await, "token": token })).await
            }
            (_, "oldCodeWanted" | "oldCodeExpired" | "oldCodeWrong" | "changeDenied" | "changedLately") => {
                self.change(example).await
            }
            (_, "recycled") => {
                self.token(MOBILE).await;
                server.clock.advance(Duration::from_secs(90 * 24 * 3600));
                self.ask("", json!({ "verify": self.code(MOBILE).await })).await
            }
            (_, "found" | "loggedOut") => self.ask("", json!({ "token": self.token(MOBILE).await })).await,
            (_, "tokenMissing") => self.ask("", json!({ "token": "" })).await,
            (_, "tokenUnknown" | "loginRequired") => self.ask("", none).await,
            (path, _) => panic!("no test provokes the example {example} of {path}"),
        }
    }

    /// How far the code came, once that is stored: it is so after the send's own answer.
    async fn until_settled(&self) -> Answer {
        loop {
            let answer = self.ask("", json!({})).await;
            if answer.field("status") != "pending" {
                return answer;
            }
        }
    }

    /// Somebody who has a number binds another.
    async fn change(&self, example: &str) -> Answer {
        let token = self.token(OTHER).await;
        let old = match example {
            "oldCodeExpired" => "0000".to_owned(),
            "oldCodeWrong" => format!("{:04}", (self.code(OTHER).await.parse::<u32>().unwrap() + 1) % 10_000),
            _ => String::new(),
        };
        let verify = self.code(MOBILE).await;
        self.ask("", json!({ "verify": verify, "token": token, "old_verify": old })).await
    }

    /// A log-in of the user of whom the fake platform knows.
    async fn log_in(&self) -> Answer {
        self.answer(&format!("/user/appminiuserauth?{WEIXIN}&uuid=u"), &json!({ "authcode": "user.1" })).await
    }

    async fn disable(&self) {
        let store = &self.server.app.service.store;
        let account = store.accounts(None, 1).await.unwrap().remove(0);
        let disabled = Account { status: AccountStatus::Disabled, ..account.value };
        let write = Write::Account { expected: account.revision, account: Box::new(disabled) };
        store.commit(Change { expectations: Vec::new(), writes: vec![write] }).await.unwrap();
    }

    /// Does what leads to an example of the bind by the platform's word.
    async fn vouched(&self, example: &str) -> Answer {
        let platforms = self.server.app.platforms.as_ref().unwrap();
        let mut query = format!("{WEIXIN}&uuid=u");
        self.log_in().await;
        let mobile = if example == "notOfThisShop" { "12345678901" } else { MOBILE };
        let shown = platforms.number(Platform::Weixin, "user", mobile).unwrap();
        let mut changes = json!({ "openid": USER, "code": shown.code });
        match example {
            "openidMissing" => changes["openid"] = json!(""),
            "voucherMissing" => changes["code"] = json!(""),
            "openidUnproved" => changes["openid"] = json!("another"),
            "codeStale" => changes["code"] = json!("number-17602128368"),
            "platformBusy" => platforms.play(Play::Busy),
            "heldByOther" => {
                self.token(MOBILE).await;
                // An account without a number, which the openid has.
                let store = &self.server.app.service.store;
                let id = store.allot_account_id().await.unwrap();
                let mut account = Account::new(id, self.server.clock.now());
                let openid = OpenId::new(USER);
                let app = AppId::default();
                account.identities.insert(Platform::Weixin, PlatformIdentity { app, openid, unionid: None });
                let write = Write::Account { expected: Revision::ABSENT, account: Box::new(account) };
                store.commit(Change { expectations: Vec::new(), writes: vec![write] }).await.unwrap();
                query.push_str("&lang=zh");
            }
            _ => {}
        }
        self.ask(&query, changes).await
    }

    async fn wrong_code(&self) -> Answer {
        let wrong = if self.code(MOBILE).await == "0000" { "0001" } else { "0000" };
        self.ask(WEIXIN, json!({ "verify": wrong })).await
    }
}

/// What an operator must have set for an example.
fn set_for(example: &str, settings: &mut Settings) {
    settings.limits.mode = LimitMode::Off;
    match example {
        "tooMany" => {
            settings.limits.mode = LimitMode::Enforce;
            settings.limits.sends = vec!["1/1d".to_owned().try_into().unwrap()];
        }
        "captchaWanted" => {
            settings.limits.mode = LimitMode::Enforce;
            settings.limits.sends_from_address = vec!["1/1h".to_owned().try_into().unwrap()];
            settings.captcha.provider = "fake".to_owned();
            settings.captcha.site_key = "key".to_owned();
        }
        "tooManyTries" => {
            settings.limits.mode = LimitMode::Enforce;
            settings.limits.failures_on_number = vec!["1/1d".to_owned().try_into().unwrap()];
        }
        "providerSilent" => settings.sms.timeout_s = 0,
        "openidUnproved" => settings.platform_proof = ProofSetting::Required,
        "platformNotConfigured" => settings.platforms.source = PlatformSource::Vendors,
        "numberForbidden" => settings.register.forbidden_mobiles = vec![MOBILE.to_owned()],
        "oldCodeWanted" | "oldCodeExpired" | "oldCodeWrong" => settings.numbers.rebind = Rebind::OldCode,
        "changeDenied" => settings.numbers.rebind = Rebind::Deny,
        // A day, of which a minute has gone by.
        "changedLately" => settings.numbers.cooling_off_s = 24 * 3600 + 61,
        "recycled" => settings.numbers.recycled = Recycled::Refuse,
        "awaitingApproval" => settings.register.audit = true,
        _ => {}
    }
}

/// A shop that gave the number and the openid to two users.
async fn doubled() -> Shop {
    let shop = Shop::open().await.unwrap();
    for _ in 0..2 {
        let user = shop.insert_user(&[("mobile", MOBILE.into())]).await.unwrap();
        shop.insert_platform(user, "weixin", &[("weixin_openid", USER.into())]).await.unwrap();
    }
    shop
}

/// The user of an answer is of the example's shape: the same fields in the same order, of the same types.
fn assert_same_shape(answered: &Value, example: &Value, name: &str) {
    let (Some(answered), Some(example)) = (answered.as_object(), example.as_object()) else {
        return assert_eq!(answered, example, "{name}");
    };
    let shape = |user: &serde_json::Map<String, Value>| -> Vec<(String, bool)> {
        user.iter().map(|(field, value)| (field.clone(), value.is_string())).collect()
    };
    assert_eq!(shape(answered), shape(example), "{name}");
}

#[tokio::test]
async fn every_example_is_answered() {
    let mut seen = 0;
    for (path, body, examples) in operations() {
        for (name, example) in examples {
            let shop = if name == "heldBySeveral" { Some(doubled().await) } else { None };
            let server = TestServer::start_with(|settings| {
                set_for(&name, settings);
                settings.store = shop.as_ref().map_or_else(|| settings.store.clone(), Shop::store);
            });
            let scene = Scene { server: server.await.unwrap(), path: path.clone(), body: body.clone() };
            let answer = scene.provoke(&name).await;
            let name = format!("{name} of {path}: {}", answer.text);
            assert_eq!(answer.status, 200, "{name}");
            assert_eq!(answer.body["code"], example["value"]["code"], "{name}");
            assert_eq!(answer.body["msg"], example["value"]["msg"], "{name}");
            assert_eq!(answer.body.get("old_mobile"), example["value"].get("old_mobile"), "{name}");
            assert_same_shape(&answer.body["data"], &example["value"]["data"], &name);
            assert_same_shape(&answer.body["captcha"], &example["value"]["captcha"], &name);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}
