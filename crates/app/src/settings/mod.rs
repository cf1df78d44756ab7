//! The operator's settings: a TOML file, over it the environment, over it the command line.

mod load;
mod policy;
mod quota;
mod refuse;
mod server;
mod shape;

pub use load::{Overrides, load};
pub use quota::QuotaText;
pub use refuse::refuse_unsafe;
pub use shape::{
    Code, Cors, Dev, Environment, LimitMode, Limits, Log, LogFormat, Metrics, Pages, Platforms, ProofSetting, Referrer,
    Register, Server, Session, Settings, Shop, SledSettings, Sms, SmsSenderName, TokenAlgorithm, TokenFormat, Tokens,
};
