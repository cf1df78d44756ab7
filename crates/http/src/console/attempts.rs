//! How often a token may be guessed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mobile_bind_domain::Timestamp;

/// Wrong tokens from one address until it has to wait.
pub(super) const ALLOWED: u32 = 10;
/// For how long they count, from the first.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered: the console listens on loopback, which has few.
const ADDRESSES: usize = 1024;

/// Wrong tokens by address.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<IpAddr, Failures>>);

struct Failures {
    count: u32,
    since: Timestamp,
}

impl Attempts {
    /// How long the address has to wait, right token or not; nothing where it need not.
    pub(super) fn wait(&self, address: IpAddr, now: Timestamp) -> Option<Duration> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = kept.get(&address).filter(|failures| failures.count >= ALLOWED)?;
        WINDOW.checked_sub(now.since(failures.since)).filter(|wait| !wait.is_zero())
    }

    /// Notes a wrong token.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, failures| now.since(failures.since) < WINDOW);
        if kept.len() < ADDRESSES || kept.contains_key(&address) {
            kept.entry(address).or_insert(Failures { count: 0, since: now }).count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_tokens_cost_the_rest_of_a_minute() {
        let (attempts, one, other) = (Attempts::default(), "127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let at = Timestamp::from_seconds;
        for second in 0..10 {
            assert_eq!(attempts.wait(one, at(second)), None);
            attempts.note(one, at(second));
        }
        assert_eq!(attempts.wait(one, at(10)), Some(Duration::from_secs(50)));
        assert_eq!(attempts.wait(other, at(10)), None);
        assert_eq!(attempts.wait(one, at(60)), None);
        attempts.note(one, at(60));
        assert_eq!(attempts.wait(one, at(60)), None);
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let attempts = Attempts::default();
        for address in 0..5_000_u32 {
            attempts.note(IpAddr::from(std::net::Ipv4Addr::from(address)), Timestamp::from_seconds(1));
        }
        assert_eq!(attempts.0.lock().unwrap().len(), ADDRESSES);
    }
}
