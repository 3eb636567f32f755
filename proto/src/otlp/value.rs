//! Attribute values as text: scalars as they are, arrays and objects as JSON.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::{write_number, write_string};

/// How deep arrays and objects may be nested in each other. In JSON a level of these takes four levels of
/// braces, of which no more than 64 are passed over.
pub(super) const LEVELS_MAX: usize = 12;

/// A whole number in decimal.
pub(super) fn write_int(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_number(out, value.unsigned_abs());
}

/// The shortest decimal that reads back as the same number, always recognisable as a double (`1.0`); what is
/// no number in the words of OTLP's JSON.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        write!(out, "{value:?}").expect("a vector takes every byte");
    }
}

/// The same inside of JSON, where what is no number is a string.
pub(super) fn write_json_double(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        write_double(out, value);
    } else {
        out.push(b'"');
        write_double(out, value);
        out.push(b'"');
    }
}

/// `true` or `false`.
pub(super) fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Padded base64, as OTLP's JSON has bytes.
pub(super) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

/// Bytes in lower-case hexadecimal.
pub(super) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(b"0123456789abcdef"[usize::from(nibble)]);
        }
    }
}

/// The name of a member of an object that was opened with a brace, and the colon.
pub(super) fn write_member(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    write_string(out, name);
    out.push(b':');
}

/// The text that one of the functions above wrote.
pub(super) fn as_text(written: &[u8]) -> &str {
    std::str::from_utf8(written).expect("JSON, numbers and base64 are written from text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        as_text(&out).to_owned()
    }

    #[test]
    fn numbers_are_written_as_short_as_they_can_be_read_back() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(written(|out| write_double(out, value)), text);
        }
        assert_eq!(
            written(|out| write_json_double(out, f64::INFINITY)),
            "\"Infinity\""
        );
        assert_eq!(written(|out| write_json_double(out, 2.5)), "2.5");
        assert_eq!(written(|out| write_int(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(written(|out| write_int(out, 7)), "7");
    }

    #[test]
    fn bytes_are_padded_base64_or_hexadecimal() {
        assert_eq!(
            written(|out| write_base64(out, &[0xff, 0xef, 0xbe, 0])),
            "/+++AA=="
        );
        assert_eq!(written(|out| write_hex(out, &[0x0f, 0xa0])), "0fa0");
    }

    #[test]
    fn members_are_separated() {
        let object = written(|out| {
            out.push(b'{');
            write_member(out, "a");
            write_bool(out, true);
            write_member(out, "b");
            write_bool(out, false);
            out.push(b'}');
        });
        assert_eq!(object, r#"{"a":true,"b":false}"#);
    }
}
