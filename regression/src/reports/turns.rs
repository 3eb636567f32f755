//! Lets heavy work wait for its turn: a few at a time, each in bounded time, on threads that serve nobody else.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use storage::StorageError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Turns {
    timeout: Duration,
    permits: Arc<Semaphore>,
}

impl Turns {
    /// So much work runs at one time; `timeout` is how long somebody waits who does not say.
    pub(crate) fn new(running_max: usize, timeout: Duration) -> Self {
        Self {
            timeout,
            permits: Arc::new(Semaphore::new(running_max)),
        }
    }

    /// Does it for somebody who waits at most `timeout` for all of it.
    ///
    /// # Errors
    /// What the work failed with; [`StorageError::Overloaded`] without a turn, and [`StorageError::Timeout`].
    pub(crate) async fn run<T, F>(&self, work: impl FnOnce() -> F + Send + 'static) -> storage::Result<T>
    where
        F: Future<Output = storage::Result<T>>,
        T: Send + 'static,
    {
        let in_turn = self.in_turn(self.timeout, || {}, work);
        tokio::time::timeout(self.timeout, in_turn)
            .await
            .unwrap_or_else(|_| Err(too_long(self.timeout)))
    }

    /// Waits for a turn for as long as the work may take, tells that it begins, and works.
    ///
    /// # Errors
    /// Those of [`Self::run`].
    pub(super) async fn in_turn<T, F>(
        &self,
        limit: Duration,
        begin: impl FnOnce(),
        work: impl FnOnce() -> F + Send + 'static,
    ) -> storage::Result<T>
    where
        F: Future<Output = storage::Result<T>>,
        T: Send + 'static,
    {
        let turn = Arc::clone(&self.permits).acquire_owned();
        let turn = tokio::time::timeout(limit, turn).await;
        begin();
        let Ok(Ok(turn)) = turn else {
            return Err(overloaded());
        };
        let runtime = Handle::current();
        let worked = tokio::task::spawn_blocking(move || {
            let outcome = runtime.block_on(async { tokio::time::timeout(limit, work()).await });
            drop(turn);
            outcome
        });
        match worked.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(too_long(limit)),
            Err(_) => Err(stopped()),
        }
    }

    /// Takes all turns until it is dropped.
    #[cfg(test)]
    pub(super) async fn take_all(&self) -> tokio::sync::OwnedSemaphorePermit {
        let all = self.permits.available_permits() as u32;
        Arc::clone(&self.permits).acquire_many_owned(all).await.unwrap()
    }
}

/// Does work that needs nothing but a processor away from the threads that take spans: what is kept may have megabytes.
///
/// # Errors
/// [`StorageError::Unavailable`] where it panics.
pub(super) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> storage::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| stopped())
}

pub(super) fn too_long(limit: Duration) -> StorageError {
    let limit = limit.as_millis();
    StorageError::Timeout(format!("the answer took longer than {limit} ms"))
}

pub(super) fn overloaded() -> StorageError {
    StorageError::Overloaded("too much is asked at one time".to_owned())
}

pub(super) fn stopped() -> StorageError {
    StorageError::Unavailable("the work stopped; the server's log says why".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_never_ends_is_given_up_and_what_panics_is_told() {
        let turns = Turns::new(1, Duration::from_millis(50));
        let endless = turns.run(std::future::pending::<storage::Result<()>>).await;
        assert!(matches!(endless, Err(StorageError::Timeout(_))), "{endless:?}");
        // Its turn is over as soon as it is given up.
        let next = turns.in_turn(Duration::from_secs(60), || {}, || async { Ok(7) });
        assert_eq!(next.await, Ok(7));
        let turns = Turns::new(1, Duration::from_secs(60));
        let broken = turns.run(|| async { panic!("on purpose") });
        let broken: storage::Result<()> = broken.await;
        assert!(matches!(broken, Err(StorageError::Unavailable(_))), "{broken:?}");
        assert_eq!(turns.run(|| async { Ok(7) }).await, Ok(7));
    }

    #[tokio::test]
    async fn nobody_waits_for_what_does_not_yield() {
        let turns = Turns::new(1, Duration::from_millis(50));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let busy = turns
            .run(move || async move { Ok(held.recv_timeout(Duration::from_secs(2))) })
            .await;
        assert!(matches!(busy, Err(StorageError::Timeout(_))), "{busy:?}");
        drop(release);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_turn_it_is_refused() {
        let turns = Turns::new(3, Duration::from_secs(1));
        let busy = turns.take_all().await;
        let late = turns.run(|| async { Ok(()) }).await;
        assert!(matches!(
            late,
            Err(StorageError::Timeout(_) | StorageError::Overloaded(_))
        ));
        drop(busy);
    }
}
