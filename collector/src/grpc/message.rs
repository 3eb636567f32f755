//! One gRPC message off a request's body: a flag, a length, so many bytes, and then the end.
//!
//! Not by tonic's own reader: it makes room for as many bytes as the sender announces before one of them has
//! arrived, inflates before anybody can refuse, and asks nobody whether so much memory is free.

use std::fmt::Display;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::{Compression, InFlight, Limits, ReadBody, Refusal};

/// Before a message: whether it is compressed, one byte, and its length, four bytes, the highest first.
const HEAD_BYTES: usize = 5;

/// A message's first buffer is no longer than this, whatever length the sender announces.
const FIRST_BUFFER_BYTES_MAX: usize = 64 << 10;

/// A message whose head has arrived.
pub(super) struct Message<B> {
    pieces: Pieces<B>,
    /// What came with the head.
    first: Bytes,
    /// As announced.
    length: usize,
    /// How it is compressed, if it is: every message says so by itself.
    pub(super) compression: Option<Compression>,
}

impl<B: Body<Data = Bytes, Error: Display> + Unpin> Message<B> {
    /// Waits for the head. `compression` is how the request says that its messages may be compressed. Nothing but
    /// the piece with the head, which is one frame of HTTP/2, is held before the message is let in.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] where there is none, or it is wrong; [`Refusal::TooSlow`] where it does not come.
    pub(super) async fn begin(
        body: B,
        compression: Option<Compression>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let mut pieces = Pieces {
            body,
            deadline: Instant::now() + limits.body_timeout,
            limits: *limits,
        };
        let mut first = pieces.next().await?.unwrap_or_default();
        while first.len() < HEAD_BYTES {
            let Some(piece) = pieces.next().await? else {
                return Err(unreadable("it has no message"));
            };
            first = [first, piece].concat().into();
        }
        let compressed = match first.get_u8() {
            0 => false,
            1 => true,
            flag => return Err(unreadable(format!("{flag} is not a flag of a message"))),
        };
        if compressed && compression.is_none() {
            let reason = "the message is compressed, but there is no grpc-encoding";
            return Err(unreadable(reason));
        }
        Ok(Self {
            length: first.get_u32() as usize,
            compression: compression.filter(|_| compressed),
            pieces,
            first,
        })
    }
}

impl<B: Body<Data = Bytes, Error: Display> + Unpin + Send> ReadBody for Message<B> {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        let Self {
            mut pieces,
            first,
            length,
            ..
        } = self;
        let length_max = pieces.limits.body_bytes_max;
        if length > length_max {
            return Err(Refusal::body_too_long(length_max));
        }
        in_flight.reserve(first.len())?;
        // Most messages arrive in one piece, which is then used where it lies.
        let message = if first.len() == length {
            first
        } else {
            let mut whole = BytesMut::with_capacity(length.min(FIRST_BUFFER_BYTES_MAX).max(first.len()));
            whole.extend_from_slice(&first);
            drop(first);
            while whole.len() < length {
                let Some(piece) = pieces.next().await? else {
                    let arrived = whole.len();
                    let reason = format!("it ended after {arrived} of {length} bytes of the message");
                    return Err(unreadable(reason));
                };
                in_flight.reserve(piece.len())?;
                whole.extend_from_slice(&piece);
            }
            whole.freeze()
        };
        if message.len() > length || pieces.next().await?.is_some() {
            return Err(unreadable("more follows the one message"));
        }
        Ok(message)
    }
}

/// A message that was refused before it was read is refused.
impl<R: ReadBody> ReadBody for Result<R, Refusal> {
    async fn read(self, in_flight: &mut InFlight) -> Result<Bytes, Refusal> {
        self?.read(in_flight).await
    }
}

fn unreadable(reason: impl Into<String>) -> Refusal {
    Refusal::Unreadable(reason.into())
}

/// A body, piece by piece, until a deadline.
struct Pieces<B> {
    body: B,
    deadline: Instant,
    limits: Limits,
}

impl<B: Body<Data = Bytes, Error: Display> + Unpin> Pieces<B> {
    /// The next piece, never an empty one, or `None` at the end. Trailers are passed over.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Ok(frame) = timeout_at(self.deadline, self.body.frame()).await else {
                return Err(Refusal::TooSlow(self.limits.body_timeout));
            };
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| unreadable(error.to_string()))?;
            match frame.into_data() {
                Ok(data) if !data.is_empty() => return Ok(Some(data)),
                _ => {}
            }
        }
    }
}
