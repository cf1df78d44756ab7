//! What can go wrong before a use case is reached, or instead of one.

use mobile_bind_domain::Language;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Error, Response};

use crate::envelope::{self, EnvelopeCode, NO_DATA};
use crate::{catalogue, refusal_table};

/// A fault of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireFault {
    /// An array or object stands where a scalar is due.
    InvalidParameter(&'static str),
    /// The body is not what its content type says.
    UnreadableBody,
    /// The body is over the limit.
    TooLarge,
    /// There is no such route.
    NotFound,
    /// The route does not answer this method; the ones it answers.
    MethodNotAllowed(&'static str),
    /// A development route was called from elsewhere.
    Forbidden,
    /// The store cannot be used.
    NotReady,
    /// As many requests are being worked on as may be.
    Overloaded,
    /// The code panicked.
    Panicked,
}

impl WireFault {
    /// What a client reads as a refusal stays 200, as at ShopXO; what the transport refuses keeps its status.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::InvalidParameter(_) | Self::UnreadableBody => StatusCode::OK,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotReady | Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The answer, in its usual status.
    pub(crate) fn response(self, language: Language) -> Response {
        self.response_with(self.status(), language)
    }

    /// The answer, in another status.
    pub(crate) fn response_with(self, status: StatusCode, language: Language) -> Response {
        let told = refusal_table::fault(self, language);
        let mut response = envelope::response(status, told.code, &told.message, &NO_DATA);
        if let Self::MethodNotAllowed(allowed) = self {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        if let Some(wait) = told.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(catalogue::whole_seconds(wait)));
        }
        response
    }

    /// The answer as an error, for an extractor to give up with.
    pub(crate) fn into_error(self, language: Language) -> Error {
        let code = refusal_table::fault(self, language).code;
        let mut error = Error::from_response(self.response(language));
        // The error's data replace the response's when the one becomes the other.
        error.set_data(EnvelopeCode(code));
        error
    }
}
