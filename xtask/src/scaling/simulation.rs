//! The simulation: a memory that holds some of the pages, and processors that requests queue for.

/// Random numbers, the same in each run (splitmix64, <https://prng.di.unimi.it/splitmix64.c>).
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn even(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "below the bound, which is a usize")]
        let drawn = (self.next() % bound.max(1) as u64) as usize;
        drawn
    }

    /// The time until the next of events that come at random, on average every `mean`.
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.even()).ln()
    }
}

/// How large a share of the pages that look-ups ask for is in memory.
///
/// A database of `pages`, of which memory holds `room`. So many `asking` accounts, strewn over the pages, look themselves up
/// again and again, each as often as another; a page that is not in memory comes in place of one that was not asked for since
/// the clock's hand last passed it, as in PostgreSQL's own buffers.
pub(super) fn hits(pages: usize, room: usize, asking: usize, draw: &mut Draw) -> f64 {
    let places: Vec<usize> = (0..asking).map(|_| draw.below(pages)).collect();
    let mut frame_of: Vec<Option<usize>> = vec![None; pages];
    let mut frames: Vec<(usize, bool)> = Vec::with_capacity(room);
    let (mut hand, mut hits, mut asked) = (0, 0_u32, 0_u32);
    let rounds = 4 * asking;
    for round in 0..rounds {
        let Some(&page) = places.get(draw.below(asking)) else { continue };
        // What comes first finds an empty memory, which is no figure of a day's.
        let counts = round >= rounds / 2;
        asked += u32::from(counts);
        let known = frame_of.get(page).copied().flatten();
        if let Some((_, used)) = known.and_then(|frame| frames.get_mut(frame)) {
            *used = true;
            hits += u32::from(counts);
            continue;
        }
        let frame = if frames.len() < room {
            frames.push((page, true));
            frames.len() - 1
        } else {
            while let Some((_, used @ true)) = frames.get_mut(hand) {
                *used = false;
                hand = (hand + 1) % room;
            }
            let frame = hand;
            hand = (hand + 1) % room;
            if let Some((gone, used)) = frames.get_mut(frame) {
                if let Some(place) = frame_of.get_mut(*gone) {
                    *place = None;
                }
                (*gone, *used) = (page, true);
            }
            frame
        };
        if let Some(place) = frame_of.get_mut(page) {
            *place = Some(frame);
        }
    }
    f64::from(hits) / f64::from(asked.max(1))
}

/// A kind of request: how many come in a second, and how long each keeps a processor, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) per_second: f64,
    pub(super) takes_us: f64,
}

/// How long 99 of 100 requests wait at most for a processor, in milliseconds: they come at random, each takes a random time
/// around its mean, and whoever came first goes first.
pub(super) fn wait_p99_ms(streams: &[Stream], processors: usize, draw: &mut Draw) -> f64 {
    let total: f64 = streams.iter().map(|stream| stream.per_second).sum();
    let mut free_at = vec![0.0_f64; processors.max(1)];
    let (mut now, mut waits) = (0.0_f64, Vec::new());
    for _ in 0..200_000 {
        now += draw.exponential(1.0 / total.max(1e-9));
        let mut drawn = draw.even() * total;
        let stream = streams.iter().find(|stream| {
            drawn -= stream.per_second;
            drawn < 0.0
        });
        let takes = draw.exponential(stream.map_or(0.0, |stream| stream.takes_us) / 1e6);
        let Some(first) = free_at.iter_mut().min_by(|one, other| one.total_cmp(other)) else { break };
        let begins = first.max(now);
        waits.push(begins - now);
        *first = begins + takes;
    }
    waits.sort_unstable_by(f64::total_cmp);
    waits.get(waits.len() * 99 / 100).copied().unwrap_or(0.0) * 1e3
}

#[cfg(test)]
mod tests {
    use super::{Draw, Stream, hits, wait_p99_ms};

    #[test]
    fn memory_holds_what_fits() {
        let share = |room| hits(1_000, room, 5_000, &mut Draw::new(1));
        // A few pages are asked for the first time in the half that counts.
        assert!(share(1_000) > 0.99, "all of it fits: {}", share(1_000));
        // Pages that many accounts share are asked for more often, and stay.
        assert!((0.5..0.65).contains(&share(500)), "half of it does: {}", share(500));
    }

    #[test]
    fn who_comes_to_idle_processors_does_not_wait() {
        let wait = |per_second, processors| {
            wait_p99_ms(&[Stream { per_second, takes_us: 1_000.0 }], processors, &mut Draw::new(1))
        };
        assert!(wait(10.0, 8) < 0.01);
        // One server at a load of 0.9: the wait's 99th percentile is ln(0.9 / 0.01) / (1 - 0.9) of the time of service (M/M/1).
        let expected = (0.9_f64 / 0.01).ln() / 0.1;
        assert!((wait(900.0, 1) / expected - 1.0).abs() < 0.3, "{} of {expected}", wait(900.0, 1));
    }
}
