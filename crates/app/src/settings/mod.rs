//! The operator's settings: a TOML file, over it the environment, over it the command line.

mod load;
mod platforms;
mod policy;
mod quota;
mod refuse;
mod secret;
mod server;
mod shape;
mod sms;
mod tracing;

pub use load::{Overrides, load};
pub use quota::QuotaText;
pub use refuse::refuse_unsafe;
pub use secret::SecretText;
pub use shape::{
    Audit, Captcha, Code, ConsoleSettings, Cors, Dev, Environment, ForwardedHeader, LimitMode, Limits, Log, LogFormat,
    Metrics, Migrate, Numbers, Pages, PlatformSource, Platforms, PostgresSettings, ProofSetting, Rebind, Recycled,
    Referrer, Register, Server, Session, Settings, Shop, ShopxoSettings, SledSettings, Sms, SmsProvider, SmsSenderName,
    Telemetry, TestNumber, TokenAlgorithm, TokenFormat, Tokens,
};
pub(crate) use tracing::Tracing;
