//! Turns requests away at the door. What is too much for the service is refused here before it costs what a request costs: it
//! is neither made into one nor routed. The answer is the service's own.
//!
//! Only what is plainly one whole request for an operation is looked at, on a connection where nothing else is under way.
//! Everything else goes on to the service, which turns away as well.

use std::sync::Arc;

use httparse::Status;
use mobile_bind_domain::Language;
use mobile_bind_domain::ports::Randomness;
use poem::http::header::{
    ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, ORIGIN, TRANSFER_ENCODING, UPGRADE,
};

use crate::admission::Admission;
use crate::fault::WireFault;
use crate::language;
use crate::metrics::{Outcome, started};
use crate::observation::{REQUEST_ID, add_headers, request_id};
use crate::rewriting::operation;

/// More headers than a client of an operation sends.
const MOST_HEADERS: usize = 48;

/// What stands between a connection and the service.
pub struct Door {
    admission: Arc<Admission>,
    randomness: Arc<dyn Randomness>,
    refusals: Vec<Refusal>,
}

/// What is to be done with what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is for the service to see what it is, and what follows it too.
    Unclear,
    /// A whole request for an operation, which the service has a place for.
    LetIn,
    /// The same, and it was refused.
    TurnedAway,
}

/// The answer in one language, but for the request's id.
struct Refusal {
    language: Language,
    outcome: Outcome,
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Door {
    /// A door that lets in whom `admission` has room for.
    pub async fn new(admission: Arc<Admission>, randomness: Arc<dyn Randomness>) -> Arc<Self> {
        let mut refusals = Vec::new();
        for language in Language::ALL {
            refusals.extend(Refusal::new(language).await);
        }
        Arc::new(Self { admission, randomness, refusals })
    }

    /// Looks at what was read where a request may begin. Writes the answer, where it is one that is turned away.
    pub(super) fn look(&self, read: &[u8], answer: &mut Vec<u8>) -> Verdict {
        let since = started();
        let Some(asked) = Asked::read(read) else { return Verdict::Unclear };
        if asked.is_from_elsewhere || self.admission.bulkhead(asked.operation).has_room().is_ok() {
            return Verdict::LetIn;
        }
        let language = language::of(asked.query, asked.accept_language);
        let Some(refusal) = self.refusals.iter().find(|refusal| refusal.language == language) else {
            return Verdict::LetIn;
        };
        refusal.write(&request_id(asked.id, self.randomness.as_ref()), answer);
        self.admission.answered.count(Outcome { route: asked.operation, ..refusal.outcome }, since.elapsed());
        Verdict::TurnedAway
    }
}

impl Refusal {
    /// `None` where the service's answer could not be had, which is not to be expected: then the service answers.
    async fn new(language: Language) -> Option<Self> {
        let mut response = WireFault::Overloaded.response(language);
        let outcome = Outcome::of(&response);
        add_headers(response.headers_mut());
        let status = response.status();
        let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for (name, value) in response.headers() {
            line(&mut head, name, value.as_bytes());
        }
        let body = response.into_body().into_vec().await.ok()?;
        line(&mut head, &CONTENT_LENGTH, body.len().to_string().as_bytes());
        Some(Self { language, outcome, head, body })
    }

    fn write(&self, id: &str, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.head);
        line(into, &REQUEST_ID, id.as_bytes());
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&self.body);
    }
}

fn line(into: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    into.extend_from_slice(name.as_str().as_bytes());
    into.extend_from_slice(b": ");
    into.extend_from_slice(value);
    into.extend_from_slice(b"\r\n");
}

/// One whole request for an operation, and nothing after it.
struct Asked<'r> {
    operation: &'static str,
    query: &'r str,
    accept_language: Option<&'r str>,
    id: Option<&'r [u8]>,
    /// Whether a page of another origin asks: its browser wants headers that the service adds.
    is_from_elsewhere: bool,
}

impl<'r> Asked<'r> {
    /// Whatever is not quite as most clients write it (RFC 9112) is none.
    fn read(bytes: &'r [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(Status::Complete(head)) = request.parse(bytes) else { return None };
        let target = request.path.filter(|target| target.starts_with('/'))?;
        let is_taken = request.version == Some(1) && matches!(request.method, Some("GET" | "POST"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let operation = operation(path, query).filter(|_| is_taken)?;
        let mut asked = Self { operation, query, accept_language: None, id: None, is_from_elsewhere: false };
        let mut length: Option<usize> = None;
        for header in request.headers.iter() {
            let is = |name: &HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
            if is(&CONTENT_LENGTH) {
                let digits =
                    str::from_utf8(header.value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
                if length.replace(digits.parse().ok()?).is_some() {
                    return None;
                }
            } else if is(&ACCEPT_LANGUAGE) {
                asked.accept_language = str::from_utf8(header.value).ok();
            } else if is(&REQUEST_ID) {
                asked.id = Some(header.value);
            } else if is(&ORIGIN) {
                asked.is_from_elsewhere = true;
            } else if is(&CONNECTION) {
                header.value.eq_ignore_ascii_case(b"keep-alive").then_some(())?;
            } else if [TRANSFER_ENCODING, EXPECT, UPGRADE].iter().any(is) {
                return None;
            }
        }
        let is_whole = head.checked_add(length.unwrap_or(0)) == Some(bytes.len());
        is_whole.then_some(asked)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Asked;

    const WHOLE: &str = "POST /api.php?s=User/AppMobileBind&lang=en HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\n\
                         X-Request-Id: r1\r\nAccept-Language: zh\r\nContent-Length: 4\r\n\r\na=bc";

    fn operation(bytes: &[u8]) -> Option<&'static str> {
        Asked::read(bytes).map(|asked| asked.operation)
    }

    #[test]
    fn a_whole_request_for_an_operation_is_read() {
        let asked = Asked::read(WHOLE.as_bytes()).unwrap();
        assert_eq!((asked.operation, asked.query), ("/user/appmobilebind", "s=User/AppMobileBind&lang=en"));
        assert_eq!((asked.id, asked.accept_language), (Some(&b"r1"[..]), Some("zh")));
        assert!(!asked.is_from_elsewhere);
        let page = WHOLE.replace("Host: h", "Origin: https://elsewhere.example");
        assert!(Asked::read(page.as_bytes()).unwrap().is_from_elsewhere);
        assert_eq!(operation(b"GET /user/logout?token=x HTTP/1.1\r\n\r\n"), Some("/user/logout"));
    }

    #[test]
    fn less_than_a_request_and_more_than_one_are_for_the_service_to_read() {
        for end in 0..WHOLE.len() {
            assert_eq!(operation(&WHOLE.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(operation(format!("{WHOLE}{WHOLE}").as_bytes()), None);
    }

    #[test]
    fn what_is_not_plain_is_for_the_service_to_read() {
        let others = [
            ("HTTP/1.1", "HTTP/1.0"),
            ("POST", "PUT"),
            ("/api.php?s=User/AppMobileBind", "http://h/user/appmobilebind?"),
            ("User/AppMobileBind", "goods/index"),
            ("Connection: keep-alive", "Connection: close"),
            ("Host: h", "Transfer-Encoding: chunked"),
            ("Host: h", "Expect: 100-continue"),
            ("Host: h", "Upgrade: h2c"),
            ("Host: h", "Content-Length: 4"),
            ("Content-Length: 4", "Content-Length: +4"),
            ("Content-Length: 4", "Content-Length: -4"),
            ("Content-Length: 4", "Content-Length: 99999999999999999999"),
            ("Host: h", "Host : h"),
        ];
        for (plain, other) in others {
            let request = WHOLE.replacen(plain, other, 1);
            assert!(request != WHOLE, "{plain}");
            assert_eq!(operation(request.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Asked::read(&bytes);
        }

        #[test]
        fn a_body_never_makes_a_request_of_another_length(body in "[ -~\r\n]{0,64}", told in 0_usize..128) {
            let request = format!("POST /user/logout HTTP/1.1\r\ncontent-length: {told}\r\n\r\n{body}");
            prop_assert_eq!(operation(request.as_bytes()).is_some(), body.len() == told);
        }
    }
}
