//! Delivers events to those who do not ask: a POST each, signed, tried again where it fails.
//!
//! Each target reads the ring of events at its own pace, so one that is away costs no memory and holds nobody up. What it
//! cannot be told it is not told, and that is counted and logged. How a request is sent is not known here ([`Post`]).

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use storage::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::events::{Cursor, Event, Events, Told};
use crate::sources::Clock;
use crate::statistics::Random;

/// One attempt to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

/// Sends a POST, in bounded time and without following redirects: the status of the answer, or why there is none. The
/// reason is logged, so it MUST NOT have what is secret in an address.
pub type Post = Arc<dyn Fn(Delivery) -> BoxFuture<'static, Result<u16, String>> + Send + Sync>;

/// Who is to be told.
#[derive(Clone)]
pub struct Target {
    /// For metrics and the log: without what is secret in its address, and different for each.
    pub name: String,
    /// How it is told.
    pub post: Post,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How events are delivered.
#[derive(Clone)]
pub struct WebhookOptions {
    /// Times an event is sent to a target before it is given up.
    pub attempts_max: u32,
    /// After the first attempt; twice as long after each further one. Each is shortened at random, to half at most.
    pub pause_min: Duration,
    /// The longest of them.
    pub pause_max: Duration,
    /// What signatures are made with; `None` leaves them out.
    pub secret: Option<Vec<u8>>,
}

impl Default for WebhookOptions {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
            secret: None,
        }
    }
}

impl fmt::Debug for WebhookOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookOptions")
            .field("attempts_max", &self.attempts_max)
            .field("has_secret", &self.secret.is_some())
            .finish_non_exhaustive()
    }
}

/// What became of deliveries to a target since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookStats {
    /// See [`Target::name`].
    pub target: String,
    /// Events that it took.
    pub delivered: u64,
    /// Attempts that failed and were followed by another.
    pub retried: u64,
    /// Events that it answered it would never take.
    pub refused: u64,
    /// Events that it did not take in any attempt.
    pub given_up: u64,
    /// Events that were gone before it could be told.
    pub missed: u64,
    /// Events that it is still to be told.
    pub pending: u64,
}

#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    fn total(&self) -> u64 {
        let done = [&self.delivered, &self.refused, &self.given_up, &self.missed];
        done.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// Tasks that deliver events, one a target, until they are stopped.
#[derive(Debug)]
pub struct Webhooks {
    monitor: WebhookMonitor,
    stop: watch::Sender<bool>,
    tasks: Vec<(String, JoinHandle<()>)>,
}

/// Asks webhooks how it goes.
#[derive(Clone, Debug)]
pub struct WebhookMonitor {
    events: Events,
    counts: Arc<[(String, Arc<Counts>)]>,
}

impl WebhookMonitor {
    /// As of now, a target each.
    pub fn stats(&self) -> Vec<WebhookStats> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let published = self.events.published();
        let of_target = |(target, counts): &(String, Arc<Counts>)| WebhookStats {
            target: target.clone(),
            delivered: read(&counts.delivered),
            retried: read(&counts.retried),
            refused: read(&counts.refused),
            given_up: read(&counts.given_up),
            missed: read(&counts.missed),
            pending: published.saturating_sub(counts.total()),
        };
        self.counts.iter().map(of_target).collect()
    }
}

impl Webhooks {
    /// Delivers what happens from now on. Nothing may have happened yet.
    pub fn start(targets: Vec<Target>, options: WebhookOptions, events: &Events, now: Clock) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (mut tasks, mut all_counts) = (Vec::new(), Vec::new());
        for (index, target) in targets.into_iter().enumerate() {
            let counts = Arc::<Counts>::default();
            all_counts.push((target.name.clone(), Arc::clone(&counts)));
            let name = target.name.clone();
            let deliverer = Deliverer {
                target,
                options: options.clone(),
                counts,
                random: Random::new(now() ^ index as u64),
                now: Arc::clone(&now),
                stopped: stopped.clone(),
            };
            tasks.push((name, tokio::spawn(deliverer.run(events.cursor(None)))));
        }
        let monitor = WebhookMonitor {
            events: events.clone(),
            counts: all_counts.into(),
        };
        Self { monitor, stop, tasks }
    }

    /// Tells how it goes.
    pub fn monitor(&self) -> WebhookMonitor {
        self.monitor.clone()
    }

    /// Tries once more to deliver what there is, all targets at once, for as long as this. There MUST be no more events:
    /// [`Events::close`] comes first.
    pub async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        let deadline = Instant::now() + within;
        for (target, mut task) in self.tasks {
            if timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                tracing::warn!(
                    target_name = target,
                    "a webhook was not told all events before the server stopped"
                );
            }
        }
    }
}

/// How an attempt went.
enum Outcome {
    Delivered,
    /// It would go the same way again.
    Refused(String),
    Failed(String),
}

impl Outcome {
    fn of(answered: Result<u16, String>) -> Self {
        match answered {
            Ok(200..=299) => Self::Delivered,
            // Too slow, too early, too often, or broken: all of that may pass.
            Ok(status @ (408 | 425 | 429 | 500..)) => Self::Failed(format!("it answered {status}")),
            Ok(status) => Self::Refused(format!("it answered {status}")),
            Err(why) => Self::Failed(why),
        }
    }
}

struct Deliverer {
    target: Target,
    options: WebhookOptions,
    counts: Arc<Counts>,
    random: Random,
    now: Clock,
    stopped: watch::Receiver<bool>,
}

impl Deliverer {
    async fn run(mut self, mut cursor: Cursor) {
        while let Some(told) = cursor.next().await {
            match told {
                Told::Event(event) => self.deliver(&event).await,
                Told::Missed(count) => {
                    let missed = count.unwrap_or_default();
                    self.counts.missed.fetch_add(missed, Ordering::Relaxed);
                    let target_name = &self.target.name;
                    tracing::warn!(
                        target_name,
                        missed,
                        "a webhook fell behind: events are not delivered to it"
                    );
                }
            }
        }
    }

    async fn deliver(&mut self, event: &Event) {
        let mut attempt = 1;
        let count = loop {
            let delivery = self.delivery(event);
            let (count, why) = match Outcome::of((self.target.post)(delivery).await) {
                Outcome::Delivered => break &self.counts.delivered,
                Outcome::Refused(why) => (&self.counts.refused, why),
                Outcome::Failed(_) if attempt < self.attempts_max() => {
                    self.counts.retried.fetch_add(1, Ordering::Relaxed);
                    self.pause(attempt).await;
                    attempt += 1;
                    continue;
                }
                Outcome::Failed(why) => (&self.counts.given_up, why),
            };
            let (target_name, id) = (&self.target.name, &event.id);
            tracing::warn!(
                target_name,
                id,
                attempt,
                why,
                "an event is not delivered to a webhook"
            );
            break count;
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// A server that stops has no time for more than one.
    fn attempts_max(&self) -> u32 {
        match *self.stopped.borrow() {
            true => 1,
            false => self.options.attempts_max,
        }
    }

    fn delivery(&self, event: &Event) -> Delivery {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("tracehound-event", event.kind.name().to_owned()),
            ("tracehound-event-id", event.id.clone()),
        ];
        if let Some(secret) = &self.options.secret {
            let seconds = (self.now)() / 1_000;
            headers.push(("tracehound-signature", signature(secret, seconds, &event.body)));
        }
        Delivery {
            headers,
            body: event.body.clone(),
        }
    }

    /// Until the next attempt, or the stop.
    async fn pause(&mut self, attempt: u32) {
        let longest = pause_max(&self.options, attempt);
        let half_us = longest.as_micros() as usize / 2;
        let pause = Duration::from_micros((half_us + self.random.below(half_us + 1)) as u64);
        tokio::select! {
            () = sleep(pause) => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
    }
}

/// Before jitter.
fn pause_max(options: &WebhookOptions, attempt: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
    options.pause_min.saturating_mul(doubled).min(options.pause_max)
}

/// `t=<seconds>,v1=<hex of the HMAC-SHA256 of "seconds.body">`: who knows the secret can tell that the body is ours, and
/// how old it is.
fn signature(secret: &[u8], seconds: u64, body: &str) -> String {
    let mut text = format!("t={seconds},v1=");
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    for byte in mac.finalize().into_bytes() {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use model::Deployment;
    use parking_lot::Mutex;
    use tokio::time::timeout;

    use super::super::event::{Change, EventKind};
    use super::super::events::EventLimits;
    use super::super::standing::Standing;
    use super::*;

    /// A target that answers what tests say, and what it was sent when.
    struct Receiver {
        events: Events,
        answers: Arc<Mutex<Vec<Result<u16, String>>>>,
        received: Arc<Mutex<Vec<(Instant, Delivery)>>>,
    }

    /// Answers these in their order, then 200.
    fn receiver(answers: &[Result<u16, &str>]) -> (Receiver, Target) {
        let limits = EventLimits {
            events_max: 3,
            ..EventLimits::default()
        };
        let mut answers: Vec<_> = answers
            .iter()
            .cloned()
            .map(|answer| answer.map_err(str::to_owned))
            .collect();
        answers.reverse();
        let receiver = Receiver {
            events: Events::new(1, limits),
            answers: Arc::new(Mutex::new(answers)),
            received: Arc::default(),
        };
        let (answers, received) = (Arc::clone(&receiver.answers), Arc::clone(&receiver.received));
        let post: Post = Arc::new(move |delivery| {
            received.lock().push((Instant::now(), delivery));
            let answer = answers.lock().pop().unwrap_or(Ok(200));
            Box::pin(async move { answer })
        });
        let name = "receiver".to_owned();
        (receiver, Target { name, post })
    }

    impl Receiver {
        fn start(&self, target: Target, options: WebhookOptions) -> Webhooks {
            Webhooks::start(
                vec![target],
                options,
                &self.events,
                Arc::new(|| 1_732_100_000_999),
            )
        }

        fn publish(&self, times: usize) {
            for _ in 0..times {
                let change = Change::Rollout(EventKind::DeploymentEnded);
                self.events
                    .publish(5, &Deployment::default(), Standing::UNKNOWN, &change);
            }
        }

        fn ids(&self) -> Vec<String> {
            let received = self.received.lock();
            let ids = received
                .iter()
                .map(|(_, delivery)| header(delivery, "tracehound-event-id"));
            ids.map(Option::unwrap).collect()
        }
    }

    fn header(delivery: &Delivery, name: &str) -> Option<String> {
        let named = delivery.headers.iter().find(|(known, _)| *known == name);
        named.map(|(_, value)| value.clone())
    }

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn signatures_are_those_that_others_compute() {
        // python3: hmac.new(b'whsec', b'1732100000.{"a":1}', hashlib.sha256).hexdigest()
        let expected = "t=1732100000,v1=5e7e4369d9a2b9a1a2211ae9c69da3a95ff9a37124ce7de911b81c459938b8cc";
        assert_eq!(signature(b"whsec", 1_732_100_000, r#"{"a":1}"#), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_posted_once_with_what_tells_what_it_is() {
        let (receiver, target) = receiver(&[]);
        let options = WebhookOptions {
            secret: Some(b"whsec".to_vec()),
            ..WebhookOptions::default()
        };
        let webhooks = receiver.start(target, options);
        receiver.publish(2);
        sleep(LONG).await;
        assert_eq!(receiver.ids(), ["1-0", "1-1"]);
        let (_, delivery) = receiver.received.lock()[0].clone();
        assert_eq!(
            header(&delivery, "tracehound-event").as_deref(),
            Some("deployment_ended")
        );
        let signed = signature(b"whsec", 1_732_100_000, &delivery.body);
        assert_eq!(header(&delivery, "tracehound-signature"), Some(signed));
        let stats = webhooks.monitor().stats();
        assert_eq!((stats[0].delivered, stats[0].pending), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_after_pauses_that_grow_and_then_given_up() {
        let failing = [Err("nobody there"), Ok(500), Ok(429), Err("nobody there")];
        let (receiver, target) = receiver(&failing);
        let options = WebhookOptions {
            attempts_max: 4,
            pause_max: Duration::from_secs(3),
            ..WebhookOptions::default()
        };
        let webhooks = receiver.start(target, options);
        receiver.publish(2);
        sleep(LONG).await;
        assert_eq!(
            receiver.ids(),
            ["1-0", "1-0", "1-0", "1-0", "1-1"],
            "the next one is delivered"
        );
        let at: Vec<Instant> = receiver.received.lock().iter().map(|(at, _)| *at).collect();
        for (attempt, longest) in [(1, 1.0), (2, 2.0), (3, 3.0)] {
            let pause = (at[attempt] - at[attempt - 1]).as_secs_f64();
            assert!(
                (longest / 2.0 - 0.01..=longest + 0.01).contains(&pause),
                "{attempt}: {pause}"
            );
        }
        let stats = webhooks.monitor().stats().remove(0);
        assert_eq!((stats.delivered, stats.retried, stats.given_up), (1, 3, 1));
        assert_eq!(
            receiver.received.lock()[0].1.headers.len(),
            3,
            "nothing is signed without a secret"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_good_and_redirects_are_not_tried_again() {
        let (receiver, target) = receiver(&[Ok(410), Ok(302)]);
        let webhooks = receiver.start(target, WebhookOptions::default());
        receiver.publish(3);
        sleep(LONG).await;
        assert_eq!(receiver.ids(), ["1-0", "1-1", "1-2"]);
        let stats = webhooks.monitor().stats().remove(0);
        assert_eq!((stats.refused, stats.retried, stats.delivered), (2, 0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_is_away_misses_what_is_beyond_the_bound() {
        let away = vec![Err("nobody there"); 8];
        let (receiver, target) = receiver(&away);
        let webhooks = receiver.start(target, WebhookOptions::default());
        receiver.publish(1);
        sleep(Duration::from_secs(1)).await;
        receiver.publish(10);
        assert_eq!(webhooks.monitor().stats()[0].pending, 11);
        sleep(LONG).await;
        let stats = webhooks.monitor().stats().remove(0);
        assert_eq!((stats.given_up, stats.missed, stats.delivered), (1, 7, 3));
        assert_eq!(stats.pending, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_tries_once_more_and_does_not_wait_for_who_never_answers() {
        let (receiver, target) = receiver(&[Err("nobody there"), Err("nobody there")]);
        let webhooks = receiver.start(target, WebhookOptions::default());
        receiver.publish(3);
        // The first attempt failed, and a pause has begun.
        while receiver.ids().is_empty() {
            tokio::task::yield_now().await;
        }
        receiver.events.close();
        let began = Instant::now();
        webhooks.stop(Duration::from_secs(10)).await;
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(receiver.ids(), ["1-0", "1-0", "1-1", "1-2"]);

        let post: Post = Arc::new(|_| Box::pin(std::future::pending()));
        let name = "silent".to_owned();
        let events = Events::new(1, EventLimits::default());
        let webhooks = Webhooks::start(
            vec![Target { name, post }],
            WebhookOptions::default(),
            &events,
            Arc::new(|| 0),
        );
        let change = Change::Rollout(EventKind::DeploymentEnded);
        events.publish(5, &Deployment::default(), Standing::UNKNOWN, &change);
        events.close();
        let stopped = timeout(Duration::from_secs(11), webhooks.stop(Duration::from_secs(10)));
        assert!(stopped.await.is_ok());
    }

    #[test]
    fn options_are_shown_without_the_secret() {
        let options = WebhookOptions {
            secret: Some(b"whsec".to_vec()),
            ..WebhookOptions::default()
        };
        let shown = format!("{options:?}");
        assert!(
            shown.contains("has_secret: true") && !shown.contains("119"),
            "{shown}"
        );
    }
}
