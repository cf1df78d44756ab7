//! The routes under `/dev`.

use std::sync::Arc;

use mobile_bind_http::Behaviour;
use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::shop::{Client, MOBILE, Shop, assert_standing_headers, envelope};

const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

async fn post(client: &Client, uri: &str, body: &str) -> (StatusCode, i64, Value) {
    let response = client.post(uri).header(HOST.0, HOST.1).body(body.to_owned()).send().await;
    let status = response.0.status();
    let (code, answer) = envelope(response).await;
    (status, code, answer["data"].clone())
}

#[tokio::test]
async fn messages_are_shown_newest_first() {
    let client = Arc::new(Shop::default()).client();
    for mobile in ["13900000001", MOBILE] {
        client.post("/user/appmobilebindverifysend").form(&[("mobile", mobile)]).send().await;
    }
    let list = async |uri: &str| -> Value {
        let response = client.get(uri).header(HOST.0, HOST.1).send().await;
        response.assert_status_is_ok();
        assert_standing_headers(&response);
        serde_json::from_str(&response.0.into_body().into_string().await.unwrap()).unwrap()
    };
    let newest = json!({ "mobile": MOBILE, "text": "code 7777", "code": "7777", "sent_at": "2021-10-20T10:55:40Z" });
    let all = list("/dev/sms").await;
    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &newest));
    assert_eq!(list("/dev/sms?mobile=17602128368").await, json!([newest]));
    assert_eq!(list("/dev/sms?mobile=13900000009").await, json!([]));
}

#[tokio::test]
async fn the_provider_can_be_told_how_to_behave() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    for behaviour in ["deliver", "refuse", "hang"] {
        let body = format!(r#"{{"mobile":"{MOBILE}","behaviour":"{behaviour}"}}"#);
        assert_eq!(post(&client, "/dev/sms/behaviour", &body).await, (StatusCode::OK, 0, json!([])));
    }
    let told: Vec<Behaviour> = shop.behaviours.lock().unwrap().iter().map(|(_, behaviour)| *behaviour).collect();
    assert_eq!(told, [Behaviour::Deliver, Behaviour::Refuse, Behaviour::Hang]);
    for body in ["", "{}", r#"{"mobile":"1","behaviour":"explode"}"#, r#"{"mobile":1,"behaviour":"hang"}"#] {
        assert_eq!(post(&client, "/dev/sms/behaviour", body).await, (StatusCode::BAD_REQUEST, -1, json!([])));
    }
    assert_eq!(shop.behaviours.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn the_clock_moves_forward_only() {
    let client = Arc::new(Shop::default()).client();
    let moved = post(&client, "/dev/clock", r#"{"advance_s": 61}"#).await;
    assert_eq!(moved, (StatusCode::OK, 0, json!({ "now": "2021-10-20T10:56:41Z" })));
    for by in ["0", "-1", "1.5", "\"61\"", "null", "18446744073709551615", "3153600000"] {
        let refused = post(&client, "/dev/clock", &format!(r#"{{"advance_s": {by}}}"#)).await;
        assert_eq!(refused, (StatusCode::BAD_REQUEST, -1, json!([])), "{by}");
    }
    let furthest = 100_u64 * 365 * 24 * 3600 - 61;
    assert_eq!(post(&client, "/dev/clock", &format!(r#"{{"advance_s": {furthest}}}"#)).await.1, 0);
    assert_eq!(post(&client, "/dev/clock", r#"{"advance_s": 1}"#).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn nobody_reaches_them_through_a_browser_from_elsewhere() {
    let shop = Arc::new(Shop::default());
    let client = shop.client();
    let refused = [("host", "dev.shop.example"), ("origin", "http://evil.example"), ("origin", "null")];
    for (name, value) in refused {
        for uri in ["/dev/sms", "/dev/sms/behaviour", "/dev/clock", "/dev/nothing"] {
            let host = if name == "host" { value } else { HOST.1 };
            let mut request = client.post(uri).header("host", host).body(r#"{"advance_s":1,"mobile":"1"}"#);
            if name == "origin" {
                request = request.header(name, value);
            }
            let response = request.send().await;
            response.assert_status(StatusCode::FORBIDDEN);
            assert_eq!(envelope(response).await.0, -1000);
        }
    }
    let own = client.get("/dev/sms").header(HOST.0, HOST.1).header("origin", "http://127.0.0.1:8080").send().await;
    own.assert_status_is_ok();
    let missing = client.get("/dev/nothing").header(HOST.0, HOST.1).send().await;
    missing.assert_status(StatusCode::NOT_FOUND);
    let method = client.get("/dev/clock").header(HOST.0, HOST.1).send().await;
    method.assert_status(StatusCode::METHOD_NOT_ALLOWED);
    method.assert_header("allow", "POST");
}
