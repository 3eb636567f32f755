//! The loop, against the memory store, with a clock and reports that tests make.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use model::{Deployment, Endpoint, IpAddresses, Kind, Span, SpanBatch, SpanId, SwitchedInstance, TraceId};
use parking_lot::Mutex;
use storage::{DeploymentPatch, DeploymentStore, Patched, SpanSink};
use storage_memory::{MemoryConfig, MemoryStore};
use tokio::time::{Instant, sleep};

use super::events::{Cursor, Told};
use super::*;
use crate::report::{Cause, Decision, Exemplars, Finding, FindingKind, Operation, Report, Verdict};
use crate::reports;
use crate::sources::Clock;
use crate::statistics::Random;
use crate::{Reports, Settings, Sources};

/// A report of which only this matters.
pub(super) fn report(verdict: Verdict, decision: Decision, score: Option<f64>) -> Report {
    Report {
        decision,
        score,
        ..reports::tests::report(verdict)
    }
}

/// A finding at an operation of a service.
pub(super) fn finding(service_name: &str, contribution: i64, caused_by_deployment: bool) -> Finding {
    let operation = Operation {
        service_name: service_name.to_owned(),
        span_name: "get".to_owned(),
        span_kind: None,
    };
    Finding {
        kind: FindingKind::Latency,
        origin: operation.clone(),
        cause: Cause::SelfTime,
        callee: None,
        entry: operation,
        contribution,
        contribution_low: contribution,
        contribution_high: contribution,
        contribution_ratio: None,
        error_rate_change: None,
        summary: "it takes longer".to_owned(),
        victims: Vec::new(),
        exemplars: Exemplars::default(),
        p_value: 0.001,
        caused_by_deployment,
        explanation: None,
        deployment_id: None,
        instance: None,
    }
}

const START: u64 = 1_732_100_000_000;

/// A watcher of a memory store. Time is tokio's, which tests stop and move.
struct Bench {
    store: Arc<MemoryStore>,
    events: Events,
    watch: Watch,
    began: Instant,
    spans: Arc<AtomicU64>,
    /// Which deployments were asked about, and when, milliseconds after the start.
    asked: Arc<Mutex<Vec<(String, u64)>>>,
    /// What is answered, and after how long.
    answer: Arc<Mutex<(storage::Result<Report>, Duration)>>,
}

fn waits() -> Report {
    report(Verdict::InsufficientData, Decision::Wait, None)
}

impl Bench {
    fn new(options: WatchOptions) -> Self {
        Self::with(Arc::new(MemoryStore::new(MemoryConfig::default())), options)
    }

    fn with(store: Arc<MemoryStore>, options: WatchOptions) -> Self {
        let began = Instant::now();
        let now: Clock = Arc::new(move || START + began.elapsed().as_millis() as u64);
        let spans = Arc::<AtomicU64>::default();
        let asked = Arc::<Mutex<Vec<(String, u64)>>>::default();
        let answer = Arc::new(Mutex::new((Ok(waits()), Duration::from_millis(1))));
        let ask: Ask = {
            let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
            Arc::new(move |deployment: Arc<Deployment>| {
                let at = began.elapsed().as_millis() as u64;
                asked.lock().push((deployment.id.clone(), at));
                let (report, took) = answer.lock().clone();
                Box::pin(async move {
                    sleep(took).await;
                    report.map(Arc::new)
                })
            })
        };
        let counted = Arc::clone(&spans);
        let sources = WatchSources {
            deployments: Arc::clone(&store) as Arc<dyn DeploymentStore>,
            report: ask,
            spans_taken: Arc::new(move || counted.load(Ordering::Relaxed)),
            now,
        };
        let events = Events::new(START, EventLimits::default());
        let watch = Watch::start(sources, options, events.clone());
        Self {
            store,
            events,
            watch,
            began,
            spans,
            asked,
            answer,
        }
    }

    fn now(&self) -> u64 {
        START + self.began.elapsed().as_millis() as u64
    }

    async fn declare(&self, id: &str, start_ts: u64) {
        let deployment = Deployment {
            id: id.to_owned(),
            service_name: format!("service-{id}"),
            version: "2".to_owned(),
            start_ts,
            ..Deployment::default()
        };
        self.store.put_deployment(deployment).await.unwrap();
    }

    async fn patch(&self, id: &str, patch: DeploymentPatch) {
        let patched = self.store.patch_deployment(id, patch).await.unwrap();
        assert!(matches!(patched, Patched::Done(_)), "{patched:?}");
    }

    fn answer(&self, report: storage::Result<Report>, took: Duration) {
        *self.answer.lock() = (report, took);
    }

    /// A span comes every so often, for as long.
    async fn pass(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.spans.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(500).min(end - Instant::now())).await;
        }
    }

    /// When one was asked about, milliseconds after the start.
    fn looks_at(&self, id: &str) -> Vec<u64> {
        let asked = self.asked.lock();
        let of_it = asked.iter().filter(|(asked, _)| asked == id);
        of_it.map(|(_, at)| *at).collect()
    }
}

/// Names of the events that were told, each with whom it is about.
fn told(cursor: &mut Cursor) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(event) = cursor.next().now_or_never() {
        let Some(Told::Event(event)) = event else {
            panic!("no event: {event:?}");
        };
        let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
        told.push(format!(
            "{} {}",
            body["deploymentId"].as_str().unwrap(),
            event.kind.name()
        ));
    }
    told
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_rollout_is_looked_at_often_at_first_and_seldom_later() {
    let bench = Bench::new(WatchOptions::default());
    bench.declare("a", START).await;
    bench.pass(20 * MINUTE).await;
    bench.pass(4 * 60 * MINUTE).await;
    let looks = bench.looks_at("a");
    assert!(looks[0] < 3_000, "found at the next scan: {}", looks[0]);
    let intervals: Vec<u64> = looks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((4_900..6_000).contains(&intervals[0]), "{}", intervals[0]);
    let last = *intervals.last().unwrap();
    assert!((110_000..135_000).contains(&last), "after four hours: {last}");
    assert!(intervals.windows(2).all(|pair| pair[0] <= pair[1] + 1_000));
    // A step is young news: the pace begins anew.
    bench
        .patch(
            "a",
            DeploymentPatch {
                end_ts: Some(bench.now()),
                ..DeploymentPatch::default()
            },
        )
        .await;
    bench.pass(MINUTE).await;
    let looks = bench.looks_at("a").len() - looks.len();
    assert!((10..=13).contains(&looks), "{looks} looks in a minute");
}

#[tokio::test(start_paused = true)]
async fn reports_take_no_more_than_their_share_of_the_time_however_many_rollouts_there_are() {
    let bench = Bench::new(WatchOptions::default());
    bench.answer(Ok(waits()), Duration::from_millis(200));
    for number in 0..20 {
        bench.declare(&format!("d{number}"), START).await;
    }
    bench.pass(10 * MINUTE).await;
    let asked = bench.asked.lock().len();
    let share = asked as f64 * 0.2 / 600.0;
    assert!(
        (0.045..=0.0501).contains(&share),
        "{share} of the time, {asked} reports"
    );
    // Everybody gets a turn.
    for number in 0..20 {
        let looks = bench.looks_at(&format!("d{number}")).len();
        assert!((6..=9).contains(&looks), "d{number}: {looks}");
    }
    let timed = bench.watch.monitor().report_time().snapshot();
    assert_eq!(timed.count(), asked as u64);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_again_while_no_span_comes() {
    let bench = Bench::new(WatchOptions::default());
    bench.declare("a", START).await;
    sleep(4 * MINUTE).await;
    assert_eq!(bench.looks_at("a").len(), 1);
    assert!(bench.watch.monitor().stats().skipped > 40);
    bench.spans.fetch_add(1, Ordering::Relaxed);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.looks_at("a").len(), 2, "a span came");
    let instances = vec![SwitchedInstance {
        switch_ts: START + 1,
        ip: [10, 0, 0, 1].into(),
        port: None,
    }];
    let patch = DeploymentPatch {
        instances,
        ..DeploymentPatch::default()
    };
    bench.patch("a", patch).await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(bench.looks_at("a").len(), 3, "the deployment changed");
    sleep(6 * MINUTE).await;
    assert_eq!(bench.looks_at("a").len(), 4, "time passed");
}

#[tokio::test(start_paused = true)]
async fn the_newest_rollouts_are_watched_and_the_others_told() {
    let options = WatchOptions {
        deployments_max: 2,
        ..WatchOptions::default()
    };
    let bench = Bench::new(options);
    for (id, age_ms) in [("old", 3_000), ("middle", 2_000), ("new", 1_000)] {
        bench.declare(id, START - age_ms).await;
    }
    bench.pass(MINUTE).await;
    let stats = bench.watch.monitor().stats();
    assert_eq!((stats.watched, stats.unwatched), (2, 1));
    let shown: Vec<&str> = stats
        .deployments
        .iter()
        .map(|shown| shown.service_name.as_str())
        .collect();
    assert_eq!(shown, ["service-new", "service-middle"]);
    assert_eq!(bench.looks_at("old"), [0; 0]);
    assert!(bench.looks_at("middle").len() > 5);
    // One that is over makes room.
    let patch = DeploymentPatch {
        rolled_back_ts: Some(bench.now()),
        ..DeploymentPatch::default()
    };
    bench.patch("new", patch).await;
    bench.pass(12 * MINUTE).await;
    assert!(bench.looks_at("old").len() > 5);
    let looks = bench.looks_at("new").len();
    bench.pass(MINUTE).await;
    assert_eq!(bench.looks_at("new").len(), looks, "it is over");
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_told_once_in_its_order() {
    let bench = Bench::new(WatchOptions::default());
    let mut cursor = bench.events.cursor(None);
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), [""; 0]);
    bench.declare("a", bench.now()).await;
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), ["a deployment_began"]);
    let mut slow = report(Verdict::Regressed, Decision::Rollback, Some(30.0));
    slow.findings = vec![finding("checkout", 40_000, true)];
    bench.answer(Ok(slow), Duration::from_millis(1));
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), ["a verdict_changed", "a new_finding"]);
    let shown = bench.watch.monitor().stats().deployments;
    assert_eq!(shown[0].standing.decision, Decision::Rollback);
    assert_eq!(shown[0].effect.unwrap().micros, 40_000);
    let patch = DeploymentPatch {
        end_ts: Some(bench.now()),
        rolled_back_ts: Some(bench.now()),
        ..DeploymentPatch::default()
    };
    bench.patch("a", patch).await;
    bench.pass(30 * MINUTE).await;
    assert_eq!(
        told(&mut cursor),
        ["a deployment_ended", "a deployment_rolled_back"]
    );
    assert_eq!(bench.watch.monitor().stats().deployments, []);
    assert_eq!(bench.watch.monitor().stats().unwatched, 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_look_is_after_the_end_and_is_tried_until_it_succeeds() {
    let bench = Bench::new(WatchOptions::default());
    bench.declare("a", START).await;
    let end_ts = START + 1_000;
    bench
        .patch(
            "a",
            DeploymentPatch {
                end_ts: Some(end_ts),
                ..DeploymentPatch::default()
            },
        )
        .await;
    sleep(30 * MINUTE).await;
    let broken = storage::StorageError::Unavailable("no disk".to_owned());
    bench.answer(Err(broken), Duration::from_millis(1));
    bench.pass(70 * MINUTE).await;
    let failures = bench.watch.monitor().stats().failures;
    assert!(failures > 3, "{failures}");
    assert_eq!(bench.watch.monitor().stats().watched, 1, "its last look failed");
    bench.answer(Ok(waits()), Duration::from_millis(1));
    bench.pass(10 * MINUTE).await;
    assert_eq!(bench.watch.monitor().stats().watched, 0);
    let last = *bench.looks_at("a").last().unwrap() + START;
    assert!(last > end_ts + WatchOptions::default().monitor_ms, "{last}");
}

#[tokio::test(start_paused = true)]
async fn after_a_start_what_was_known_is_not_told_but_what_is_thought_is() {
    let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let before = Bench::with(Arc::clone(&store), WatchOptions::default());
    before.declare("a", START - 5_000).await;
    before.declare("over", START - 100 * 3_600_000).await;
    let bench = Bench::with(store, WatchOptions::default());
    let mut cursor = bench.events.cursor(None);
    bench.answer(
        Ok(report(Verdict::Regressed, Decision::Rollback, Some(0.0))),
        Duration::from_millis(1),
    );
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), ["a verdict_changed"]);
    assert_eq!(bench.looks_at("over"), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_next_deployment_of_a_service_ends_the_watch() {
    let bench = Bench::new(WatchOptions::default());
    let mut cursor = bench.events.cursor(None);
    let of = |id: &str, start_ts| Deployment {
        id: id.to_owned(),
        service_name: "cart".to_owned(),
        version: id.to_owned(),
        start_ts,
        ..Deployment::default()
    };
    bench.pass(MINUTE).await;
    bench.store.put_deployment(of("1", START)).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), ["1 deployment_began"]);
    bench.store.put_deployment(of("2", bench.now())).await.unwrap();
    bench.pass(20 * MINUTE).await;
    assert_eq!(
        told(&mut cursor),
        ["2 deployment_began", "1 deployment_superseded"]
    );
    assert_eq!(bench.watch.monitor().stats().watched, 1);
}

/// Begins so many milliseconds after [`START`] as its identifier says.
fn span_of_cart(version: &str, id: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, id).unwrap(),
        parent_id: None,
        id: SpanId::new(id),
        kind: None,
        name: None,
        timestamp: Some((START + id) * 1_000),
        duration: None,
        local_endpoint: Some(Endpoint {
            service_name: Some("cart".to_owned()),
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("service.version".to_owned(), version.to_owned())],
        debug: false,
        shared: false,
    }
}

#[tokio::test(start_paused = true)]
async fn an_inferred_deployment_goes_on_as_the_declared_one_that_absorbs_it() {
    let bench = Bench::new(WatchOptions::default());
    let mut cursor = bench.events.cursor(None);
    let mut batch = SpanBatch::new();
    for (version, id) in [("1", 1), ("2", 2)] {
        batch.push_span(&span_of_cart(version, id));
    }
    bench.store.accept(&batch).await.unwrap();
    bench.pass(MINUTE).await;
    let inferred = told(&mut cursor);
    assert_eq!(inferred.len(), 1, "{inferred:?}");
    assert!(inferred[0].ends_with("deployment_began"));
    let declared = Deployment {
        id: "declared".to_owned(),
        service_name: "cart".to_owned(),
        version: "2".to_owned(),
        start_ts: START + 5,
        ..Deployment::default()
    };
    bench.store.put_deployment(declared).await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(told(&mut cursor), [""; 0], "it began once");
    assert!(bench.looks_at("declared").len() > 5);
    bench.store.delete_deployment("declared").await.unwrap();
    bench.pass(MINUTE).await;
    assert_eq!(bench.watch.monitor().stats().watched, 0, "it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_report_that_never_comes_is_given_up_and_a_stop_does_not_wait_for_it() {
    let bench = Bench::new(WatchOptions::default());
    bench.answer(Ok(waits()), Duration::from_secs(1_000_000));
    bench.declare("a", START).await;
    bench.declare("b", START).await;
    bench.pass(60 * MINUTE).await;
    assert_eq!(bench.watch.monitor().stats().failures, 3, "every twenty minutes");
    let before = Instant::now();
    bench.watch.stop().await;
    assert!(before.elapsed() < Duration::from_secs(1));
}

/// One request of a version, on one of three instances of it, as long as chance has it.
fn request(batch: &mut SpanBatch, id: u64, at_ms: u64, version: &str, random: &mut Random) {
    // The sum of twelve numbers from 0 to 1 is nearly normal; durations are log-normal, as those of services are.
    let normal: f64 = (0..12).map(|_| random.below(1_000_000) as f64 / 1e6).sum::<f64>() - 6.0;
    batch.push_span(&Span {
        kind: Some(Kind::Server),
        name: Some("get /cart".to_owned()),
        timestamp: Some(at_ms * 1_000),
        duration: Some((30_000.0 * (0.5 * normal).exp()) as u64),
        local_endpoint: Some(Endpoint {
            service_name: Some("cart".to_owned()),
            ip: IpAddresses {
                v4: Some([10, 0, version.len() as u8, random.below(3) as u8].into()),
                v6: None,
            },
            ..Endpoint::default()
        }),
        ..span_of_cart(version, id)
    });
}

/// Both versions do the same, and 200 looks at them find nothing else: not one of them may want them taken back.
#[tokio::test]
async fn looking_again_and_again_takes_nothing_back() {
    const LOOK_MS: u64 = 5_000;
    for seed in 0..3 {
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let clock = Arc::new(AtomicU64::new(START));
        let told = Arc::clone(&clock);
        let sources = Sources::of(&store, Arc::new(move || told.load(Ordering::Relaxed)));
        let asked = Arc::new(Reports::new(sources, Settings::default()));
        let ask = WatchSources::new(&asked, Arc::new(|| 0)).report;
        let deployment = Deployment {
            id: "a".to_owned(),
            service_name: "cart".to_owned(),
            version: "22".to_owned(),
            previous_version: Some("1".to_owned()),
            start_ts: START,
            ..Deployment::default()
        };
        store.put_deployment(deployment.clone()).await.unwrap();
        let deployment = Arc::new(deployment);
        let (mut random, mut id, mut judged) = (Random::new(seed), 0, 0);
        for look in 0..200 {
            let mut batch = SpanBatch::new();
            for number in 0..8 {
                id += 1;
                let at_ms = START + look * LOOK_MS + number * 600;
                let version = if number % 2 == 0 { "1" } else { "22" };
                request(&mut batch, id, at_ms, version, &mut random);
            }
            store.accept(&batch).await.unwrap();
            clock.store(START + (look + 1) * LOOK_MS, Ordering::Relaxed);
            let report = ask(Arc::clone(&deployment)).await.unwrap();
            assert_ne!(
                report.decision,
                Decision::Rollback,
                "seed {seed}, look {look}: {report:#?}"
            );
            judged += u64::from(report.candidate.traces > 100);
        }
        assert!(
            judged > 50,
            "seed {seed}: {judged} looks had enough to be wrong about"
        );
    }
}
