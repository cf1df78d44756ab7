//! A circuit breaker: a provider that fails is left alone for a while, then tried with one message.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mobile_bind_domain::Timestamp;
use mobile_bind_domain::ports::Clock;

/// How many results are judged by, and how old they may be.
const RESULTS: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);
/// With fewer failures than this nothing is judged.
const FAILURES: usize = 5;
/// How long a provider is left alone: doubled with every trial that fails.
const REST: Duration = Duration::from_secs(10);
const LONGEST_REST: Duration = Duration::from_secs(160);

/// How a provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It takes messages.
    Closed,
    /// It failed often, and is tried with one message at a time.
    HalfOpen,
    /// It failed often, and is left alone.
    Open,
}

#[derive(Default)]
struct State {
    results: VecDeque<(Timestamp, bool)>,
    /// Since it opened: until when it rests, and for how long that is.
    open: Option<(Timestamp, Duration)>,
    /// A trial is under way.
    trial: bool,
}

/// Judges one provider by its recent results.
pub(crate) struct Breaker {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Breaker {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing here is left half-done by a panic, so a poisoned lock is as good as any.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn health(&self) -> Health {
        match self.state().open {
            None => Health::Closed,
            Some((until, _)) if self.clock.now() >= until => Health::HalfOpen,
            Some(_) => Health::Open,
        }
    }

    /// Leave to send one message; `None` while the provider is left alone.
    pub(crate) fn enter(&self) -> Option<Attempt<'_>> {
        let mut state = self.state();
        if let Some((until, _)) = state.open {
            if state.trial || self.clock.now() < until {
                return None;
            }
            state.trial = true;
        }
        Some(Attempt { breaker: self, trial: state.trial, reported: false })
    }

    fn report(&self, trial: bool, good: bool) {
        let now = self.clock.now();
        let mut state = self.state();
        if trial {
            state.trial = false;
        }
        match state.open {
            Some((_, rest)) if trial && !good => {
                let rest = (rest * 2).min(LONGEST_REST);
                state.open = Some((now.after(rest), rest));
            }
            Some(_) if trial => *state = State::default(),
            // Sent before it opened: too late to be heard.
            Some(_) => {}
            None => {
                state.results.retain(|&(at, _)| at.after(WINDOW) > now);
                if state.results.len() == RESULTS {
                    state.results.pop_front();
                }
                state.results.push_back((now, good));
                let failures = state.results.iter().filter(|(_, good)| !good).count();
                if failures >= FAILURES && failures * 2 >= state.results.len() {
                    state.open = Some((now.after(REST), REST));
                    state.results.clear();
                }
            }
        }
    }
}

/// One message under way. Given up without a result, it counts as a failure: nobody gives up on a provider that answers.
pub(crate) struct Attempt<'a> {
    breaker: &'a Breaker,
    trial: bool,
    reported: bool,
}

impl Attempt<'_> {
    /// The provider answered, or it did not.
    pub(crate) fn end(mut self, good: bool) {
        self.reported = true;
        self.breaker.report(self.trial, good);
    }

    /// Nothing was asked of the provider after all.
    pub(crate) fn withdraw(mut self) {
        self.reported = true;
        if self.trial {
            self.breaker.state().trial = false;
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.report(self.trial, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Breaker, FAILURES, Health, LONGEST_REST, REST};
    use crate::tests::HandClock;

    fn opened() -> (Arc<HandClock>, Breaker) {
        let clock = Arc::new(HandClock::default());
        let breaker = Breaker::new(Arc::clone(&clock) as _);
        for _ in 0..FAILURES {
            assert_eq!(breaker.health(), Health::Closed);
            breaker.enter().unwrap().end(false);
        }
        (clock, breaker)
    }

    #[test]
    fn opens_after_failures_and_closes_after_a_good_trial() {
        let (clock, breaker) = opened();
        assert!(breaker.health() == Health::Open && breaker.enter().is_none());
        clock.advance(REST);
        assert_eq!(breaker.health(), Health::HalfOpen);
        let trial = breaker.enter().unwrap();
        assert!(breaker.enter().is_none(), "one trial at a time");
        trial.end(true);
        assert!(breaker.health() == Health::Closed && breaker.enter().is_some());
    }

    #[test]
    fn a_trial_that_fails_or_is_given_up_doubles_the_rest() {
        let (clock, breaker) = opened();
        let mut rest = REST;
        clock.advance(rest);
        for round in 0..8 {
            let trial = breaker.enter().unwrap();
            if round % 2 == 0 {
                trial.end(false)
            } else {
                drop(trial)
            }
            rest = (rest * 2).min(LONGEST_REST);
            clock.advance(rest - Duration::from_millis(1));
            assert_eq!(breaker.health(), Health::Open);
            clock.advance(Duration::from_millis(1));
            assert_eq!(breaker.health(), Health::HalfOpen);
        }
        assert_eq!(rest, LONGEST_REST);
    }

    #[test]
    fn a_trial_that_was_not_made_leaves_room_for_another() {
        let (clock, breaker) = opened();
        clock.advance(REST);
        breaker.enter().unwrap().withdraw();
        assert!(breaker.enter().is_some());
    }

    #[test]
    fn few_failures_among_many_results_are_no_reason() {
        let clock = Arc::new(HandClock::default());
        let breaker = Breaker::new(Arc::clone(&clock) as _);
        for round in 0..60 {
            breaker.enter().unwrap().end(round % 3 != 0);
        }
        assert_eq!(breaker.health(), Health::Closed);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let clock = Arc::new(HandClock::default());
        let breaker = Breaker::new(Arc::clone(&clock) as _);
        for _ in 0..FAILURES * 3 {
            breaker.enter().unwrap().end(false);
            clock.advance(Duration::from_secs(20));
        }
        assert_eq!(breaker.health(), Health::Closed);
    }
}
