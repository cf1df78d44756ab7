//! What a collector is sent: which spans, under which, and nothing of anybody.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use mobile_bind::{Settings, Telemetry, logging};
use mobile_bind_sms::Behaviour;
use mobile_bind_tests::harness::TestServer;
use mobile_bind_tests::harness::collector::{Collector, number, text};
use opentelemetry_proto::tonic::trace::v1::Span;

const MOBILE: &str = "13800138000";
const REFUSED: &str = "13900139000";
/// W3C Trace Context's own example, sampled; and one that its caller does not sample.
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00";

/// Everything that an attribute may be called.
const ATTRIBUTES: [&str; 7] = [
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "mobile_bind.client_type",
    "mobile_bind.code",
    "mobile_bind.operation",
    "mobile_bind.outcome",
];

fn with_collector(settings: &mut Settings, collector: &Collector) {
    settings.telemetry.otlp_endpoint = collector.url();
    settings.telemetry.node = "node-1".to_owned();
    // Long enough to be nothing else by chance.
    settings.code.length = 8;
}

/// Sends, binds and looks up. Answers the code and the token that there were.
async fn play(collector: &Collector) -> [String; 2] {
    let server = TestServer::start_with(|settings| with_collector(settings, collector)).await.unwrap();
    let post = |path: &str, form: &str| {
        let request = server.client().post(server.url(path)).body(form.to_owned());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("x-request-id", "SECRETREQUEST").header("tracestate", "vendor=SECRETSTATE")
    };
    let send = "/user/appmobilebindverifysend?application_client_type=weixin&uuid=SECRETUUID";
    let sending = post(send, &format!("mobile={MOBILE}")).header("traceparent", SAMPLED);
    assert_eq!(server.send(sending).await.unwrap().code(), Some(0));
    let code = server.last_code(MOBILE).unwrap();
    let bind = "/user/appmobilebind?application_client_type=weixin&uuid=SECRETUUID";
    let form = format!("mobile={MOBILE}&verify={code}&weixin_openid=SECRETOPENID&nickname=SECRETNAME");
    let bound = server.send(post(bind, &form)).await.unwrap();
    assert_eq!(bound.code(), Some(0));
    let token = bound.field("token").to_owned();
    let looking_up = post("/user/tokenuserinfo", &format!("token={token}")).header("traceparent", NOT_SAMPLED);
    assert_eq!(server.send(looking_up).await.unwrap().code(), Some(0));
    server.app.sms.set_behaviour(REFUSED, Behaviour::Refuse);
    assert_eq!(server.send(post(send, &format!("mobile={REFUSED}"))).await.unwrap().code(), Some(-100));
    server.send(post(&format!("/{MOBILE}?{token}"), "")).await.unwrap();
    server.stop().await.unwrap();
    [code, token]
}

/// The spans right under one, in the order of their beginning.
fn under<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let mut found: Vec<&Span> = spans.iter().filter(|span| span.parent_span_id == parent.span_id).collect();
    found.sort_by_key(|span| span.start_time_unix_nano);
    assert!(found.iter().all(|span| span.trace_id == parent.trace_id));
    found
}

fn names(spans: &[&Span]) -> Vec<String> {
    spans.iter().map(|span| span.name.clone()).collect()
}

/// The spans of requests to a route, in the order of their beginning.
fn requests<'a>(spans: &'a [Span], route: &str) -> Vec<&'a Span> {
    let name = format!("POST {route}");
    let mut found: Vec<&Span> = spans.iter().filter(|span| span.name == name).collect();
    found.sort_by_key(|span| span.start_time_unix_nano);
    assert!(found.iter().all(|span| text(&span.attributes, "http.route") == Some(route)));
    found
}

fn outcome(span: &Span) -> &str {
    text(&span.attributes, "mobile_bind.outcome").unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The only test of its process: what is traced is the process's, not a test's.
#[test]
fn a_send_and_a_bind_are_told_and_nobody_is_named() {
    let collector = Collector::start().unwrap();
    let mut settings = Settings::default();
    with_collector(&mut settings, &collector);
    let telemetry = Telemetry::start(&settings).unwrap().unwrap();
    let subscriber = logging::subscriber_with_spans(&settings, std::io::sink, &telemetry).unwrap();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let [code, token] = runtime.block_on(play(&collector));
    drop(runtime);
    // Flushes: nothing has to be waited for.
    telemetry.stop();
    let spans = collector.spans();

    let [sent, refused] = requests(&spans, "/user/appmobilebindverifysend")[..] else { panic!("two sends: {spans:?}") };
    // SERVER.
    assert_eq!(sent.kind, 2);
    assert_eq!(
        (hex(&sent.trace_id), hex(&sent.parent_span_id)),
        (SAMPLED[3..35].to_owned(), SAMPLED[36..52].to_owned())
    );
    assert_eq!(number(&sent.attributes, "http.response.status_code"), Some(200));
    assert_eq!(number(&sent.attributes, "mobile_bind.code"), Some(0));
    let [operation] = under(&spans, sent)[..] else { panic!("one operation: {spans:?}") };
    let of = |key| text(&operation.attributes, key);
    assert_eq!((operation.name.as_str(), of("mobile_bind.operation")), ("send_code", Some("send_code")));
    assert_eq!((of("mobile_bind.client_type"), outcome(operation)), (Some("weixin"), "done"));
    let steps = under(&spans, operation);
    // What became of the message is stored after the answer, and belongs to the same trace.
    assert_eq!(names(&steps), ["load", "decide", "commit", "sms", "commit"]);
    assert_eq!([2, 3, 4].map(|step| outcome(steps[step])), ["committed", "sent", "committed"]);

    let [bound] = requests(&spans, "/user/appmobilebind")[..] else { panic!("one bind: {spans:?}") };
    assert!(bound.parent_span_id.is_empty() && bound.trace_id != sent.trace_id, "a trace of its own");
    let [operation] = under(&spans, bound)[..] else { panic!("one operation: {spans:?}") };
    assert_eq!((operation.name.as_str(), outcome(operation)), ("bind", "done"));
    // A new account gets its id only when the code has been found right, and is decided on once more with it.
    assert_eq!(names(&under(&spans, operation)), ["load", "decide", "decide", "commit"]);

    let [operation] = under(&spans, refused)[..] else { panic!("one operation: {spans:?}") };
    let steps = under(&spans, operation);
    assert_eq!(names(&steps), ["load", "decide", "commit", "sms", "commit", "commit"]);
    // ERROR.
    let failed = steps[3].status.as_ref().map(|status| status.code);
    assert_eq!((outcome(operation), outcome(steps[3]), failed), ("sms_refused", "refused", Some(2)));

    assert!(requests(&spans, "/user/tokenuserinfo").is_empty(), "its caller does not sample it");
    assert_eq!(requests(&spans, "unknown").len(), 1);

    let keys: BTreeSet<&str> = spans.iter().flat_map(|span| &span.attributes).map(|found| found.key.as_str()).collect();
    assert_eq!(keys, BTreeSet::from(ATTRIBUTES));
    let all = format!("{:?}", collector.received());
    for secret in [MOBILE, REFUSED, "SECRET", &code, &token] {
        assert!(!all.contains(secret), "a secret was sent");
    }
    for resource in collector.received().into_iter().flat_map(|request| request.resource_spans) {
        let attributes = resource.resource.unwrap().attributes;
        assert_eq!(text(&attributes, "service.name"), Some("mobile-bind"));
        assert_eq!(text(&attributes, "service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(text(&attributes, "service.instance.id"), Some("node-1"));
    }
}
