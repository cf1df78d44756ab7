//! What people ask, and what they are answered.

use std::collections::BTreeMap;

use mobile_bind_domain::Refusal;

/// The kinds of client that the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A computer.
    Pc,
    /// A mobile page.
    H5,
    /// A mini-program of a platform that has unionids.
    Weixin,
    /// A mini-program of one that has none.
    Alipay,
}

/// A bind as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// The installation.
    pub client: &'static str,
    /// The kind of client.
    pub kind: Kind,
    /// The number.
    pub number: &'static str,
    /// The code.
    pub verify: String,
    /// The openid, or nothing.
    pub openid: &'static str,
    /// The unionid, or nothing.
    pub unionid: &'static str,
    /// The nickname, or nothing.
    pub nickname: &'static str,
    /// The token, or nothing.
    pub token: String,
    /// The code that was sent to the number of before, or nothing.
    pub old_verify: String,
    /// The ticket of a log-in, or nothing.
    pub ticket: String,
}

/// A mini-program's log-in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogInRequest {
    /// The installation.
    pub client: &'static str,
    /// The kind of client.
    pub kind: Kind,
    /// Whose the platform says that the code is.
    pub openid: &'static str,
    /// His unionid, or nothing.
    pub unionid: &'static str,
    /// Tells one code of his from another.
    pub number: u8,
}

impl LogInRequest {
    /// The platform's code.
    #[must_use]
    pub fn code(&self) -> String {
        format!("{}/{}/{}", self.openid, self.unionid, self.number)
    }
}

/// Under which settings a story is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rules {
    /// Whether an openid must be proved.
    pub required: bool,
    /// Whether an account may take another number.
    pub rebind: Rebind,
}

/// Whether an account may take another number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rebind {
    /// It may.
    #[default]
    Allow,
    /// With a code that was sent to the number that it has.
    OldCode,
    /// It may not.
    Deny,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was sent.
    Sent,
    /// The provider would not send it.
    Refused,
    /// The provider did not answer.
    Unknown,
}

/// An account as far as the model looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Person {
    /// Its number.
    pub number: Option<String>,
    /// Its nickname.
    pub nickname: String,
    /// The openid and the unionid on each platform.
    pub openids: BTreeMap<Kind, (String, String)>,
    /// Whether it was disabled.
    pub disabled: bool,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, with nothing to say.
    Done,
    /// An account, and a token of it.
    LoggedIn {
        /// The account's id.
        id: u64,
        /// The account.
        person: Person,
        /// The token.
        token: String,
    },
    /// The platform vouched: the account that was entered and its token, where there is one, and a ticket.
    Vouched {
        /// The account's id, the account, and a token of it.
        entered: Option<(u64, Person, String)>,
        /// The ticket.
        ticket: String,
    },
    /// Refused.
    Refused(Refusal),
    /// What no service may answer: an id, a token or a ticket that was given before.
    GivenBefore,
}
