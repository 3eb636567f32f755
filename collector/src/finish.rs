//! Work that is finished even if nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that is not stopped by being dropped: what is left of it then runs as a task of its own. Until then it
/// costs no task and no change of threads.
pub(crate) struct Finish<F: Future<Output: Send> + Send + 'static> {
    /// `None` once it is done, or has panicked.
    work: Option<Pin<Box<F>>>,
}

impl<F: Future<Output: Send> + Send + 'static> Finish<F> {
    pub(crate) fn new(work: F) -> Self {
        Self {
            work: Some(Box::pin(work)),
        }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finish<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out, so that it is not polled again where this panics.
        let Some(mut work) = self.work.take() else {
            return Poll::Pending;
        };
        let outcome = work.as_mut().poll(context);
        if outcome.is_pending() {
            self.work = Some(work);
        }
        outcome
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finish<F> {
    fn drop(&mut self) {
        // Without a runtime the process ends.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(work);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::sync::Semaphore;

    use super::*;

    /// Gives a permit of `done` once there is one of `gate`.
    async fn work(gate: Arc<Semaphore>, done: Arc<Semaphore>) -> usize {
        gate.acquire().await.unwrap().forget();
        done.add_permits(1);
        7
    }

    #[tokio::test]
    async fn what_is_waited_for_answers_and_is_done_once() {
        let (gate, done) = (Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(0)));
        assert_eq!(Finish::new(work(gate, Arc::clone(&done))).await, 7);
        tokio::task::yield_now().await;
        assert_eq!(done.available_permits(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_waited_for_any_more_is_finished() {
        for polled in [false, true] {
            let (gate, done) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
            let mut left = Finish::new(work(Arc::clone(&gate), Arc::clone(&done)));
            if polled {
                tokio::select! {
                    biased;
                    _ = &mut left => panic!("there is no permit yet"),
                    () = std::future::ready(()) => {}
                }
            }
            drop(left);
            gate.add_permits(1);
            let finished = tokio::time::timeout(Duration::from_secs(1), done.acquire()).await;
            assert!(finished.is_ok(), "polled before: {polled}");
        }
    }

    /// Counts how often it is polled.
    struct Panics(Arc<AtomicUsize>);

    impl Future for Panics {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic!("on purpose")
        }
    }

    #[tokio::test]
    async fn what_panicked_is_not_polled_again() {
        let polls = Arc::new(AtomicUsize::new(0));
        let outcome = tokio::spawn(Finish::new(Panics(Arc::clone(&polls)))).await;
        assert!(outcome.unwrap_err().is_panic());
        tokio::task::yield_now().await;
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }
}
