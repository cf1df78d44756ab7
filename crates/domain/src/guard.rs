//! The guards, by name, and what operators are told of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::conversion::Conversions;
use crate::ports::{Captcha, GuardWatch, Pause};
use crate::{Quota, Refusal, Timestamp};

/// What keeps a request from being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guard {
    /// The interval between two messages to a number.
    Interval,
    /// Messages to one number.
    Number,
    /// Messages that one installation asks for.
    Installation,
    /// Messages that one address asks for.
    Address,
    /// Messages that one account asks for.
    Account,
    /// Messages to one block of numbers.
    Range,
    /// All messages.
    Budget,
    /// The share of an address's messages that end in a verified code.
    AddressConversion,
    /// The share of a country's messages that end in a verified code.
    CountryConversion,
    /// Wrong codes for one number.
    Failures,
    /// Tries of one client that has no code.
    Tries,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Self; 11] = [
        Self::Interval,
        Self::Number,
        Self::Installation,
        Self::Address,
        Self::Account,
        Self::Range,
        Self::Budget,
        Self::AddressConversion,
        Self::CountryConversion,
        Self::Failures,
        Self::Tries,
    ];

    /// The name that metrics and logs know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Number => "number",
            Self::Installation => "installation",
            Self::Address => "address",
            Self::Account => "account",
            Self::Range => "range",
            Self::Budget => "budget",
            Self::AddressConversion => "address_conversion",
            Self::CountryConversion => "country_conversion",
            Self::Failures => "failures",
            Self::Tries => "tries",
        }
    }

    /// Whether whoever solves a captcha may go on: people who share an address, or whose numbers are neighbours, are many.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::Address | Self::Range | Self::AddressConversion | Self::CountryConversion)
    }
}

/// What a guard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It refused.
    Refused,
    /// It asked for a captcha.
    CaptchaWanted,
    /// It would have refused, and is only watched.
    WouldRefuse,
}

impl Verdict {
    /// The name that metrics and logs know it by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::CaptchaWanted => "captcha_wanted",
            Self::WouldRefuse => "would_refuse",
        }
    }
}

/// How much of a part of the overall budget is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// The budget.
    pub quota: Quota,
    /// How many messages count, with the one that is decided.
    pub used: u64,
}

/// What the guards need besides the store, and what they know of this process alone.
#[derive(Clone)]
pub struct Guards {
    /// Tells operators.
    pub watch: Arc<dyn GuardWatch>,
    /// Asks people to prove that they are people, where one is configured.
    pub captcha: Option<Arc<dyn Captcha>>,
    /// Lets a moment pass.
    pub pause: Arc<dyn Pause>,
    /// Which messages ended in a verified code, as far as the store has not heard of it.
    pub conversions: Arc<Mutex<Conversions>>,
}

impl Default for Guards {
    /// Nobody is told, no captcha is asked for, and nothing waits.
    fn default() -> Self {
        Self { watch: Arc::new(Unwatched), captcha: None, pause: Arc::new(Unwatched), conversions: Arc::default() }
    }
}

impl Guards {
    /// Tells operators of a refusal by a guard.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        if let Some((guard, verdict)) = refusal.guard() {
            self.watch.noted(guard, verdict);
        }
    }

    /// Tells operators of what guards that are only watched would have refused.
    pub(crate) fn observed(&self, observed: &[Guard]) {
        for &guard in observed {
            self.watch.noted(guard, Verdict::WouldRefuse);
        }
    }
}

struct Unwatched;

impl GuardWatch for Unwatched {
    fn noted(&self, _: Guard, _: Verdict) {}

    fn budget(&self, _: BudgetUse, _: Timestamp) {}
}

#[async_trait]
impl Pause for Unwatched {
    async fn pause(&self, _: Duration) {}
}
