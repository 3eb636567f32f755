//! Makes a damaged footer again, without which nothing says where a segment's pages are.
//!
//! 1. One wrong byte, wherever it is, is found by the footer's checksum: there is one place and one value that make it
//!    right. That more of them look like one has a chance of one in 17,000 at a thousand bytes, and then pages that do
//!    not end where the footer begins, or are not what it says, give it away.
//! 2. A tail of which nothing is left costs nothing either: the footer begins where its own pages end. What it says is
//!    then proven by the checksums of the pages and by the number of spans.

use storage_journal::DiskFile;

use crate::format::{FOOTER_BYTES_MAX, Footer, MAGIC, TAIL_BYTES, VERSION};
use crate::page::PageEntry;

const HEADER_BYTES: u64 = MAGIC.len() as u64;

/// The footer of a file as it was written, if that can be told.
pub(super) fn salvage(file: &dyn DiskFile) -> Option<Footer> {
    let length = file.len().ok()?;
    let begin = length
        .saturating_sub(u64::from(FOOTER_BYTES_MAX) + TAIL_BYTES)
        .max(HEADER_BYTES);
    let mut bytes = vec![0; usize::try_from(length.checked_sub(begin)?).ok()?];
    file.read_exact_at(&mut bytes, begin).ok()?;
    by_checksum(&bytes, begin).or_else(|| by_place(&bytes, begin))
}

/// By the length and the checksum behind it, with one wrong byte or none. `bytes` are the end of a file, from `begin`.
fn by_checksum(bytes: &[u8], begin: u64) -> Option<Footer> {
    let (rest, tail) = bytes.split_last_chunk::<{ TAIL_BYTES as usize }>()?;
    let word = |at: usize| tail[at..].first_chunk().copied().map(u32::from_le_bytes);
    let (length, checksum) = (word(0)? as usize, word(4)?);
    let start = rest.len().checked_sub(length)?;
    let mut footer = rest[start..].to_vec();
    let difference = crc32c::crc32c(&footer) ^ checksum;
    if let Some((at, change)) = wrong_byte(footer.len(), difference) {
        footer[at] ^= change;
    } else if difference != 0 {
        return None;
    }
    let start = begin + start as u64;
    read(&footer, start)
        .filter(|(_, rest)| *rest == 0)
        .map(|(footer, _)| footer)
}

/// By where its pages end: the tail is not read.
fn by_place(bytes: &[u8], begin: u64) -> Option<Footer> {
    let is_begin = |pair: &[u8]| pair[0] != 0 && pair[0] <= VERSION && pair[1] <= 1;
    let places = bytes.windows(2).enumerate().filter(|(_, pair)| is_begin(pair));
    let mut footers = places.filter_map(|(at, _)| {
        let (footer, rest) = read(&bytes[at..], begin + at as u64)?;
        (rest <= TAIL_BYTES as usize && footer.summary.spans > 0).then_some(footer)
    });
    footers.next()
}

/// A footer that begins at `start` of its file and at the begin of `bytes`; how many bytes come after it.
fn read(bytes: &[u8], start: u64) -> Option<(Footer, usize)> {
    let (mut footer, rest) = Footer::parse(bytes, HEADER_BYTES).ok()?;
    let end = footer.pages.last().map_or(HEADER_BYTES, PageEntry::end);
    footer.frame_bytes = HEADER_BYTES + (bytes.len() - rest) as u64 + TAIL_BYTES;
    (end == start).then_some((footer, rest))
}

/// The remainders of the 256 bytes by the polynomial of CRC32C, reflected.
const REMAINDERS: [u32; 256] = {
    let mut remainders = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut remainder, mut bit) = (byte as u32, 0);
        while bit < 8 {
            remainder = (remainder >> 1) ^ (0x82f6_3b78 * (remainder & 1));
            bit += 1;
        }
        remainders[byte] = remainder;
        byte += 1;
    }
    remainders
};

/// The byte among `length`, and what it has to be changed by, whose change changes the checksum by `difference`.
///
/// A checksum is linear: the change of a byte changes it by the byte's remainder, carried on over the bytes behind. The
/// way back over those is unique, because the high bytes of the remainders are all different.
fn wrong_byte(length: usize, difference: u32) -> Option<(usize, u8)> {
    let mut by_high = [0u8; 256];
    for (byte, remainder) in REMAINDERS.iter().enumerate() {
        by_high[(remainder >> 24) as usize] = byte as u8;
    }
    let mut remainder = difference;
    for at in (0..length).rev() {
        let byte = by_high[(remainder >> 24) as usize];
        if byte != 0 && REMAINDERS[byte as usize] == remainder {
            return Some((at, byte));
        }
        remainder = (remainder ^ REMAINDERS[byte as usize]) << 8 | u32::from(byte);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_tells_the_one_byte_that_is_wrong() {
        let bytes: Vec<u8> = (0..3000u32)
            .map(|number| ((number * number) >> 3) as u8)
            .collect();
        let right = crc32c::crc32c(&bytes);
        assert_eq!(wrong_byte(bytes.len(), 0), None);
        for (at, change) in [
            (0, 1),
            (1, 0x80),
            (17, 0xff),
            (1500, 0x5a),
            (2998, 2),
            (2999, 0x10),
        ] {
            let mut wrong = bytes.clone();
            wrong[at] ^= change;
            let difference = crc32c::crc32c(&wrong) ^ right;
            assert_eq!(wrong_byte(bytes.len(), difference), Some((at, change)));
        }
    }
}
