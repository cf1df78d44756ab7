//! Choices that can be made again.

use std::ops::Range;

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to choose moments with.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The choices of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Sixty-four random bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of a range that is not empty.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.draw() % (range.end - range.start).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_gives_the_same_choices_again() {
        // The generator's published first value for seed 0.
        assert_eq!(Random::new(0).draw(), 0xe220_a839_7b1d_cdaf);
        let mut random = Random::new(7);
        assert!((0..100).all(|_| (50..1500).contains(&random.within(50..1500))));
    }
}
