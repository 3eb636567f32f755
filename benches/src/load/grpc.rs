//! gRPC's HTTP/2, one call at a time on a connection of its own, as an instrumented process has it.
//!
//! Frames are made by `h2`, on the thread of who calls and only while it waits for an answer: threads that wake each
//! other for every call would cost twice as much.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::way::{Verdict, Way};

/// A server that says nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the server may send before it has to wait: its answers are a few bytes.
const WINDOW_BYTES: u32 = 1 << 20;
/// Flags and length, before every message.
const MESSAGE_HEAD_BYTES: usize = 5;

/// One who makes one call at a time.
#[derive(Debug)]
pub(super) struct Caller {
    runtime: Runtime,
    connection: SendRequest<Bytes>,
    address: SocketAddr,
}

impl Caller {
    /// Connects.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            connection: connect(&runtime, address)?,
            runtime,
            address,
        })
    }

    /// Connects again.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(super) fn reconnect(&mut self) -> io::Result<()> {
        self.connection = connect(&self.runtime, self.address)?;
        Ok(())
    }

    /// Makes a call and waits for the answer; `message` with its head.
    ///
    /// # Errors
    /// Where the connection breaks, or the answer is no gRPC.
    pub(super) fn call(&self, way: Way, message: Bytes) -> io::Result<Verdict> {
        let call = call(self.connection.clone(), self.address, way, message);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, call).await });
        answer?
    }
}

fn connect(runtime: &Runtime, address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    runtime.block_on(async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        let (sender, connection) = builder.handshake(stream).await.map_err(broken)?;
        // It ends with its last sender; calls tell what went wrong.
        tokio::spawn(connection);
        Ok(sender)
    })
}

async fn call(
    connection: SendRequest<Bytes>,
    address: SocketAddr,
    way: Way,
    message: Bytes,
) -> io::Result<Verdict> {
    let head = Request::post(format!("http://{address}{}", way.path()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(io::Error::other)?;
    let mut connection = connection.ready().await.map_err(broken)?;
    let (answer, mut body) = connection.send_request(head, false).map_err(broken)?;
    body.send_data(message, true).map_err(broken)?;
    let (head, mut body) = answer.await.map_err(broken)?.into_parts();
    if !head.status.is_success() {
        return Ok(Verdict::Failed(format!("HTTP {}", head.status)));
    }
    let mut message = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes.map_err(broken)?;
        body.flow_control()
            .release_capacity(bytes.len())
            .map_err(broken)?;
        message.extend_from_slice(&bytes);
    }
    // An answer without a message has its status in the head.
    let trailers = body.trailers().await.map_err(broken)?.unwrap_or(head.headers);
    let text = |name: &str| text_of(&trailers, name);
    let message = message.get(MESSAGE_HEAD_BYTES..).unwrap_or_default();
    Ok(way.verdict_of_grpc(text("grpc-status"), text("grpc-message"), message))
}

fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

fn broken(error: h2::Error) -> io::Error {
    match error.into_io() {
        Some(error) => error,
        None => io::Error::other("HTTP/2 was broken off"),
    }
}
