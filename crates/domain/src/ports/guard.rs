//! What the guards need of the world.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::guard::{BudgetUse, Guard, Verdict};
use crate::{AddressBlock, Timestamp};

/// Tells operators what the guards do. Never told a number, an address or a client.
pub trait GuardWatch: Send + Sync {
    /// A guard refused, asked for a captcha, or would have refused.
    fn noted(&self, guard: Guard, verdict: Verdict);

    /// A message is about to leave, and so much of a budget is used then.
    fn budget(&self, used: BudgetUse, now: Timestamp);
}

/// Lets a moment pass, for whoever waits for another request's outcome.
#[async_trait]
pub trait Pause: Send + Sync {
    /// Comes back after that long, or sooner where time is a test's.
    async fn pause(&self, length: Duration);
}

/// What a client got from the captcha provider for solving its riddle. `Debug` masks it.
#[derive(Clone, PartialEq, Eq)]
pub struct CaptchaResponse(Zeroizing<String>);

impl CaptchaResponse {
    /// The longest response, in characters (Turnstile's; hCaptcha and reCAPTCHA stay below).
    pub const MAX_CHARS: usize = 2048;

    /// `None` where the text is empty or too long.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let well_formed = !text.is_empty() && text.len() <= Self::MAX_CHARS;
        well_formed.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, for the provider alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CaptchaResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaptchaResponse(***)")
    }
}

/// The captcha provider did not answer, or answered nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the captcha provider did not answer")]
pub struct CaptchaUnavailable;

/// Tells people from machines.
#[async_trait]
pub trait Captcha: Send + Sync {
    /// Whether the provider gave that response to somebody who solved its riddle, and nobody has used it before. Must end
    /// in bounded time.
    ///
    /// # Errors
    /// Where the provider cannot say.
    async fn verify(&self, response: &CaptchaResponse, from: AddressBlock) -> Result<bool, CaptchaUnavailable>;
}
