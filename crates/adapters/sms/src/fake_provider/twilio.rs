//! A fake of Twilio.

use data_encoding::BASE64;
use mobile_bind_domain::Timestamp;
use serde_json::json;

use super::{Part, Received, Reply, Taken, field, fields};
use crate::secret::Secret;
use crate::signing::same;

/// <https://www.twilio.com/docs/api/errors>, those that creating a message can meet.
pub(super) const ERRORS: &[&str] = &[
    "14107", "20003", "20404", "20429", "20500", "21211", "21212", "21214", "21217", "21265", "21266", "21408",
    "21603", "21604", "21606", "21608", "21610", "21611", "21612", "21614", "21617", "21635", "21701", "21703",
    "63038",
];

pub(super) struct FakeTwilio {
    pub(super) id: String,
    pub(super) secret: Secret,
}

impl FakeTwilio {
    fn authenticate(&self, request: &Received) -> Result<(), &'static str> {
        let credentials = format!("{}:{}", self.id, self.secret.expose());
        let expected = format!("Basic {}", BASE64.encode(credentials.as_bytes()));
        if same(&expected, request.header("authorization")) { Ok(()) } else { Err("20003") }
    }
}

impl Part for FakeTwilio {
    fn inquired(&self, request: &Received, _: Timestamp) -> Option<Reply> {
        if request.method != "GET" || request.path != format!("/2010-04-01/Accounts/{}.json", self.id) {
            return None;
        }
        let known = || Reply { status: 200, body: json!({"sid": self.id, "status": "active"}).to_string() };
        Some(self.authenticate(request).map_or_else(|code| self.error(code), |()| known()))
    }

    fn take(&self, request: &Received, _: Timestamp) -> Result<Taken, &'static str> {
        self.authenticate(request)?;
        if request.path != format!("/2010-04-01/Accounts/{}/Messages.json", self.id) || request.method != "POST" {
            return Err("20404");
        }
        let all = fields(&request.body);
        let to = field(&all, "To").ok_or("21604")?;
        field(&all, "From").or(field(&all, "MessagingServiceSid")).ok_or("21603")?;
        let text = field(&all, "Body").ok_or("21619")?;
        if !to.strip_prefix('+').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit())) {
            return Err("21211");
        }
        Ok(Taken { to: to.to_owned(), what: text.to_owned() })
    }

    fn accepted(&self, id: &str, message: &Taken) -> Reply {
        let body = json!({"sid": id, "status": "queued", "error_code": null, "error_message": null, "to": message.to,
            "account_sid": self.id, "body": message.what, "num_segments": "1", "direction": "outbound-api"});
        Reply { status: 201, body: body.to_string() }
    }

    fn error(&self, code: &str) -> Reply {
        let status = match code {
            "20003" => 401,
            "20404" => 404,
            "20429" => 429,
            "20500" => 500,
            _ => 400,
        };
        let number: u32 = code.parse().unwrap_or_default();
        let body = json!({"code": number, "message": "an inner text that clients must not see",
            "more_info": format!("https://www.twilio.com/docs/errors/{number}"), "status": status});
        Reply { status, body: body.to_string() }
    }
}
