//! Reports that are made though nobody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::{Deployment, Slo};
use regression::{KeepOptions, Reports, Settings, Share, Sources};
use storage::{
    BoxFuture, Completeness, DeploymentPatch, DeploymentQuery, DeploymentStore, History, Latencies,
    LatencyQuery, LatencySource, Patched, ProfileCollector, ProfileQuery, Profiles, Put, Result,
    StorageError, WindowLatencies, WindowQuery,
};
use storage_memory::{MemoryConfig, MemoryStore};

use crate::service::{MINUTE, NOW};

const DAY: u64 = 24 * 60 * MINUTE;

/// A store that cannot answer until it is mended, and counts who asked. It has no span.
#[derive(Default)]
struct Broken {
    asked: AtomicU64,
    is_mended: AtomicBool,
    /// By a clock that stands still, how long it takes to answer.
    takes: Duration,
}

fn finished(service: &str, start_ts: u64, end_ts: u64) -> Deployment {
    Deployment {
        service_name: service.to_owned(),
        version: "2".to_owned(),
        start_ts,
        end_ts: Some(end_ts),
        ..Deployment::default()
    }
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
            if !self.takes.is_zero() {
                tokio::time::advance(self.takes).await;
            }
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
        store
            .put_deployment(finished(service, start_ts, end_ts))
            .await
            .unwrap();
    };
    // Whether nothing failed, and how often the store was asked so far.
    let keep = async |after_minutes: u64| {
        now.fetch_add(after_minutes * MINUTE, Ordering::Relaxed);
        let mut is_well = true;
        for deployment in reports.unkept().await.unwrap() {
            is_well &= reports.keep_unasked(&deployment).await.is_ok();
        }
        (is_well, broken.asked.load(Ordering::Relaxed))
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

/// A store that cannot read what it keeps of one deployment, the one that began then.
struct Unreadable {
    store: Arc<MemoryStore>,
    start_ts: u64,
}

impl DeploymentStore for Unreadable {
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>> {
        self.store.put_deployment(deployment)
    }

    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>> {
        self.store.patch_deployment(id, patch)
    }

    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>> {
        self.store.deployment(id)
    }

    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>> {
        self.store.deployments(query)
    }

    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>> {
        self.store.history(service_name)
    }

    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.store.delete_deployment(id)
    }

    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>> {
        self.store.put_report(id, report)
    }

    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            match self.store.deployment(id).await? {
                Some(found) if found.start_ts == self.start_ts => {
                    Err(StorageError::Unavailable("cannot be read".to_owned()))
                }
                _ => self.store.report(id).await,
            }
        })
    }

    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>> {
        self.store.put_slo(slo)
    }

    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>> {
        self.store.slo(name)
    }

    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>> {
        self.store.slos()
    }

    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        self.store.delete_slo(name)
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_read_keeps_no_other_from_being_made() {
    let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
    for (service, days) in [("a", 3), ("b", 4), ("c", 5)] {
        let deployment = finished(service, NOW - days * DAY, NOW - days * DAY);
        store.put_deployment(deployment).await.unwrap();
    }
    let unreadable = Unreadable {
        store: Arc::clone(&store),
        start_ts: NOW - 4 * DAY,
    };
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = Arc::clone(&now);
    let sources = Sources {
        deployments: Arc::new(unreadable),
        ..Sources::of(&store, Arc::new(move || clock.load(Ordering::Relaxed)))
    };
    let reports = Reports::new(sources, Settings::default());
    let unkept = async || -> Vec<String> {
        let unkept = reports.unkept().await.unwrap();
        unkept
            .iter()
            .map(|deployment| deployment.service_name.clone())
            .collect()
    };
    assert_eq!(unkept().await, ["a", "c"]);
    now.fetch_add(2 * MINUTE, Ordering::Relaxed);
    assert_eq!(unkept().await, ["a", "c"], "it is asked again, and says no more");
}

/// Three deployments that were finished, of a store that is broken and counts; the clock is that of the test.
async fn keeping(takes: Duration, options: KeepOptions) -> (Arc<Broken>, Arc<Reports>) {
    let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let broken = Arc::new(Broken {
        takes,
        ..Broken::default()
    });
    let sources = Sources {
        latency: Arc::clone(&broken) as _,
        ..Sources::of(&store, Arc::new(|| NOW))
    };
    for service in ["a", "b", "c"] {
        let deployment = finished(service, NOW - 3 * DAY, NOW - 3 * DAY);
        store.put_deployment(deployment).await.unwrap();
    }
    let reports = Arc::new(Reports::new(sources, Settings::default()));
    tokio::spawn(Reports::keep_finished(Arc::downgrade(&reports), options));
    (broken, reports)
}

/// Lets time pass in which nothing but the clock goes on.
async fn pass(seconds: u64) {
    for _ in 0..seconds * 10 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_that_nobody_asked_for_while_spans_are_refused() {
    let refused = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&refused);
    let options = KeepOptions {
        share: Share::new(1.0),
        refused: Arc::new(move || counted.fetch_add(1, Ordering::Relaxed)),
    };
    let (broken, reports) = keeping(Duration::ZERO, options.clone()).await;
    pass(600).await;
    assert_eq!(broken.asked.load(Ordering::Relaxed), 0);
    assert!(refused.load(Ordering::Relaxed) > 50, "it looks again");
    drop(reports);
    let calm = KeepOptions {
        refused: Arc::new(|| 7),
        ..options
    };
    let (broken, _reports) = keeping(Duration::ZERO, calm).await;
    pass(35).await;
    assert_eq!(broken.asked.load(Ordering::Relaxed), 3, "one after the other");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asked_for_takes_its_share_of_the_time_and_no_more() {
    let options = KeepOptions {
        share: Share::new(0.1),
        refused: Arc::new(|| 0),
    };
    let began = tokio::time::Instant::now();
    let (broken, _reports) = keeping(Duration::from_secs(100), options).await;
    let mut times = Vec::new();
    while times.len() < 3 {
        pass(1).await;
        if broken.asked.load(Ordering::Relaxed) > times.len() as u64 {
            times.push(began.elapsed().as_secs());
        }
    }
    let between = times.windows(2).map(|pair| pair[1] - pair[0]);
    // A hundred seconds, nine times as long, and ten to see that all is calm.
    assert!(
        between.clone().all(|seconds| (1_005..1_020).contains(&seconds)),
        "{times:?}"
    );
}
