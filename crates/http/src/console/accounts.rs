//! What operators look up and do. All of it is asked by POST with a JSON body: a number in a URL would stand in the logs of
//! every proxy on the way. Another site cannot make a browser ask: nothing but the page itself knows the token, which goes in
//! `Authorization` and in no cookie, and a browser asks permission before it sends that header to another origin (Fetch
//! standard, section 3.3, "CORS protocol"), which nobody here gives.

use std::marker::PhantomData;
use std::sync::Arc;

use mobile_bind_domain::administration::{AccountName, AccountOrder, OrderRefusal};
use mobile_bind_domain::service::OrderError;
use mobile_bind_domain::{AccountId, ClientType, Service};
use poem::http::StatusCode;
use poem::{Endpoint, Request, Response, Result, Route, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::access::Operator;
use super::shown::{LookedUpShown, WholeShown};
use super::{failed, json};

/// What a body may have at most, in bytes.
const BODY: usize = 1024;

/// The routes under `/console/api`.
pub(super) const ROUTES: [&str; 3] = ["/console/api/look-up", "/console/api/unmask", "/console/api/order"];

/// The routes, with a look-up, an unmasking and an order.
pub(super) fn add_to(routes: Route, service: &Arc<Service>) -> Route {
    routes
        .at("/look-up", post(Asked::<LookUp>::new(service)))
        .at("/unmask", post(Asked::<Unmask>::new(service)))
        .at("/order", post(Asked::<Order>::new(service)))
}

/// What an operator may ask.
trait Question: DeserializeOwned + Send + 'static {
    type Answer: Serialize + Send;

    /// Asks as the operator of that name.
    fn ask(self, service: &Service, operator: &str) -> impl Future<Output = Result<Self::Answer, Fault>> + Send;
}

/// Why there is no answer.
enum Fault {
    /// The body cannot be read.
    Invalid,
    Order(OrderError),
}

impl From<OrderError> for Fault {
    fn from(error: OrderError) -> Self {
        Self::Order(error)
    }
}

impl Fault {
    fn response(&self) -> Response {
        let (status, error) = match self {
            Self::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
            Self::Order(OrderError::NotFound) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Order(OrderError::Refused(refusal)) => (StatusCode::CONFLICT, name(*refusal)),
            Self::Order(OrderError::Busy) => (StatusCode::CONFLICT, "busy"),
            Self::Order(OrderError::Store(error)) => {
                warn!(%error, "an operator's request could not be carried out");
                (StatusCode::SERVICE_UNAVAILABLE, "not_stored")
            }
        };
        failed(status, error)
    }
}

const fn name(refusal: OrderRefusal) -> &'static str {
    match refusal {
        OrderRefusal::Gone => "gone",
        OrderRefusal::NoNumber => "no_number",
        OrderRefusal::NotDisabled => "not_disabled",
        OrderRefusal::Disabled => "disabled",
        OrderRefusal::NoSession => "no_session",
    }
}

/// Reads a question, and answers it.
struct Asked<Q> {
    service: Arc<Service>,
    question: PhantomData<fn() -> Q>,
}

impl<Q> Asked<Q> {
    fn new(service: &Arc<Service>) -> Self {
        Self { service: Arc::clone(service), question: PhantomData }
    }
}

impl<Q: Question> Endpoint for Asked<Q> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let body = request.take_body().into_bytes_limit(BODY).await;
        let question: Option<Q> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
        let Some(question) = question else { return Ok(Fault::Invalid.response()) };
        let operator = request.data::<Operator>().map_or("", |operator| operator.0.as_str());
        Ok(match question.ask(&self.service, operator).await {
            Ok(answer) => json(&answer, StatusCode::OK),
            Err(fault) => fault.response(),
        })
    }
}

/// Looks a number or an account up.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookUp {
    /// A number or an id, as it was typed.
    name: String,
}

impl Question for LookUp {
    type Answer = LookedUpShown;

    async fn ask(self, service: &Service, operator: &str) -> Result<LookedUpShown, Fault> {
        let name = AccountName::parse(&self.name, &service.policy.get().mobile_rule).ok_or(Fault::Invalid)?;
        let looked_up = service.look_up_account(operator, &name).await?;
        Ok(LookedUpShown::of(&looked_up, service))
    }
}

/// Shows what a look-up masks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unmask {
    account: u64,
}

impl Question for Unmask {
    type Answer = WholeShown;

    async fn ask(self, service: &Service, operator: &str) -> Result<WholeShown, Fault> {
        let details = service.unmask(operator, &account_of(self.account)?).await?;
        Ok(WholeShown::of(&details.account.value))
    }
}

/// Does something to an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    account: u64,
    order: OrderName,
    /// Whose session to end; without one, all.
    client_type: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OrderName {
    Unbind,
    Disable,
    Enable,
    Delete,
    Revoke,
}

impl Question for Order {
    type Answer = LookedUpShown;

    async fn ask(self, service: &Service, operator: &str) -> Result<LookedUpShown, Fault> {
        let client_type = self.client_type.as_deref();
        let order = match (self.order, client_type) {
            (OrderName::Unbind, None) => AccountOrder::Unbind,
            (OrderName::Disable, None) => AccountOrder::Disable,
            (OrderName::Enable, None) => AccountOrder::Enable,
            (OrderName::Delete, None) => AccountOrder::Delete,
            (OrderName::Revoke, None) => AccountOrder::Revoke(None),
            (OrderName::Revoke, Some(name)) => {
                AccountOrder::Revoke(Some(ClientType::from_name(name).ok_or(Fault::Invalid)?))
            }
            (_, Some(_)) => return Err(Fault::Invalid),
        };
        let done = service.administer_and_look(operator, &account_of(self.account)?, order).await?;
        Ok(LookedUpShown::of(&done, service))
    }
}

fn account_of(id: u64) -> Result<AccountName, Fault> {
    AccountId::new(id).map(AccountName::Id).ok_or(Fault::Invalid)
}
