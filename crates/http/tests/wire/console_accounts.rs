//! The console's account side: masked look-ups, unmasking and orders, each for operators alone and each in the audit.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mobile_bind_domain::audit::{Actor, AuditEvent};
use mobile_bind_domain::{
    Account, AccountId, AppId, Change, ClientType, KeyId, Language, Mobile, OpenId, Platform, PlatformIdentity,
    Requester, Revision, SendParameters, Service, Session, SessionId, SessionSeed, Timestamp, UnionId, Write,
};
use mobile_bind_http::{Console, ConsoleParts, endpoint};
use mobile_bind_memory::MemoryStore;
use poem::test::{TestClient, TestResponse};
use serde_json::{Value, json};

use crate::console::{Alice, Measured, TOKEN, body};
use crate::shop::{Client, MOBILE, SESSION, Shop, assert_standing_headers};

pub(crate) const OPENID: &str = "oB6US5SNOngn196qzb3lagEBTh6w";

/// A console over a store in memory.
pub(crate) struct Desk {
    service: Arc<Service>,
    client: Client,
}

impl Desk {
    /// One account, with a number, an openid and a session.
    pub(crate) async fn new() -> Self {
        let shop = Arc::new(Shop::default());
        let service = Arc::into_inner(shop.parts().service).unwrap();
        let service = Arc::new(Service { store: Arc::new(MemoryStore::new()), ..service });
        let at = service.clock.now();
        let mut account = Account::new(AccountId::MIN, Timestamp::from_seconds(1_627_535_697));
        account.mobile = Mobile::restore(MOBILE);
        let identity = PlatformIdentity {
            app: AppId::new("wx1").unwrap(),
            openid: OpenId::new(OPENID),
            unionid: UnionId::new("o1Ang5xo5tiJD-l7Y1kY7-hT6emk"),
        };
        account.identities.insert(Platform::Weixin, identity);
        let session = Session {
            id: SESSION,
            seed: SessionSeed([7; 16]),
            key: KeyId::new("test").unwrap(),
            account: account.id,
            client_type: ClientType::H5,
            issued_at: at,
            used_at: at,
        };
        let other = Session { id: SessionId([8; 16]), client_type: ClientType::Ios, ..session.clone() };
        let writes = vec![
            Write::Account { expected: Revision::ABSENT, account: Box::new(account) },
            Write::OpenSession(session),
            Write::OpenSession(other),
        ];
        service.store.commit(Change { expectations: Vec::new(), writes }).await.unwrap();
        Self { client: console(&service), service }
    }

    pub(crate) async fn ask(&self, path: &str, body: Value) -> TestResponse {
        let request = self.client.post(format!("/console/api/{path}"));
        request.header("authorization", format!("Bearer {TOKEN}")).body_json(&body).send().await
    }

    /// The status, and the answer or what is wrong.
    async fn answer(&self, path: &str, asked: Value) -> (u16, Value) {
        let response = self.ask(path, asked).await;
        assert_standing_headers(&response);
        (response.0.status().as_u16(), body(response).await)
    }

    async fn look_up(&self, name: &str) -> Value {
        let (status, answer) = self.answer("look-up", json!({ "name": name })).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// What the audit says of operators: action, account, the number as it is masked.
    async fn noted(&self) -> Vec<(String, Option<u64>, Option<String>)> {
        let events = self.service.audit_tail(100).await.unwrap();
        let alices = |event: &AuditEvent| event.actor == Actor::Operator("alice".into());
        let told = |event: &AuditEvent| {
            let number = event.number.as_ref().map(|number| number.masked.to_string());
            (event.action.name().to_owned(), event.account.map(AccountId::get), number)
        };
        events.iter().filter(|event| alices(event)).map(told).collect()
    }
}

fn console(service: &Arc<Service>) -> Client {
    let service = Arc::clone(service);
    let parts = ConsoleParts { service, scrape: Arc::new(Measured::default()), operators: Arc::new(Alice) };
    TestClient::new(Console::new(parts).endpoint())
}

fn masked() -> Option<String> {
    Some("176***368".to_owned())
}

#[tokio::test]
async fn a_look_up_shows_an_account_masked() {
    let desk = Desk::new().await;
    for name in [MOBILE, " 176 0212 8368 ", "1", "#1"] {
        let found = desk.look_up(name).await;
        let account = &found["account"];
        assert_eq!((&account["id"], &account["status"]), (&1.into(), &"normal".into()));
        assert_eq!(account["mobile"], "176***368");
        assert_eq!(
            account["identities"],
            json!([{ "platform": "weixin", "app": "wx1", "openid": "oB6***", "unionid": "o1A***" }])
        );
        let sessions: Vec<&Value> =
            account["sessions"].as_array().unwrap().iter().map(|session| &session["client_type"]).collect();
        assert!(sessions.contains(&&"h5".into()) && sessions.contains(&&"ios".into()), "{sessions:?}");
        assert_eq!(account["seen_at"], found["now"]);
        assert_eq!(account["orders"], json!(["unbind", "revoke", "disable", "delete"]));
        let text = found.to_string();
        assert!(!text.contains(MOBILE) && !text.contains(OPENID), "{text}");
    }
    assert_eq!(desk.noted().await, vec![("look_up".to_owned(), Some(1), masked()); 4]);
}

#[tokio::test]
async fn a_look_up_says_why_a_number_was_refused() {
    let desk = Desk::new().await;
    let number = "13800138000";
    let requester = || Requester {
        client_type: ClientType::H5,
        installation: None,
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)).into(),
        language: Language::Zh,
        request: mobile_bind_domain::RequestId::new("a-request"),
    };
    let parameters = SendParameters { mobile: number, ..SendParameters::default() };
    desk.service.send_code(requester(), &parameters).await.unwrap();
    desk.service.send_code(requester(), &parameters).await.unwrap_err();
    let found = desk.look_up(number).await;
    assert_eq!(found["account"], Value::Null);
    let events = found["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!((&events[0]["action"], &events[0]["rule"]), (&"send".into(), &Value::Null));
    let refused = &events[1];
    assert_eq!((&refused["action"], &refused["rule"]), (&"refuse_send".into(), &"send_too_soon".into()));
    assert!(refused["reason"].as_str().unwrap().contains("a moment before"), "{refused}");
    assert_eq!((&refused["number"], &refused["client_type"]), (&"138***000".into(), &"h5".into()));
    assert_eq!((&refused["address"], &refused["request"]), (&"192.0.2.1".into(), &"a-request".into()));
    assert!(refused["until"].as_u64() > refused["at"].as_u64());
    assert_eq!(desk.noted().await, [("look_up".to_owned(), None, Some("138***000".to_owned()))]);
}

#[tokio::test]
async fn what_is_shown_whole_is_in_the_audit() {
    let desk = Desk::new().await;
    let (status, whole) = desk.answer("unmask", json!({ "account": 1 })).await;
    assert_eq!((status, &whole["mobile"]), (200, &MOBILE.into()));
    assert_eq!(whole["identities"][0]["openid"], OPENID);
    assert_eq!(desk.noted().await, [("unmask".to_owned(), Some(1), masked())]);
    assert_eq!(desk.answer("unmask", json!({ "account": 2 })).await, (404, json!({ "error": "not_found" })));
    assert_eq!(desk.noted().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_shown_that_cannot_be_noted() {
    let desk = Desk::new().await;
    // What is there is still read, and nothing can be written.
    desk.service.store.close().await.unwrap();
    for (path, asked) in [("look-up", json!({ "name": "1" })), ("unmask", json!({ "account": 1 }))] {
        assert_eq!(desk.answer(path, asked).await, (503, json!({ "error": "not_stored" })), "{path}");
    }
}

#[tokio::test]
async fn orders_are_carried_out_and_noted() {
    let desk = Desk::new().await;
    let order = async |order: Value| {
        let (status, answer) = desk.answer("order", order).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let revoked = order(json!({ "account": 1, "order": "revoke", "client_type": "ios" })).await;
    assert_eq!(revoked["account"]["sessions"].as_array().unwrap().len(), 1);
    order(json!({ "account": 1, "order": "revoke" })).await;
    let disabled = order(json!({ "account": 1, "order": "disable" })).await;
    assert_eq!(disabled["account"]["status"], "disabled");
    assert_eq!(disabled["account"]["orders"], json!(["unbind", "enable", "delete"]));
    order(json!({ "account": 1, "order": "enable" })).await;
    let unbound = order(json!({ "account": 1, "order": "unbind" })).await;
    assert_eq!((&unbound["account"]["mobile"], &unbound["account"]["status"]), (&Value::Null, &"normal".into()));
    let last = unbound["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["operator"]), (&"unbind".into(), &"alice".into()));
    let deleted = order(json!({ "account": 1, "order": "delete" })).await;
    assert_eq!((&deleted["account"]["status"], &deleted["account"]["orders"]), (&"deleted".into(), &json!([])));
    let actions: Vec<String> = desk.noted().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["revoke", "revoke", "disable", "enable", "unbind", "delete"]);
}

#[tokio::test]
async fn an_order_that_makes_no_sense_is_told_why() {
    let desk = Desk::new().await;
    let refused = async |order: Value| desk.answer("order", order).await;
    let conflict = |error: &str| (409, json!({ "error": error }));
    assert_eq!(refused(json!({ "account": 1, "order": "enable" })).await, conflict("not_disabled"));
    let pcs = json!({ "account": 1, "order": "revoke", "client_type": "pc" });
    assert_eq!(refused(pcs).await, conflict("no_session"));
    assert_eq!(refused(json!({ "account": 2, "order": "delete" })).await, (404, json!({ "error": "not_found" })));
    desk.ask("order", json!({ "account": 1, "order": "disable" })).await.assert_status_is_ok();
    assert_eq!(refused(json!({ "account": 1, "order": "disable" })).await, conflict("disabled"));
    desk.ask("order", json!({ "account": 1, "order": "unbind" })).await.assert_status_is_ok();
    assert_eq!(refused(json!({ "account": 1, "order": "unbind" })).await, conflict("no_number"));
    desk.ask("order", json!({ "account": 1, "order": "delete" })).await.assert_status_is_ok();
    assert_eq!(refused(json!({ "account": 1, "order": "delete" })).await, conflict("gone"));
    // What was refused is no deed.
    assert_eq!(desk.noted().await.len(), 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_does_nothing() {
    let desk = Desk::new().await;
    let questions = [
        ("look-up", json!({})),
        ("look-up", json!({ "name": "" })),
        ("look-up", json!({ "name": "somebody" })),
        ("look-up", json!({ "name": 1 })),
        ("look-up", json!({ "name": "1", "also": 1 })),
        ("look-up", json!({ "name": "1".repeat(2000) })),
        ("unmask", json!({ "account": 0 })),
        ("unmask", json!({ "account": -1 })),
        ("unmask", json!({ "account": 10_000_000_000_u64 })),
        ("order", json!({ "account": 1, "order": "promote" })),
        ("order", json!({ "account": 1, "order": "disable", "client_type": "h5" })),
        ("order", json!({ "account": 1, "order": "revoke", "client_type": "fridge" })),
    ];
    for (path, question) in questions {
        let answer = desk.answer(path, question.clone()).await;
        assert_eq!(answer, (400, json!({ "error": "invalid" })), "{path} {question}");
    }
    assert_eq!(desk.noted().await, []);
}

#[tokio::test]
async fn only_an_operators_token_asks_and_only_by_post() {
    let desk = Desk::new().await;
    let questions = [
        ("look-up", json!({ "name": MOBILE })),
        ("unmask", json!({ "account": 1 })),
        ("order", json!({ "account": 1, "order": "delete" })),
    ];
    for (path, question) in questions {
        let path = format!("/console/api/{path}");
        for authorization in ["", "Bearer mbc_of_bob", "Basic mbc_of_alice"] {
            let request = desk.client.post(&path).header("authorization", authorization).body_json(&question);
            assert_eq!(request.send().await.0.status(), 401, "{path} {authorization}");
        }
        // What another site could make a browser send by itself: cookies and no header of its own.
        let forged = desk.client.post(&path).header("origin", "https://evil.example").header("cookie", "token=1");
        assert_eq!(forged.content_type("text/plain").body(question.to_string()).send().await.0.status(), 401);
        let asked = desk.client.request(poem::http::Method::OPTIONS, &path).header("origin", "https://evil.example");
        let asked = asked.header("access-control-request-method", "POST").send().await;
        assert!(asked.0.headers().keys().all(|name| !name.as_str().starts_with("access-control-")), "{path}");
        let got = desk.client.get(&path).header("authorization", format!("Bearer {TOKEN}")).send().await;
        assert_eq!(got.0.status(), 405, "{path}");
    }
    assert_eq!(desk.noted().await, []);
    let account = desk.service.store.account(AccountId::MIN).await.unwrap().unwrap().value;
    assert!(account.is_live() && account.mobile.is_some());
}

#[tokio::test]
async fn the_public_address_knows_nothing_of_it() {
    let shop = Arc::new(Shop::default());
    let client = TestClient::new(endpoint(shop.parts()));
    for path in ["look-up", "unmask", "order"] {
        let request = client.post(format!("/console/api/{path}")).header("authorization", format!("Bearer {TOKEN}"));
        assert_eq!(request.body_json(&json!({ "name": MOBILE })).send().await.0.status(), 404);
    }
    assert!(shop.commits.lock().unwrap().is_empty());
}

#[tokio::test]
async fn guessing_at_accounts_costs_a_minute() {
    let desk = Desk::new().await;
    for _ in 0..10 {
        let request = desk.client.post("/console/api/unmask").header("authorization", "Bearer mbc_wrong");
        assert_eq!(request.body_json(&json!({ "account": 1 })).send().await.0.status(), 401);
    }
    for (path, asked) in [("unmask", json!({ "account": 1 })), ("order", json!({ "account": 1, "order": "delete" }))] {
        assert_eq!(desk.answer(path, asked).await, (429, json!({ "error": "too_many_attempts" })));
    }
    assert_eq!(desk.noted().await, []);
}
