//! What the wire alone costs, without a socket: routing, reading parameters, the user object and its envelope as JSON. The
//! store and the token issuer are the fakes of the tests, which answer at once. `cargo bench -p mobile-bind-http`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up must not go on")]

#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/wire/shop.rs"]
mod shop;

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use mobile_bind_http::{Admission, Capacity, Parts, endpoint};
use poem::endpoint::BoxEndpoint;
use poem::http::{Method, header};
use poem::{Endpoint, Request, Response};
use shop::{CODE, MOBILE, Shop, TOKEN};

struct Wire {
    endpoint: BoxEndpoint<'static, Response>,
    runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn new(capacity: Capacity) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts = || Parts { admission: Admission::new(capacity), ..Arc::new(Shop::default()).parts() };
        let endpoint = runtime.block_on(async { endpoint(parts()) });
        Self { endpoint, runtime }
    }

    /// The answer's body; there must be a user object in it, or else what is measured is an error.
    fn answer(&self, request: Request) -> Vec<u8> {
        self.runtime.block_on(async {
            let response = self.endpoint.call(request).await.unwrap();
            response.into_body().into_vec().await.unwrap()
        })
    }

    fn user(&self, request: Request) {
        let body = self.answer(request);
        assert!(body.windows(9).any(|window| window == b"\"code\":0,"), "{}", String::from_utf8_lossy(&body));
        assert!(body.len() > 500);
    }
}

fn look_up() -> Request {
    let request = Request::builder().method(Method::POST).uri_str("/user/tokenuserinfo?application_client_type=h5");
    request.header(header::AUTHORIZATION, format!("Bearer {TOKEN}")).finish()
}

fn bind() -> Request {
    let body = format!(
        r#"{{"mobile":"{MOBILE}","verify":"{CODE}","nickname":"微信用户","avatar":"https://shop.example/a.jpg",
        "province":"上海","city":"浦东新区","gender":0,"referrer":0,"weixin_openid":"oGZUI0egBJY1zhBYw2KhdUfwVJJE"}}"#
    );
    let uri =
        "/user/appmobilebind?application=app&application_client_type=weixin&uuid=0f8fad5bd9cb469fa16570867728950e";
    let request = Request::builder().method(Method::POST).uri_str(uri);
    request.header(header::CONTENT_TYPE, "application/json").body(body)
}

fn answers(criterion: &mut Criterion) {
    let wire = Wire::new(Capacity::default());
    wire.user(look_up());
    wire.user(bind());
    criterion.bench_function("wire: healthz", |bencher| {
        bencher.iter(|| wire.answer(Request::builder().uri_str("/healthz").finish()));
    });
    criterion.bench_function("wire: token lookup, user object in its envelope", |bencher| {
        bencher.iter(|| wire.answer(look_up()));
    });
    // Here the fake store answers, but the rules decide: the difference to a lookup is the parameters and the decision.
    criterion.bench_function("wire: bind, from JSON to the envelope", |bencher| {
        bencher.iter(|| wire.answer(bind()));
    });
    let full = Wire::new(Capacity { requests: 0, ..Capacity::default() });
    assert!(full.answer(bind()).ends_with(b"\"code\":-100,\"data\":[]}"));
    criterion.bench_function("wire: bind, turned away", |bencher| bencher.iter(|| full.answer(bind())));
    criterion.bench_function("wire: bind, the request alone", |bencher| bencher.iter(bind));
}

criterion_group!(wire, answers);
criterion_main!(wire);
