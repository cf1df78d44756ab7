//! Somebody who can write to the store, but has no keys, wipes out his traces.

use std::time::Duration;

use mobile_bind_domain::audit::{Actor, AuditAction, AuditEvent, AuditNode, RecordedEvent};
use mobile_bind_domain::{Change, Timestamp, Write};
use mobile_bind_tests::harness::TestServer;

use crate::support::{VICTIM, bind, send, server, wrong_codes};

/// A server on which somebody guessed.
async fn after_guesses() -> TestServer {
    let server = server(|_| ()).await;
    send(&server, "guesser", VICTIM).await;
    let right = server.last_code(VICTIM).unwrap();
    for guess in wrong_codes(&right).take(3) {
        bind(&server, "guesser", VICTIM, &guess).await;
    }
    server
}

/// Lets the chore seal what there is.
async fn seal(server: &TestServer) {
    for _ in 0..2 {
        server.clock.advance(Duration::from_secs(61));
        server.app.service.keep_audit().await.unwrap();
    }
}

async fn node(server: &TestServer) -> AuditNode {
    server.app.service.store.audit().audit_nodes().await.unwrap()[0]
}

async fn guesses(server: &TestServer) -> Vec<RecordedEvent> {
    let events = server.app.service.store.audit().audit_events(node(server).await, 0, 100).await.unwrap();
    events.into_iter().filter(|event| event.event().is_some_and(|event| event.action == AuditAction::Try)).collect()
}

async fn write(server: &TestServer, write: Write) {
    let change = Change { expectations: Vec::new(), writes: vec![write] };
    server.app.service.store.commit(change).await.unwrap();
}

/// Makes a guess look like something harmless.
async fn forge(server: &TestServer, guess: RecordedEvent) {
    let harmless = AuditEvent::new(AuditAction::LogOut, Actor::Service, Timestamp::from_seconds(1));
    let forged = RecordedEvent { mark: None, bytes: harmless.to_bytes().into(), ..guess };
    write(server, Write::AuditCopy(Box::new(forged))).await;
}

async fn problems(server: &TestServer) -> Vec<String> {
    let found = server.app.service.verify_audit().await.unwrap();
    found.into_iter().flat_map(|(_, findings)| findings.problems).collect()
}

#[tokio::test]
async fn before_an_event_is_sealed_it_can_be_altered_unseen() {
    let server = after_guesses().await;
    let guess = guesses(&server).await.remove(0);
    forge(&server, guess).await;
    assert_eq!(guesses(&server).await.len(), 2);
    seal(&server).await;
    assert_eq!(problems(&server).await, Vec::<String>::new(), "which is why it is sealed within a minute and a half");
}

#[tokio::test]
async fn a_sealed_event_that_is_altered_is_found() {
    let server = after_guesses().await;
    seal(&server).await;
    assert_eq!(problems(&server).await, Vec::<String>::new());
    let guess = guesses(&server).await.remove(1);
    forge(&server, guess.clone()).await;
    assert!(problems(&server).await[0].contains("segment 1: its events, or its checkpoint, were altered"));
    // Also by the next start, and by what is sealed after it.
    send(&server, "other", "13900000000").await;
    seal(&server).await;
    let server = server.restart().await.unwrap();
    assert_eq!(problems(&server).await.len(), 1);
    write(&server, Write::AuditCopy(Box::new(guess))).await;
    assert_eq!(problems(&server).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_segment_that_is_removed_is_found() {
    let server = after_guesses().await;
    seal(&server).await;
    send(&server, "other", "13900000000").await;
    seal(&server).await;
    let first = server.app.service.store.audit().checkpoints(node(&server).await, 0, 1).await.unwrap().remove(0);
    write(&server, Write::DropSegment { node: first.node, segment: first.segment, last: first.last }).await;
    let problems = problems(&server).await;
    assert!(problems[0].contains("the segments before 2 are missing"), "{problems:?}");
}
