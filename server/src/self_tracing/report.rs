//! Stores the server's own spans now and then, by the way that everybody's spans take.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use collector::{Collector, Encoding, Expected, Transport};
use proto::{Format, Wire};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::span::SpanBuffer;

/// Spans of one message, unless the collector takes fewer.
const MESSAGE_SPANS_MAX: usize = 1_000;

/// The task that stores what the buffer has, until it is stopped.
#[derive(Debug)]
pub(crate) struct Reporter {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Reporter {
    pub(super) fn start(buffer: Arc<SpanBuffer>, collector: Arc<Collector>, interval: Duration) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        collector.metrics().expect(Transport::Local);
        let task = tokio::spawn(async move {
            loop {
                // An error means that the sender is gone, which is a stop as well.
                let stop = tokio::select! {
                    () = tokio::time::sleep(interval) => false,
                    () = buffer.half_full.notified() => false,
                    _ = stopped.wait_for(|stopped| *stopped) => true,
                };
                flush(&buffer, &collector).await;
                if stop {
                    return;
                }
            }
        });
        Self { stop, task }
    }

    /// Stores what is left.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(failure) = self.task.await {
            tracing::error!(%failure, "the server's own spans could not be stored");
        }
    }
}

/// What the collector refuses is counted there and gone: spans of the server are not worth a second try while it
/// has too much to do.
async fn flush(buffer: &SpanBuffer, collector: &Collector) {
    let encoding = Encoding {
        expected: Expected::Wire(Wire::List(Format::Proto3)),
        compression: None,
    };
    let spans_max = collector.limits().message_spans_max.min(MESSAGE_SPANS_MAX);
    for spans in buffer.take().chunks(spans_max) {
        let message = Bytes::from(proto::encode(Format::Proto3, spans));
        if let Err(refusal) = collector.accept(Transport::Local, encoding, message).await {
            tracing::debug!(%refusal, spans = spans.len(), "the server's own spans were not stored");
        }
    }
}
