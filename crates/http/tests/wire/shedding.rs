//! What happens where more is asked than is taken on.

use std::sync::Arc;

use mobile_bind_http::{Admission, Capacity, Parts, endpoint};
use poem::http::StatusCode;
use poem::test::TestClient;

use crate::shop::{Client, HANGING_MOBILE, MOBILE, PANICKING_MOBILE, Shop, TOKEN, envelope};

const SEND: &str = "/user/appmobilebindverifysend";

fn client(shop: &Arc<Shop>, capacity: Capacity) -> Client {
    TestClient::new(endpoint(Parts { admission: Admission::new(capacity), ..shop.parts() }))
}

#[tokio::test]
async fn what_is_too_much_is_answered_at_once_in_the_envelope() {
    let shop = Arc::new(Shop::default());
    let full = client(&shop, Capacity { requests: 0, sends: 1, ..Capacity::default() });
    for uri in ["/user/appmobilebind", "/api.php?s=user/tokenuserinfo", "/user/logout", "/openapi.json", "/nowhere"] {
        let response = full.get(uri).header("accept-language", "en").send().await;
        response.assert_status(StatusCode::SERVICE_UNAVAILABLE);
        response.assert_header("retry-after", "1");
        let (code, body) = envelope(response).await;
        assert_eq!((code, &body["msg"]), (-100, &"Too busy right now. Try again in 1 second".into()), "{uri}");
    }
    for uri in ["/healthz", "/readyz"] {
        full.get(uri).send().await.assert_status(StatusCode::OK);
    }
    let sent = full.post(SEND).form(&[("mobile", MOBILE)]).send().await;
    assert_eq!(envelope(sent).await.0, 0, "sends have places of their own");
}

#[tokio::test]
async fn a_hanging_provider_uses_up_the_places_of_sends_alone() {
    let shop = Arc::new(Shop::default());
    let client = client(&shop, Capacity { requests: 1, sends: 1, ..Capacity::default() });
    // Its client hangs up, but the send goes on, and so it keeps its place.
    tokio::select! {
        _ = client.post(SEND).form(&[("mobile", HANGING_MOBILE)]).send() => panic!("the provider has not answered yet"),
        () = shop.sending.notified() => {}
    }
    let shed = client.post(SEND).form(&[("mobile", MOBILE)]).send().await;
    shed.assert_status(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(envelope(shed).await.0, -100);
    let found = client.post("/user/tokenuserinfo").form(&[("token", TOKEN)]).send().await;
    assert_eq!(envelope(found).await.0, 0);

    shop.release.notify_one();
    shop.released.notified().await;
    // The send's task is at its end, but has still to be taken away.
    while client.post(SEND).form(&[("mobile", MOBILE)]).send().await.0.status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whatever_becomes_of_a_request_its_place_is_free_again() {
    let shop = Arc::new(Shop::default());
    let client = client(&shop, Capacity { requests: 1, sends: 1, ..Capacity::default() });
    let too_large = "x".repeat(64 * 1024 + 1);
    for _ in 0..3 {
        let panicked = client.post(SEND).form(&[("mobile", PANICKING_MOBILE)]).send().await;
        panicked.assert_status(StatusCode::INTERNAL_SERVER_ERROR);
        let refused = client.post("/user/tokenuserinfo").form(&[("token", "unknown")]).send().await;
        assert_eq!(envelope(refused).await.0, -1);
        let refused = client.post("/user/appmobilebind").body(too_large.clone()).send().await;
        refused.assert_status(StatusCode::PAYLOAD_TOO_LARGE);
        client.get("/nowhere").send().await.assert_status(StatusCode::NOT_FOUND);
    }
}
