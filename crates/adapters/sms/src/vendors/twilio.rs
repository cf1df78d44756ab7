//! Twilio's Messages resource, with Basic authentication. <https://www.twilio.com/docs/messaging/api/message-resource>

use data_encoding::BASE64;
use mobile_bind_domain::ports::{SendFailure, TextMessage};
use reqwest::Method;
use serde::Deserialize;

use crate::exchange::{Answer, Fault, OutgoingRequest, Stamp, Standing, Vendor};
use crate::number::international;
use crate::secret::Secret;
use crate::wording::Texts;

/// Where the API is.
pub(crate) const URL: &str = "https://api.twilio.com";

/// An account at Twilio.
pub(crate) struct Twilio {
    /// Without a path.
    pub(crate) url: String,
    pub(crate) account_sid: String,
    pub(crate) auth_token: Secret,
    /// A number, a sender id, or the SID of a messaging service (`MG…`).
    pub(crate) from: String,
    pub(crate) texts: Texts,
    pub(crate) home: String,
    /// The URL to tell what became of a message; empty for none.
    pub(crate) callback: String,
}

impl Vendor for Twilio {
    fn request(&self, message: &TextMessage, _: &Stamp) -> OutgoingRequest {
        let from = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("To", &format!("+{}", international(&message.mobile, &self.home)))
            .append_pair(from, &self.from)
            .append_pair("Body", &self.texts.text(message));
        if !self.callback.is_empty() {
            body.append_pair("StatusCallback", &self.callback);
        }
        let body = body.finish();
        OutgoingRequest {
            method: Method::POST,
            url: format!("{}/2010-04-01/Accounts/{}/Messages.json", self.url, self.account_sid),
            headers: vec![
                ("authorization", self.authorization()),
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
            ],
            body: body.into_bytes(),
        }
    }

    fn read(&self, answer: &Answer) -> Result<String, Fault> {
        if matches!(answer.status, 200 | 201) {
            let Some(message) = answer.json::<Message>() else { return Err(answer.unreadable()) };
            return match (message.status.as_str(), message.error_code) {
                ("failed" | "undelivered" | "canceled", code) => {
                    let code = code.unwrap_or_default();
                    Err(Fault::new(meaning(code), code.to_string()))
                }
                _ => Ok(message.sid),
            };
        }
        match answer.json::<VendorError>() {
            Some(VendorError { code: Some(code) }) if answer.status < 500 => {
                Err(Fault::new(meaning(code), code.to_string()))
            }
            _ => Err(answer.unreadable()),
        }
    }

    /// <https://www.twilio.com/docs/iam/api/account>
    fn inquiry(&self, _: &Stamp) -> OutgoingRequest {
        OutgoingRequest {
            method: Method::GET,
            url: format!("{}/2010-04-01/Accounts/{}.json", self.url, self.account_sid),
            headers: vec![("authorization", self.authorization())],
            body: Vec::new(),
        }
    }

    fn standing(&self, answer: &Answer) -> Standing {
        let told = || answer.json::<VendorError>().and_then(|error| error.code).map(|code| code.to_string());
        match answer.status {
            200 => match answer.json::<Account>() {
                Some(Account { status }) if status == "active" => Standing::Known,
                Some(Account { status }) => Standing::refused(format!("account {status}")),
                None => Standing::Unclear(answer.unreadable().code),
            },
            401 | 404 => Standing::refused(told().unwrap_or_else(|| answer.unreadable().code)),
            403 => Standing::not_allowed(told().unwrap_or_else(|| answer.unreadable().code)),
            _ => Standing::Unclear(answer.unreadable().code),
        }
    }
}

impl Twilio {
    fn authorization(&self) -> String {
        let credentials = format!("{}:{}", self.account_sid, self.auth_token.expose());
        format!("Basic {}", BASE64.encode(credentials.as_bytes()))
    }
}

#[derive(Deserialize)]
struct Account {
    status: String,
}

#[derive(Deserialize)]
struct Message {
    sid: String,
    status: String,
    error_code: Option<u32>,
}

#[derive(Deserialize)]
struct VendorError {
    code: Option<u32>,
}

/// What an error code means for the message. <https://www.twilio.com/docs/api/errors>
fn meaning(code: u32) -> SendFailure {
    match code {
        // Not a number, not one for messages, a landline, a short code, the sender itself, or opted out.
        21211 | 21214 | 21217 | 21265 | 21266 | 21610 | 21614 | 21635 => SendFailure::Refused,
        // Too many requests, the account's rate, its queue, or its day is full.
        20429 | 14107 | 21611 | 63038 => SendFailure::Limited,
        // The account, the sender or its permissions: another provider can still serve.
        _ => SendFailure::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use mobile_bind_domain::Timestamp;
    use mobile_bind_domain::ports::SendFailure;

    use super::Twilio;
    use crate::exchange::{Answer, Stamp, Vendor};
    use crate::secret::Secret;
    use crate::tests::{message, templates};
    use crate::wording::Texts;

    fn twilio(from: &str) -> Twilio {
        Twilio {
            url: "https://api.twilio.com".to_owned(),
            account_sid: "AC1".to_owned(),
            auth_token: Secret::new("t0ken".to_owned()),
            from: from.to_owned(),
            texts: Texts { templates: templates(&[("en", "Code {code} & more")]), domain: String::new() },
            home: "86".to_owned(),
            callback: String::new(),
        }
    }

    #[test]
    fn the_request_says_what_the_vendor_asks_for() {
        let stamp = Stamp { at: Timestamp::default(), nonce: String::new() };
        let request = twilio("+15005550006").request(&message("17602128368"), &stamp);
        assert_eq!(request.url, "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json");
        assert_eq!(request.body, b"To=%2B8617602128368&From=%2B15005550006&Body=Code+0944+%26+more");
        // RFC 7617: base64 of "AC1:t0ken".
        assert_eq!(request.header("authorization"), Some("Basic QUMxOnQwa2Vu"));
        let request = twilio("MG7").request(&message("17602128368"), &stamp);
        assert!(String::from_utf8(request.body).unwrap().contains("&MessagingServiceSid=MG7&"));
    }

    #[test]
    fn answers_are_understood() {
        let read = |status, body: &str| twilio("MG7").read(&Answer { status, body: body.into() });
        assert_eq!(read(201, r#"{"sid":"SM1","status":"queued","error_code":null}"#).as_deref(), Ok("SM1"));
        let failure = |status, body: &str| read(status, body).unwrap_err().failure;
        assert_eq!(failure(201, r#"{"sid":"SM1","status":"failed","error_code":21610}"#), SendFailure::Refused);
        for (code, expected) in [
            (21211, SendFailure::Refused),
            (21610, SendFailure::Refused),
            (20429, SendFailure::Limited),
            (20003, SendFailure::Unavailable),
            (21408, SendFailure::Unavailable),
        ] {
            let body =
                format!(r#"{{"code":{code},"message":"The 'To' number +8617602128368","more_info":"u","status":400}}"#);
            assert_eq!(failure(400, &body), expected, "{code}");
        }
        assert_eq!(failure(500, r#"{"code":20500,"message":"m","status":500}"#), SendFailure::Unknown);
        assert_eq!(failure(201, "garbage"), SendFailure::Unknown);
    }
}
