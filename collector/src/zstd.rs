//! zstd bodies into a bounded, reused buffer.
//!
//! Whole frames are inflated straight into the buffer: unlike a stream this needs no window beside it, whose
//! length the sender would choose. Most senders do not say how long their frames will be, so the room is guessed
//! and doubled where it was too little, which costs at most twice the work.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{DCtx, get_frame_content_size};

use crate::{InFlight, Refusal};

const CANNOT_INFLATE: &str = "Cannot inflate spans compressed with zstd";

/// The best ratio of zstd: a block of 128 KiB for the 4 bytes that say which byte to repeat.
const RATIO_MAX: usize = 32 << 10;

/// What lists of spans come to where the sender does not say.
const RATIO_LIKELY: usize = 8;

/// How zstd says that the room was too little: its error numbers are negative and stable.
const ROOM_TOO_LITTLE: usize = 0usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize);

/// Kept between bodies; anything longer is freed.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Inflates one body after the other.
#[derive(Default)]
pub(crate) struct Inflater {
    // Made on first use: few senders use zstd.
    context: Option<DCtx<'static>>,
    buffer: Vec<u8>,
}

impl Inflater {
    /// All frames of `body`, at most `bytes_max` in all.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what is not zstd or ends early, [`Refusal::TooLarge`] beyond the bound,
    /// [`Refusal::Overloaded`] where so much memory is not free now.
    pub(crate) fn inflate(
        &mut self,
        body: &[u8],
        bytes_max: usize,
        in_flight: &mut InFlight,
    ) -> Result<&[u8], Refusal> {
        let mut room = inflated_bytes_likely(body).min(bytes_max);
        in_flight.reserve(room)?;
        let context = self.context.get_or_insert_with(DCtx::create);
        loop {
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
            match context.decompress(&mut self.buffer[..room], body) {
                Ok(length) => return Ok(&self.buffer[..length]),
                Err(ROOM_TOO_LITTLE) if room == bytes_max => {
                    return Err(Refusal::inflated_too_long(bytes_max));
                }
                Err(ROOM_TOO_LITTLE) => {
                    let more = (room * 2).min(bytes_max);
                    in_flight.reserve(more - room)?;
                    room = more;
                }
                Err(_) => return Err(Refusal::malformed(CANNOT_INFLATE)),
            }
        }
    }

    /// Frees what an unusually long body left behind.
    pub(crate) fn trim(&mut self) {
        if self.buffer.len() > KEPT_BYTES_MAX {
            self.buffer = Vec::new();
        }
    }
}

/// How long `body` will be inflated: what its first frame says, as far as zstd can make so much of it, or a guess.
/// Never 0.
pub(crate) fn inflated_bytes_likely(body: &[u8]) -> usize {
    let likely = match get_frame_content_size(body) {
        Ok(Some(said)) => (said as usize).min(body.len().saturating_mul(RATIO_MAX)),
        _ => body.len().saturating_mul(RATIO_LIKELY),
    };
    likely.max(1)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::admission::Admission;
    use crate::{Limits, Reason};

    /// As senders do that know the length, and say it.
    fn zstd_with_length(content: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(zstd::zstd_safe::compress_bound(content.len()));
        zstd::zstd_safe::compress(&mut body, content, 3).unwrap();
        body
    }

    /// As senders do that compress as they go.
    fn zstd_without_length(content: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refusal> {
        let mut in_flight = Admission::new(&Limits::default()).admit().unwrap();
        Inflater::default()
            .inflate(body, bytes_max, &mut in_flight)
            .map(<[u8]>::to_vec)
    }

    #[test]
    fn inflates_frames_that_say_their_length_and_frames_that_do_not() {
        let content = b"0123456789abcdef".repeat(20_000);
        for body in [zstd_with_length(&content), zstd_without_length(&content)] {
            assert_eq!(inflate(&body, content.len()).unwrap(), content);
            let frames = [body.clone(), body].concat();
            assert_eq!(inflate(&frames, 1 << 20).unwrap(), content.repeat(2));
        }
        assert_eq!(inflate(&zstd_with_length(b""), 10).unwrap(), b"");
    }

    #[test]
    fn refuses_what_is_not_zstd_or_ends_early() {
        let cannot = Err(Refusal::Malformed(CANNOT_INFLATE.to_owned()));
        for body in [
            zstd_with_length(&b"0123456789".repeat(1000)),
            zstd_without_length(&b"0123456789".repeat(1000)),
        ] {
            for cut in [1, 4, body.len() / 2, body.len() - 1] {
                assert_eq!(inflate(&body[..cut], 1 << 20), cannot, "cut at {cut}");
            }
            let trailing = [body, b"not a frame".to_vec()].concat();
            assert_eq!(inflate(&trailing, 1 << 20), cannot);
        }
        assert_eq!(inflate(b"[{\"traceId\":\"1\",\"id\":\"2\"}]", 1 << 20), cannot);
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound_whatever_it_says() {
        let content = vec![0; 8 << 20];
        for bomb in [zstd_with_length(&content), zstd_without_length(&content)] {
            assert!(bomb.len() < 2000, "{}", bomb.len());
            assert_eq!(
                inflate(&bomb, 1 << 20).unwrap_err().reason(),
                Reason::InflatedBytes
            );
        }
    }

    #[test]
    fn a_frame_that_lies_about_its_length_is_believed_as_far_as_zstd_goes() {
        // The magic number, a header that says 2^40 bytes, and a last block of none.
        let lie = b"\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\x01\0\0\x01\0\0";
        assert_eq!(inflated_bytes_likely(lie), lie.len() * RATIO_MAX);
        let cannot = Err(Refusal::Malformed(CANNOT_INFLATE.to_owned()));
        assert_eq!(inflate(lie, 64 << 20), cannot);
    }

    #[test]
    fn inflated_bytes_are_reserved() {
        let admission = Admission::new(&Limits {
            bytes_in_flight_max: 100_000,
            ..Limits::default()
        });
        for body in [
            zstd_with_length(&[0; 200_000]),
            zstd_without_length(&[0; 200_000]),
        ] {
            let refused = Inflater::default()
                .inflate(&body, 1 << 20, &mut admission.admit().unwrap())
                .unwrap_err();
            assert_eq!(refused.reason(), Reason::BytesInFlight);
        }
    }

    #[test]
    fn one_inflater_serves_many_bodies() {
        let mut inflater = Inflater::default();
        let mut in_flight = Admission::new(&Limits::default()).admit().unwrap();
        for length in [5, 100_000, 1, 3 << 20, 2] {
            let content = vec![b'x'; length];
            let body = zstd_without_length(&content);
            assert_eq!(inflater.inflate(&body[..4], 4 << 20, &mut in_flight).ok(), None);
            assert_eq!(inflater.inflate(&body, 4 << 20, &mut in_flight).unwrap(), content);
            inflater.trim();
            assert!(inflater.buffer.len() <= KEPT_BYTES_MAX);
        }
    }
}
