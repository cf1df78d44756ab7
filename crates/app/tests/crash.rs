//! A short crash run; `cargo xtask crash` is the long one.

use mobile_bind_tests::crash::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_answered_is_lost_or_half_there() {
    let binary = crash::existing(env!("CARGO_BIN_EXE_mobile-bind").as_ref()).unwrap();
    let options = Options { binary, kills: 2, seed: 7, moments: 100..400 };
    let mut told = Vec::new();
    let outcome = crash::run(options, &mut |line| told.push(line.to_owned())).await.unwrap();
    assert_eq!((outcome.kills, outcome.lost, outcome.torn), (2, 0, 0), "{told:#?}");
    assert!(outcome.acknowledged > 0, "{told:#?}");
}
