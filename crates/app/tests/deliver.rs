//! A short run of sends while a provider has a bad hour; `cargo xtask deliver` is the long one.

use mobile_bind_tests::crash::existing;
use mobile_bind_tests::deliver::{self, Options};

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_lost_or_doubled_where_its_outcome_was_known() {
    let options = Options { binary: existing(env!("CARGO_BIN_EXE_mobile-bind").as_ref()).unwrap(), sends: 400 };
    let mut told = Vec::new();
    let outcome = deliver::run(options, &mut |line| told.push(line.to_owned())).await.unwrap();
    assert!(outcome.is_good(), "{told:#?}");
    assert_eq!(outcome.sends, 400);
    assert!(outcome.kills == 5 && outcome.by_spare > 0 && outcome.delivered > 300, "{outcome:?} {told:#?}");
}
