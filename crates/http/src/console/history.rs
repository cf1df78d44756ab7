//! What happened over time, as far as this process remembers: steps of ten seconds for an hour, of ten minutes for a day.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mobile_bind_domain::Timestamp;
use serde::Serialize;

use super::exposition::Sample;
use crate::metrics::{BINDS, LOG_INS, SENDS};

/// A step of the last hour.
pub(super) const STEP: Duration = Duration::from_secs(10);
const STEPS_OF_AN_HOUR: usize = 360;
/// A step of the last day, in steps of the last hour.
const FOLDED: usize = 60;
const STEPS_OF_A_DAY: usize = 144;

/// Messages by the state they came into, counted by the outbox.
const MESSAGES: &str = "mobile_bind_sms_messages_total";

/// Outcomes of a bind that only whoever had the right code hears of: the code is looked at before all of them.
const AFTER_THE_CODE: [&str; 14] = [
    "done",
    "openid_missing",
    "held_by_other",
    "held_by_several",
    "held_by_caller",
    "old_code_wanted",
    "old_code_expired",
    "old_code_wrong",
    "number_change_denied",
    "number_changed_lately",
    "number_recycled",
    "number_forbidden",
    "account_disabled",
    "account_awaiting_approval",
];

/// How far those came who asked for a code, and what stopped the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Funnel {
    /// Codes that were asked for.
    pub(super) asked: u64,
    /// Messages that went out.
    pub(super) sent: u64,
    /// Messages whose receipt says that they came; none where no provider sends receipts.
    pub(super) delivered: u64,
    /// Tries with the right code.
    pub(super) verified: u64,
    /// Numbers bound.
    pub(super) bound: u64,
    /// Refusals by rule: `send:`, `bind:` or `log_in:`, and why.
    pub(super) refused: BTreeMap<String, u64>,
}

impl Funnel {
    /// All since the process started.
    pub(super) fn of(samples: &[Sample]) -> Self {
        let mut funnel = Self::default();
        for sample in samples {
            let (count, outcome) = (sample.count(), sample.label("outcome"));
            match sample.name.as_str() {
                SENDS => {
                    funnel.asked += count;
                    funnel.outcome("send", outcome, count, |funnel| &mut funnel.sent);
                }
                BINDS => {
                    funnel.verified += if AFTER_THE_CODE.contains(&outcome) { count } else { 0 };
                    funnel.outcome("bind", outcome, count, |funnel| &mut funnel.bound);
                }
                LOG_INS => funnel.refuse("log_in", outcome, count),
                MESSAGES if sample.label("state") == "delivered" => funnel.delivered += count,
                _ => {}
            }
        }
        funnel
    }

    fn outcome(&mut self, operation: &str, outcome: &str, count: u64, done: fn(&mut Self) -> &mut u64) {
        if outcome == "done" {
            *done(self) += count;
        }
        self.refuse(operation, outcome, count);
    }

    fn refuse(&mut self, operation: &str, outcome: &str, count: u64) {
        if outcome != "done" && count > 0 {
            *self.refused.entry(format!("{operation}:{outcome}")).or_default() += count;
        }
    }

    /// What came since an earlier one.
    fn since(&self, earlier: &Self) -> Self {
        let refused = self.refused.iter().map(|(rule, count)| {
            let before = earlier.refused.get(rule).copied().unwrap_or_default();
            (rule.clone(), count.saturating_sub(before))
        });
        Self {
            asked: self.asked.saturating_sub(earlier.asked),
            sent: self.sent.saturating_sub(earlier.sent),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            verified: self.verified.saturating_sub(earlier.verified),
            bound: self.bound.saturating_sub(earlier.bound),
            refused: refused.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// What happened until then, since the frame before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Frame {
    /// Milliseconds since the Unix epoch.
    at: u64,
    #[serde(flatten)]
    funnel: Funnel,
}

/// How much of it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Hour,
    Day,
}

#[derive(Default)]
pub(super) struct History(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// The counts at the last step, and at the last of a day's steps.
    last: Option<Funnel>,
    last_folded: Funnel,
    steps: usize,
    hour: VecDeque<Frame>,
    day: VecDeque<Frame>,
}

impl History {
    /// Keeps what came since the last time; the first time there is nothing to compare with.
    pub(super) fn note(&self, now: Timestamp, samples: &[Sample]) {
        let funnel = Funnel::of(samples);
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *guard;
        let Some(last) = kept.last.replace(funnel.clone()) else {
            kept.last_folded = funnel;
            return;
        };
        let at = now.as_millis();
        push(&mut kept.hour, Frame { at, funnel: funnel.since(&last) }, STEPS_OF_AN_HOUR);
        kept.steps += 1;
        if kept.steps.is_multiple_of(FOLDED) {
            push(&mut kept.day, Frame { at, funnel: funnel.since(&kept.last_folded) }, STEPS_OF_A_DAY);
            kept.last_folded = funnel;
        }
    }

    /// The frames, oldest first, with one for what came since the last of them; and how many seconds a whole one stands for.
    pub(super) fn frames(&self, span: Span, now: Timestamp, funnel: &Funnel) -> (u64, Vec<Frame>) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = STEP.as_secs();
        let (step, frames, last) = match span {
            Span::Hour => (step, &kept.hour, kept.last.as_ref()),
            Span::Day => (step.saturating_mul(FOLDED as u64), &kept.day, kept.last.as_ref().map(|_| &kept.last_folded)),
        };
        let begun = last.map(|last| Frame { at: now.as_millis(), funnel: funnel.since(last) });
        (step, frames.iter().cloned().chain(begun).collect())
    }
}

fn push(frames: &mut VecDeque<Frame>, frame: Frame, at_most: usize) {
    if frames.len() == at_most {
        frames.pop_front();
    }
    frames.push_back(frame);
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    fn measured(sent: u64, wrong: u64, other: u64, bound: u64) -> Vec<Sample> {
        samples(&format!(
            "mobile_bind_sends_total{{client_type=\"pc\",outcome=\"done\"}} {sent}\n\
             mobile_bind_sends_total{{client_type=\"h5\",outcome=\"too_soon\"}} 2\n\
             mobile_bind_binds_total{{client_type=\"pc\",outcome=\"code_wrong\"}} {wrong}\n\
             mobile_bind_binds_total{{client_type=\"pc\",outcome=\"held_by_other\"}} {other}\n\
             mobile_bind_binds_total{{client_type=\"pc\",outcome=\"done\"}} {bound}\n\
             mobile_bind_log_ins_total{{client_type=\"weixin\",outcome=\"done\"}} 6\n\
             mobile_bind_log_ins_total{{client_type=\"weixin\",outcome=\"platform_busy\"}} 7\n\
             mobile_bind_sms_messages_total{{provider=\"a\",country=\"86\",state=\"delivered\"}} {sent}\n\
             mobile_bind_sms_messages_total{{provider=\"a\",country=\"86\",state=\"failed\"}} 9\n"
        ))
    }

    #[test]
    fn the_funnel_is_read_from_what_was_measured() {
        let funnel = Funnel::of(&measured(5, 3, 1, 4));
        let refused =
            [("bind:code_wrong", 3), ("bind:held_by_other", 1), ("log_in:platform_busy", 7), ("send:too_soon", 2)];
        let refused = refused.map(|(rule, count)| (rule.to_owned(), count)).into();
        assert_eq!(funnel, Funnel { asked: 7, sent: 5, delivered: 5, verified: 5, bound: 4, refused });
    }

    #[test]
    fn frames_hold_what_came_between() {
        let history = History::default();
        let at = Timestamp::from_seconds;
        let first = measured(5, 3, 1, 4);
        assert_eq!(history.frames(Span::Hour, at(0), &Funnel::of(&first)), (10, vec![]));
        history.note(at(0), &first);
        let second = measured(8, 4, 1, 6);
        history.note(at(10), &second);
        let refused = [("bind:code_wrong".to_owned(), 1)].into();
        let came = Funnel { asked: 3, sent: 3, delivered: 3, verified: 2, bound: 2, refused };
        let begun = Frame { at: 12_000, funnel: Funnel::default() };
        let (_, hour) = history.frames(Span::Hour, at(12), &Funnel::of(&second));
        assert_eq!(hour, [Frame { at: 10_000, funnel: came.clone() }, begun]);
        // The first step of the day has only begun.
        let (_, day) = history.frames(Span::Day, at(12), &Funnel::of(&second));
        assert_eq!(day, [Frame { at: 12_000, funnel: came }]);
    }

    #[test]
    fn an_hour_and_a_day_are_kept() {
        let history = History::default();
        let steps = 60 * 150_u64;
        for step in 0..=steps {
            history.note(Timestamp::from_seconds(step * 10), &measured(step, 0, 0, 0));
        }
        let (now, funnel) = (Timestamp::from_seconds(steps * 10), Funnel::of(&measured(steps, 0, 0, 0)));
        let (_, hour) = history.frames(Span::Hour, now, &funnel);
        assert_eq!((hour.len(), hour[0].funnel.sent), (361, 1));
        let (step, day) = history.frames(Span::Day, now, &funnel);
        assert_eq!((step, day.len(), day[0].funnel.sent), (600, 145, 60));
        assert_eq!(day[143].at, steps * 10_000);
    }
}
