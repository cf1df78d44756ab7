//! Fakes of the vendors, over real HTTP or SMPP: they verify signatures as the vendors do, refuse wrong ones, and can be told to
//! misbehave in every way that a vendor does. For tests, and for trying a configuration with no account.

mod aliyun;
mod centre;
mod play;
mod server;
mod tencent;
mod twilio;
mod webhook;

pub use play::{Play, UnknownPlay, documented_errors};
pub use server::{FakeMessage, FakeProvider, Phones};

use mobile_bind_domain::Timestamp;

use crate::config::Kind;
use crate::secret::Secret;

/// The account that a fake knows; nobody else gets in.
#[derive(Clone, Debug)]
pub struct FakeAccount {
    /// Whose language it speaks.
    pub kind: Kind,
    /// AccessKey id, SecretId, Account SID or system id; empty for a webhook.
    pub account: String,
    /// The secret that goes with it.
    pub secret: Secret,
}

/// A request as it came in.
#[derive(Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The path, as it was sent.
    pub path: String,
    /// The query, as it was sent.
    pub query: String,
    /// The headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether its signature was right, and it said all that the vendor asks for.
    pub accepted: bool,
}

impl Received {
    /// A header's value; empty where it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

/// A message that came in.
pub(crate) struct Taken {
    pub(crate) to: String,
    /// What would be sent, as far as the vendor is told.
    pub(crate) what: String,
}

/// An answer on its way out.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// One vendor's part in a fake.
pub(crate) trait Part: Send + Sync {
    /// The answer to a call that only tells; `None` where it is another one.
    fn inquired(&self, request: &Received, now: Timestamp) -> Option<Reply>;

    /// The message, or the error code that the vendor would give.
    fn take(&self, request: &Received, now: Timestamp) -> Result<Taken, &'static str>;

    /// How the vendor says that it accepted a message.
    fn accepted(&self, id: &str, message: &Taken) -> Reply;

    /// How the vendor gives an error code.
    fn error(&self, code: &str) -> Reply;
}

fn part(account: &FakeAccount) -> Option<Box<dyn Part>> {
    let (id, secret) = (account.account.clone(), account.secret.clone());
    Some(match account.kind {
        Kind::Aliyun => Box::new(aliyun::FakeAliyun::new(id, secret)),
        Kind::Tencent => Box::new(tencent::FakeTencent { id, secret }),
        Kind::Twilio => Box::new(twilio::FakeTwilio { id, secret }),
        Kind::Webhook => Box::new(webhook::FakeWebhook { key: crate::vendors::webhook::SigningKey::new(&secret)? }),
        Kind::Smpp => return None,
    })
}

/// How far a vendor lets clocks differ, in milliseconds.
fn apart(now: Timestamp, told: Timestamp) -> u64 {
    now.as_millis().abs_diff(told.as_millis())
}

/// A field of a query or form.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

fn fields(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

#[cfg(test)]
mod tests;
