//! The routes under `/dev`: what was sent, how sending goes, and the clock. They exist only where the app says so, and stand
//! outside the document.

mod guard;
mod inbox;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mobile_bind_domain::{Language, Service, Timestamp};
use poem::http::StatusCode;
use poem::{Body, Endpoint, Request, Response, Result, Route, get, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::endpoint::Head;
use crate::envelope::{self, NO_DATA};
use crate::fault::WireFault;
use crate::pages;
use crate::parameters::{Parameter, Parameters, read_body};
use crate::{catalogue, time_text};
use guard::Guard;
use tokio::sync::watch;

/// What the development routes reach.
pub trait Development: Send + Sync {
    /// The messages that were sent, newest first: all of them, or those to one number.
    fn messages(&self, mobile: Option<&str>) -> Vec<DevelopmentMessage>;

    /// Changes with every message and every behaviour; closed when the service stops.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The numbers whose messages do not arrive, and what becomes of them.
    fn behaviours(&self) -> Vec<(String, Behaviour)>;

    /// How messages to a number fare from now on.
    fn set_behaviour(&self, mobile: &str, behaviour: Behaviour);

    /// Moves the service's clock on.
    fn advance_clock(&self, by: Duration);
}

/// A message that was sent.
pub struct DevelopmentMessage {
    /// Where to.
    pub mobile: String,
    /// Its words.
    pub text: String,
    /// The code in it; empty where it has none.
    pub code: String,
    /// When.
    pub sent_at: Timestamp,
}

/// How messages fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Behaviour {
    /// They arrive.
    Deliver,
    /// The provider refuses them.
    Refuse,
    /// The provider does not answer.
    Hang,
}

/// How far the clock may be moved on in all: 100 years.
const FURTHEST_S: u64 = 100 * 365 * 24 * 3600;

/// Whether a development route answers POST alone.
pub(crate) fn takes_post(path: &str) -> bool {
    matches!(path, "/dev/sms/behaviour" | "/dev/clock")
}

/// The routes, behind their guard.
pub(crate) fn routes(development: Arc<dyn Development>, service: Arc<Service>) -> impl Endpoint<Output = Response> {
    let events = inbox::EventsRoute { development: Arc::clone(&development), service: Arc::clone(&service) };
    let clock = ClockRoute { development: Arc::clone(&development), service, advanced_s: AtomicU64::new(0) };
    Guard(
        Route::new()
            .at("/dev/sms", get(MessagesRoute(Arc::clone(&development))))
            .at("/dev/sms/behaviour", post(BehaviourRoute(development)))
            .at("/dev/clock", post(clock))
            .at("/dev/inbox", pages::inbox())
            .at("/dev/inbox/events", get(events)),
    )
}

#[derive(Serialize)]
struct WrittenMessage {
    mobile: String,
    text: String,
    code: String,
    sent_at: String,
}

impl From<DevelopmentMessage> for WrittenMessage {
    fn from(message: DevelopmentMessage) -> Self {
        Self {
            sent_at: time_text::rfc3339(message.sent_at),
            mobile: message.mobile,
            text: message.text,
            code: message.code,
        }
    }
}

struct MessagesRoute(Arc<dyn Development>);

impl Endpoint for MessagesRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let parameters = Parameters::of_query(request.uri().query().unwrap_or_default());
        let mobile = Some(parameters.text(Parameter::Mobile)).filter(|mobile| !mobile.is_empty());
        let messages: Vec<WrittenMessage> = self.0.messages(mobile).into_iter().map(WrittenMessage::from).collect();
        let body = Body::from_json(messages).map_err(poem::error::InternalServerError)?;
        Ok(Response::builder().content_type("application/json; charset=utf-8").body(body))
    }
}

#[derive(Deserialize)]
struct BehaviourRequest {
    mobile: String,
    behaviour: Behaviour,
}

struct BehaviourRoute(Arc<dyn Development>);

impl Endpoint for BehaviourRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let language = Head::of(&request).language();
        Ok(match read::<BehaviourRequest>(request).await {
            Ok(asked) => {
                self.0.set_behaviour(&asked.mobile, asked.behaviour);
                done(language, &NO_DATA)
            }
            Err(fault) => refused(fault, language),
        })
    }
}

#[derive(Deserialize)]
struct ClockRequest {
    advance_s: u64,
}

#[derive(Serialize)]
struct ClockAnswer {
    now: String,
}

struct ClockRoute {
    development: Arc<dyn Development>,
    service: Arc<Service>,
    advanced_s: AtomicU64,
}

impl ClockRoute {
    /// Forward only, and not beyond what dates can be written for.
    fn advance(&self, by_s: u64) -> Result<(), WireFault> {
        let add = |advanced: u64| advanced.checked_add(by_s).filter(|&sum| by_s > 0 && sum <= FURTHEST_S);
        let added = self.advanced_s.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        added.map_err(|_| WireFault::InvalidParameter("advance_s"))?;
        self.development.advance_clock(Duration::from_secs(by_s));
        Ok(())
    }
}

impl Endpoint for ClockRoute {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let language = Head::of(&request).language();
        let asked = read::<ClockRequest>(request).await;
        Ok(match asked.and_then(|asked| self.advance(asked.advance_s)) {
            Ok(()) => done(language, &ClockAnswer { now: time_text::rfc3339(self.service.clock.now()) }),
            Err(fault) => refused(fault, language),
        })
    }
}

/// Reads a JSON body, whatever content type it says it has.
async fn read<T: DeserializeOwned>(mut request: Request) -> Result<T, WireFault> {
    let body = request.take_body();
    let body = read_body(request.headers(), body).await?;
    serde_json::from_slice(&body).map_err(|_| WireFault::UnreadableBody)
}

fn done<D: Serialize>(language: Language, data: &D) -> Response {
    envelope::response(StatusCode::OK, 0, catalogue::LOOKED_UP.text(language), data)
}

/// These routes are for developers: what they cannot read is a bad request.
fn refused(fault: WireFault, language: Language) -> Response {
    let status = if fault.status() == StatusCode::OK { StatusCode::BAD_REQUEST } else { fault.status() };
    fault.response_with(status, language)
}
