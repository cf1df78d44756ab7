//! ShopXO's envelope: `{"msg", "code", "data"}`.

use poem::Response;
use poem::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::answer::CaptchaWidget;

/// What every enveloped answer is sent as.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// The `data` of an answer that has none: an empty array, as PHP's empty array becomes.
pub(crate) const NO_DATA: [(); 0] = [];

/// Room for a user object in its envelope, which takes about 1400 bytes.
const USUAL_SIZE: usize = 2048;

/// The envelope's code, kept with the response for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EnvelopeCode(pub(crate) i32);

#[derive(Serialize)]
struct Envelope<'a, D> {
    msg: &'a str,
    code: i32,
    data: &'a D,
    /// Only where one is wanted: after the fields that every client knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    captcha: Option<&'a CaptchaWidget>,
    /// The account's number, masked, where a code for that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_mobile: Option<&'a str>,
}

/// What a refusal says that more would help, for clients that know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// A solved captcha, where one is configured.
    Captcha(Option<&'a CaptchaWidget>),
    /// A code for this number, masked.
    OldCode(&'a str),
}

/// An answer in the envelope, in the order of its fields.
pub(crate) fn response<D: Serialize>(status: StatusCode, code: i32, message: &str, data: &D) -> Response {
    write(status, &Envelope { msg: message, code, data, captcha: None, old_mobile: None })
}

/// A refusal that something helps with.
pub(crate) fn wanting(status: StatusCode, code: i32, message: &str, wanted: Wanted<'_>) -> Response {
    let (captcha, old_mobile) = match wanted {
        Wanted::Captcha(widget) => (widget, None),
        Wanted::OldCode(mobile) => (None, Some(mobile)),
    };
    write(status, &Envelope { msg: message, code, data: &NO_DATA, captcha, old_mobile })
}

fn write<D: Serialize>(status: StatusCode, envelope: &Envelope<'_, D>) -> Response {
    let code = envelope.code;
    // Nothing that is answered can fail to be written as JSON; should it ever, the answer is still an envelope.
    let mut body = Vec::with_capacity(USUAL_SIZE);
    let (status, code, body) = match serde_json::to_writer(&mut body, envelope) {
        Ok(()) => (status, code, body),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, -500, br#"{"msg":"error","code":-500,"data":[]}"#.to_vec()),
    };
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, CONTENT_TYPE).body(body);
    response.set_data(EnvelopeCode(code));
    response
}

#[cfg(test)]
mod tests {
    use poem::http::StatusCode;

    use super::{NO_DATA, response};

    #[tokio::test]
    async fn fields_stand_in_order() {
        let response = response(StatusCode::OK, -10, "验证码已过期", &NO_DATA);
        assert_eq!(response.content_type(), Some("application/json; charset=utf-8"));
        let body = response.into_body().into_string().await.unwrap();
        assert_eq!(body, r#"{"msg":"验证码已过期","code":-10,"data":[]}"#);
    }
}
