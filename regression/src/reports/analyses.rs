//! Runs analyses: a few at a time, each in bounded time, and one for all who ask the same while it waits for its turn.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use model::Deployment;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::turns::{Turns, overloaded, stopped, too_long};
use crate::report::Report;

/// Analyses that run at one time: spans still have to come in meanwhile.
const RUNNING_MAX: usize = 2;
/// Different questions that wait for their turn.
const WAITING_MAX: usize = 64;

/// What an analysis came to, for all who wait for it.
pub(crate) type Analysed = storage::Result<Arc<Report>>;

/// What is to be found out: a deployment as it is now, and until when.
type Question = (String, Option<u64>);

#[derive(Debug)]
struct Waiting {
    deployment: Arc<Deployment>,
    outcome: watch::Receiver<Option<Analysed>>,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Analyses {
    turns: Turns,
    /// Questions whose analysis has not begun. One that has begun may have missed what was stored since, so it is
    /// nobody's answer who asks later.
    waiting: Mutex<HashMap<Question, Waiting>>,
}

impl Analyses {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            turns: Turns::new(RUNNING_MAX, timeout),
            waiting: Mutex::default(),
        }
    }

    /// For other work of the same weight.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Has a deployment analysed within a limit, or joins who waits for the same.
    ///
    /// # Errors
    /// What the analysis failed with; [`StorageError::Overloaded`] where too many wait, and [`StorageError::Timeout`].
    pub(crate) async fn analyse<F>(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        end_ts: Option<u64>,
        limit: Duration,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Analysed
    where
        F: Future<Output = storage::Result<Report>>,
    {
        let mut outcome = self.join_or_begin(deployment, end_ts, limit, work)?;
        let outcome = outcome.wait_for(Option::is_some);
        match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(stopped())),
            Ok(Err(_)) => Err(stopped()),
            Err(_) => Err(too_long(limit)),
        }
    }

    fn join_or_begin<F>(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        end_ts: Option<u64>,
        limit: Duration,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> storage::Result<watch::Receiver<Option<Analysed>>>
    where
        F: Future<Output = storage::Result<Report>>,
    {
        let question = (deployment.id.clone(), end_ts);
        let mut waiting = self.waiting.lock();
        if let Some(same) = waiting
            .get(&question)
            .filter(|same| same.deployment == *deployment)
        {
            return Ok(same.outcome.clone());
        }
        if waiting.len() >= WAITING_MAX {
            return Err(overloaded());
        }
        let (sender, outcome) = watch::channel(None);
        let entry = Waiting {
            deployment: Arc::clone(deployment),
            outcome: outcome.clone(),
        };
        waiting.insert(question.clone(), entry);
        drop(waiting);
        let analyses = Arc::clone(self);
        tokio::spawn(async move {
            let begin = || analyses.begin(&question, &sender);
            let outcome = analyses.turns.in_turn(limit, begin, work).await;
            sender.send_replace(Some(outcome.map(Arc::new)));
        });
        Ok(outcome)
    }

    /// Takes a question from those that may be joined.
    fn begin(&self, question: &Question, sender: &watch::Sender<Option<Analysed>>) {
        let mut waiting = self.waiting.lock();
        // Of a deployment that changed meanwhile, the newer question has taken the place of this one.
        let is_own = |own: &Waiting| sender.subscribe().same_channel(&own.outcome);
        if waiting.get(question).is_some_and(is_own) {
            waiting.remove(question);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use storage::StorageError;

    use super::*;
    use crate::report::Verdict;
    use crate::reports::tests::report;

    const LIMIT: Duration = Duration::from_secs(10);

    fn deployment(id: &str) -> Arc<Deployment> {
        Arc::new(Deployment {
            id: id.to_owned(),
            ..Deployment::default()
        })
    }

    #[tokio::test]
    async fn who_asks_the_same_while_it_waits_shares_one_analysis() {
        let analyses = Arc::new(Analyses::new(LIMIT));
        let (count, one, other) = (Arc::new(AtomicUsize::new(0)), deployment("a"), deployment("b"));
        let ask = |deployment: &Arc<Deployment>, end_ts| {
            let (count, analyses, deployment) =
                (Arc::clone(&count), Arc::clone(&analyses), Arc::clone(deployment));
            async move {
                let work = move || async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    Ok(report(Verdict::Unchanged))
                };
                analyses.analyse(&deployment, end_ts, LIMIT, work).await
            }
        };
        let busy = analyses.turns.take_all().await;
        let release = async {
            while analyses.waiting.lock().len() < 3 {
                tokio::task::yield_now().await;
            }
            drop(busy);
        };
        let asked = tokio::join!(
            ask(&one, None),
            ask(&one, None),
            ask(&one, Some(5)),
            ask(&other, None),
            release
        );
        assert!(Arc::ptr_eq(&asked.0.unwrap(), &asked.1.unwrap()));
        assert!(asked.2.is_ok() && asked.3.is_ok());
        assert_eq!(count.load(Ordering::Relaxed), 3);
        ask(&one, None).await.unwrap();
        assert_eq!(
            count.load(Ordering::Relaxed),
            4,
            "what is over is nobody's answer"
        );
        assert_eq!(analyses.waiting.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_and_too_long_are_refused() {
        let analyses = Arc::new(Analyses::new(Duration::from_secs(1)));
        let busy = analyses.turns.take_all().await;
        let begin = |id: usize| {
            let work = || async { Ok(report(Verdict::Unchanged)) };
            analyses.join_or_begin(&deployment(&id.to_string()), None, Duration::from_secs(1), work)
        };
        let waiting: Vec<_> = (0..WAITING_MAX).map(|id| begin(id).unwrap()).collect();
        assert!(matches!(begin(WAITING_MAX), Err(StorageError::Overloaded(_))));
        for mut outcome in waiting {
            let outcome = outcome.wait_for(Option::is_some).await.unwrap().clone();
            assert!(matches!(outcome, Some(Err(StorageError::Overloaded(_)))));
        }
        drop(busy);
        assert!(begin(0).is_ok());
    }
}
