//! The accept loop. Unlike `axum::serve` it bounds connections and the time they may stay silent, and a stop
//! lets every request that was begun finish.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::Layer;

use super::stream::ImpatientStream;

/// What an HTTP/2 client that knows its server sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A request's line and headers must fit; Zipkin takes 12 KiB, proxies between add to it.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Streams of one HTTP/2 connection at one time.
const STREAMS_MAX: u32 = 200;

/// Asks a silent HTTP/2 peer whether it is still there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// After accepting failed because the process is out of files, which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long to wait for the rest of a preface that has begun.
const PREFACE_PAUSE: Duration = Duration::from_millis(20);

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeLimits {
    /// Served at one time; others wait in the kernel's queue.
    pub(crate) connections_max: u32,
    /// To send a request's head, from the first wait for it.
    pub(crate) head_timeout: Duration,
    /// To take any byte of an answer.
    pub(crate) answer_timeout: Duration,
    /// To finish what is being answered when the server stops.
    pub(crate) drain_timeout: Duration,
}

/// A place that connections come in by, and who answers there.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) listener: TcpListener,
    pub(crate) application: Router,
}

/// Serves connections until `stop` is done; then takes no more, and returns when those there are have finished
/// or [`ServeLimits::drain_timeout`] has passed. True if all finished. The limits are those of all ports together.
pub(crate) async fn serve(ports: Vec<Port>, limits: ServeLimits, stop: impl Future<Output = ()>) -> bool {
    let slots = Arc::new(Semaphore::new(limits.connections_max as usize));
    let (stopping, watcher) = watch::channel(false);
    let builder = Arc::new(connection_builder(limits));
    let mut accepting = JoinSet::new();
    for port in ports {
        let connections = Connections {
            builder: Arc::clone(&builder),
            slots: Arc::clone(&slots),
            limits,
            stopping: watcher.clone(),
        };
        accepting.spawn(connections.accept_from(port));
    }
    stop.await;
    stopping.send_replace(true);
    // Nobody listens when this is done.
    accepting.join_all().await;
    // All slots are free when all connections are done.
    timeout(limits.drain_timeout, slots.acquire_many(limits.connections_max))
        .await
        .is_ok()
}

/// What all connections have in common.
struct Connections {
    builder: Arc<auto::Builder<TokioExecutor>>,
    slots: Arc<Semaphore>,
    limits: ServeLimits,
    stopping: watch::Receiver<bool>,
}

impl Connections {
    /// Starts every connection that comes, until the server stops.
    async fn accept_from(mut self, port: Port) {
        loop {
            let next = tokio::select! {
                () = stopped(&mut self.stopping) => return,
                next = accept(&port.listener, &self.slots) => next,
            };
            match next {
                Ok((stream, slot)) => {
                    let connection = Connection {
                        stream,
                        builder: Arc::clone(&self.builder),
                        slot,
                    };
                    let application = port.application.clone();
                    tokio::spawn(connection.serve(application, self.limits, self.stopping.clone()));
                }
                Err(error) if is_of_one_connection(&error) => {
                    tracing::debug!(%error, "a connection was gone before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn connection_builder(limits: ServeLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = match Arc::clone(slots).acquire_owned().await {
        Ok(slot) => slot,
        Err(_) => return Err(io::Error::other("no slots: the server stops")),
    };
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}

struct Connection {
    stream: TcpStream,
    builder: Arc<auto::Builder<TokioExecutor>>,
    slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, application: Router, limits: ServeLimits, mut stopping: watch::Receiver<bool>) {
        let Self {
            stream,
            builder,
            slot: _slot,
        } = self;
        // A connection that is gone already has none.
        let Ok(peer) = stream.peer_addr() else { return };
        // Answers are written whole: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        // hyper waits for the first bytes as long as it takes, so they are waited for here.
        let spoke = tokio::select! {
            spoke = timeout(limits.head_timeout, first_bytes(&stream)) => matches!(spoke, Ok(Ok(true))),
            () = stopped(&mut stopping) => false,
        };
        if !spoke {
            return;
        }
        let service = TowerToHyperService::new(Extension(ConnectInfo(peer)).layer(application));
        let mut connection =
            pin!(builder.serve_connection(ImpatientStream::new(stream, limits.answer_timeout), service));
        let outcome = tokio::select! {
            outcome = connection.as_mut() => outcome,
            () = stopped(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection failed");
        }
    }
}

/// Done when the server stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// True when so much has arrived that it is clear which protocol is spoken; false when nothing will.
async fn first_bytes(stream: &TcpStream) -> io::Result<bool> {
    let mut start = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut start).await?;
        if length == 0 {
            return Ok(false);
        }
        if length == PREFACE.len() || !PREFACE.starts_with(&start[..length]) {
            return Ok(true);
        }
        // There is no waiting for more than is there already.
        sleep(PREFACE_PAUSE).await;
    }
}
