//! What an event says.

use std::fmt;

use crate::{AccountId, AddressBlock, ClientType, CodeKeys, Mobile, Timestamp};

/// The first eight bytes of a keyed hash (HMAC-SHA-256) of a mobile number: finds its events again, and tells nobody the
/// number who has not the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditMark(pub [u8; 8]);

/// A node that writes events: each has a number that no other has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditNode(pub u32);

/// A number as events know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditedNumber {
    /// Finds it again.
    pub mark: AuditMark,
    /// `176***368`.
    pub masked: Box<str>,
}

impl AuditedNumber {
    /// A number, masked and marked.
    #[must_use]
    pub fn of(mobile: &Mobile, keys: &CodeKeys) -> Self {
        Self { mark: keys.audit_mark(mobile), masked: mobile.masked().into() }
    }
}

/// The id of a request, as its answer's `X-Request-Id` and the log have it. Empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(Box<str>);

impl RequestId {
    /// The longest id, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// An id of 1 to 64 ASCII letters, digits, `.`, `_` and `-`; anything else counts as none.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if text.len() <= Self::MAX_BYTES && text.bytes().all(plain) { Self(text.into()) } else { Self::default() }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was done, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuditAction {
    /// A code was sent.
    Send,
    /// A code was not sent.
    RefuseSend,
    /// A bind was refused.
    RefuseBind,
    /// A code was tried, and was wrong.
    Try,
    /// A number got an account of its own.
    Create,
    /// The account of a number was entered.
    Enter,
    /// An account got a number, its first or another.
    Change,
    /// An account lost its number to whoever has it now.
    Detach,
    /// A session was ended by its holder.
    LogOut,
    /// Sessions were ended by someone else.
    Revoke,
    /// A number was taken from its account.
    Unbind,
    /// An account may no longer log in.
    Disable,
    /// A disabled account may log in again.
    Enable,
    /// An account was deleted, and what it held is free.
    Delete,
    /// A person's data was given out.
    Export,
    /// What is masked was shown whole.
    Unmask,
    /// An operator looked a number or an account up.
    LookUp,
}

impl AuditAction {
    /// Every action; its place, from 1, is its number in stored events. Only ever add at the end.
    pub const ALL: [Self; 17] = [
        Self::Send,
        Self::RefuseSend,
        Self::RefuseBind,
        Self::Try,
        Self::Create,
        Self::Enter,
        Self::Change,
        Self::Detach,
        Self::LogOut,
        Self::Revoke,
        Self::Unbind,
        Self::Disable,
        Self::Enable,
        Self::Delete,
        Self::Export,
        Self::Unmask,
        Self::LookUp,
    ];

    /// Its name in listings and exports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::RefuseSend => "refuse_send",
            Self::RefuseBind => "refuse_bind",
            Self::Try => "try",
            Self::Create => "create",
            Self::Enter => "enter",
            Self::Change => "change",
            Self::Detach => "detach",
            Self::LogOut => "log_out",
            Self::Revoke => "revoke",
            Self::Unbind => "unbind",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Unmask => "unmask",
            Self::LookUp => "look_up",
        }
    }

    /// Whether something was refused.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::RefuseSend | Self::RefuseBind | Self::Try)
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of that type, and the first bytes of a keyed hash of its `uuid`, where it has one.
    Client(ClientType, Option<AuditMark>),
    /// An operator, by the name he is known by.
    Operator(Box<str>),
    /// The service by itself.
    Service,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client_type, _) => f.write_str(client_type.name()),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Service => f.write_str("service"),
        }
    }
}

/// One decision. No number, openid, token or code stands in it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// When; of a sum, the last of them.
    pub at: Timestamp,
    /// What.
    pub action: AuditAction,
    /// Why it was refused: a name that [`words`](super::words) knows.
    pub rule: Option<Box<str>>,
    /// How many alike this stands for.
    pub times: u32,
    /// When what refused it ends, where that is known.
    pub until: Option<Timestamp>,
    /// The number it is about.
    pub number: Option<AuditedNumber>,
    /// The number that the account had before.
    pub former: Option<AuditedNumber>,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// Who did it.
    pub actor: Actor,
    /// Where the request came from.
    pub address: Option<AddressBlock>,
    /// The request.
    pub request: RequestId,
}

impl AuditEvent {
    /// An event that says nothing but what, when and who.
    #[must_use]
    pub fn new(action: AuditAction, actor: Actor, at: Timestamp) -> Self {
        Self {
            at,
            action,
            rule: None,
            times: 1,
            until: None,
            number: None,
            former: None,
            account: None,
            actor,
            address: None,
            request: RequestId::default(),
        }
    }

    /// What the store finds it by.
    #[must_use]
    pub fn mark(&self) -> Option<AuditMark> {
        self.number.as_ref().map(|number| number.mark)
    }
}

/// An event as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Who wrote it.
    pub node: AuditNode,
    /// Where it stands among the node's events: the revision of its change, shifted by 8 bits, and its place there.
    pub sequence: u64,
    /// What the store finds it by.
    pub mark: Option<AuditMark>,
    /// [`AuditEvent::to_bytes`]: what checkpoints vouch for.
    pub bytes: Box<[u8]>,
}

impl RecordedEvent {
    /// The sequence of the event that stands at `place` in the change that was committed as `revision`.
    #[must_use]
    pub const fn sequence(revision: u64, place: u8) -> u64 {
        (revision << 8) | place as u64
    }

    /// What it says; `None` where that cannot be read.
    #[must_use]
    pub fn event(&self) -> Option<AuditEvent> {
        AuditEvent::from_bytes(&self.bytes)
    }
}
