//! Spans that are made while they are sent: none of them comes twice, however many are sent.
//!
//! Making a span costs several times what sending a prepared one does, so this fills stores and measures what they
//! cost, not how many spans a second they take.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use model::Span;

use super::REFUSAL_PAUSE;
use super::client::Client;
use super::way::{Verdict, Way};

/// Batches that are made and wait for a sender, for each of them.
const WAITING_MAX: usize = 4;

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Fed {
    /// All of them acknowledged.
    pub spans: u64,
    /// Of the bodies.
    pub bytes: u64,
    /// Answers that said to come back later.
    pub refused: u64,
    /// From the first span made to the last acknowledged.
    pub elapsed: Duration,
}

/// Sends each batch as one request from several senders. What is refused is sent again after a pause, until it is
/// acknowledged.
///
/// # Errors
/// Where a request fails in another way.
pub fn feed(
    address: SocketAddr,
    way: Way,
    senders: usize,
    batches: impl Iterator<Item = Vec<Span>>,
) -> anyhow::Result<Fed> {
    let clients = Client::several(way.transport(), address, senders)
        .with_context(|| format!("{address} cannot be connected to"))?;
    let begin = Instant::now();
    let (made, to_send) = sync_channel(senders * WAITING_MAX);
    let to_send = Mutex::new(to_send);
    let (refused, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut spans = 0;
    std::thread::scope(|scope| {
        let running: Vec<_> = clients
            .into_iter()
            .map(|client| scope.spawn(|| send(way, client, &to_send, (&refused, &bytes))))
            .collect();
        for batch in batches {
            spans += batch.len() as u64;
            if made.send(batch).is_err() {
                // All senders have failed, and say why below.
                break;
            }
            if running.iter().any(|sender| sender.is_finished()) {
                break;
            }
        }
        drop(made);
        running
            .into_iter()
            .try_for_each(|sender| sender.join().expect("a sender reports its errors"))
    })?;
    Ok(Fed {
        spans,
        bytes: bytes.into_inner(),
        refused: refused.into_inner(),
        elapsed: begin.elapsed(),
    })
}

fn send(
    way: Way,
    mut client: Client,
    to_send: &Mutex<Receiver<Vec<Span>>>,
    (refused, bytes): (&AtomicU64, &AtomicU64),
) -> anyhow::Result<()> {
    loop {
        let next = to_send.lock().expect("no sender panics with it").recv();
        let Ok(batch) = next else { return Ok(()) };
        let body = way.encode(&batch);
        bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        let request = way.frame(&body);
        loop {
            match client.send(way, &request)? {
                Verdict::Accepted => break,
                Verdict::Refused(_) => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(REFUSAL_PAUSE);
                }
                Verdict::Failed(why) => anyhow::bail!("a request was not accepted: {why}"),
            }
        }
    }
}
