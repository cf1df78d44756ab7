//! Work that is carried to its end even where its client hangs up in the middle: a message that has left must stay counted,
//! and a message that was refused must be uncounted.

use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Instrument;

/// Does the work in the task of whoever waits for it, and goes on with it in a task of its own where nobody does any more.
/// A task for all work would wake another thread for each request.
pub(crate) struct Completion<T: Send + 'static>(Option<Work<T>>);

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<T: Send + 'static> Completion<T> {
    /// Nothing is done before it is waited for.
    pub(crate) fn of(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }
}

impl<T: Send + 'static> Future for Completion<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place for the while: work that panics is not to be gone on with.
        let Some(mut work) = self.0.take() else { return Poll::Pending };
        let outcome = work.as_mut().poll(context);
        if outcome.is_pending() {
            self.0 = Some(work);
        }
        outcome
    }
}

impl<T: Send + 'static> Drop for Completion<T> {
    fn drop(&mut self) {
        // Without a runtime the process is ending.
        if let (Some(rest), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(rest.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Notify, oneshot};
    use tokio::task::yield_now;

    use super::Completion;

    #[tokio::test]
    async fn work_goes_on_without_its_client() {
        let (proceed, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (started, start) = oneshot::channel();
        let work = {
            let (proceed, ended) = (Arc::clone(&proceed), Arc::clone(&ended));
            async move {
                let _ = started.send(());
                proceed.notified().await;
                ended.notify_one();
            }
        };
        let client = tokio::spawn(Completion::of(work));
        start.await.unwrap();
        client.abort();
        assert!(client.await.unwrap_err().is_cancelled());
        proceed.notify_one();
        ended.notified().await;
    }

    #[tokio::test]
    async fn the_outcome_and_a_panic_reach_the_client() {
        assert_eq!(Completion::of(async { 7 }).await, 7);
        let failing = Completion::of(async {
            yield_now().await;
            assert_eq!(1, 2, "as meant");
        });
        assert!(tokio::spawn(failing).await.unwrap_err().is_panic());
    }
}
