//! Numbers that no other node gets, taken from the database in blocks: so no request waits for a counter that all share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Numbers to give out: from `next` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) next: i64,
    pub(crate) end: i64,
}

impl Block {
    fn left(self) -> i64 {
        self.end - self.next
    }
}

#[derive(Debug, Default)]
struct Blocks {
    current: Block,
    following: Block,
}

/// What a node has of one counter.
#[derive(Debug)]
pub(crate) struct Allotment {
    /// Whose row in `counters`.
    pub(crate) name: &'static str,
    /// How many numbers a block has.
    pub(crate) size: i64,
    blocks: Mutex<Blocks>,
    /// Held while a block is fetched.
    pub(crate) fetching: tokio::sync::Mutex<()>,
    ahead: AtomicBool,
}

impl Allotment {
    pub(crate) fn new(name: &'static str, size: i64) -> Self {
        let (fetching, ahead) = (tokio::sync::Mutex::default(), AtomicBool::new(false));
        Self { name, size, blocks: Mutex::default(), fetching, ahead }
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next number, if one is at hand.
    pub(crate) fn take(&self) -> Option<i64> {
        let mut blocks = self.blocks();
        if blocks.current.left() <= 0 {
            blocks.current = std::mem::take(&mut blocks.following);
        }
        let number = blocks.current.next;
        (blocks.current.left() > 0).then(|| {
            blocks.current.next += 1;
            number
        })
    }

    /// Whether it is time to fetch another block, and nobody does so yet. Who is told so must fetch, then call
    /// [`Self::fetched_ahead`].
    pub(crate) fn runs_low(&self) -> bool {
        let blocks = self.blocks();
        let low = blocks.following.left() <= 0 && blocks.current.left() < self.size / 2;
        low && !self.ahead.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn fetched_ahead(&self) {
        self.ahead.store(false, Ordering::Release);
    }

    /// Keeps a block that was fetched.
    pub(crate) fn add(&self, block: Block) {
        let mut blocks = self.blocks();
        if blocks.current.left() <= 0 {
            blocks.current = block;
        } else {
            blocks.following = block;
        }
    }

    /// Gives up what is at hand: somebody else has used one of the numbers.
    pub(crate) fn give_up(&self) {
        *self.blocks() = Blocks::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Allotment, Block};

    #[test]
    fn numbers_come_in_order_and_once_and_the_next_block_is_asked_for_in_time() {
        let allotment = Allotment::new("account", 4);
        assert_eq!(allotment.take(), None);
        allotment.add(Block { next: 1, end: 5 });
        assert!(!allotment.runs_low());
        let first: Vec<_> = (0..3).map(|_| allotment.take()).collect();
        assert_eq!(first, [Some(1), Some(2), Some(3)]);
        assert!(allotment.runs_low() && !allotment.runs_low(), "one fetches");
        allotment.add(Block { next: 9, end: 13 });
        allotment.fetched_ahead();
        assert!(!allotment.runs_low());
        assert_eq!([allotment.take(), allotment.take()], [Some(4), Some(9)]);
        allotment.give_up();
        assert_eq!(allotment.take(), None);
    }
}
