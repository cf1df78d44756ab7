//! One request to a vendor and its answer, apart from the network: what is to be sent, and what an answer means.

use std::fmt;

use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::{SendFailure, TextMessage};
use reqwest::Method;
use serde::de::DeserializeOwned;

/// When a request is made, and what makes it unlike every other.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// Now, as far as the vendor's clock agrees.
    pub at: Timestamp,
    /// 32 hexadecimal digits, never used before.
    pub nonce: String,
}

/// A request as it goes out. `Debug` shows neither headers nor body: they hold credentials, numbers and codes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OutgoingRequest {
    pub(crate) method: Method,
    /// The whole URL, with the query.
    pub(crate) url: String,
    /// The headers, but for `host` and `content-length`, which follow from the rest.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

#[cfg(test)]
impl OutgoingRequest {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest").finish_non_exhaustive()
    }
}

/// What a vendor answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The body, where it is JSON of the form that is asked for.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What an answer means that is not the vendor's own: a gateway's page, or rubbish. Only the status is left to go by.
    pub(crate) fn unreadable(&self) -> Fault {
        let failure = match self.status {
            // RFC 6585 section 4, RFC 9110 section 15.6.4: not now.
            429 | 503 => SendFailure::Limited,
            // The request did not suit, or would have had to go elsewhere: it was not carried out.
            300..=407 | 409..=499 => SendFailure::Unavailable,
            // Success without a receipt, a timeout somewhere, or a crash half-way.
            _ => SendFailure::Unknown,
        };
        Fault::new(failure, format!("http {}", self.status))
    }
}

/// Why a vendor did not accept a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) failure: SendFailure,
    /// The vendor's own code, for the operator's log.
    pub(crate) code: String,
}

impl Fault {
    /// How much of a vendor's code is taken over.
    const CODE_CHARS: usize = 80;

    /// Keeps of the code what a code is made of: free text might repeat the number.
    pub(crate) fn new(failure: SendFailure, code: impl AsRef<str>) -> Self {
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
        let code = code.as_ref().chars().filter(plain).take(Self::CODE_CHARS).collect();
        Self { failure, code }
    }
}

/// What a vendor thinks of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It knows the account, and the secret is right.
    Known,
    /// The same; the account may not ask what was asked, or not so. The vendor's code.
    NotAllowed(String),
    /// It does not know the account, or the secret is wrong, or out of its time. The vendor's code.
    Refused(String),
    /// This kind has no call that would tell.
    Untold,
    /// The answer is none of the vendor's. What it was.
    Unclear(String),
}

impl Standing {
    // A code is taken over as every other is.
    pub(crate) fn not_allowed(code: impl AsRef<str>) -> Self {
        Self::NotAllowed(Fault::new(SendFailure::Unavailable, code).code)
    }

    pub(crate) fn refused(code: impl AsRef<str>) -> Self {
        Self::Refused(Fault::new(SendFailure::Unavailable, code).code)
    }

    pub(crate) fn unclear(code: impl AsRef<str>) -> Self {
        Self::Unclear(Fault::new(SendFailure::Unavailable, code).code)
    }
}

/// A vendor's language: how a message becomes a request, and what its answer means. It does no I/O.
pub(crate) trait Vendor: Send + Sync {
    /// The request that sends the message.
    fn request(&self, message: &TextMessage, stamp: &Stamp) -> OutgoingRequest;

    /// The id of the accepted message, or why it was not.
    fn read(&self, answer: &Answer) -> Result<String, Fault>;

    /// A request that sends nothing and costs nothing; signed, where the vendor has a call that only tells.
    fn inquiry(&self, stamp: &Stamp) -> OutgoingRequest;

    /// What its answer says of the account.
    fn standing(&self, answer: &Answer) -> Standing;
}

#[cfg(test)]
mod tests {
    use super::{Answer, Fault, OutgoingRequest};
    use mobile_bind_domain::ports::SendFailure;

    #[test]
    fn a_status_alone_says_whether_something_may_have_been_sent() {
        let failure = |status| Answer { status, body: b"<html>".to_vec() }.unreadable().failure;
        for status in [200, 201, 204, 408, 500, 502, 504] {
            assert_eq!(failure(status), SendFailure::Unknown, "{status}");
        }
        for status in [301, 302, 307, 400, 401, 403, 404, 407, 409, 413] {
            assert_eq!(failure(status), SendFailure::Unavailable, "{status}");
        }
        assert_eq!((failure(429), failure(503)), (SendFailure::Limited, SendFailure::Limited));
    }

    #[test]
    fn nothing_but_a_code_is_taken_for_one() {
        let fault = Fault::new(SendFailure::Refused, "isv.X_1\n号码 \u{1b}[31m");
        assert_eq!(fault.code, "isv.X_1 31m");
        assert_eq!(Fault::new(SendFailure::Refused, "x".repeat(500)).code.len(), 80);
    }

    #[test]
    fn debug_shows_nothing_secret() {
        let headers = vec![("authorization", "Basic s3cret".to_owned())];
        let method = reqwest::Method::POST;
        let request =
            OutgoingRequest { method, url: "http://h/?code=0944".to_owned(), headers, body: b"0944".to_vec() };
        assert_eq!(format!("{request:?}"), "OutgoingRequest { .. }");
        assert_eq!(request.header("authorization"), Some("Basic s3cret"));
    }
}
