//! A fake receiver of signed webhooks.

use mobile_bind_domain::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Part, Received, Reply, Taken, apart};
use crate::signing::same;
use crate::vendors::webhook::SigningKey;

/// Its errors are statuses.
pub(super) const ERRORS: &[&str] = &["400", "401", "404", "422", "429", "500", "503"];

/// How far clocks may differ: five minutes.
const SKEW_MS: u64 = 5 * 60 * 1000;

pub(super) struct FakeWebhook {
    pub(super) key: SigningKey,
}

#[derive(Deserialize)]
struct Body {
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    to: String,
    text: String,
}

impl Part for FakeWebhook {
    fn inquired(&self, request: &Received, _: Timestamp) -> Option<Reply> {
        (request.method == "HEAD").then(|| Reply { status: 405, body: String::new() })
    }

    fn take(&self, request: &Received, now: Timestamp) -> Result<Taken, &'static str> {
        let (id, timestamp) = (request.header("webhook-id"), request.header("webhook-timestamp"));
        let expected = self.key.signature(id, timestamp, &request.body);
        let signed = request.header("webhook-signature").split(' ').any(|signature| same(&expected, signature));
        let told = timestamp.parse().map(Timestamp::from_seconds).map_err(|_| "401")?;
        if id.is_empty() || !signed || apart(now, told) > SKEW_MS {
            return Err("401");
        }
        let body: Body = serde_json::from_slice(&request.body).map_err(|_| "400")?;
        if body.r#type != "sms.send" {
            return Err("400");
        }
        Ok(Taken { to: body.data.to, what: body.data.text })
    }

    fn accepted(&self, id: &str, _: &Taken) -> Reply {
        Reply { status: 202, body: json!({"id": id}).to_string() }
    }

    fn error(&self, code: &str) -> Reply {
        let status = code.parse().ok().filter(|status| (400..600).contains(status)).unwrap_or(500);
        Reply { status, body: json!({"error": "an inner text that clients must not see"}).to_string() }
    }
}
