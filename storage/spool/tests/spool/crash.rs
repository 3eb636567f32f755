//! The machine may stop at any write: what was acknowledged is delivered after the next start, so no checkpoint is
//! ever ahead of the backend.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{
    Backend, batch, config, drained, numbers, open, poison, refused, span, try_open, until,
};
use model::SpanBatch;
use proto::Format;
use storage::SpanSink;
use storage_journal::LossyDisk;
use storage_spool::{Spool, SpoolConfig};

/// Checkpoints at every chance: the clock of the tests stands still but for pauses.
fn small() -> SpoolConfig {
    SpoolConfig {
        batch_spans_max: 8,
        ..config()
    }
}

/// What became of a scenario.
#[derive(Default)]
struct Outcome {
    acknowledged: BTreeSet<u64>,
    sent: BTreeSet<u64>,
}

impl Outcome {
    async fn accept(&mut self, spool: &Spool, batch: &SpanBatch) {
        let ids = || batch.iter().map(|span| span.id().value() - 1);
        self.sent.extend(ids());
        if spool.accept(batch).await.is_ok() {
            self.acknowledged.extend(ids());
        }
    }
}

/// Accepts while the backend comes and goes, restarts, and meets poison, until it is done or the disk gives up.
async fn scenario(disk: &LossyDisk, backend: &Arc<Backend>) -> Outcome {
    let mut outcome = Outcome::default();
    let owners = Arc::strong_count(backend);
    let mut next = 0;
    for restart in 0..3 {
        let Ok(spool) = try_open(disk, small(), backend) else {
            return outcome;
        };
        for round in 0..6 {
            if round == 2 {
                backend.fails(storage::StorageError::Unavailable("away".to_owned()));
            }
            let spans = match round {
                4 => batch([span(next), poison(next + 1), span(next + 2)]),
                _ => numbers(next..next + 3),
            };
            outcome.accept(&spool, &spans).await;
            next += 3;
            if round != 2 && round != 3 {
                backend.is_back();
                // Where the disk failed, poison cannot be put aside.
                let _ = tokio::time::timeout(Duration::from_millis(10), spool.drained()).await;
            }
        }
        backend.is_back();
        if restart == 0 {
            spool.close(Duration::from_millis(10)).await.ok();
        }
        drop(spool);
        ended(backend, owners).await;
    }
    outcome
}

/// The delivery of a spool that was dropped ends by itself, but not at once. Two at work on one disk would put the same
/// spans aside under the same name, and a machine that stops then keeps the file of the one without them.
async fn ended(backend: &Arc<Backend>, owners: usize) {
    until("the delivery ended", || Arc::strong_count(backend) == owners).await;
}

/// Starts on what a crash left, and compares.
async fn check(disk: &LossyDisk, backend: &Arc<Backend>, outcome: &Outcome, context: &str) {
    let spool = open(disk, small(), backend);
    drained(&spool).await;
    let mut found: BTreeSet<u64> = backend.taken_ids().into_iter().collect();
    let mut aside = SpanBatch::new();
    for (_, list) in refused(disk, "json") {
        // One that is not whole was not let go, and was put aside again.
        let _ = proto::decode(Format::JsonV2, &list, &mut aside);
        found.extend(aside.iter().map(|span| span.id().value() - 1));
        aside.clear();
    }
    let lost: Vec<_> = outcome.acknowledged.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{context}: {lost:?} were acknowledged and are lost"
    );
    assert!(
        found.is_subset(&outcome.sent),
        "{context}: spans that nobody sent"
    );
    assert_eq!(spool.stats().damaged, 0, "{context}");
}

#[test]
fn what_was_acknowledged_is_delivered_wherever_the_machine_stops() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (whole, backend) = (LossyDisk::new(), Backend::new());
        let outcome = scenario(&whole, &backend).await;
        assert_eq!(
            outcome.acknowledged, outcome.sent,
            "without faults everything is acknowledged"
        );
        check(&whole.crash(0), &backend, &outcome, "no fault").await;
        let operations = whole.operations();
        assert!(operations > 60, "only {operations} operations");
        for stop in 0..operations {
            let (disk, backend) = (LossyDisk::new(), Backend::new());
            disk.fail_after(stop);
            let outcome = scenario(&disk, &backend).await;
            for seed in 0..2 {
                let context = format!("stopped after {stop} of {operations} operations, seed {seed}");
                check(&disk.crash(seed), &backend, &outcome, &context).await;
            }
        }
    });
}

/// The checkpoint as it is on disk: what a start after a loss of power would leave out.
#[tokio::test]
async fn nothing_is_let_go_before_the_backend_has_it() {
    let (disk, backend) = (LossyDisk::new(), Backend::new());
    let spool = open(&disk, small(), &backend);
    for round in 0..60_u64 {
        if round % 3 == 0 {
            backend.fails(storage::StorageError::Timeout("slow".to_owned()));
        }
        spool.accept(&numbers(round * 5..round * 5 + 5)).await.unwrap();
        // As after a loss of power now: what the backend has, and what would be delivered again.
        let other = Backend::new();
        let after = open(&disk.crash(0), small(), &other);
        drained(&after).await;
        let mut found: BTreeSet<u64> = backend.taken_ids().into_iter().collect();
        found.extend(other.taken_ids());
        assert_eq!(found.len() as u64, round * 5 + 5, "after {round} rounds");
        backend.is_back();
        if round % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
    }
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), (0..300).collect::<Vec<_>>());
}

/// The checkpoint is set when the backend fails: it lies where the batch ended that was taken last, whatever has been
/// read or accepted since.
#[tokio::test]
async fn what_waits_behind_a_batch_is_not_let_go_with_it() {
    for takes in 0..5 {
        let (disk, backend) = (LossyDisk::new(), Backend::new());
        backend.takes.store(0, Ordering::SeqCst);
        let spool = open(&disk, small(), &backend);
        for start in (0..25).step_by(5) {
            spool.accept(&numbers(start..start + 5)).await.unwrap();
        }
        backend.takes.store(takes, Ordering::SeqCst);
        until("it took as many", || backend.taken().len() as u64 == takes).await;
        // The checkpoint is set before the second.
        let retries = spool.stats().retries;
        until("it failed again", || spool.stats().retries >= retries + 2).await;
        let other = Backend::new();
        let after = open(&disk.crash(0), small(), &other);
        drained(&after).await;
        let waited = (takes * 5..25).collect::<Vec<_>>();
        assert_eq!(other.taken_ids(), waited, "{takes} batches were taken");
    }
}
