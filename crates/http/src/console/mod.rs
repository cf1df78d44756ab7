//! The operators' console: a page and what it shows, at an address of its own. Everything but the page itself needs an
//! operator's token; the page holds nothing.

mod access;
mod accounts;
mod attempts;
mod exposition;
mod history;
mod overview;
mod shown;

use std::sync::Arc;

use mobile_bind_domain::Service;
use mobile_bind_domain::ports::Clock;
use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;
use poem::middleware::CatchPanic;
use poem::{Body, Endpoint, EndpointExt, Request, Response, Result, Route, get};
use serde::Serialize;
use tracing::error;

use self::access::Access;
use self::history::History;
use self::overview::OverviewRoute;
use crate::metrics::Scrape;
use crate::observation::Observation;
use crate::pages;
use crate::rewriting::RouteName;

/// Knows the operators by their tokens.
pub trait Operators: Send + Sync {
    /// The name of the operator whose token it is. How long it takes to answer says nothing of the tokens.
    fn named(&self, token: &str) -> Option<String>;
}

/// What the console is made of.
pub struct ConsoleParts {
    /// The use cases.
    pub service: Arc<Service>,
    /// What was measured in this process.
    pub scrape: Arc<dyn Scrape>,
    /// Who may see it.
    pub operators: Arc<dyn Operators>,
}

/// The console, for a server to run, and what must be told now and then that time passes.
pub struct Console {
    parts: ConsoleParts,
    history: Arc<History>,
}

impl Console {
    /// A console that remembers nothing yet.
    #[must_use]
    pub fn new(parts: ConsoleParts) -> Self {
        Self { parts, history: Arc::default() }
    }

    /// Keeps what was measured until now, every [`Recorder::EVERY`].
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        let clock = Arc::clone(&self.parts.service.clock);
        Recorder { clock, scrape: Arc::clone(&self.parts.scrape), history: Arc::clone(&self.history) }
    }

    /// Everything that it serves.
    #[must_use]
    pub fn endpoint(self) -> BoxEndpoint<'static, Response> {
        let Self { parts: ConsoleParts { service, scrape, operators }, history } = self;
        let overview = OverviewRoute { service: Arc::clone(&service), scrape, history };
        let asked = accounts::add_to(Route::new().at("/overview", get(overview)), &service);
        let asked = Access::new(asked, operators, Arc::clone(&service.clock));
        let routes = Route::new()
            .at("/", pages::console())
            .at("/console", pages::console())
            .at("/favicon.ico", pages::icon())
            .nest("/pages", pages::assets(&["console.js"]))
            .nest("/console/api", asked)
            .with(CatchPanic::new().with_handler(panicked));
        Observation { inner: Named(routes), service, answered: Arc::default() }.boxed()
    }
}

/// Keeps what was measured, so that it can be shown over time.
pub struct Recorder {
    clock: Arc<dyn Clock>,
    scrape: Arc<dyn Scrape>,
    history: Arc<History>,
}

impl Recorder {
    /// How often [`Recorder::record`] is to be called.
    pub const EVERY: std::time::Duration = history::STEP;

    /// Keeps what was measured since the last time.
    pub fn record(&self) {
        self.history.note(self.clock.now(), &exposition::samples(&self.scrape.render()));
    }
}

/// Names the route in the log, and answers what is not there.
struct Named<E>(E);

impl<E: Endpoint> Endpoint for Named<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        const ROUTES: [&str; 2] = ["/console", "/console/api/overview"];
        let mut routes = ROUTES.into_iter().chain(accounts::ROUTES);
        let route = routes.find(|&route| route == request.uri().path()).unwrap_or("unknown");
        let mut response = self.0.get_response(request).await;
        response.set_data(RouteName(route));
        Ok(response)
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    error!("a request of the console panicked");
    failed(StatusCode::INTERNAL_SERVER_ERROR, "failed")
}

/// What an answer of the console is where something is wrong: the page has words for each.
#[derive(Serialize)]
struct Fault {
    error: &'static str,
}

/// An answer that names what is wrong.
fn failed(status: StatusCode, error: &'static str) -> Response {
    json(&Fault { error }, status)
}

fn json(value: &impl Serialize, status: StatusCode) -> Response {
    let response = Response::builder().content_type("application/json; charset=utf-8");
    match Body::from_json(value) {
        Ok(body) => response.status(status).body(body),
        Err(_) => Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish(),
    }
}
