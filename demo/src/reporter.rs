//! Spans on their way to the tracing server, as a tracing library sends them: a bounded queue, a POST now and then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::http::Client;
use crate::span::Span;

/// Spans of an instance that wait: more than it makes in ten seconds.
const QUEUE_SPANS_MAX: usize = 10_000;
/// Spans of a POST.
const BATCH_SPANS_MAX: usize = 1_000;
/// Between two POSTs of an instance.
const INTERVAL: Duration = Duration::from_millis(250);
/// How often a POST is tried, and the pauses between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// What became of all spans.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) sent: AtomicU64,
    /// Not taken by a full queue, or by a server that refused them again and again.
    pub(crate) lost: AtomicU64,
}

/// One instance's. Clones are the same; when the last is gone, what waits is sent.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    queue: mpsc::Sender<Span>,
    delivery: Arc<Delivery>,
}

impl Reporter {
    /// Starts to send to `to`; the task ends after the last span.
    pub(crate) fn start(to: SocketAddr, client: Client, delivery: Arc<Delivery>) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE_SPANS_MAX);
        let reporter = Self {
            queue,
            delivery: Arc::clone(&delivery),
        };
        (reporter, tokio::spawn(send(to, client, waiting, delivery)))
    }

    /// Never waits.
    pub(crate) fn report(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.delivery.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn send(to: SocketAddr, client: Client, mut waiting: mpsc::Receiver<Span>, delivery: Arc<Delivery>) {
    let mut spans = Vec::with_capacity(BATCH_SPANS_MAX);
    while waiting.recv_many(&mut spans, BATCH_SPANS_MAX).await > 0 {
        let count = spans.len() as u64;
        let is_sent = post(to, &client, &spans).await;
        let counter = if is_sent { &delivery.sent } else { &delivery.lost };
        counter.fetch_add(count, Ordering::Relaxed);
        spans.clear();
        if !waiting.is_closed() {
            sleep(INTERVAL).await;
        }
    }
}

/// Whether the server has them.
async fn post(to: SocketAddr, client: &Client, spans: &[Span]) -> bool {
    let Ok(json) = serde_json::to_vec(spans) else {
        return false;
    };
    let json = Bytes::from(json);
    for attempt in 1..=TRIES {
        if client
            .ask(to, Method::POST, "/api/v2/spans", json.clone())
            .await
            .is_ok()
        {
            return true;
        }
        sleep(PAUSE * attempt).await;
    }
    false
}
