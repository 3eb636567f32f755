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
