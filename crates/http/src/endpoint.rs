//! The routes, and what stands around them.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use metrics::counter;
use poem::endpoint::BoxEndpoint;
use poem::error::MethodNotAllowedError;
use poem::http::{StatusCode, Uri, header};
use poem::middleware::CatchPanic;
use poem::{Endpoint, EndpointExt, Error, IntoEndpoint, Request, Response, Result, Route, get, handler};
use tracing::error;

use crate::api::Api;
use crate::callbacks::CallbackRoute;
use crate::client_address::Addressed;
use crate::cors::{AllowedOrigins, Cors};
use crate::envelope::EnvelopeCode;
use crate::fault::WireFault;
use crate::metrics::{MetricsRoute, UNLISTED_PROXY};
use crate::observation::Observation;
use crate::readiness::Readiness;
use crate::rewriting::{OPERATIONS, Rewriting};
use crate::shedding::Shedding;
use crate::{Parts, development, document, language, pages};

/// The whole service, for a server to run.
pub fn endpoint(parts: Parts) -> BoxEndpoint<'static, Response> {
    counter!(UNLISTED_PROXY).increment(0);
    let Parts {
        service,
        presentation,
        forwarding,
        cors_origins,
        key_set,
        admission,
        metrics,
        bind_page,
        callbacks,
        development,
    } = parts;
    let bind_page =
        bind_page.then(|| pages::bind(Arc::clone(&service), presentation.captcha.as_ref(), development.is_some()));
    let operations = Api { service: Arc::clone(&service), presentation };
    let mut route = document::route(operations, Route::new())
        .at("/healthz", get(healthz))
        .at("/readyz", get(Readiness(Arc::clone(&service))))
        .at("/openapi.json", get(constant(document::openapi_document())))
        .at("/favicon.ico", pages::icon())
        .at("/docs", pages::docs())
        .at("/docs/", pages::docs());
    if let Some(key_set) = key_set {
        route = route.at("/.well-known/jwks.json", get(constant(key_set.to_string())));
    }
    if let Some(scrape) = metrics {
        route = route.at("/metrics", get(MetricsRoute { service: Arc::clone(&service), scrape }));
    }
    let bind_script = bind_page.is_some().then_some("bind.js");
    if let Some(bind_page) = bind_page {
        route = route.at("/", bind_page);
    }
    let scripts = [Some("docs.js"), bind_script, development.as_ref().map(|_| "inbox.js")];
    route = route.nest("/pages", pages::assets(&scripts.into_iter().flatten().collect::<Vec<_>>()));
    if let Some(callbacks) = callbacks {
        route = route.at("/sms/receipts/:provider/:key", poem::post(CallbackRoute(callbacks)));
    }
    if let Some(development) = development {
        route = route.nest_no_strip("/dev", development::routes(development, Arc::clone(&service)));
    }
    let faults = Faults(route.with(CatchPanic::new().with_handler(panicked)));
    let guarded = Shedding { inner: faults, admission: Arc::clone(&admission) };
    let origins = AllowedOrigins::new(&cors_origins);
    let inner = Cors { inner: Rewriting(guarded), origins };
    let inner = Observation { inner, service, answered: Arc::clone(&admission.answered) };
    Addressed { inner, forwarding, unlisted: AtomicU64::new(0) }.boxed()
}

/// An endpoint that always answers the same JSON.
fn constant(json: String) -> impl Endpoint<Output = Response> + 'static {
    poem::endpoint::make_sync(move |_| Response::builder().content_type("application/json").body(json.clone()))
}

#[handler]
fn healthz() -> Response {
    Response::builder().content_type("application/json").body(r#"{"status":"ok"}"#)
}

/// Marks the response of a request that panicked.
#[derive(Clone, Copy)]
struct Panicked;

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    error!("a request panicked");
    let mut response = Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
    response.set_data(Panicked);
    response
}

/// What is still needed of a request when its answer turns out to be a fault.
pub(crate) struct Head {
    uri: Uri,
    accept_language: Option<String>,
}

impl Head {
    pub(crate) fn of(request: &Request) -> Self {
        let accept_language = request.header(header::ACCEPT_LANGUAGE).map(ToOwned::to_owned);
        Self { uri: request.uri().clone(), accept_language }
    }

    pub(crate) fn language(&self) -> mobile_bind_domain::Language {
        language::of(self.uri.query().unwrap_or_default(), self.accept_language.as_deref())
    }

    /// The methods that the route answers (RFC 9110, section 10.2.1).
    fn allowed_methods(&self) -> &'static str {
        match self.uri.path() {
            path if OPERATIONS.contains(&path) => "GET, POST",
            path if development::takes_post(path) || path.starts_with("/sms/receipts/") => "POST",
            _ => "GET, HEAD",
        }
    }
}

/// Puts every fault into the envelope.
struct Faults<E>(E);

impl<E> Endpoint for Faults<E>
where
    E: IntoEndpoint + Endpoint<Output = Response>,
{
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let head = Head::of(&request);
        Ok(match self.0.call(request).await {
            Ok(response) if response.data::<Panicked>().is_some() => WireFault::Panicked.response(head.language()),
            Ok(response) => response,
            // An extractor's refusal, in its envelope already.
            Err(error) if error.data::<EnvelopeCode>().is_some() => error.into_response(),
            Err(error) => fault(&error, &head).response(head.language()),
        })
    }
}

fn fault(error: &Error, head: &Head) -> WireFault {
    if error.is::<MethodNotAllowedError>() {
        WireFault::MethodNotAllowed(head.allowed_methods())
    } else if error.status().is_server_error() {
        WireFault::Panicked
    } else {
        // No such route, or a path that cannot be decoded, which is none either.
        WireFault::NotFound
    }
}
