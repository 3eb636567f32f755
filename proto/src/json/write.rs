//! The scalars of Zipkin's JSON, appended to a buffer without the formatting machinery.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::{SpanId, TraceId};

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// 16 or 32 hexadecimal characters in quotes.
pub(crate) fn write_trace_id(out: &mut Vec<u8>, id: TraceId) {
    out.push(b'"');
    if id.high() != 0 {
        write_hex(out, id.high());
    }
    write_hex(out, id.low());
    out.push(b'"');
}

/// 16 hexadecimal characters in quotes.
pub(crate) fn write_span_id(out: &mut Vec<u8>, id: SpanId) {
    out.push(b'"');
    write_hex(out, id.value());
    out.push(b'"');
}

fn write_hex(out: &mut Vec<u8>, value: u64) {
    let mut text = [0; 16];
    for (index, byte) in value.to_be_bytes().into_iter().enumerate() {
        text[2 * index] = HEX_DIGITS[usize::from(byte >> 4)];
        text[2 * index + 1] = HEX_DIGITS[usize::from(byte & 15)];
    }
    out.extend_from_slice(&text);
}

/// A number in decimal.
pub(crate) fn write_number(out: &mut Vec<u8>, mut value: u64) {
    // u64::MAX has 20 digits.
    let mut text = [0; 20];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&text[start..]);
}

/// A string in quotes, with exactly the escapes that Zipkin writes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if !MAY_NEED_ESCAPE[usize::from(byte)] {
            continue;
        }
        let separator = byte == 0xe2;
        if separator && !matches!(bytes[at..], [_, 0x80, 0xa8 | 0xa9, ..]) {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        if separator {
            // U+2028 and U+2029 end a line of JavaScript, though not of JSON.
            out.extend_from_slice(if bytes[at + 2] == 0xa8 {
                b"\\u2028"
            } else {
                b"\\u2029"
            });
            written = at + 3;
        } else {
            write_escape(out, byte);
            written = at + 1;
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}

/// Control characters, the quote, the backslash, and the first byte of U+2028 and its neighbours.
const MAY_NEED_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = true;
        control += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0xe2] = true;
    table
};

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX_DIGITS[usize::from(byte >> 4)]);
            out.push(HEX_DIGITS[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// An IPv4 address in quotes.
pub(crate) fn write_ipv4(out: &mut Vec<u8>, address: Ipv4Addr) {
    out.push(b'"');
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            out.push(b'.');
        }
        write_number(out, u64::from(octet));
    }
    out.push(b'"');
}

/// An IPv6 address in quotes. As Zipkin and unlike the standard library, a single zero group is compressed
/// too, and nothing is ever written in dots.
pub(crate) fn write_ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let groups = address.segments();
    let (zeros_start, zeros_end) = longest_zeros(&groups);
    out.push(b'"');
    let mut index = 0;
    while index < groups.len() {
        if index == zeros_start && zeros_start < zeros_end {
            out.extend_from_slice(b"::");
            index = zeros_end;
            continue;
        }
        if index > 0 && index != zeros_end {
            out.push(b':');
        }
        write_group(out, groups[index]);
        index += 1;
    }
    out.push(b'"');
}

/// The first of the longest runs of zeros, start and end; empty if there is none.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut start) = ((0, 0), 0);
    for (index, &group) in groups.iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start > best.1 - best.0 {
            best = (start, index + 1);
        }
    }
    best
}

/// Up to four hexadecimal digits, without leading zeros.
fn write_group(out: &mut Vec<u8>, group: u16) {
    let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(HEX_DIGITS[usize::from(group >> (4 * digit) & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written<T>(write: impl Fn(&mut Vec<u8>, T), value: T) -> String {
        let mut out = Vec::new();
        write(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn scalars_read_back_as_they_were(number: u64, high: u64, low in 1u64.., v4: u32, v6 in zeroed_groups()) {
            prop_assert_eq!(written(write_number, number), number.to_string());
            let id = TraceId::new(high, low).unwrap();
            prop_assert_eq!(written(write_trace_id, id), format!("\"{id}\""));
            let address = Ipv4Addr::from(v4);
            prop_assert_eq!(written(write_ipv4, address), format!("\"{address}\""));
            let address = Ipv6Addr::from(v6);
            let text = written(write_ipv6, address);
            prop_assert_eq!(text.trim_matches('"').parse::<Ipv6Addr>(), Ok(address), "{}", text);
        }

        #[test]
        fn a_string_is_what_another_reader_reads(text: String) {
            prop_assert_eq!(serde_json::from_str::<String>(&written(write_string, &text)).unwrap(), text);
        }
    }

    /// Eight groups, most of them zero.
    fn zeroed_groups() -> impl Strategy<Value = [u16; 8]> {
        prop::array::uniform8(prop_oneof![2 => Just(0u16), 1 => any::<u16>(), 1 => 0u16..300])
    }

    #[test]
    fn strings_are_escaped_as_zipkin_does() {
        let text = "é\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}\u{2027}\u{2028}\u{2029}€";
        let expected = "\"é\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}\u{2027}\\u2028\\u2029€\"";
        assert_eq!(written(write_string, text), expected);
    }

    #[test]
    fn addresses_are_compressed_as_zipkin_does() {
        let ipv6 = |text: &str| written(write_ipv6, text.parse().unwrap());
        assert_eq!(ipv6("::"), "\"::\"");
        assert_eq!(ipv6("::1"), "\"::1\"");
        assert_eq!(ipv6("2001:db8:0:1:1:1:1:1"), "\"2001:db8::1:1:1:1:1\"");
        assert_eq!(ipv6("2001:0:0:1:0:0:1:1"), "\"2001::1:0:0:1:1\"");
        assert_eq!(ipv6("1:2:3:4:5:6:7:0"), "\"1:2:3:4:5:6:7::\"");
        assert_eq!(ipv6("::a00:1"), "\"::a00:1\"");
        assert_eq!(ipv6("fe80::ffff:0:1"), "\"fe80::ffff:0:1\"");
    }
}
