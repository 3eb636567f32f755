//! Reports that are made though nobody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::Deployment;
use regression::{Reports, Settings, Sources};
use storage::{
    BoxFuture, Completeness, DeploymentStore, Latencies, LatencyQuery, LatencySource, ProfileCollector,
    ProfileQuery, Profiles, Result, StorageError, WindowLatencies, WindowQuery,
};
use storage_memory::{MemoryConfig, MemoryStore};

use crate::service::{MINUTE, NOW};

const DAY: u64 = 24 * 60 * MINUTE;

/// A store that cannot answer until it is mended, and counts who asked. It has no span.
#[derive(Default)]
struct Broken {
    asked: AtomicU64,
    is_mended: AtomicBool,
}

impl LatencySource for Broken {
    fn latencies<'a>(&'a self, _: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async { Err(StorageError::Unavailable("broken".to_owned())) })
    }

    fn windows<'a>(&'a self, _: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(async { Err(StorageError::Unavailable("broken".to_owned())) })
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match self.is_mended.load(Ordering::Relaxed) {
                true => Ok(ProfileCollector::new(query).finish(Completeness::Complete)),
                false => Err(StorageError::Unavailable("broken".to_owned())),
            }
        })
    }
}

#[tokio::test]
async fn what_was_finished_of_late_is_tried_and_what_fails_is_let_wait() {
    let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let broken = Arc::new(Broken::default());
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = Arc::clone(&now);
    let sources = Sources {
        latency: Arc::clone(&broken) as _,
        ..Sources::of(&store, Arc::new(move || clock.load(Ordering::Relaxed)))
    };
    let reports = Reports::new(sources, Settings::default());
    let deployed = async |service: &str, start_ts, end_ts| {
        let deployment = Deployment {
            service_name: service.to_owned(),
            version: "2".to_owned(),
            start_ts,
            end_ts: Some(end_ts),
            ..Deployment::default()
        };
        store.put_deployment(deployment).await.unwrap();
    };
    // Whether nothing failed, and how often the store was asked so far.
    let keep = async |after_minutes: u64| {
        now.fetch_add(after_minutes * MINUTE, Ordering::Relaxed);
        let kept = reports.keep_finished().await;
        (kept.is_ok(), broken.asked.load(Ordering::Relaxed))
    };
    deployed("long-ago", NOW - 20 * DAY, NOW - 20 * DAY).await;
    deployed("not-yet", NOW - 20 * DAY, NOW - MINUTE).await;
    assert_eq!(keep(0).await, (true, 0));
    deployed("lasted", NOW - 20 * DAY, NOW - 3 * DAY).await;
    assert_eq!(keep(0).await, (false, 1));
    assert_eq!(keep(0).await, (true, 1));
    assert_eq!(keep(1).await, (false, 2));
    assert_eq!(keep(1).await, (true, 2), "now it is two minutes");
    assert_eq!(keep(1).await, (false, 3));
    broken.is_mended.store(true, Ordering::Relaxed);
    // What was before and what came since.
    assert_eq!(keep(4).await, (true, 5));
    assert_eq!(
        keep(30).await,
        (true, 5),
        "without data it is not looked at again and again"
    );
}
