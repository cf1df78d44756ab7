//! The ports: what the rules need of the world.
//!
//! Each is a small object-safe trait, used as `Arc<dyn Port>`. To add an implementation, write a crate beside the others in
//! `crates/adapters` that depends on this one and on its own driver, implement the trait, and plug it in where the app
//! crate wires the service. A [`Store`] must pass the store contract suite in `tests`.

mod ambient;
mod audit;
mod facts;
mod guard;
mod numbers;
mod platforms;
mod relay;
mod sealing;
mod sms;
mod store;
mod tokens;

pub use ambient::{Clock, CodeSource, RandomCodes, Randomness};
pub use audit::AuditTrail;
pub use facts::{PoolFacts, ReplicationFacts, StoreFacts};
pub use guard::{Captcha, CaptchaResponse, CaptchaUnavailable, GuardWatch, Pause};
pub use numbers::{InternationalNumber, NumberPlans};
pub use platforms::{NoPlatforms, NumberEvidence, PlatformFailure, PlatformUser, Platforms, VouchedNumber};
pub use relay::{AnswerSlot, Outgoing, ProviderFacts, Relay};
pub use sealing::{CodeSealer, SealError};
pub use sms::{Accepted, Content, Purpose, SendFailure, SmsSender, TextMessage, Trail};
pub(crate) use store::callers_mobile;
pub use store::{
    BindQuery, BindSnapshot, CallerQuery, CommitError, Contested, EarlierBind, Evidence, EvidenceQuery, LogInQuery,
    LogInSnapshot, Purged, ReceiptSnapshot, SendQuery, SendSnapshot, SessionSnapshot, Store, StoreError,
};
pub use tokens::{OpenedSession, TokenError, TokenIssuer};
