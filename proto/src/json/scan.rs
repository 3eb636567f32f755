//! Eight or sixteen bytes at a time: what the readers of text look for and read most.
//!
//! Every function has a slow twin in its tests that it must agree with.

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Where the next `"` or `\` is, at or after `from`; the length of `bytes` if there is none.
#[inline]
pub(crate) fn find_quote_or_backslash(bytes: &[u8], from: usize) -> usize {
    const QUOTES: u64 = LOW_BITS * b'"' as u64;
    const BACKSLASHES: u64 = LOW_BITS * b'\\' as u64;
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        let found = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && bytes[at] != b'"' && bytes[at] != b'\\' {
        at += 1;
    }
    at
}

/// The same of longer strings, sixteen bytes at a time although no register has as many: most then end in the first
/// step, and a branch that is foreseen is worth more than the instructions saved.
#[inline(always)]
pub(crate) fn find_far_quote_or_backslash(bytes: &[u8], from: usize) -> usize {
    const QUOTES: u128 = both(LOW_BITS * b'"' as u64);
    const BACKSLASHES: u128 = both(LOW_BITS * b'\\' as u64);
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let chunk = u128::from_le_bytes(*chunk);
        let found = zero_bytes_of_both(chunk ^ QUOTES) | zero_bytes_of_both(chunk ^ BACKSLASHES);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    find_quote_or_backslash(bytes, at)
}

/// The number that 16 lower-case hexadecimal characters mean; `None` where they are not that.
#[inline]
pub(crate) fn hex_u64(text: &[u8]) -> Option<u64> {
    if text.len() != 16 {
        return None;
    }
    let high = hex_u32(word(text, 0)?)?;
    let low = hex_u32(word(text, 8)?)?;
    Some(high << 32 | low)
}

/// Eight characters, the first in the lowest byte. All additions below stay within their byte, because
/// every addend is below 0x80.
#[inline]
fn hex_u32(word: u64) -> Option<u64> {
    if word & HIGH_BITS != 0 {
        return None;
    }
    let at_least = |bound: u8| word + LOW_BITS * u64::from(0x80 - bound);
    let digit = at_least(b'0') & !at_least(b'9' + 1);
    let letter = at_least(b'a') & !at_least(b'f' + 1);
    if (digit | letter) & HIGH_BITS != HIGH_BITS {
        return None;
    }
    // '0' is 0x30 and 'a' is 0x61: the low half counts, and a letter (bit 6 set) has 9 more.
    let nibbles = (word & (LOW_BITS * 0x0f)) + ((word >> 6) & LOW_BITS) * 9;
    let nibbles = nibbles.swap_bytes();
    let bytes = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let halves = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    Some((halves | halves >> 16) & 0xffff_ffff)
}

/// Reads decimal digits from `from` on while they fit into 18, and tells where they end.
#[inline]
pub(crate) fn decimal(bytes: &[u8], from: usize) -> (u64, usize) {
    let mut value = 0;
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        let (read, digits) = leading_digits(word);
        if digits < 8 {
            // Below, one by one, if that is too many.
            if at - from + digits > 18 {
                break;
            }
            return (value * POWERS_OF_TEN[digits] + read, at + digits);
        }
        if at - from > 8 {
            break;
        }
        value = value * POWERS_OF_TEN[8] + read;
        at += 8;
    }
    while let Some(digit) = bytes
        .get(at)
        .map(|byte| byte.wrapping_sub(b'0'))
        .filter(|&digit| digit < 10)
    {
        if at - from == 18 {
            break;
        }
        value = value * 10 + u64::from(digit);
        at += 1;
    }
    (value, at)
}

const POWERS_OF_TEN: [u64; 9] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
];

/// The number that the digits mean which eight characters begin with, the first in the lowest byte, and how many
/// digits they are.
#[inline]
fn leading_digits(word: u64) -> (u64, usize) {
    // Zero to nine for a digit, more for anything else.
    let values = word ^ (LOW_BITS * u64::from(b'0'));
    let others = (values | ((values & !HIGH_BITS) + LOW_BITS * (0x80 - 10))) & HIGH_BITS;
    let digits = (others.trailing_zeros() / 8) as usize;
    if digits == 0 {
        return (0, 0);
    }
    // The last digit into the highest byte; zeros come in before the first.
    let ones = values << (64 - 8 * digits);
    let tens = (ones & 0x000f_000f_000f_000f) * 10 + ((ones >> 8) & 0x000f_000f_000f_000f);
    let hundreds = (tens & 0x0000_00ff_0000_00ff) * 100 + ((tens >> 16) & 0x0000_00ff_0000_00ff);
    ((hundreds & 0xffff) * 10_000 + (hundreds >> 32), digits)
}

#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

/// The high bit of each byte that is zero. A byte above a zero one may be marked by mistake, so only the
/// lowest mark counts.
#[inline]
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}

const fn both(half: u64) -> u128 {
    (half as u128) << 64 | half as u128
}

/// As [`zero_bytes`].
#[inline(always)]
fn zero_bytes_of_both(chunk: u128) -> u128 {
    chunk.wrapping_sub(both(LOW_BITS)) & !chunk & both(HIGH_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_quote_is_found_where_a_plain_search_finds_it(
            bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => b'!'..=b'#', 1 => b'['..=b']'], 0..80),
            from in 0usize..80,
        ) {
            let from = from.min(bytes.len());
            let plain = bytes[from..].iter().position(|&byte| byte == b'"' || byte == b'\\');
            let expected = plain.map_or(bytes.len(), |found| from + found);
            prop_assert_eq!(find_quote_or_backslash(&bytes, from), expected);
            prop_assert_eq!(find_far_quote_or_backslash(&bytes, from), expected);
        }

        #[test]
        fn digits_are_read_as_the_standard_library_reads_them(
            value in prop_oneof![any::<u64>(), 0u64..100_000],
            after in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut text = value.to_string().into_bytes();
            text.extend(after);
            let digits = text.iter().take(18).take_while(|byte| byte.is_ascii_digit()).count();
            let plain = std::str::from_utf8(&text[..digits]).unwrap().parse().unwrap();
            prop_assert_eq!(decimal(&text, 0), (plain, digits));
        }

        #[test]
        fn hexadecimal_reads_as_the_standard_library_reads_it(value: u64, place in 0usize..16, other: u8) {
            let mut text = format!("{value:016x}").into_bytes();
            prop_assert_eq!(hex_u64(&text), Some(value));
            text[place] = other;
            let plain = std::str::from_utf8(&text).ok().filter(|text| {
                text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            });
            prop_assert_eq!(hex_u64(&text), plain.and_then(|text| u64::from_str_radix(text, 16).ok()));
        }
    }

    #[test]
    fn every_byte_is_a_hexadecimal_digit_or_none() {
        for byte in 0..=255u8 {
            let expected = match byte {
                b'0'..=b'9' => Some(u64::from(byte - b'0')),
                b'a'..=b'f' => Some(u64::from(byte - b'a' + 10)),
                _ => None,
            };
            assert_eq!(
                hex_u64(&[byte; 16]),
                expected.map(|digit| digit * 0x1111_1111_1111_1111),
                "{byte}"
            );
        }
        assert_eq!(hex_u64(b"123"), None);
    }

    #[test]
    fn digits_end_where_they_end_or_after_18() {
        assert_eq!(decimal(b"x120,", 1), (120, 4));
        assert_eq!(decimal(b"-", 0), (0, 0));
        assert_eq!(decimal(b"", 0), (0, 0));
        assert_eq!(decimal(b"12345678901234567890", 0), (123_456_789_012_345_678, 18));
        assert_eq!(
            decimal(b"1234567890123456789,,,,,,,", 0),
            (123_456_789_012_345_678, 18)
        );
        assert_eq!(
            decimal(b"123456789012345678,,,,,,,,", 0),
            (123_456_789_012_345_678, 18)
        );
    }
}
