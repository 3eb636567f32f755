//! gzip bodies into a bounded, reused buffer.
//!
//! libdeflate inflates a whole member at once and much faster than a stream, but must be given room for all of
//! it and stops after the first member. So: room as the body's last four bytes ask for, as far as deflate's best
//! ratio makes that believable; and where that was not the truth (several members, or a lie), again as a stream.

use std::io::Read;

use crate::{InFlight, Refusal};

/// Zipkin's words, whatever is wrong.
const CANNOT_GUNZIP: &str = "Cannot gunzip spans";

/// The best ratio of deflate: 258 bytes for 2 bits.
const RATIO_MAX: usize = 1032;

/// Header, empty block and trailer: nothing shorter is gzip.
const MEMBER_BYTES_MIN: usize = 20;

/// Kept between bodies; anything longer is freed.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Inflates one body after the other.
#[derive(Default)]
pub(crate) struct Inflater {
    // Made on first use: most senders do not compress.
    decompressor: Option<libdeflater::Decompressor>,
    buffer: Vec<u8>,
}

impl Inflater {
    /// All members of `body`, at most `bytes_max` in all.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what is not gzip or ends early, [`Refusal::TooLarge`] beyond the bound,
    /// [`Refusal::Overloaded`] where so much memory is not free now.
    pub(crate) fn inflate(
        &mut self,
        body: &[u8],
        bytes_max: usize,
        in_flight: &mut InFlight,
    ) -> Result<&[u8], Refusal> {
        if body.len() < MEMBER_BYTES_MIN {
            return Err(Refusal::malformed(CANNOT_GUNZIP));
        }
        let room = inflated_bytes_likely(body).min(bytes_max);
        in_flight.reserve(room)?;
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let decompressor = self
            .decompressor
            .get_or_insert_with(libdeflater::Decompressor::new);
        match decompressor.gzip_decompress(body, &mut self.buffer[..room]) {
            Ok(length) if is_only_member(body, &self.buffer[..length]) => Ok(&self.buffer[..length]),
            Err(libdeflater::DecompressionError::BadData) => Err(Refusal::malformed(CANNOT_GUNZIP)),
            Ok(_) | Err(libdeflater::DecompressionError::InsufficientSpace) => {
                self.inflate_members(body, bytes_max, in_flight)
            }
        }
    }

    fn inflate_members(
        &mut self,
        body: &[u8],
        bytes_max: usize,
        in_flight: &mut InFlight,
    ) -> Result<&[u8], Refusal> {
        const STEP_BYTES: usize = 64 << 10;
        let mut members = flate2::read::MultiGzDecoder::new(body);
        let mut length = 0;
        loop {
            if self.buffer.len() < length + STEP_BYTES {
                in_flight.reserve(STEP_BYTES)?;
                self.buffer.resize(length + STEP_BYTES, 0);
            }
            match members.read(&mut self.buffer[length..]) {
                Ok(0) => return Ok(&self.buffer[..length]),
                Ok(read) => length += read,
                Err(_) => return Err(Refusal::malformed(CANNOT_GUNZIP)),
            }
            if length > bytes_max {
                return Err(Refusal::inflated_too_long(bytes_max));
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

/// How long `body` will be inflated if its trailer tells the truth; never more than deflate can make of it.
pub(crate) fn inflated_bytes_likely(body: &[u8]) -> usize {
    let Some(trailer) = body.last_chunk::<4>() else {
        return 0;
    };
    (u32::from_le_bytes(*trailer) as usize).min(body.len().saturating_mul(RATIO_MAX))
}

/// True if `content` is what the only member of `body` inflated to: its trailer is at the end of the body, and
/// nowhere before, as it would be if equal members followed each other.
fn is_only_member(body: &[u8], content: &[u8]) -> bool {
    let Some((before, trailer)) = body.split_last_chunk::<8>() else {
        return false;
    };
    let [checksum @ .., l0, l1, l2, l3] = *trailer;
    u32::from_le_bytes([l0, l1, l2, l3]) == content.len() as u32
        && u32::from_le_bytes(checksum) == libdeflater::crc32(content)
        && memchr::memmem::find(before, trailer).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Admission;
    use crate::{Limits, Reason};

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut body = vec![0; compressor.gzip_compress_bound(content.len())];
        let length = compressor.gzip_compress(content, &mut body).unwrap();
        body.truncate(length);
        body
    }

    fn inflate(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Refusal> {
        let mut in_flight = Admission::new(&Limits::default()).admit().unwrap();
        Inflater::default()
            .inflate(body, bytes_max, &mut in_flight)
            .map(<[u8]>::to_vec)
    }

    #[test]
    fn inflates_one_member_and_several() {
        let one = gzip(b"[1,2,3]");
        assert_eq!(inflate(&one, 7).unwrap(), b"[1,2,3]");
        let two = [one.clone(), one.clone()].concat();
        assert_eq!(inflate(&two, 100).unwrap(), b"[1,2,3][1,2,3]");
        let long = [gzip(&[b'a'; 300_000]), one, gzip(b"")].concat();
        assert_eq!(inflate(&long, 1 << 20).unwrap().len(), 300_007);
        assert_eq!(inflate(&gzip(b""), 1).unwrap(), b"");
    }

    #[test]
    fn refuses_what_is_not_gzip_or_ends_early() {
        let body = gzip(&b"0123456789".repeat(1000));
        let cannot = Err(Refusal::Malformed(CANNOT_GUNZIP.to_owned()));
        for cut in [0, 1, 10, 19, body.len() / 2, body.len() - 1] {
            assert_eq!(inflate(&body[..cut], 1 << 20), cannot, "cut at {cut}");
        }
        assert_eq!(inflate(b"[{\"traceId\":\"1\",\"id\":\"2\"}]", 1 << 20), cannot);
        let mut flipped = body.clone();
        flipped[20] ^= 1;
        assert_eq!(inflate(&flipped, 1 << 20), cannot);
        let trailing = [body, b"trailing garbage, not a member".to_vec()].concat();
        assert_eq!(inflate(&trailing, 1 << 20), cannot);
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound_whatever_its_trailer_says() {
        let mut bomb = gzip(&vec![0; 8 << 20]);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        assert_eq!(
            inflate(&bomb, 1 << 20).unwrap_err().reason(),
            Reason::InflatedBytes
        );
        let trailer = bomb.len() - 4;
        bomb[trailer..].copy_from_slice(&1u32.to_le_bytes());
        assert_eq!(
            inflate(&bomb, 1 << 20).unwrap_err().reason(),
            Reason::InflatedBytes
        );
    }

    #[test]
    fn inflated_bytes_are_reserved() {
        let admission = Admission::new(&Limits {
            bytes_in_flight_max: 1000,
            ..Limits::default()
        });
        let body = gzip(&[0; 2000]);
        let refused = Inflater::default()
            .inflate(&body, 1 << 20, &mut admission.admit().unwrap())
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::BytesInFlight);
    }

    #[test]
    fn one_inflater_serves_many_bodies() {
        let mut inflater = Inflater::default();
        let mut in_flight = Admission::new(&Limits::default()).admit().unwrap();
        for length in [5, 100_000, 1, 3 << 20, 2] {
            let content = vec![b'x'; length];
            assert_eq!(
                inflater
                    .inflate(&gzip(&content), 4 << 20, &mut in_flight)
                    .unwrap(),
                content
            );
            inflater.trim();
            assert!(inflater.buffer.len() <= KEPT_BYTES_MAX);
        }
    }
}
