//! Why a request was refused.

use std::time::Duration;

use crate::ports::PlatformFailure;
use crate::{Guard, Mobile, Verdict};

/// What was asked for: some refusals differ by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sending a code.
    Send,
    /// Asking what became of a code.
    Status,
    /// Binding.
    Bind,
    /// Looking a token up, or ending its session.
    Session,
    /// Logging a mini-program in.
    LogIn,
}

/// Why a request was refused. What each means on the wire stands in one table, in the http crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The number is empty.
    MobileMissing,
    /// The code is empty.
    VerifyMissing,
    /// The number is malformed.
    MobileMalformed(Operation),
    /// A text is longer than it may be.
    TextTooLong {
        /// The parameter's name on the wire.
        parameter: &'static str,
        /// How many characters it may have.
        limit: usize,
    },
    /// There is no live code: never sent, expired, used up, burnt, or another client's.
    CodeExpired,
    /// The code is wrong.
    CodeWrong,
    /// The account has a number, and a code sent to that is wanted besides.
    OldCodeWanted {
        /// The number.
        mobile: Mobile,
    },
    /// There is no live code for the number that the account has.
    OldCodeExpired,
    /// The code for the number that the account has is wrong.
    OldCodeWrong,
    /// An account that has a number may not take another.
    NumberChangeDenied,
    /// The account took its number a short while ago.
    NumberChangedLately {
        /// How long to wait before it may take another.
        wait: Duration,
    },
    /// The number's account was silent for so long that the number may be somebody else's by now.
    NumberRecycled,
    /// The number is one for tests, and past its date.
    TestNumberExpired,
    /// A mini-program sent no openid.
    OpenIdMissing,
    /// The openid is not proved.
    IdentityUnproved,
    /// The client type is no mini-program.
    NoMiniProgram,
    /// A mini-program sent no log-in code.
    AuthCodeMissing,
    /// A mini-program sent nothing that its platform could vouch for a number by.
    VoucherMissing,
    /// The platform did not do what it was asked.
    Platform(PlatformFailure),
    /// The number belongs to another account than the caller's.
    HeldByOther,
    /// The number, the openid or the unionid belongs to several accounts, which only somebody else who writes to the store can
    /// have brought about. None is chosen.
    HeldBySeveral,
    /// The number is the caller's own already.
    HeldByCaller,
    /// No account may be made for this number.
    NumberForbidden,
    /// The account is disabled.
    AccountDisabled,
    /// The account waits for approval.
    AccountAwaitingApproval,
    /// A look-up came without a token.
    TokenMissing,
    /// A look-up's token is unknown or has ended.
    TokenUnknown,
    /// What was asked needs a live session.
    LoginRequired,
    /// A code went to this number a moment ago.
    SendTooSoon {
        /// How long to wait.
        wait: Duration,
    },
    /// A quota on messages is used up.
    SendLimit {
        /// Which.
        guard: Guard,
        /// How long to wait.
        wait: Duration,
    },
    /// A soft limit on messages is used up: whoever solves a captcha may go on.
    CaptchaWanted {
        /// Which.
        guard: Guard,
        /// How long to wait otherwise.
        wait: Duration,
    },
    /// A quota on wrong codes is used up.
    TryLimit {
        /// Which.
        guard: Guard,
        /// How long to wait.
        wait: Duration,
    },
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The SMS provider will not send to this number.
    SmsRefused,
    /// The SMS provider takes no more messages for now, to this number or at all.
    SmsLimited,
    /// No SMS provider could be reached.
    SmsUnavailable,
    /// The SMS provider did not answer: the message may have gone out.
    SmsUnknown,
    /// The store could not be read or written.
    NotStored(Operation),
}

impl Refusal {
    /// The guard that refused, and how.
    #[must_use]
    pub fn guard(&self) -> Option<(Guard, Verdict)> {
        match self {
            Self::SendTooSoon { .. } => Some((Guard::Interval, Verdict::Refused)),
            Self::SendLimit { guard, .. } | Self::TryLimit { guard, .. } => Some((*guard, Verdict::Refused)),
            Self::CaptchaWanted { guard, .. } => Some((*guard, Verdict::CaptchaWanted)),
            _ => None,
        }
    }
}
