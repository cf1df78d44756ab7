//! No attack, but what a bad network does: answers that are lost, and requests that come twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::{VICTIM, messages, post, send, server};

const SEND: &str = "/user/appmobilebindverifysend?uuid=u";
const BIND: &str = "/user/appmobilebind?uuid=u";

#[tokio::test]
async fn a_lost_answer_costs_neither_a_message_nor_a_bind() {
    let server = server(|_| {}).await;
    let form = format!("mobile={VICTIM}");
    // Without a key the second request is one too many.
    assert_eq!(post(&server, SEND, &[], &form).await.code(), Some(0));
    assert_eq!(post(&server, SEND, &[], &form).await.code(), Some(-100));
    server.clock.advance(Duration::from_secs(61));
    let keyed = [("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324")];
    for _ in 0..3 {
        assert_eq!(post(&server, SEND, &keyed, &form).await.code(), Some(0));
        server.clock.advance(Duration::from_secs(20));
    }
    assert_eq!(messages(&server, Some(VICTIM)), 2);
    let bind = format!("mobile={VICTIM}&verify={}", server.last_code(VICTIM).unwrap());
    let first = post(&server, BIND, &keyed, &bind).await;
    assert_eq!(first.code(), Some(0));
    let server = server.restart().await.unwrap();
    server.clock.advance(Duration::from_secs(300));
    let again = post(&server, BIND, &keyed, &bind).await;
    assert_eq!((again.code(), again.field("token")), (Some(0), first.field("token")), "also after a restart");
    let other = post(&server, BIND, &keyed, &format!("{bind}&nickname=x")).await;
    assert_eq!(other.code(), Some(-1), "{}", other.text);
    for bad in ["", "with space", "schlüssel"] {
        let answer = post(&server, SEND, &[("idempotency-key", bad)], &form).await;
        assert_eq!(answer.code(), Some(-1), "{bad:?}");
    }
}

#[tokio::test]
async fn requests_that_overlap_are_answered_alike() {
    let server = Arc::new(server(|_| {}).await);
    let all = async |path: &'static str, form: String| {
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let (server, form) = (Arc::clone(&server), form.clone());
            requests.spawn(async move { post(&server, path, &[("idempotency-key", "k")], &form).await });
        }
        requests.join_all().await
    };
    let sends = all(SEND, format!("mobile={VICTIM}")).await;
    assert!(sends.iter().all(|answer| answer.code() == Some(0)), "{sends:?}");
    assert_eq!(messages(&server, Some(VICTIM)), 1);
    let binds = all(BIND, format!("mobile={VICTIM}&verify={}", server.last_code(VICTIM).unwrap())).await;
    let token = binds[0].field("token");
    assert!(binds.iter().all(|answer| answer.code() == Some(0) && answer.field("token") == token), "{binds:?}");
    assert_eq!(send(&server, "v", "13500135000").await, Some(0));
}
