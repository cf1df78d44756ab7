//! More than the service takes on, over real connections.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use mobile_bind::settings::LimitMode;
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::harness::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const HANGING: &str = "13900139000";

async fn small() -> TestServer {
    let set = |settings: &mut mobile_bind::Settings| {
        settings.limits.mode = LimitMode::Off;
        settings.server.max_in_flight = 1;
        settings.sms.max_in_flight = 1;
    };
    TestServer::start_with(set).await.unwrap()
}

/// Asks, and reads an answer that comes in one part.
async fn exchange(connection: &mut TcpStream, asked: &[u8]) -> String {
    connection.write_all(asked).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).await.unwrap();
    answer.truncate(length);
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_hanging_provider_keeps_no_bind_waiting() {
    let server = small().await;
    server.send_code("u", "13800138000").await.unwrap();
    let code = server.last_code("13800138000").unwrap();
    server.app.sms.set_behaviour(HANGING, Behaviour::Hang);
    let path = "/user/appmobilebindverifysend?uuid=u&mobile=13900139000";
    let (client, url) = (server.client().clone(), server.url(path));
    // It is shed itself while another has the place.
    let hanging = tokio::spawn(async move { while client.post(&url).send().await.unwrap().status() == 503 {} });
    // Until the hanging send has the place, others get it, and are done with it when they are answered.
    let mut number = 13_700_000_000_u64;
    let shed = loop {
        number += 1;
        let answer = server.send_code("u", &number.to_string()).await.unwrap();
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((shed.status, shed.code()), (503, Some(-100)));
    assert_eq!(shed.headers["retry-after"], "1");
    // One connection may be turned away again and again, and goes on serving.
    let mut plain = TcpStream::connect(server.app.address).await.unwrap();
    let asked = b"POST /user/appmobilebindverifysend?mobile=13600136000 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
    for _ in 0..3 {
        let answer = exchange(&mut plain, asked).await;
        assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
        assert!(answer.contains("\r\nretry-after: 1\r\n") && answer.contains("\r\nx-request-id: "), "{answer}");
        assert!(answer.ends_with("\"code\":-100,\"data\":[]}"), "{answer}");
        // It never reached the server's own HTTP, which would have dated it.
        assert!(!answer.contains("\r\ndate: "), "{answer}");
    }
    let healthy = exchange(&mut plain, b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");

    let bound = server.post("/user/appmobilebind?uuid=u", &format!("mobile=13800138000&verify={code}")).await.unwrap();
    assert_eq!(bound.code(), Some(0));
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.send(server.client().get(server.url(path))).await.unwrap().status, 200, "{path}");
    }
    assert!(!hanging.is_finished());
    hanging.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_is_answered_and_what_was_shed_can_be_asked_again() {
    let server = small().await;
    let mut asked = JoinSet::new();
    for _ in 0..64 {
        asked.spawn(server.client().post(server.url("/user/tokenuserinfo?token=x")).send());
    }
    let mut answered = 0;
    while let Some(response) = asked.join_next().await {
        let response = response.unwrap().unwrap();
        let status = response.status().as_u16();
        let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        match status {
            200 => answered += 1,
            503 => assert_eq!(body["code"], -100),
            _ => panic!("{status}"),
        }
    }
    assert!(answered > 0);
    assert_eq!(server.post("/user/tokenuserinfo", "token=x").await.unwrap().status, 200);
}

/// Who is turned away asks again until he is bound; what was acknowledged meanwhile is there after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn no_bind_that_was_acknowledged_in_overload_is_lost() {
    let server = small().await;
    let mut urls = Vec::new();
    for mobile in (0..64_u64).map(|number| (13_800_000_000 + number).to_string()) {
        assert_eq!(server.send_code("u", &mobile).await.unwrap().status, 200);
        let code = server.last_code(&mobile).unwrap();
        urls.push(server.url(&format!("/user/appmobilebind?uuid=u&mobile={mobile}&verify={code}")));
    }
    let mut binding = JoinSet::new();
    for url in urls {
        let client = server.client().clone();
        binding.spawn(async move {
            let mut turned_away = 0;
            loop {
                let response = client.post(&url).send().await.unwrap();
                let (status, wait) = (response.status(), response.headers().get("retry-after").cloned());
                let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
                if status == 200 {
                    assert_eq!(body["code"], 0);
                    let text = |name: &str| body["data"][name].as_str().unwrap().to_owned();
                    return (text("mobile"), text("token"), turned_away);
                }
                assert_eq!((status.as_u16(), &body["code"]), (503, &(-100).into()));
                assert_eq!((wait.unwrap().to_str().unwrap(), &body["data"]), ("1", &serde_json::json!([])));
                turned_away += 1;
            }
        });
    }
    let bound = binding.join_all().await;
    assert!(bound.iter().any(|(.., turned_away)| *turned_away > 0));
    let server = server.restart().await.unwrap();
    for (mobile, token, _) in bound {
        let found = server.post("/user/tokenuserinfo", &format!("token={token}")).await.unwrap();
        assert_eq!((found.code(), found.field("mobile")), (Some(0), mobile.as_str()));
    }
}

/// A client that has said only half of what it wants takes up no place.
#[tokio::test]
async fn a_slow_client_costs_itself_alone() {
    let server = small().await;
    let mut slow = TcpStream::connect(server.app.address).await.unwrap();
    let head = "POST /user/tokenuserinfo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 7\r\nexpect: 100-continue\r\n\
                content-type: application/x-www-form-urlencoded\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: it has begun to work on the request.
    let mut begun = [0; 25];
    slow.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"tok").await.unwrap();
    assert_eq!(server.post("/user/tokenuserinfo", "token=x").await.unwrap().status, 200);
    slow.write_all(b"en=x").await.unwrap();
    let mut answer = [0; 15];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_another_may_come_later() {
    let server = TestServer::start_with(|settings| settings.server.max_connections = 1).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut answer = [0; 15];
    let mut first = TcpStream::connect(server.app.address).await.unwrap();
    first.write_all(request).await.unwrap();
    first.read_exact(&mut answer).await.unwrap();
    let mut second = TcpStream::connect(server.app.address).await.unwrap();
    let mut rest = Vec::new();
    // It ends, with or without an error.
    let _ = second.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    drop(first);
    loop {
        let mut third = TcpStream::connect(server.app.address).await.unwrap();
        let asked = async {
            third.write_all(request).await?;
            third.read_exact(&mut answer).await
        };
        // The server may not have seen yet that the first one is gone.
        if asked.await.is_ok() {
            break;
        }
    }
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}
