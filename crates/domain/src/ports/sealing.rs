//! Keeping the code of a message that may have to be sent again.

use crate::VerificationCode;
use crate::outbox::{MessageKey, SealedCode};

/// A code could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code of a message could not be sealed")]
pub struct SealError;

/// Seals codes with authenticated encryption under a key of the server's, each for one message alone.
pub trait CodeSealer: Send + Sync {
    /// The code, sealed for a message.
    ///
    /// # Errors
    /// Where the cipher or its source of randomness fails.
    fn seal(&self, message: &MessageKey, code: &VerificationCode) -> Result<SealedCode, SealError>;

    /// The code again; `None` where its key is gone, it was tampered with, or it was sealed for another message.
    fn open(&self, message: &MessageKey, sealed: &SealedCode) -> Option<VerificationCode>;
}
