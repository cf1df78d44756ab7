//! The platforms that mini-programs run on: they know whose a log-in code is, and vouch for numbers.

use async_trait::async_trait;

use crate::{Identity, OpenId, Platform, SealedSessionKey, Timestamp, UnionId};

/// Who a platform says that a log-in code is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformUser {
    /// The user of the app that is configured.
    pub openid: OpenId,
    /// The user across the owner's apps, where the platform tells.
    pub unionid: Option<UnionId>,
    /// The key of this log-in, sealed for this openid, where the platform gives one.
    pub session_key: Option<SealedSessionKey>,
}

/// What a client has from its platform to show a number by.
#[derive(Clone, Copy, Debug)]
pub enum NumberEvidence<'a> {
    /// A code to ask the platform with.
    Code(&'a str),
    /// What the platform encrypted with the session key of the log-in, in base64 (RFC 4648, section 4).
    Encrypted {
        /// `encrypted_data`.
        data: &'a str,
        /// `iv`.
        iv: &'a str,
        /// The key of the identity's log-in.
        session_key: &'a SealedSessionKey,
    },
}

/// A number that a platform vouches for.
#[derive(Clone, PartialEq, Eq)]
pub struct VouchedNumber {
    /// The calling code, in digits.
    pub country: String,
    /// The number within the country, in digits.
    pub national: String,
    /// When the platform said so, where it tells.
    pub vouched_at: Option<Timestamp>,
    /// Tells this from every other time that the platform vouches for a number.
    pub occasion: Vec<u8>,
}

impl std::fmt::Debug for VouchedNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VouchedNumber(***)")
    }
}

/// Why a platform did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformFailure {
    /// No app is configured for the platform.
    #[error("no app is configured for this platform")]
    NotConfigured,
    /// The platform does not vouch for numbers in this way.
    #[error("the platform does not vouch for numbers in this way")]
    NotOffered,
    /// The code is wrong, used, or too old, or what was encrypted does not open: the client must ask its platform anew.
    #[error("the platform does not take this code")]
    Stale,
    /// The platform will not let this user in.
    #[error("the platform refuses this user")]
    Blocked,
    /// The platform is asked too often, or busy.
    #[error("the platform is busy")]
    Busy,
    /// The platform does not take the app's own credentials, or what is configured otherwise.
    #[error("the platform refuses the app")]
    AppRefused,
    /// The platform could not be reached, or did not answer in time.
    #[error("the platform did not answer")]
    Unavailable,
    /// The platform answered what cannot be read, or was not signed by it.
    #[error("the platform's answer cannot be used")]
    Unreadable,
}

/// Asks platforms.
#[async_trait]
pub trait Platforms: Send + Sync {
    /// Whose a log-in code is. A code is used up by being asked about. Must end in bounded time.
    ///
    /// # Errors
    /// When the platform does not say.
    async fn log_in(&self, platform: Platform, code: &str) -> Result<PlatformUser, PlatformFailure>;

    /// The number that the platform vouches for. That it is for the app that is configured is looked at; whether it is fresh
    /// is not. Must end in bounded time.
    ///
    /// # Errors
    /// When the platform does not vouch for one.
    async fn vouch(&self, identity: &Identity, evidence: NumberEvidence<'_>) -> Result<VouchedNumber, PlatformFailure>;
}

/// No platform is configured.
pub struct NoPlatforms;

#[async_trait]
impl Platforms for NoPlatforms {
    async fn log_in(&self, _: Platform, _: &str) -> Result<PlatformUser, PlatformFailure> {
        Err(PlatformFailure::NotConfigured)
    }

    async fn vouch(&self, _: &Identity, _: NumberEvidence<'_>) -> Result<VouchedNumber, PlatformFailure> {
        Err(PlatformFailure::NotConfigured)
    }
}
