//! Trace and span identifiers, with Zipkin's rules for reading them (`zipkin.md` 4.1).

use std::fmt;

/// A 64 or 128-bit trace identifier. Never zero.
///
/// A 128-bit identifier whose high half is zero *is* the 64-bit one, as in Zipkin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

/// A 64-bit span identifier. Zero is allowed: Zipkin accepts and keeps it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SpanId(u64);

/// Why a text is not an identifier. `Display` is Zipkin's wording, which clients see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdError {
    /// A character that is not lower-case hexadecimal. Upper case is refused, not folded.
    NotLowerHex(String),
    /// No characters; the field's name.
    Empty(&'static str),
    /// More characters than fit; the field's name and the most it takes.
    TooLong(&'static str, usize),
    /// A trace identifier of zeros only.
    AllZeros(&'static str),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLowerHex(text) => write!(f, "{text} should be lower-hex encoded with no prefix"),
            Self::Empty(field) => write!(f, "{field} is empty"),
            Self::TooLong(field, most) => write!(f, "{field}.length > {most}"),
            Self::AllZeros(field) => write!(f, "{field} is all zeros"),
        }
    }
}

impl std::error::Error for IdError {}

impl TraceId {
    /// From the two halves; `high` is zero for a 64-bit identifier. `None` when both are zero.
    pub const fn new(high: u64, low: u64) -> Option<Self> {
        if high == 0 && low == 0 {
            None
        } else {
            Some(Self((high as u128) << 64 | low as u128))
        }
    }

    /// Reads 1 to 32 lower-case hexadecimal characters.
    ///
    /// # Errors
    /// [`IdError`] in Zipkin's words, naming `traceId`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let value = parse_hex(text, "traceId", 32)?;
        if value == 0 {
            Err(IdError::AllZeros("traceId"))
        } else {
            Ok(Self(value))
        }
    }

    /// The upper 64 bits, zero for a 64-bit identifier.
    pub const fn high(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The lower 64 bits: what Zipkin groups by when `STRICT_TRACE_ID` is false.
    pub const fn low(self) -> u64 {
        self.0 as u64
    }
}

impl SpanId {
    /// From its bits.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// Reads 1 to 16 lower-case hexadecimal characters; `field` is named by the error (`id`, `parentId`).
    ///
    /// # Errors
    /// [`IdError`] in Zipkin's words.
    pub fn parse(text: &str, field: &'static str) -> Result<Self, IdError> {
        parse_hex(text, field, 16).map(|value| Self(value as u64))
    }

    /// Its bits.
    pub const fn value(self) -> u64 {
        self.0
    }
}

fn parse_hex(text: &str, field: &'static str, most: usize) -> Result<u128, IdError> {
    if text.is_empty() {
        return Err(IdError::Empty(field));
    }
    if text.len() > most {
        return Err(IdError::TooLong(field, most));
    }
    let mut value = 0u128;
    for byte in text.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return Err(IdError::NotLowerHex(text.to_owned())),
        };
        value = value << 4 | u128::from(digit);
    }
    Ok(value)
}

/// 16 characters, or 32 when the high half is not zero.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high() == 0 {
            write!(f, "{:016x}", self.low())
        } else {
            write!(f, "{:032x}", self.0)
        }
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 16 characters.
impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_and_drops_a_zero_high_half() {
        assert_eq!(TraceId::parse("a").unwrap().to_string(), "000000000000000a");
        assert_eq!(
            TraceId::parse("12345678901234567").unwrap().to_string(),
            "00000000000000012345678901234567"
        );
        let long = "0000000000000000463ac35c9f6413ad";
        assert_eq!(
            TraceId::parse(long).unwrap(),
            TraceId::parse(&long[16..]).unwrap()
        );
    }

    #[test]
    fn refuses_in_zipkins_words() {
        let error = |text: &str| TraceId::parse(text).unwrap_err().to_string();
        assert_eq!(error("A"), "A should be lower-hex encoded with no prefix");
        assert_eq!(error(""), "traceId is empty");
        assert_eq!(error(&"1".repeat(33)), "traceId.length > 32");
        assert_eq!(error("0000"), "traceId is all zeros");
        assert_eq!(
            SpanId::parse("", "parentId").unwrap_err().to_string(),
            "parentId is empty"
        );
        assert_eq!(
            SpanId::parse(&"1".repeat(17), "id").unwrap_err().to_string(),
            "id.length > 16"
        );
    }

    #[test]
    fn a_span_id_may_be_zero() {
        assert_eq!(SpanId::parse("0", "id").unwrap().to_string(), "0000000000000000");
    }
}
