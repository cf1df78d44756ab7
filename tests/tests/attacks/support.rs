//! What attackers and owners do.

use mobile_bind::Settings;
use mobile_bind_tests::harness::{Answer, TestServer};
use reqwest::header::CONTENT_TYPE;

pub(crate) const VICTIM: &str = "17602128368";

/// A server with the defaults of the guards, but for what the attack needs.
pub(crate) async fn server(set: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::start_with(set).await.unwrap()
}

/// A request with headers of the attacker's own.
pub(crate) async fn post(server: &TestServer, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let mut request = server.client().post(server.url(path)).body(form.to_owned());
    request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await.unwrap()
}

pub(crate) async fn send(server: &TestServer, uuid: &str, mobile: &str) -> Option<i64> {
    server.send_code(uuid, mobile).await.unwrap().code()
}

pub(crate) async fn bind(server: &TestServer, uuid: &str, mobile: &str, verify: &str) -> Answer {
    server.post(&format!("/user/appmobilebind?uuid={uuid}"), &format!("mobile={mobile}&verify={verify}")).await.unwrap()
}

pub(crate) fn messages(server: &TestServer, mobile: Option<&str>) -> usize {
    server.app.sms.messages(mobile).len()
}

/// Codes that are not the one that was sent.
pub(crate) fn wrong_codes(right: &str) -> impl Iterator<Item = String> + '_ {
    (1000..10_000).map(|number: u32| number.to_string()).filter(move |code| code != right)
}
