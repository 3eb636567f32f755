//! Scribe: spans in frames of thrift over TCP (`zipkin.md` 7.4).
//!
//! ```text
//! frame ─▶ admit, reserve ─▶ read ─▶ header ─▶ entries of the category ─▶ Collector::accept ─▶ OK
//!               │                      │              │                          │
//!           TRY_LATER          unknown method    an exception       TRY_LATER or an exception
//! ```
//!
//! One call is one message: `OK` says that all of its spans are stored. A caller is answered in the order of its
//! calls, one at a time. What has no header that could be answered ends the connection.

mod connection;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::{Collector, Transport};

/// How long senders may stay silent: they keep their connection, and some have little to say.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// After accepting failed because the process is out of files, which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a [`ScribeCollector`] is told.
#[derive(Clone, Debug)]
pub struct ScribeConfig {
    /// Entries of other categories are counted and ignored.
    pub category: String,
    /// Connections served at one time; more wait to be accepted.
    pub connections_max: u32,
    /// How long a connection may stay without a call.
    pub idle_timeout: Duration,
    /// How long a caller may take no byte of an answer.
    pub answer_timeout: Duration,
}

/// Serves Scribe until it is stopped.
#[derive(Debug)]
pub struct ScribeCollector {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Tells how a [`ScribeCollector`] is.
#[derive(Clone, Debug)]
pub struct ScribeMonitor {
    shared: Arc<Shared>,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScribeStats {
    /// Connections served now.
    pub connections: u64,
    /// Entries of other categories.
    pub ignored: u64,
}

#[derive(Debug)]
struct Shared {
    config: ScribeConfig,
    collector: Arc<Collector>,
    slots: Arc<Semaphore>,
    connections: AtomicU64,
    ignored: AtomicU64,
    listening: AtomicBool,
}

impl ScribeCollector {
    /// Starts to serve.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(listener: TcpListener, config: ScribeConfig, collector: Arc<Collector>) -> Self {
        collector.metrics().expect(Transport::Scribe);
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(config.connections_max as usize)),
            config,
            collector,
            connections: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            listening: AtomicBool::new(true),
        });
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(accept(Arc::clone(&shared), listener, stopping));
        Self { shared, stop, task }
    }

    /// For who asks how it is while another stops it.
    pub fn monitor(&self) -> ScribeMonitor {
        ScribeMonitor {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes no more connections and no more calls, and waits at most so long until the calls there are have been
    /// answered.
    pub async fn stop(self, within: Duration) {
        self.stop.send_replace(true);
        let all = self.shared.config.connections_max;
        let served = async {
            // It ends by itself once it is told to.
            let _ = self.task.await;
            self.shared.slots.acquire_many(all).await.is_ok()
        };
        if tokio::time::timeout(within, served).await.is_err() {
            tracing::warn!("Scribe: some calls were not answered in time and are given up");
        }
    }
}

impl ScribeMonitor {
    /// True while connections are taken.
    pub fn is_listening(&self) -> bool {
        self.shared.listening.load(Ordering::Relaxed)
    }

    /// What it counted.
    pub fn stats(&self) -> ScribeStats {
        ScribeStats {
            connections: self.shared.connections.load(Ordering::Relaxed),
            ignored: self.shared.ignored.load(Ordering::Relaxed),
        }
    }
}

/// Starts every connection that comes, until it is told to stop.
async fn accept(shared: Arc<Shared>, listener: TcpListener, mut stopping: watch::Receiver<bool>) {
    loop {
        let next = async {
            let slot = Arc::clone(&shared.slots).acquire_owned().await;
            (listener.accept().await, slot)
        };
        let next = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|&stop| stop) => break,
        };
        match next {
            (Ok((stream, caller)), Ok(slot)) => {
                let (shared, stopping) = (Arc::clone(&shared), stopping.clone());
                tokio::spawn(async move {
                    shared.connections.fetch_add(1, Ordering::Relaxed);
                    let ended = connection::serve(&shared, stream, stopping).await;
                    shared.connections.fetch_sub(1, Ordering::Relaxed);
                    if let Err(reason) = ended {
                        tracing::debug!(%caller, %reason, "Scribe: a connection was ended");
                    }
                    drop(slot);
                });
            }
            (Err(error), _) => {
                tracing::warn!(%error, "Scribe: cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            (_, Err(_)) => break,
        }
    }
    shared.listening.store(false, Ordering::Relaxed);
}
