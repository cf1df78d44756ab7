//! The recordings' format.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One scenario.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its name.
    pub name: String,
    replay: String,
    pub(super) given: Given,
    pub(super) steps: Vec<Step>,
    pub(super) after: Option<After>,
}

impl Case {
    /// Whether we must answer alike.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.replay == "same"
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Given {
    pub(super) settings: GivenSettings,
    #[serde(default)]
    pub(super) users: Vec<User>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GivenSettings {
    pub(super) send_interval_s: u64,
    pub(super) code_ttl_s: u64,
    #[serde(default)]
    pub(super) register_audit: bool,
    #[serde(default)]
    pub(super) mandatory_bind: bool,
    #[serde(default)]
    pub(super) forbidden_mobiles: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) number_code: String,
    #[serde(default)]
    pub(super) deleted: bool,
    #[serde(default)]
    pub(super) logged_out: bool,
    #[serde(default)]
    pub(super) identities: Vec<UserIdentity>,
    /// `status`, `nickname`, `mobile` and so on.
    #[serde(flatten)]
    pub(super) fields: BTreeMap<String, Value>,
}

impl User {
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct UserIdentity {
    pub(super) client_type: String,
    pub(super) openid: String,
    pub(super) unionid: String,
    /// A placeholder.
    pub(super) token: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) request: Request,
    #[serde(default)]
    pub(super) wait_s: f64,
    pub(super) sms_to: Option<String>,
    #[serde(default)]
    pub(super) provider_refuses: bool,
    pub(super) answer: Expected,
}

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) content_type: Option<String>,
    #[serde(default)]
    pub(super) body: String,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) code: Option<i64>,
    pub(super) data: Option<Value>,
    /// The placeholder that the answer's token defines.
    pub(super) token: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct After {
    #[serde(default)]
    pub(super) users: Vec<User>,
}
