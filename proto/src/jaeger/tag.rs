//! A key and a typed value: what Jaeger says of processes, spans and moments.

use std::borrow::Cow;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::write_string;

/// Below it every whole number is one that a float can say, and it is the same in JavaScript.
const WHOLE_MAX: f64 = 9e15;

/// One tag, borrowed from the body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tag<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Value<'a>,
}

/// What a tag holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Float(f64),
    Binary(&'a [u8]),
}

impl Value<'_> {
    /// As the value of a Zipkin tag: text as it is, numbers in the shortest form that reads the same, bytes in
    /// base64.
    pub(super) fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(text.as_bytes()),
            Self::Bool(value) => write(out, format_args!("{value}")),
            Self::Int(value) => write(out, format_args!("{value}")),
            // Clients of JavaScript send every number so.
            Self::Float(_) if self.as_whole().is_some() => {
                write(out, format_args!("{}", self.as_whole().unwrap_or_default()));
            }
            // The debug form writes large numbers with an exponent.
            Self::Float(value) => write(out, format_args!("{value:?}")),
            Self::Binary(bytes) => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
        }
    }

    /// As a value of JSON. What JSON has no form for (infinities, bytes) is a string.
    pub(super) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => write_string(out, text),
            Self::Float(value) if !value.is_finite() => write(out, format_args!("\"{value:?}\"")),
            Self::Binary(_) => {
                out.push(b'"');
                self.write_text(out);
                out.push(b'"');
            }
            _ => self.write_text(out),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, whichever way it is written.
    fn as_whole(&self) -> Option<i64> {
        match *self {
            Self::Int(value) => Some(value),
            Self::Float(value) if value.trunc() == value && value.abs() < WHOLE_MAX => Some(value as i64),
            _ => None,
        }
    }

    /// An address as text or, as early clients wrote IPv4, as a number.
    pub(super) fn as_ip(&self) -> Option<IpAddr> {
        match self {
            Self::Text(text) => text.parse().ok(),
            // As 32 bits with or without a sign.
            _ => {
                let value = self.as_whole()?;
                let bits = u32::try_from(value).or_else(|_| i32::try_from(value).map(|value| value as u32));
                bits.ok().map(|bits| Ipv4Addr::from(bits).into())
            }
        }
    }

    /// A port that is one.
    pub(super) fn as_port(&self) -> Option<u16> {
        let port = match self {
            Self::Text(text) => text.parse().ok(),
            _ => self.as_whole().and_then(|port| u16::try_from(port).ok()),
        };
        port.filter(|&port| port != 0)
    }

    /// True if it denies what its key says: `false`, as a value or as text.
    pub(super) fn denies(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Text(text) => text.eq_ignore_ascii_case("false"),
            _ => false,
        }
    }
}

/// The tags as one JSON object, in their order.
pub(super) fn write_object<'a: 'b, 'b>(out: &mut Vec<u8>, tags: impl Iterator<Item = &'b Tag<'a>>) {
    out.push(b'{');
    for (index, tag) in tags.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, &tag.key);
        out.push(b':');
        tag.value.write_json(out);
    }
    out.push(b'}');
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value<'_>) -> String {
        let mut out = Vec::new();
        value.write_text(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_written_so_that_they_can_be_told() {
        let cases = [
            (Value::Text("a \"b\"".into()), "a \"b\"", r#""a \"b\"""#),
            (Value::Bool(true), "true", "true"),
            (
                Value::Int(i64::MIN),
                "-9223372036854775808",
                "-9223372036854775808",
            ),
            (Value::Float(200.0), "200", "200"),
            (Value::Float(-0.5), "-0.5", "-0.5"),
            (Value::Float(1e300), "1e300", "1e300"),
            (Value::Float(f64::NAN), "NaN", r#""NaN""#),
            (Value::Binary(b"\x00\xff"), "AP8=", r#""AP8=""#),
        ];
        let mut tags = Vec::new();
        for (value, as_text, as_json) in cases {
            assert_eq!(text(&value), as_text);
            let mut json = Vec::new();
            value.write_json(&mut json);
            assert_eq!(String::from_utf8(json).unwrap(), as_json);
            tags.push(Tag {
                key: as_text.to_owned().into(),
                value,
            });
        }
        let mut object = Vec::new();
        write_object(&mut object, tags[2..4].iter());
        assert_eq!(
            String::from_utf8(object).unwrap(),
            r#"{"-9223372036854775808":-9223372036854775808,"200":200}"#
        );
    }

    #[test]
    fn addresses_are_text_or_numbers() {
        let ip = |value: Value<'_>| value.as_ip().map(|ip| ip.to_string());
        assert_eq!(ip(Value::Text("10.1.2.3".into())).unwrap(), "10.1.2.3");
        assert_eq!(ip(Value::Text("2001:db8::1".into())).unwrap(), "2001:db8::1");
        assert_eq!(ip(Value::Int(0x7f00_0001)).unwrap(), "127.0.0.1");
        assert_eq!(ip(Value::Int(-1)).unwrap(), "255.255.255.255");
        assert_eq!(ip(Value::Int(1 << 32)), None);
        assert_eq!(ip(Value::Text("host".into())), None);
        assert_eq!(Value::Int(80).as_port(), Some(80));
        assert_eq!(Value::Float(80.0).as_port(), Some(80));
        assert_eq!(Value::Float(80.5).as_port(), None);
        assert_eq!(Value::Text("8080".into()).as_port(), Some(8080));
        assert_eq!(Value::Int(65_536).as_port(), None);
        assert_eq!(Value::Int(0).as_port(), None);
    }

    #[test]
    fn only_false_denies() {
        let denying = [Value::Bool(false), Value::Text("False".into())];
        let others = [
            Value::Bool(true),
            Value::Text("".into()),
            Value::Text("timeout".into()),
            Value::Int(0),
        ];
        assert!(denying.iter().all(Value::denies));
        assert!(!others.iter().any(Value::denies));
    }
}
