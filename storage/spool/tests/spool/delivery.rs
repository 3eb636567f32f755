//! Spans reach the backend in order, in batches of a size, whatever it answers and however it comes and goes.

use std::time::Duration;

use crate::support::{Backend, batch, config, drained, numbers, open, span, until};
use storage::{SpanSink, StorageError};
use storage_journal::LossyDisk;
use storage_spool::{Spool, SpoolConfig};

#[tokio::test]
async fn spans_arrive_in_the_order_in_which_they_were_accepted() {
    let backend = Backend::new();
    let spool = open(&LossyDisk::new(), config(), &backend);
    let mut next = 0;
    for size in (1..40).chain([700, 1, 2]).cycle().take(400) {
        // It comes and goes.
        if size == 20 {
            backend.fails(StorageError::Timeout("too slow".to_owned()));
        } else if size == 30 {
            backend.is_back();
        }
        spool.accept(&numbers(next..next + size)).await.unwrap();
        next += size;
    }
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), (0..next).collect::<Vec<_>>());
    let stats = spool.stats();
    assert_eq!(
        (stats.delivered_spans, stats.depth_spans, stats.depth_records),
        (next, 0, 0)
    );
    assert_eq!(stats.oldest_age, Duration::ZERO);
    assert_eq!(stats.delivered_batches, backend.taken().len() as u64);
}

#[tokio::test]
async fn small_records_are_joined_up_to_the_bounds_and_large_ones_stay_whole() {
    let backend = Backend::away();
    let config = SpoolConfig {
        batch_spans_max: 100,
        ..config()
    };
    let spool = open(&LossyDisk::new(), config, &backend);
    let mut next = 0;
    for size in [30, 30, 30, 30, 250, 1, 99, 1] {
        spool.accept(&numbers(next..next + size)).await.unwrap();
        next += size;
    }
    // The first was read before the others were there.
    until("the first batch is offered", || !backend.attempts().is_empty()).await;
    backend.is_back();
    drained(&spool).await;
    let sizes: Vec<usize> = backend.taken().iter().map(Vec::len).collect();
    assert!(
        [
            &[30, 90, 250, 100, 1][..],
            &[60, 60, 250, 100, 1],
            &[90, 30, 250, 100, 1]
        ]
        .contains(&&sizes[..]),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn joined_batches_have_a_bound_of_bytes_too() {
    let backend = Backend::away();
    let config = SpoolConfig {
        batch_bytes_max: 10_000,
        ..config()
    };
    let spool = open(&LossyDisk::new(), config, &backend);
    for id in 0..20 {
        let mut large = span(id);
        large.tags.push(("text".to_owned(), "x".repeat(3_000)));
        spool.accept(&batch([large])).await.unwrap();
    }
    backend.is_back();
    drained(&spool).await;
    let taken = backend.taken();
    assert!(taken.iter().all(|batch| batch.len() <= 3), "{taken:?}");
    assert!(taken.iter().any(|batch| batch.len() == 3), "{taken:?}");
    assert_eq!(taken.concat(), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn beyond_its_bytes_it_refuses_and_after_delivery_it_takes_again() {
    let backend = Backend::away();
    let config = SpoolConfig {
        bytes_max: 20_000,
        ..config()
    };
    let spool = open(&LossyDisk::new(), config, &backend);
    let mut accepted = 0;
    let refusal = loop {
        match spool.accept(&numbers(accepted..accepted + 10)).await {
            Ok(()) => accepted += 10,
            Err(error) => break error,
        }
        assert!(accepted < 10_000, "a bound of 20,000 bytes takes everything");
    };
    assert!(
        matches!(&refusal, StorageError::Overloaded(why) if why.contains("20000 bytes")),
        "{refusal}"
    );
    let stats = spool.stats();
    assert_eq!(stats.depth_spans, accepted, "what was refused does not wait");
    assert!(
        stats.depth_bytes <= 20_000 && stats.depth_bytes > 18_000,
        "{stats:?}"
    );
    backend.is_back();
    drained(&spool).await;
    until("the journal lets go", || spool.stats().depth_bytes == 0).await;
    spool.accept(&numbers(accepted..accepted + 10)).await.unwrap();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), (0..accepted + 10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_made_again() {
    let backend = Backend::new();
    backend.hangs.send_replace(true);
    let config = SpoolConfig {
        attempt_timeout: Duration::from_millis(10),
        ..config()
    };
    let spool = open(&LossyDisk::new(), config, &backend);
    spool.accept(&numbers(0..3)).await.unwrap();
    until("it is tried a second time", || backend.attempts().len() > 1).await;
    let outage = spool.stats().outage.unwrap();
    assert_eq!(outage.error, "no answer within 0.01 s");
    backend.hangs.send_replace(false);
    drained(&spool).await;
    assert_eq!(spool.stats().outage, None);
    assert_eq!(spool.stats().delivered_spans, 3);
}

#[tokio::test]
async fn whoever_sent_spans_may_go_away() {
    let backend = Backend::away();
    let spool = open(&LossyDisk::new(), config(), &backend);
    for id in 0..50 {
        let spans = numbers(id..id + 1);
        // Polled once, then dropped: before it is durable as a rule.
        tokio::select! {
            biased;
            _ = spool.accept(&spans) => {}
            () = std::future::ready(()) => {}
        }
    }
    until("everything is in the journal", || {
        spool.stats().journal.records == 50
    })
    .await;
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), (0..50).collect::<Vec<_>>());
    assert_eq!(spool.stats().depth_spans, 0);
}

/// Attempts to deliver to a backend that is away for an hour, in a clock that jumps from pause to pause.
#[tokio::test(start_paused = true)]
async fn pauses_grow_to_their_bound_and_begin_anew_after_a_success() {
    let backend = Backend::away();
    let config = SpoolConfig::new(config().now);
    let spool = open(&LossyDisk::new(), config, &backend);
    spool.accept(&numbers(0..1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let pauses = |attempts: &[tokio::time::Instant]| -> Vec<Duration> {
        attempts.windows(2).map(|two| two[1] - two[0]).collect()
    };
    let attempts = backend.attempts();
    let away = pauses(&attempts);
    assert_eq!(spool.stats().retries, attempts.len() as u64);
    let slack = Duration::from_millis(5);
    for (failure, pause) in away.iter().enumerate() {
        let ceiling = Duration::from_millis(100 << failure.min(9)).min(Duration::from_secs(30));
        assert!(*pause <= ceiling + slack, "pause {failure}: {pause:?}");
    }
    // 30 s at most and 15 s in the mean.
    assert!((120..480).contains(&away.len()), "{} attempts", away.len());
    assert!(
        away.iter().any(|pause| *pause > Duration::from_secs(20)),
        "{away:?}"
    );

    backend.is_back();
    drained(&spool).await;
    let before = backend.attempts().len();
    backend.fails(StorageError::Overloaded("busy".to_owned()));
    spool.accept(&numbers(1..2)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = pauses(&backend.attempts()[before..]);
    assert!(again.len() >= 3, "{again:?}");
    assert!(again[0] <= Duration::from_millis(100) + slack, "{again:?}");
    assert!(again[1] <= Duration::from_millis(200) + slack, "{again:?}");
    backend.is_back();
    drained(&spool).await;
    assert_eq!(backend.taken_ids(), [0, 1]);
}

#[tokio::test]
async fn an_empty_batch_is_no_record() {
    let backend = Backend::new();
    let spool = open(&LossyDisk::new(), config(), &backend);
    spool.accept(&numbers(0..0)).await.unwrap();
    assert_eq!(spool.stats().journal.records, 0);
    let spool: &Spool = &spool;
    assert!(format!("{spool:?}").contains("bytes_max"));
}
