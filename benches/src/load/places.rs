//! Where the identifiers and times of a body stand, so that it can be made new in place.
//!
//! ```text
//! JSON      "traceId":"…92d2c4d1"      "timestamp":1795190400000000      "startTimeUnixNano":"1795190400000000000"
//!                       ‾‾‾‾‾‾‾‾                   ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾                           ‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾
//! protobuf  0a 10 … 92 d2 c4 d1        31 eight bytes, microseconds      39 eight bytes, nanoseconds
//!                   ‾‾‾‾‾‾‾‾‾‾‾           ‾‾‾‾‾‾‾‾‾‾‾                       ‾‾‾‾‾‾‾‾‾‾‾
//! ```

use super::way::Format;

/// Hexadecimal digits of an id that are changed: its lower half, or that of its lower half.
const ID_DIGITS: usize = 8;
/// The same as bytes.
const ID_BYTES: usize = 4;
/// Digits of a time, microseconds, from 2001 to 2286.
const TIME_DIGITS: usize = 16;
/// A `fixed64`.
const TIME_BYTES: usize = 8;

/// What is changed in one body.
#[derive(Debug)]
pub(super) struct Places {
    format: Format,
    /// Where, and what was there.
    ids: Vec<(u32, u32)>,
    /// Where, and what was there, microseconds.
    times: Vec<(u32, u64)>,
}

impl Places {
    /// Finds them in a body that begins at `body` of `bytes`.
    pub(super) fn find(format: Format, bytes: &[u8], body: usize) -> Self {
        let mut places = Self {
            format,
            ids: Vec::new(),
            times: Vec::new(),
        };
        match format {
            Format::Json => {
                let ids: [&[u8]; 3] = [b"\"traceId\":\"", b"\"id\":\"", b"\"parentId\":\""];
                places.find_in_json(bytes, body, &ids, &[b"\"timestamp\":"]);
            }
            Format::OtlpJson => {
                let ids: [&[u8]; 3] = [b"\"traceId\":\"", b"\"spanId\":\"", b"\"parentSpanId\":\""];
                let times: [&[u8]; 3] = [
                    b"\"startTimeUnixNano\":\"",
                    b"\"endTimeUnixNano\":\"",
                    b"\"timeUnixNano\":\"",
                ];
                places.find_in_json(bytes, body, &ids, &times);
            }
            Format::Proto3 => places.find_in_protobuf(bytes, body..bytes.len(), &ZIPKIN_LIST),
            Format::OtlpProto => places.find_in_protobuf(bytes, body..bytes.len(), &OTLP_REQUEST),
        }
        places
    }

    /// The times there were, microseconds since the epoch.
    pub(super) fn times_us(&self) -> impl Iterator<Item = u64> {
        self.times.iter().map(|&(_, time)| time)
    }

    /// Writes other identifiers and later times.
    pub(super) fn patch(&self, bytes: &mut [u8], id_change: u32, shift_us: u64) {
        let is_text = matches!(self.format, Format::Json | Format::OtlpJson);
        for &(place, id) in &self.ids {
            let (place, id) = (place as usize, id ^ id_change);
            if is_text {
                write_hex(&mut bytes[place..][..ID_DIGITS], id);
            } else {
                bytes[place..][..ID_BYTES].copy_from_slice(&id.to_be_bytes());
            }
        }
        for &(place, time) in &self.times {
            let (place, time) = (place as usize, time + shift_us);
            if is_text {
                write_decimal(&mut bytes[place..][..TIME_DIGITS], time);
            } else {
                bytes[place..][..TIME_BYTES].copy_from_slice(&(time * self.units_a_us()).to_le_bytes());
            }
        }
    }

    fn units_a_us(&self) -> u64 {
        if self.format == Format::OtlpProto {
            1_000
        } else {
            1
        }
    }

    /// A quote inside a value is escaped, so a key in quotes is never part of one.
    fn find_in_json(&mut self, bytes: &[u8], body: usize, ids: &[&[u8]], times: &[&[u8]]) {
        let quotes = (body..bytes.len()).filter(|&at| bytes[at] == b'"');
        for at in quotes {
            let rest = &bytes[at..];
            let starts = |keys: &[&[u8]]| keys.iter().find(|key| rest.starts_with(key)).map(|key| key.len());
            if let Some(key) = starts(ids) {
                let digits = rest[key..].iter().take_while(|digit| digit.is_ascii_hexdigit());
                let digits = digits.count();
                if digits == 0 {
                    continue;
                }
                let place = at + key + digits - ID_DIGITS;
                let text = std::str::from_utf8(&bytes[place..][..ID_DIGITS]).unwrap_or_default();
                let id = u32::from_str_radix(text, 16).expect("ids are written in hexadecimal");
                self.ids.push((place as u32, id));
            } else if let Some(key) = starts(times) {
                let place = at + key;
                let text = std::str::from_utf8(&bytes[place..][..TIME_DIGITS]).unwrap_or_default();
                let time = text.parse().expect("times have 16 digits");
                self.times.push((place as u32, time));
            }
        }
    }

    fn find_in_protobuf(&mut self, bytes: &[u8], within: std::ops::Range<usize>, message: &Fields) {
        let mut at = within.start;
        while at < within.end {
            let key = varint(bytes, &mut at);
            let field = key >> 3;
            match key & 7 {
                0 => {
                    varint(bytes, &mut at);
                }
                1 => {
                    if message.times.contains(&field) {
                        let value = bytes[at..][..TIME_BYTES].try_into().expect("eight bytes");
                        let time_us = u64::from_le_bytes(value) / self.units_a_us();
                        self.times.push((at as u32, time_us));
                    }
                    at += TIME_BYTES;
                }
                2 => {
                    let length = varint(bytes, &mut at) as usize;
                    let value = at..at + length;
                    at = value.end;
                    if message.ids.contains(&field) && length > 0 {
                        let place = value.end - ID_BYTES;
                        let id = bytes[place..value.end].try_into().expect("four bytes");
                        self.ids.push((place as u32, u32::from_be_bytes(id)));
                    } else if let Some((_, inner)) = message.messages.iter().find(|inner| inner.0 == field) {
                        self.find_in_protobuf(bytes, value, inner);
                    }
                }
                _ => at += 4,
            }
        }
    }
}

/// Numbers of the fields of a message that matter here.
#[derive(Default)]
struct Fields {
    ids: &'static [u64],
    times: &'static [u64],
    messages: &'static [(u64, &'static Fields)],
}

const NOTHING: Fields = Fields {
    ids: &[],
    times: &[],
    messages: &[],
};
/// An annotation, or an event.
const TIMED: Fields = Fields {
    times: &[1],
    ..NOTHING
};
const ZIPKIN_SPAN: Fields = Fields {
    ids: &[1, 2, 3],
    times: &[6],
    messages: &[(10, &TIMED)],
};
const ZIPKIN_LIST: Fields = Fields {
    messages: &[(1, &ZIPKIN_SPAN)],
    ..NOTHING
};
const OTLP_SPAN: Fields = Fields {
    ids: &[1, 2, 4],
    times: &[7, 8],
    messages: &[(11, &TIMED)],
};
const OTLP_SCOPE: Fields = Fields {
    messages: &[(2, &OTLP_SPAN)],
    ..NOTHING
};
const OTLP_RESOURCE: Fields = Fields {
    messages: &[(2, &OTLP_SCOPE)],
    ..NOTHING
};
const OTLP_REQUEST: Fields = Fields {
    messages: &[(1, &OTLP_RESOURCE)],
    ..NOTHING
};

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn write_hex(digits: &mut [u8], value: u32) {
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (28 - 4 * at) & 15) as usize];
    }
}

fn write_decimal(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}
