//! The store contract suite over each store.

mod sled {
    mobile_bind_tests::store_contract!(mobile_bind_tests::contract::sled::SledFolder);
}

mod postgres {
    mobile_bind_tests::store_contract!(mobile_bind_tests::contract::postgres::PostgresSchema);
}

mod shopxo {
    mobile_bind_tests::store_contract!(mobile_bind_tests::contract::shopxo::ShopDatabase);
}

mod in_memory {
    mobile_bind_tests::store_contract!(mobile_bind_tests::contract::memory::Memory);
}
