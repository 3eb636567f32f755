//! One connection: a frame, its answer, the next frame.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use proto::Wire;
use proto::scribe::{Answer, Call, ExceptionKind, HEADER_BYTES_MAX, Header};
use storage::StorageError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Shared;
use crate::{Encoding, Expected, InFlight, ReadBody, Refusal, Transport};

/// How many times the bound of a body is read and thrown away of a frame that is too long, so that its caller can
/// be told.
const DISCARDED_BODIES: usize = 4;

/// Read at one time of a frame that is thrown away.
const DISCARD_BYTES: usize = 16 << 10;

/// What an entry holds.
const ENCODING: Encoding = Encoding {
    expected: Expected::Wire(Wire::ScribeEntries),
    compression: None,
};

/// Why a connection was ended by this side.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("no call within {} ms", .0.as_millis())]
    Idle(Duration),
    #[error("an answer was not taken within {} ms", .0.as_millis())]
    NotTaken(Duration),
    /// It cannot be told where the next frame begins, or whom to answer.
    #[error("{0}")]
    Refused(String),
}

/// Serves a connection until its caller ends it, it is of no more use, or the server stops.
pub(super) async fn serve(
    shared: &Shared,
    mut stream: TcpStream,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Ended> {
    stream.set_nodelay(true)?;
    let idle = shared.config.idle_timeout;
    loop {
        let length = tokio::select! {
            length = timeout(idle, read_length(&mut stream)) => length.map_err(|_| Ended::Idle(idle))??,
            _ = stopping.wait_for(|&stop| stop) => return Ok(()),
        };
        let Some(length) = length else { return Ok(()) };
        let Some(answer) = call(shared, &mut stream, length).await? else {
            continue;
        };
        let patience = shared.config.answer_timeout;
        let written = timeout(patience, stream.write_all(&answer));
        written.await.map_err(|_| Ended::NotTaken(patience))??;
    }
}

/// The length of the next frame; `None` where the caller is done.
async fn read_length(stream: &mut TcpStream) -> io::Result<Option<u32>> {
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    Ok(Some(u32::from_be_bytes(length)))
}

/// Takes one call, and gives the frame that answers it.
async fn call(shared: &Shared, stream: &mut TcpStream, length: u32) -> Result<Option<Vec<u8>>, Ended> {
    let mut progress = Progress::default();
    let frame = Frame {
        shared,
        stream: &mut *stream,
        length: length as usize,
        progress: &mut progress,
    };
    let outcome = shared.collector.accept(Transport::Scribe, ENCODING, frame).await;
    if !progress.read {
        progress.header = discard(shared, stream, length as usize, &outcome).await?;
    }
    let Some(header) = progress.header else {
        let reason = outcome
            .err()
            .map_or_else(String::new, |refusal| refusal.to_string());
        return Err(Ended::Refused(reason));
    };
    let text;
    let answer = match &outcome {
        Ok(_) => Answer::Ok,
        Err(_) if !header.is_log() => {
            text = format!("Invalid method name: '{}'", header.method());
            Answer::Exception(ExceptionKind::UnknownMethod, &text)
        }
        Err(refusal) => {
            text = refusal.to_string();
            refused(refusal, &text)
        }
    };
    Ok(header.wants_answer().then(|| header.answer(answer)))
}

/// What a caller is told of a refusal.
fn refused<'t>(refusal: &Refusal, text: &'t str) -> Answer<'t> {
    match refusal {
        Refusal::Overloaded(..) => Answer::TryLater,
        Refusal::Storage { error, .. } => match error {
            StorageError::Overloaded(_) | StorageError::Unavailable(_) | StorageError::Timeout(_) => {
                Answer::TryLater
            }
            StorageError::Invalid(_) => Answer::Exception(ExceptionKind::ProtocolError, text),
            StorageError::Corrupt(_) | StorageError::Unsupported(_) => {
                Answer::Exception(ExceptionKind::InternalError, text)
            }
        },
        Refusal::Malformed(_) | Refusal::TooLarge(..) | Refusal::TooSlow(_) | Refusal::Unreadable(_) => {
            Answer::Exception(ExceptionKind::ProtocolError, text)
        }
    }
}

/// How far a frame was read.
#[derive(Default)]
struct Progress {
    /// Begun to be read, so that what follows is not its beginning.
    read: bool,
    /// Whom to answer, once that is known.
    header: Option<Header>,
}

/// A frame that is still in the socket.
struct Frame<'c> {
    shared: &'c Shared,
    stream: &'c mut TcpStream,
    length: usize,
    progress: &'c mut Progress,
}

impl ReadBody for Frame<'_> {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        let Self {
            shared,
            stream,
            length,
            progress,
        } = self;
        let limits = shared.collector.limits();
        if length > limits.body_bytes_max {
            return Err(Refusal::body_too_long(limits.body_bytes_max));
        }
        // The entries of the category are copied out of it.
        in_flight.reserve(length * 2)?;
        progress.read = true;
        let mut frame = vec![0; length];
        match timeout(limits.body_timeout, stream.read_exact(&mut frame)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(Refusal::Unreadable(error.to_string())),
            Err(_) => return Err(Refusal::TooSlow(limits.body_timeout)),
        }
        let call = Call::read(&frame).map_err(Refusal::malformed)?;
        let header = progress.header.insert(call.header.clone());
        if !header.is_log() {
            return Err(Refusal::malformed("Scribe has no such method"));
        }
        let entries = call.entries(&shared.config.category);
        let entries = entries.map_err(Refusal::malformed)?;
        shared
            .ignored
            .fetch_add(entries.ignored as u64, Ordering::Relaxed);
        Ok(entries.body.into())
    }
}

/// Throws a frame away that there was no room for, and gives the header of its call.
async fn discard(
    shared: &Shared,
    stream: &mut TcpStream,
    length: usize,
    outcome: &Result<crate::Accepted, Refusal>,
) -> Result<Option<Header>, Ended> {
    let limits = shared.collector.limits();
    if length > limits.body_bytes_max.saturating_mul(DISCARDED_BODIES) {
        // Most likely no frame at all, but the begin of an unframed call or of another protocol.
        let reason = outcome.as_ref().err().map(ToString::to_string);
        return Err(Ended::Refused(reason.unwrap_or_default()));
    }
    let read = async {
        let mut head = vec![0; length.min(HEADER_BYTES_MAX)];
        stream.read_exact(&mut head).await?;
        let mut rest = stream.take((length - head.len()) as u64);
        let mut buffer = vec![0; DISCARD_BYTES];
        while rest.read(&mut buffer).await? > 0 {}
        if rest.limit() > 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(head)
    };
    let head = timeout(limits.body_timeout, read).await;
    let head = head.map_err(|_| Ended::Refused(Refusal::TooSlow(limits.body_timeout).to_string()))??;
    Ok(Call::read(&head).ok().map(|call| call.header))
}
