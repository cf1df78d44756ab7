//! Providers' calls with receipts. What may be read from them, and who may make them, is not known here.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use poem::http::{HeaderMap, StatusCode};
use poem::{Endpoint, Request, Response, Result};

use crate::client_address::ClientAddress;
use crate::endpoint::Head;
use crate::fault::WireFault;
use crate::parameters::read_body;

/// A call that may be a provider's.
#[derive(Clone, Debug)]
pub struct ProviderCall {
    /// The provider that the path names.
    pub provider: String,
    /// What the path ends in.
    pub key: String,
    /// Where it came from.
    pub from: IpAddr,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// What a provider hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallAnswer {
    /// It is done; this is the body that the vendor wants.
    Taken(&'static str),
    /// It is none of a provider's calls. Nothing tells whether the path was right.
    NotFound,
    /// It cannot be read.
    Unreadable,
    /// It could not be stored: call again.
    Failed,
}

/// Takes providers' calls.
#[async_trait]
pub trait ProviderCalls: Send + Sync {
    /// Takes one.
    async fn take(&self, call: ProviderCall) -> CallAnswer;
}

/// The route of all calls, `/sms/receipts/:provider/:key`.
pub(crate) struct CallbackRoute(pub(crate) Arc<dyn ProviderCalls>);

impl Endpoint for CallbackRoute {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let head = Head::of(&request);
        let answer = |fault: WireFault| Ok(fault.response(head.language()));
        let body = request.take_body();
        let body = match read_body(request.headers(), body).await {
            Ok(body) => body,
            Err(fault) => return answer(fault),
        };
        let from = ClientAddress::of(&request);
        let call = ProviderCall {
            provider: request.raw_path_param("provider").unwrap_or_default().to_owned(),
            key: request.raw_path_param("key").unwrap_or_default().to_owned(),
            from,
            headers: request.headers().clone(),
            body: body.to_vec(),
        };
        match self.0.take(call).await {
            CallAnswer::Taken(thanks) => {
                let content_type = if thanks.is_empty() { "text/plain" } else { "application/json" };
                Ok(Response::builder().content_type(content_type).body(thanks))
            }
            CallAnswer::NotFound => answer(WireFault::NotFound),
            CallAnswer::Unreadable => Ok(Response::builder().status(StatusCode::BAD_REQUEST).finish()),
            CallAnswer::Failed => answer(WireFault::NotReady),
        }
    }
}
