//! The accept loop. Unlike `axum::serve` it bounds connections and the time they may stay silent, speaks TLS where a
//! port does, and a stop lets every request that was begun finish.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tower::Layer;

use super::stream::{ImpatientStream, Patience};

/// A request's line and headers must fit; Zipkin takes 12 KiB, proxies between add to it.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Streams of one HTTP/2 connection at one time.
const STREAMS_MAX: u32 = 200;

/// Asks a silent HTTP/2 peer whether it is still there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// After accepting failed because the process is out of files, which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bounds of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServeLimits {
    /// Served at one time; others wait in the kernel's queue.
    pub(crate) connections_max: u32,
    /// To send a request's head, from the first wait for it; and for the handshake of TLS.
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
    /// `None` where TLS is not spoken.
    pub(crate) tls: Option<Arc<ServerConfig>>,
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
        let tls = port.tls.map(TlsAcceptor::from);
        loop {
            let next = tokio::select! {
                () = stopped(&mut self.stopping) => return,
                next = accept(&port.listener, &self.slots) => next,
            };
            match next {
                Ok((stream, slot)) => {
                    let connection = Connection {
                        builder: Arc::clone(&self.builder),
                        application: port.application.clone(),
                        limits: self.limits,
                        stopping: self.stopping.clone(),
                        _slot: slot,
                    };
                    tokio::spawn(connection.serve(stream, tls.clone()));
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
    builder: Arc<auto::Builder<TokioExecutor>>,
    application: Router,
    limits: ServeLimits,
    stopping: watch::Receiver<bool>,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // A connection that is gone already has none.
        let Ok(peer) = stream.peer_addr() else { return };
        // Answers are written whole: waiting for more to send only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(tls) = tls else {
            return self.speak(stream, peer).await;
        };
        let handshake = tokio::select! {
            handshake = timeout(self.limits.head_timeout, tls.accept(stream)) => handshake,
            () = stopped(&mut self.stopping) => return,
        };
        match handshake {
            Ok(Ok(stream)) => self.speak(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS could not be agreed on"),
            Err(_) => tracing::debug!(%peer, "the handshake of TLS took too long"),
        }
    }

    /// HTTP, whichever version the client speaks.
    async fn speak(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let Self {
            builder,
            application,
            limits,
            mut stopping,
            _slot,
        } = self;
        let patience = Patience {
            greeting: limits.head_timeout,
            answer: limits.answer_timeout,
        };
        let stream = TokioIo::new(ImpatientStream::new(stream, patience));
        let service = TowerToHyperService::new(Extension(ConnectInfo(peer)).layer(application));
        let mut connection = pin!(builder.serve_connection(stream, service));
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
