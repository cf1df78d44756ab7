//! A provider of the operator's own, told by a webhook that is signed as Standard Webhooks has it:
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
//!
//! The body is `{"type": "sms.send", "timestamp", "data": {"to", "text", "code", "purpose", "language", "lifetime_s"}}`;
//! a message without a code has no `code`.
//! 2xx accepts, and may name the message: `{"id": "…"}`. 422 refuses the number for good, 429 and 503 refuse for now, any
//! other 4xx says that this receiver cannot send; everything else leaves open what became of the message.

use data_encoding::BASE64;
use mobile_bind_domain::VerificationCode;
use mobile_bind_domain::ports::{SendFailure, TextMessage};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::exchange::{Answer, Fault, OutgoingRequest, Stamp, Standing, Vendor};
use crate::number::international;
use crate::receipts::{Receipt, ReceiptState};
use crate::secret::Secret;
use crate::signing::{hmac_sha256, same};
use crate::wording::{Texts, language_name};

/// What a secret begins with, before its base64.
pub(crate) const SECRET_PREFIX: &str = "whsec_";

/// A receiver of webhooks.
pub(crate) struct Webhook {
    /// The whole URL.
    pub(crate) url: String,
    pub(crate) key: SigningKey,
    pub(crate) texts: Texts,
    pub(crate) home: String,
}

/// A secret, decoded.
pub(crate) struct SigningKey(zeroize::Zeroizing<Vec<u8>>);

impl SigningKey {
    /// `None` where it is not base64, with or without [`SECRET_PREFIX`], of at least 24 bytes.
    pub(crate) fn new(secret: &Secret) -> Option<Self> {
        let text = secret.expose();
        let encoded = text.strip_prefix(SECRET_PREFIX).unwrap_or(text);
        let key = zeroize::Zeroizing::new(BASE64.decode(encoded.as_bytes()).ok()?);
        (key.len() >= 24).then_some(Self(key))
    }

    /// The header `webhook-signature`.
    pub(crate) fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        format!("v1,{}", BASE64.encode(&hmac_sha256(&self.0, &signed)))
    }

    /// Whether a call with these headers was signed with it, within five minutes of now. A call may carry several signatures,
    /// apart by spaces.
    pub(crate) fn has_signed(&self, id: &str, timestamp: &str, signatures: &str, body: &[u8], now: u64) -> bool {
        let fresh = timestamp.parse::<u64>().is_ok_and(|at| at.abs_diff(now) <= 300);
        let right = self.signature(id, timestamp, body);
        fresh && !id.is_empty() && signatures.split(' ').any(|signature| same(signature, &right))
    }
}

/// What a receiver tells of a message later: `{"type": "sms.delivered" | "sms.failed", "data": {"id", "error"}}`.
pub(crate) fn read_callback(body: &[u8]) -> Option<Receipt> {
    #[derive(Deserialize)]
    struct Callback {
        r#type: String,
        data: Told,
    }
    #[derive(Deserialize)]
    struct Told {
        id: String,
        #[serde(default)]
        error: String,
    }
    let Callback { r#type, data } = serde_json::from_slice(body).ok()?;
    let state = match r#type.as_str() {
        "sms.delivered" => ReceiptState::Delivered,
        "sms.failed" => ReceiptState::Failed,
        _ => ReceiptState::Pending,
    };
    Some(Receipt::new(data.id, state, &data.error))
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    to: String,
    text: String,
    /// Absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    purpose: &'static str,
    language: &'static str,
    lifetime_s: u64,
}

impl Vendor for Webhook {
    fn request(&self, message: &TextMessage, stamp: &Stamp) -> OutgoingRequest {
        let at = i64::try_from(stamp.at.as_seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        let body = Body {
            r#type: "sms.send",
            timestamp: at.unwrap_or_default().to_string(),
            data: Data {
                to: format!("+{}", international(&message.mobile, &self.home)),
                text: self.texts.text(message),
                code: message.content.code().map(VerificationCode::digits),
                purpose: message.content.purpose().name(),
                language: language_name(message.language),
                lifetime_s: message.lifetime.as_secs(),
            },
        };
        // Text and numbers are always JSON.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let (id, timestamp) = (format!("msg_{}", stamp.nonce), stamp.at.as_seconds().to_string());
        let signature = self.key.signature(&id, &timestamp, &body);
        OutgoingRequest {
            method: Method::POST,
            url: self.url.clone(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("webhook-id", id),
                ("webhook-timestamp", timestamp),
                ("webhook-signature", signature),
            ],
            body,
        }
    }

    fn read(&self, answer: &Answer) -> Result<String, Fault> {
        #[derive(Deserialize)]
        struct Receipt {
            #[serde(default)]
            id: String,
        }
        match answer.status {
            200..=299 => Ok(answer.json::<Receipt>().map(|receipt| receipt.id).unwrap_or_default()),
            422 => Err(Fault::new(SendFailure::Refused, "http 422")),
            _ => Err(answer.unreadable()),
        }
    }

    /// Standard Webhooks has no call that would only tell.
    fn inquiry(&self, _: &Stamp) -> OutgoingRequest {
        OutgoingRequest { method: Method::HEAD, url: self.url.clone(), headers: Vec::new(), body: Vec::new() }
    }

    fn standing(&self, _: &Answer) -> Standing {
        Standing::Untold
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::Timestamp;
    use mobile_bind_domain::ports::SendFailure;

    use super::{SigningKey, Webhook};
    use crate::exchange::{Answer, Stamp, Vendor};
    use crate::secret::Secret;
    use crate::tests::message;
    use crate::wording::{Templates, Texts};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn key() -> SigningKey {
        SigningKey::new(&Secret::new(SECRET.to_owned())).unwrap()
    }

    fn webhook() -> Webhook {
        let texts = Texts { templates: Templates::default(), domain: String::new() };
        Webhook { url: "https://sms.example/send".to_owned(), key: key(), texts, home: "86".to_owned() }
    }

    /// The vector of the specification's own libraries.
    #[test]
    fn signs_the_published_vector() {
        let signature = key().signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_base64_of_some_length() {
        assert!(SigningKey::new(&Secret::new("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())).is_some());
        for text in ["", "whsec_", "whsec_AAAA", "whsec_no base64 at all, however long it may be"] {
            assert!(SigningKey::new(&Secret::new(text.to_owned())).is_none(), "{text}");
        }
    }

    #[test]
    fn the_request_says_all_of_the_message() {
        let stamp = Stamp { at: Timestamp::from_seconds(1_614_265_330), nonce: "7".to_owned() };
        let request = webhook().request(&message("17602128368"), &stamp);
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["data"]["to"], "+8617602128368");
        assert_eq!((&body["data"]["code"], &body["data"]["purpose"]), (&"0944".into(), &"bind".into()));
        assert_eq!((&body["data"]["language"], &body["data"]["lifetime_s"]), (&"en".into(), &600.into()));
        assert!(body["data"]["text"].as_str().unwrap().contains("0944"));
        assert_eq!(request.header("webhook-id"), Some("msg_7"));
        let expected = key().signature("msg_7", "1614265330", &request.body);
        assert_eq!(request.header("webhook-signature"), Some(expected.as_str()));
    }

    #[test]
    fn answers_are_understood() {
        let read = |status, body: &str| webhook().read(&Answer { status, body: body.into() });
        assert_eq!(read(202, r#"{"id":"m-1"}"#).as_deref(), Ok("m-1"));
        assert_eq!(read(204, "").as_deref(), Ok(""));
        for (status, failure) in [
            (422, SendFailure::Refused),
            (429, SendFailure::Limited),
            (503, SendFailure::Limited),
            (401, SendFailure::Unavailable),
            (302, SendFailure::Unavailable),
            (500, SendFailure::Unknown),
        ] {
            assert_eq!(read(status, "{}").unwrap_err().failure, failure, "{status}");
        }
    }
}
