//! Numbers that no other node gets: taken in blocks, so that no request waits for a counter that all share.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mysql_async::Conn;

use crate::fault::{Fault, Rejection};
use crate::records::{execute, one};

/// What a node has at hand of one kind of numbers.
#[derive(Debug, Default)]
pub(crate) struct Allotment {
    numbers: Mutex<VecDeque<Block>>,
    /// Held while more are fetched.
    fetching: tokio::sync::Mutex<()>,
}

/// Numbers to give out: from `next` up to, not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) next: u64,
    pub(crate) end: u64,
}

impl Allotment {
    fn numbers(&self) -> MutexGuard<'_, VecDeque<Block>> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<u64> {
        let mut numbers = self.numbers();
        let block = numbers.front_mut()?;
        let number = block.next;
        block.next += 1;
        if block.next >= block.end {
            numbers.pop_front();
        }
        Some(number)
    }

    /// The next number; `fetch` is asked for more where none is at hand.
    pub(crate) async fn next<F>(&self, fetch: impl FnOnce() -> F) -> Result<u64, Fault>
    where
        F: Future<Output = Result<Vec<Block>, Fault>>,
    {
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let _fetching = self.fetching.lock().await;
        if let Some(number) = self.take() {
            return Ok(number);
        }
        let fetched = fetch().await?;
        self.numbers().extend(fetched.into_iter().filter(|block| block.next < block.end));
        self.take().ok_or(Fault::Exhausted)
    }

    /// Gives up what is at hand: somebody else has used one of the numbers.
    pub(crate) fn give_up(&self) {
        self.numbers().clear();
    }
}

/// Takes a block of numbers from the counter of that name.
pub(crate) async fn fetch(conn: &mut Conn, name: &str, size: u64) -> Result<Block, Rejection> {
    // What LAST_INSERT_ID(…) is given, it answers to this connection alone.
    let text = "UPDATE mb_counters SET value = LAST_INSERT_ID(value + ?) WHERE name = ?";
    execute(conn, text, vec![size.into(), name.into()]).await?;
    let last = one(conn, "counter", "SELECT LAST_INSERT_ID()", Vec::new(), |columns| columns.take::<u64>()).await?;
    let end = last.ok_or(Fault::Unreadable("counter"))? + 1;
    Ok(Block { next: end - size, end })
}

#[cfg(test)]
mod tests {
    use super::{Allotment, Block};
    use crate::fault::Fault;

    #[tokio::test]
    async fn numbers_come_in_order_and_once() {
        let allotment = Allotment::default();
        let mut got = Vec::new();
        for _ in 0..3 {
            let fetched = vec![Block { next: 4, end: 4 }, Block { next: 1, end: 3 }, Block { next: 9, end: 10 }];
            got.push(allotment.next(|| async { Ok(fetched) }).await.unwrap());
        }
        assert_eq!(got, [1, 2, 9]);
        let nothing_left = allotment.next(|| async { Ok(Vec::new()) }).await;
        assert!(matches!(nothing_left, Err(Fault::Exhausted)));
    }

    #[tokio::test]
    async fn what_is_given_up_is_fetched_anew() {
        let allotment = Allotment::default();
        let fetch = |next| move || async move { Ok(vec![Block { next, end: next + 10 }]) };
        assert_eq!(allotment.next(fetch(1)).await.unwrap(), 1);
        allotment.give_up();
        assert_eq!(allotment.next(fetch(50)).await.unwrap(), 50);
    }
}
