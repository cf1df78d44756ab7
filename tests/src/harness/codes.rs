//! Codes that a test can foresee.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use mobile_bind_domain::ports::CodeSource;
use mobile_bind_domain::{CodeLength, VerificationCode};

/// Codes from a seed: no leading 0, no repeats, none that is to be avoided.
#[derive(Debug)]
pub struct SeededCodes(Mutex<State>);

#[derive(Debug)]
struct State {
    seed: u64,
    taken: HashSet<String>,
}

impl SeededCodes {
    /// Codes from this seed, but for those to avoid.
    #[must_use]
    pub fn new(seed: u64, avoid: HashSet<String>) -> Self {
        Self(Mutex::new(State { seed, taken: avoid }))
    }
}

impl CodeSource for SeededCodes {
    #[expect(clippy::expect_used, reason = "digits in the right number always make a code")]
    fn draw(&self, length: CodeLength) -> VerificationCode {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = 10_u64.pow(u32::try_from(length.digits() - 1).unwrap_or(0));
        loop {
            // A linear congruential step (Knuth's MMIX) is random enough for a test.
            state.seed = state.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = (first + (state.seed >> 33) % (9 * first)).to_string();
            if state.taken.insert(digits.clone()) {
                return VerificationCode::from_digits(&digits).expect("these are digits");
            }
        }
    }
}
