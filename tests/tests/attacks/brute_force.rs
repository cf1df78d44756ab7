//! Guessing a code: one try after the other, and many at once.

use std::time::Duration;

use mobile_bind::settings::LimitMode;
use tokio::task::JoinSet;

use crate::support::{VICTIM, bind, send, server, wrong_codes};

/// How many wrong codes the service compared in a day, for a guesser who asks for a new code whenever he may.
async fn compared(mode: LimitMode) -> usize {
    let server = server(|settings| settings.limits.mode = mode).await;
    let mut compared = 0;
    for minute in 0..40 {
        if send(&server, "guesser", VICTIM).await == Some(0) {
            let right = server.last_code(VICTIM).unwrap();
            for code in wrong_codes(&right).take(6) {
                compared += usize::from(bind(&server, "guesser", VICTIM, &code).await.code() == Some(-11));
            }
        }
        server.clock.advance(Duration::from_secs(if minute % 2 == 0 { 900 } else { 1200 }));
    }
    compared
}

#[tokio::test]
async fn one_after_the_other() {
    assert!(compared(LimitMode::Off).await > 100, "without quotas a guesser goes on all day");
    assert_eq!(compared(LimitMode::Enforce).await, 10);
}

/// Thirty-two at once, from clients with live codes of their own, one of them right: how many were compared.
async fn at_once(mode: LimitMode) -> (usize, usize) {
    let server = std::sync::Arc::new(
        server(|settings| {
            settings.limits.mode = mode;
            settings.code.send_interval_s = 0;
            settings.limits.sends_to_number = Vec::new();
            settings.limits.sends_from_address = Vec::new();
            settings.limits.keep_half_for_owners = false;
        })
        .await,
    );
    let mut codes = Vec::new();
    for client in 0..32 {
        assert_eq!(send(&server, &format!("client-{client}"), VICTIM).await, Some(0));
        codes.push(server.last_code(VICTIM).unwrap());
        server.clock.advance(Duration::from_millis(1));
    }
    let mut guesses = JoinSet::new();
    for (client, right) in codes.into_iter().enumerate() {
        let server = std::sync::Arc::clone(&server);
        guesses.spawn(async move {
            let code = if client == 31 { right } else { wrong_codes(&right).next().unwrap() };
            bind(&server, &format!("client-{client}"), VICTIM, &code).await.code()
        });
    }
    let answers = guesses.join_all().await;
    let wrong = answers.iter().filter(|code| **code == Some(-11)).count();
    let right = answers.iter().filter(|code| **code == Some(0)).count();
    assert!(answers.iter().all(|code| matches!(code, Some(-11 | 0 | -100))), "{answers:?}");
    (wrong, right)
}

#[tokio::test]
async fn many_at_once() {
    assert_eq!(at_once(LimitMode::Off).await, (31, 1));
    let (wrong, right) = at_once(LimitMode::Enforce).await;
    // The right one is told only where it comes before the last of those that are wrong.
    assert!(wrong == 20 && right <= 1, "{wrong} wrong and {right} right ones");
}

/// Thirty-two at once at one code that has five tries.
#[tokio::test]
async fn many_at_once_at_one_code() {
    let server = std::sync::Arc::new(server(|settings| settings.limits.mode = LimitMode::Off).await);
    assert_eq!(send(&server, "guesser", VICTIM).await, Some(0));
    let right = server.last_code(VICTIM).unwrap();
    let mut guesses = JoinSet::new();
    for code in wrong_codes(&right).take(31).chain([right.clone()]) {
        let server = std::sync::Arc::clone(&server);
        guesses.spawn(async move { bind(&server, "guesser", VICTIM, &code).await.code() });
    }
    let answers = guesses.join_all().await;
    let told = answers.iter().filter(|code| matches!(code, Some(-11 | 0))).count();
    assert!(told <= 5, "{told} were told whether they were right: {answers:?}");
}
