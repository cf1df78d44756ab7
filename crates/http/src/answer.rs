//! What the operations answer, and what the document says of it.

use std::marker::PhantomData;

use mobile_bind_domain::outbox::SendStatus;
use mobile_bind_domain::service::PlatformLogIn;
use mobile_bind_domain::{Language, Refusal, UnionId};
use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use serde::Serialize;

use crate::catalogue::{self, Phrase};
use crate::envelope::{self, NO_DATA, Wanted};
use crate::refusal_table::{self, Told};
use crate::schemas::{self, inline};
use crate::user::User;

/// What stands in `data` on success.
pub(crate) trait Data: Serialize + Send + Sync + 'static {
    /// The name of the success envelope's schema.
    const ENVELOPE: &'static str;

    /// Puts the success envelope's schema, and what it refers to, into the document.
    fn register_envelope(registry: &mut Registry);
}

impl Data for User {
    const ENVELOPE: &'static str = "UserEnvelope";

    fn register_envelope(registry: &mut Registry) {
        <Self as Type>::register(registry);
        registry.create_schema::<Answer<Self>, _>(Self::ENVELOPE.to_owned(), |_| schemas::user_envelope());
    }
}

/// Who logged in, with what is answered of that beside the account.
#[derive(Serialize)]
pub(crate) struct WhoLoggedIn {
    #[serde(flatten)]
    user: Option<User>,
    is_user_exist: i32,
    openid: String,
    unionid: String,
    auth_ticket: String,
}

impl WhoLoggedIn {
    pub(crate) fn new(user: Option<User>, log_in: &PlatformLogIn) -> Self {
        Self {
            is_user_exist: i32::from(user.is_some()),
            user,
            openid: log_in.openid.as_str().to_owned(),
            unionid: log_in.unionid.as_ref().map(UnionId::as_str).unwrap_or_default().to_owned(),
            auth_ticket: log_in.ticket.expose().to_owned(),
        }
    }
}

impl Data for WhoLoggedIn {
    const ENVELOPE: &'static str = "LogInEnvelope";

    fn register_envelope(registry: &mut Registry) {
        <User as Type>::register(registry);
        registry.create_schema::<Answer<Self>, _>(Self::ENVELOPE.to_owned(), |_| schemas::log_in_envelope());
    }
}

/// How far a code came.
#[derive(Serialize)]
pub(crate) struct CodeWay {
    status: &'static str,
}

impl From<SendStatus> for CodeWay {
    fn from(status: SendStatus) -> Self {
        Self { status: status.name() }
    }
}

impl Data for CodeWay {
    const ENVELOPE: &'static str = "CodeStatusEnvelope";

    fn register_envelope(registry: &mut Registry) {
        registry.create_schema::<Answer<Self>, _>(Self::ENVELOPE.to_owned(), |_| schemas::code_status_envelope());
    }
}

/// Nothing: `[]`.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct Nothing([(); 0]);

impl Data for Nothing {
    const ENVELOPE: &'static str = "EmptyEnvelope";

    fn register_envelope(registry: &mut Registry) {
        registry.create_schema::<Answer<Self>, _>(Self::ENVELOPE.to_owned(), |_| schemas::empty_envelope());
    }
}

impl Nothing {
    pub(crate) const HERE: Self = Self(NO_DATA);
}

/// An answer in the envelope: a success with `D`, or a refusal.
pub(crate) struct Answer<D> {
    response: Response,
    data: PhantomData<fn() -> D>,
}

impl<D: Data> Answer<D> {
    /// What a use case came to, in words.
    pub(crate) fn new(outcome: Result<D, Refusal>, success: Phrase, language: Language) -> Self {
        let response = match outcome {
            Ok(data) => envelope::response(StatusCode::OK, 0, success.text(language), &data),
            Err(refusal) => refused(&refusal_table::refusal(&refusal, language)),
        };
        Self { response, data: PhantomData }
    }
}

/// The captcha that a client shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaptchaWidget {
    /// Whose it is: `turnstile`, `hcaptcha`.
    pub provider: String,
    /// The site key that its widget is made with.
    pub site_key: String,
}

impl<D: Data> Answer<D> {
    /// A refusal that something helps with.
    pub(crate) fn wanting(refusal: &Refusal, wanted: Wanted<'_>, language: Language) -> Self {
        let told = refusal_table::refusal(refusal, language);
        let response = envelope::wanting(StatusCode::OK, told.code, &told.message, wanted);
        Self { response: retry_after(response, &told), data: PhantomData }
    }
}

/// A refusal's answer. One that will not last says in `Retry-After` when to ask again.
pub(crate) fn refused(told: &Told) -> Response {
    retry_after(envelope::response(StatusCode::OK, told.code, &told.message, &NO_DATA), told)
}

fn retry_after(mut response: Response, told: &Told) -> Response {
    if let Some(wait) = told.wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(catalogue::whole_seconds(wait)));
    }
    response
}

impl<D> IntoResponse for Answer<D> {
    fn into_response(self) -> Response {
        self.response
    }
}

const ERROR_ENVELOPE: &str = "ErrorEnvelope";

impl<D: Data> ApiResponse for Answer<D> {
    fn meta() -> MetaResponses {
        let error = || MetaSchemaRef::Reference(ERROR_ENVELOPE.to_owned());
        let success = MetaSchemaRef::Reference(D::ENVELOPE.to_owned());
        let either = inline(MetaSchema { one_of: vec![success, error()], ..MetaSchema::ANY });
        let retry_after = header_meta(
            "Retry-After",
            "Seconds to wait before asking again, where `code` is -100 and waiting helps.",
            MetaSchema::new("integer"),
        );
        let ok = MetaResponse {
            headers: vec![request_id(), retry_after],
            ..response(200, "Done, or refused: `code` tells.", either)
        };
        let too_large = response(413, "The body is over 64 KiB.", error());
        let failed = response(500, "A fault of the service.", error());
        let retry_after =
            header_meta("Retry-After", "Seconds to wait before asking again.", MetaSchema::new("integer"));
        let overloaded = MetaResponse {
            headers: vec![request_id(), retry_after],
            ..response(503, "Too much is asked at once: ask again.", error())
        };
        MetaResponses { responses: vec![ok, too_large, failed, overloaded] }
    }

    fn register(registry: &mut Registry) {
        D::register_envelope(registry);
        registry.create_schema::<Told, _>(ERROR_ENVELOPE.to_owned(), |_| schemas::error_envelope());
    }
}

fn response(status: u16, description: &'static str, schema: MetaSchemaRef) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        // Plain, as generated clients look for it; the header itself also says the character set.
        content: vec![MetaMediaType { content_type: "application/json", schema }],
        headers: vec![request_id()],
    }
}

fn request_id() -> MetaHeader {
    let description = "Names the request in the service's log: the request's own `X-Request-Id` where it sent one.";
    MetaHeader { required: true, ..header_meta("X-Request-Id", description, MetaSchema::new("string")) }
}

fn header_meta(name: &str, description: &str, schema: MetaSchema) -> MetaHeader {
    MetaHeader {
        name: name.to_owned(),
        description: Some(description.to_owned()),
        required: false,
        deprecated: false,
        schema: inline(schema),
    }
}
