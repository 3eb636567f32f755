//! The bounds of what is taken in, and their defaults.

use std::time::Duration;

const MIB: usize = 1 << 20;

/// Every bound of this package. A refusal names the bound in upper case, with `COLLECTOR_` before it: that is
/// how the server's configuration calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body as received, before it is inflated. 10 MiB, as Zipkin (`zipkin.md` 2.1).
    pub body_bytes_max: usize,
    /// The longest list of spans after it is inflated. Zipkin has no such bound, and dies of it.
    pub inflated_bytes_max: usize,
    /// The most spans in one message. A span may be as short as 24 bytes, and takes some 200 once decoded.
    pub message_spans_max: usize,
    /// The most messages between their first byte and their answer.
    pub requests_in_flight_max: usize,
    /// The most bytes of bodies, received and inflated, that are held at one time.
    pub bytes_in_flight_max: usize,
    /// The longest time from a request's head to the end of its body.
    pub body_timeout: Duration,
    /// Longer lists are decoded on a thread that may block. Half a mebibyte takes some 0.2 ms, which is what a
    /// thread of the runtime can spare.
    pub inline_decode_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 * MIB,
            inflated_bytes_max: 64 * MIB,
            message_spans_max: 200_000,
            requests_in_flight_max: 4096,
            bytes_in_flight_max: 256 * MIB,
            body_timeout: Duration::from_secs(30),
            inline_decode_bytes_max: MIB / 2,
        }
    }
}
