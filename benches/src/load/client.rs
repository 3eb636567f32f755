//! One sender's side of a way in.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use super::connection::{Answer, Connection};
use super::grpc::Caller;
use super::way::{Transport, Verdict, Way};

/// Sends one request at a time.
#[derive(Debug)]
pub(super) enum Client {
    /// On a connection of its own.
    Http(Connection),
    /// The same.
    Grpc(Caller),
}

impl Client {
    /// Connects some.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(super) fn several(transport: Transport, address: SocketAddr, count: usize) -> io::Result<Vec<Self>> {
        let client = |_| {
            Ok(match transport {
                Transport::Http => Self::Http(Connection::open(address)?),
                Transport::Grpc => Self::Grpc(Caller::connect(address)?),
            })
        };
        (0..count).map(client).collect()
    }

    /// Sends a request as [`Way::frame`] made it, and waits for the answer.
    ///
    /// # Errors
    /// Where the connection breaks, or the answer is not of this transport.
    pub(super) fn send(&mut self, way: Way, request: &[u8]) -> io::Result<Verdict> {
        match self {
            Self::Http(connection) => {
                let Answer {
                    status,
                    body,
                    retry_after,
                    ..
                } = connection.exchange(request)?;
                if status == 503 && !retry_after {
                    return Ok(Verdict::Failed("503 without Retry-After".to_owned()));
                }
                Ok(way.verdict(status, &body))
            }
            Self::Grpc(caller) => caller.call(way, Bytes::copy_from_slice(request)),
        }
    }

    /// Connects again after a connection broke.
    ///
    /// # Errors
    /// Where nobody listens.
    pub(super) fn reconnect(&mut self) -> io::Result<()> {
        match self {
            Self::Http(connection) => connection.reopen()?,
            Self::Grpc(caller) => caller.reconnect()?,
        }
        Ok(())
    }
}
