//! Writes fields in protobuf's wire format.

use super::{FIXED64, LENGTH_DELIMITED, VARINT, key};

/// Writes what `write` writes, then moves it to make room for its length: each byte moves once a level, and
/// there are two levels.
pub(crate) fn write_message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    write_varint(out, key(field, LENGTH_DELIMITED).into());
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(5);
    write_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

/// `Some("")` is written: a tag may be empty. `None` is not.
pub(crate) fn write_text(out: &mut Vec<u8>, field: u32, text: Option<&str>) {
    if let Some(text) = text {
        write_bytes(out, field, text.as_bytes());
    }
}

pub(crate) fn write_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    write_varint(out, key(field, LENGTH_DELIMITED).into());
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn write_number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        write_varint(out, key(field, VARINT).into());
        write_varint(out, number);
    }
}

pub(crate) fn write_fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        write_varint(out, key(field, FIXED64).into());
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
