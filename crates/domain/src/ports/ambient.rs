//! Time and randomness.

use std::sync::Arc;

use crate::{CodeLength, Timestamp, VerificationCode};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now. It may stand still, but must not run backwards while a decision is made.
    fn now(&self) -> Timestamp;
}

/// A source of randomness; in production a CSPRNG.
pub trait Randomness: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// Where verification codes come from.
pub trait CodeSource: Send + Sync {
    /// A new code.
    fn draw(&self, length: CodeLength) -> VerificationCode;
}

/// Codes drawn from [`Randomness`].
pub struct RandomCodes(pub Arc<dyn Randomness>);

impl CodeSource for RandomCodes {
    fn draw(&self, length: CodeLength) -> VerificationCode {
        VerificationCode::draw(self.0.as_ref(), length)
    }
}
