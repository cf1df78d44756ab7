//! What one cell came to, and how repeats of it are taken together.

use std::time::Duration;

use serde::Serialize;

use crate::load::Load;

/// The points of the latency distribution that are kept, in percent.
pub(crate) const QUANTILES: [f64; 9] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 100.0];

/// The figures of one repeat of one cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// How many operations were answered.
    pub(crate) operations: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    /// [`QUANTILES`] of the latency, in microseconds.
    pub(crate) quantiles_us: Vec<f64>,
    /// Answers with another code than the one due.
    pub(crate) errors: u64,
    /// The server's processor time for each operation; `None` where there is no server.
    pub(crate) processor_us: Option<f64>,
    /// The server's resident memory afterwards.
    pub(crate) resident_bytes: Option<u64>,
    /// What the server's data takes on disk afterwards.
    pub(crate) disk_bytes: Option<u64>,
}

impl Figures {
    pub(crate) fn of(load: &Load) -> Self {
        let at = |percent| f64::from(quantile(&load.latencies_us, percent));
        let operations = load.latencies_us.len();
        Self {
            operations,
            per_second: ratio(count(operations), load.elapsed.as_secs_f64()),
            p50_us: at(50.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            quantiles_us: QUANTILES.map(at).to_vec(),
            errors: load.unexpected,
            processor_us: None,
            resident_bytes: None,
            disk_bytes: None,
        }
    }

    /// Spreads processor time over the operations.
    pub(crate) fn with_processor_time(mut self, used: Duration) -> Self {
        self.processor_us = Some(ratio(used.as_secs_f64() * 1e6, count(self.operations)));
        self
    }
}

#[expect(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
pub(crate) fn count(count: usize) -> f64 {
    count as f64
}

/// `0` where there is nothing to divide by.
pub(crate) fn ratio(dividend: f64, divisor: f64) -> f64 {
    if divisor > 0.0 { dividend / divisor } else { 0.0 }
}

/// The value that `percent` of the ascending values do not exceed (nearest rank); 0 where there are none.
pub(crate) fn quantile(ascending: &[u32], percent: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank within the values")]
    let rank = (percent / 100.0 * count(ascending.len())).ceil() as usize;
    ascending.get(rank.clamp(1, ascending.len().max(1)) - 1).copied().unwrap_or(0)
}

/// The middle of some values, and how far they lie apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` where there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(Self { median: f64::midpoint(*low, *high), min, max })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Figures, Spread, quantile};
    use crate::load::Load;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!([50.0, 99.0, 99.9, 100.0].map(|percent| quantile(&hundred, percent)), [50, 99, 100, 100]);
        assert_eq!(quantile(&[7], 1.0), 7);
        assert_eq!(quantile(&[], 50.0), 0);
    }

    #[test]
    fn figures_are_for_each_second_and_each_operation() {
        let load = Load { latencies_us: vec![100; 500], unexpected: 2, elapsed: Duration::from_millis(250) };
        let figures = Figures::of(&load).with_processor_time(Duration::from_millis(10));
        assert_eq!((figures.per_second, figures.errors, figures.p99_us), (2000.0, 2, 100.0));
        assert_eq!(figures.processor_us, Some(20.0));
        assert_eq!(Figures::of(&Load::default()).per_second, 0.0);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of([1.0, 2.0]).map(|spread| spread.median), Some(1.5));
        assert_eq!(Spread::of([]), None);
    }
}
