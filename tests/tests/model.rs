//! The service against the reference model. `PROPTEST_CASES` sets how many stories are told; a story that fails is kept in
//! `model.proptest-regressions`, beside this file, and told first from then on.

use mobile_bind_tests::contract::memory::Memory;
use mobile_bind_tests::contract::postgres::PostgresSchema;
use mobile_bind_tests::contract::shopxo::ShopDatabase;
use mobile_bind_tests::contract::sled::SledFolder;
use mobile_bind_tests::model::Model;
use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::prop_state_machine;

/// As many stories as asked for, else so many.
fn stories(default: u32) -> Config {
    let asked = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { default };
    let persistence = FileFailurePersistence::WithSource("proptest-regressions");
    Config { cases, failure_persistence: Some(Box::new(persistence)), max_shrink_iters: 2000, ..asked }
}

prop_state_machine! {
    #![proptest_config(stories(100))]
    #[test]
    fn the_service_over_sled_does_as_the_reference(sequential 1..40 => Model<SledFolder>);
}

prop_state_machine! {
    #![proptest_config(stories(250))]
    #[test]
    fn the_service_over_memory_does_as_the_reference(sequential 1..60 => Model<Memory>);
}

prop_state_machine! {
    #![proptest_config(stories(60))]
    #[test]
    fn the_service_over_postgres_does_as_the_reference(sequential 1..40 => Model<PostgresSchema>);
}

prop_state_machine! {
    #![proptest_config(stories(40))]
    #[test]
    fn the_service_over_a_shop_does_as_the_reference(sequential 1..40 => Model<ShopDatabase>);
}
