//! The operator's settings: a TOML file, over it the environment, over it the command line.

mod load;
mod policy;
mod quota;
mod refuse;
mod shape;

pub use load::{Overrides, load};
pub use quota::QuotaText;
pub use refuse::refuse_unsafe;
pub use shape::{
    Code, Cors, Dev, Environment, LimitMode, Limits, Log, LogFormat, Platforms, ProofSetting, Referrer, Register,
    Session, Settings, Shop, SledSettings, Sms, SmsSenderName, TokenAlgorithm, TokenFormat, Tokens,
};
