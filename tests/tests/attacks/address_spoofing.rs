//! A new address in each request's headers, to have a quota of one's own each time.

use mobile_bind_tests::harness::TestServer;

use crate::support::{post, server};

async fn sent(server: &TestServer, forwarded: impl Fn(u32) -> String) -> usize {
    let mut sent = 0;
    for number in 0..50_u32 {
        let path = format!("/user/appmobilebindverifysend?uuid=client-{number}");
        let form = format!("mobile=138{number:08}");
        sent +=
            usize::from(post(server, &path, &[("x-forwarded-for", &forwarded(number))], &form).await.code() == Some(0));
    }
    sent
}

#[tokio::test]
async fn the_header_of_a_stranger_does_not_count() {
    let everybody_is_trusted = server(|settings| settings.server.trusted_proxies = vec!["0.0.0.0/0".to_owned()]).await;
    let forged = |number| format!("198.51.100.{number}");
    assert_eq!(sent(&everybody_is_trusted, forged).await, 50);

    let nobody_is = server(|_| {}).await;
    assert_eq!(sent(&nobody_is, forged).await, 30);
    let noted = std::fs::read_to_string(nobody_is.folder().join("data/unlisted_proxy")).unwrap();
    assert_eq!(noted, "127.0.0.1", "mobile-bind doctor says so");

    // Behind a listed proxy only what the proxy adds counts, which is at the end.
    let behind_a_proxy = server(|settings| settings.server.trusted_proxies = vec!["127.0.0.1".to_owned()]).await;
    assert_eq!(sent(&behind_a_proxy, |number| format!("198.51.100.{number}, 203.0.113.7")).await, 30);
    assert_eq!(sent(&behind_a_proxy, |_| "203.0.113.8".to_owned()).await, 20, "another address has a quota of its own");
    assert!(!behind_a_proxy.folder().join("data/unlisted_proxy").exists());
}
