//! Value patterns: a text as a template and the numbers in it.
//!
//! `/orders/4711/items` and `/orders/12/items` share the template `/orders/{}/items`. Templates come again and are
//! stored once; numbers take as many bits as they are long. What a template and its numbers make together is always
//! exactly the text they come from: zeros in front stay in the template, capital hex digits stay text, and a text with
//! one of the characters that stand for a number has no pattern at all.

use std::net::Ipv4Addr;

use storage_record::bytes::Malformed;

/// Texts longer than this have no pattern.
pub(crate) const TEXT_BYTES_MAX: usize = 1024;
/// Texts with more numbers than this have no pattern.
const VARIABLES_MAX: usize = 32;
/// Decimal digits that always fit 64 bits.
const DECIMAL_DIGITS_MAX: usize = 19;
/// Digits right behind letters are part of a name (`v2`, `utf8`, `md5`) if there are no more than these.
const NAME_DIGITS_MAX: usize = 2;
/// Lengths of what is taken for a hexadecimal number.
const HEX_DIGITS: std::ops::RangeInclusive<usize> = 8..=32;

const DECIMAL: u8 = 0;
const UUID: u8 = 1;
/// Followed by the number of digits.
const HEX: u8 = 2;
const ADDRESS: u8 = 3;

/// One number of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// Without zeros in front.
    Decimal(u64),
    /// So many digits, lower case.
    Hex { digits: u32, value: u128 },
    /// 8-4-4-4-12 hex digits, lower case.
    Uuid(u128),
    /// An IPv4 address with dots.
    Address(u32),
}

/// A text, split. Reused from text to text.
#[derive(Debug, Default)]
pub(crate) struct Pattern {
    pub(crate) template: String,
    pub(crate) variables: Vec<Variable>,
}

impl Pattern {
    /// Splits a text; false where it has no pattern.
    pub(crate) fn split(&mut self, text: &str) -> bool {
        self.template.clear();
        self.variables.clear();
        let bytes = text.as_bytes();
        if bytes.len() > TEXT_BYTES_MAX || bytes.iter().any(|&byte| byte <= ADDRESS) {
            return false;
        }
        let mut at = 0;
        while at < bytes.len() {
            let end = at + run(&bytes[at..], |byte| !byte.is_ascii_alphanumeric());
            self.template.push_str(&text[at..end]);
            at = end + self.split_word(text, end);
        }
        self.variables.len() <= VARIABLES_MAX
    }

    /// Splits the word that begins at `at`; gives how many bytes it took, perhaps more than the word.
    fn split_word(&mut self, text: &str, at: usize) -> usize {
        let bytes = &text.as_bytes()[at..];
        let length = run(bytes, |byte| byte.is_ascii_alphanumeric());
        let word = &bytes[..length];
        let hex_digits = run(word, is_hex);
        if length == 8
            && hex_digits == 8
            && let Some(value) = uuid(bytes)
        {
            self.push(UUID, Variable::Uuid(value));
            return 36;
        }
        if HEX_DIGITS.contains(&length) && hex_digits == length && is_number(word) {
            let digits = length as u32;
            self.push(
                HEX,
                Variable::Hex {
                    digits,
                    value: hex_value(word),
                },
            );
            self.template.push(char::from(length as u8));
            return length;
        }
        if (1..=3).contains(&length)
            && let Some((value, length)) = address(bytes)
        {
            self.push(ADDRESS, Variable::Address(value));
            return length;
        }
        self.split_digits(&text[at..at + length]);
        length
    }

    fn split_digits(&mut self, word: &str) {
        let bytes = word.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let letters = run(&bytes[at..], |byte| !byte.is_ascii_digit());
            let digits = run(&bytes[at + letters..], |byte| byte.is_ascii_digit());
            let (start, end) = (at + letters, at + letters + digits);
            let zeros = run(&bytes[start..end], |byte| byte == b'0').min(digits.saturating_sub(1));
            let is_name = start > 0 && digits <= NAME_DIGITS_MAX;
            if digits == 0 || is_name || digits - zeros > DECIMAL_DIGITS_MAX {
                self.template.push_str(&word[at..end]);
            } else {
                self.template.push_str(&word[at..start + zeros]);
                let add = |value: u64, digit: &u8| value * 10 + u64::from(digit - b'0');
                let value = bytes[start + zeros..end].iter().fold(0, add);
                self.push(DECIMAL, Variable::Decimal(value));
            }
            at = end;
        }
    }

    fn push(&mut self, kind: u8, variable: Variable) {
        self.template.push(char::from(kind));
        self.variables.push(variable);
    }
}

/// How many bytes at the front are such.
fn run(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes
        .iter()
        .position(|&byte| !is_such(byte))
        .unwrap_or(bytes.len())
}

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether hex digits are a number rather than a word or a decimal number.
fn is_number(word: &[u8]) -> bool {
    let digits = word.iter().filter(|byte| byte.is_ascii_digit()).count();
    (digits != 0 && digits != word.len()) || matches!(word.len(), 16 | 32)
}

fn hex_value(digits: &[u8]) -> u128 {
    digits.iter().fold(0, |value, &digit| {
        let digit = if digit <= b'9' {
            digit - b'0'
        } else {
            digit - b'a' + 10
        };
        value << 4 | u128::from(digit)
    })
}

fn uuid(bytes: &[u8]) -> Option<u128> {
    let uuid = bytes.first_chunk::<36>()?;
    let is_well_formed = uuid.iter().enumerate().all(|(at, &byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => is_hex(byte),
    });
    let is_whole = !bytes.get(36).is_some_and(u8::is_ascii_alphanumeric);
    let digits = |from: usize, to: usize| hex_value(&uuid[from..to]);
    (is_well_formed && is_whole).then(|| {
        digits(0, 8) << 96
            | digits(9, 13) << 80
            | digits(14, 18) << 64
            | digits(19, 23) << 48
            | digits(24, 36)
    })
}

/// The address that begins here, and its length as text.
fn address(bytes: &[u8]) -> Option<(u32, usize)> {
    let (mut value, mut at) = (0, 0);
    for octet in 0..4 {
        if octet > 0 {
            if bytes.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let digits = run(&bytes[at..bytes.len().min(at + 4)], |byte| byte.is_ascii_digit());
        if !(1..=3).contains(&digits) || (digits > 1 && bytes[at] == b'0') {
            return None;
        }
        let number = bytes[at..at + digits]
            .iter()
            .fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if number > 255 {
            return None;
        }
        value = value << 8 | number;
        at += digits;
    }
    let goes_on = bytes
        .get(at)
        .is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (!goes_on).then_some((value, at))
}

/// What a template asks for; [`Variable`] without the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blank {
    Decimal,
    Hex { digits: u32 },
    Uuid,
    Address,
}

/// Writes the text of a template; `number` gives what is put into each blank.
///
/// # Errors
/// [`Malformed`] where the template is none, and what `number` gives.
pub(crate) fn join(
    template: &str,
    out: &mut String,
    mut number: impl FnMut(Blank) -> Result<u128, Malformed>,
) -> Result<(), Malformed> {
    let mut rest = template;
    loop {
        let Some(at) = rest.bytes().position(|byte| byte <= ADDRESS) else {
            out.push_str(rest);
            return Ok(());
        };
        out.push_str(&rest[..at]);
        let kind = rest.as_bytes()[at];
        rest = &rest[at + 1..];
        match kind {
            DECIMAL => push_decimal(number(Blank::Decimal)? as u64, out),
            UUID => {
                let value = number(Blank::Uuid)?;
                for (group, (shift, digits)) in [(96, 8), (80, 4), (64, 4), (48, 4), (0, 12)]
                    .into_iter()
                    .enumerate()
                {
                    if group > 0 {
                        out.push('-');
                    }
                    push_hex(value >> shift, digits, out);
                }
            }
            HEX => {
                let digits = rest.bytes().next().map_or(0, usize::from);
                if !HEX_DIGITS.contains(&digits) {
                    return Err(Malformed("a template with a number of no length"));
                }
                rest = &rest[1..];
                let digits = digits as u32;
                push_hex(number(Blank::Hex { digits })?, digits, out);
            }
            _ => {
                let octets = Ipv4Addr::from_bits(number(Blank::Address)? as u32).octets();
                for (index, octet) in octets.into_iter().enumerate() {
                    if index > 0 {
                        out.push('.');
                    }
                    push_decimal(u64::from(octet), out);
                }
            }
        }
    }
}

fn push_decimal(mut value: u64, out: &mut String) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|&digit| char::from(digit)));
}

fn push_hex(value: u128, digits: u32, out: &mut String) {
    out.extend((0..digits).rev().map(|digit| {
        let digit = (value >> (digit * 4) & 15) as usize;
        char::from(b"0123456789abcdef"[digit])
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(variable: Variable) -> (Blank, u128) {
        match variable {
            Variable::Decimal(value) => (Blank::Decimal, u128::from(value)),
            Variable::Hex { digits, value } => (Blank::Hex { digits }, value),
            Variable::Uuid(value) => (Blank::Uuid, value),
            Variable::Address(value) => (Blank::Address, u128::from(value)),
        }
    }

    /// What becomes of a text on the way, and its template with its numbers; `None` where it has no pattern.
    fn round_trip(text: &str) -> Option<(String, String, usize)> {
        let mut pattern = Pattern::default();
        if !pattern.split(text) {
            return None;
        }
        let mut variables = pattern.variables.iter();
        let mut joined = String::new();
        let fill = |blank| {
            let (of, value) = number(*variables.next().unwrap());
            assert_eq!(of, blank);
            Ok(value)
        };
        join(&pattern.template, &mut joined, fill).unwrap();
        assert_eq!(variables.next(), None);
        Some((joined, pattern.template, pattern.variables.len()))
    }

    #[test]
    fn numbers_are_found_and_words_are_left() {
        let template = |text: &str| {
            let (joined, template, _) = round_trip(text).unwrap();
            assert_eq!(joined, text);
            template
                .replace('\0', "{}")
                .replace('\x01', "{uuid}")
                .replace('\x02', "{hex}")
                .replace('\x03', "{ip}")
        };
        assert_eq!(template("/api/v1/orders/4711/items"), "/api/v1/orders/{}/items");
        assert_eq!(template("http://10.21.0.7:8080/x"), "http://{ip}:{}/x");
        assert_eq!(template("session:u-12345"), "session:u-{}");
        assert_eq!(template("0007 00 0"), "000{} 0{} {}");
        assert_eq!(template("1.2.3.4.5"), "{}.{ip}");
        assert_eq!(template("1.2.3.256 01.2.3.4"), "{}.{}.{}.{} 0{}.{}.{}.{}");
        assert_eq!(template("id=00f067aa0ba902b7"), "id={hex}\u{10}");
        assert_eq!(template("ID=00F067AA0BA902B7"), "ID=0{}F0{}AA0BA{}B7");
        assert_eq!(template("550e8400-e29b-41d4-a716-446655440000"), "{uuid}");
        assert_eq!(template("deadbeef 12345678 md5 x123"), "deadbeef {} md5 x{}");
        assert_eq!(template("99999999999999999999"), "99999999999999999999");
        assert_eq!(
            template("SELECT 'Größe' WHERE id=3"),
            "SELECT 'Größe' WHERE id={}"
        );
    }

    #[test]
    fn what_could_not_be_told_apart_has_no_pattern() {
        assert_eq!(round_trip("a\0b"), None);
        assert_eq!(round_trip("a\x03"), None);
        assert_eq!(round_trip(&"1 ".repeat(VARIABLES_MAX + 1)), None);
        assert_eq!(round_trip(&"x".repeat(TEXT_BYTES_MAX + 1)), None);
        assert!(round_trip(&"1 ".repeat(VARIABLES_MAX)).is_some());
    }

    proptest! {
        #[test]
        fn every_text_comes_back(
            text in prop_oneof![
                "[0-9a-f.:/ -]{0,60}",
                "[a-z]{0,3}[0-9]{0,22}[.-]?[0-9A-Fa-f]{0,40}",
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12,13}",
                "([0-9]{1,3}[.]){2,5}[0-9]{1,3}",
                ".*",
            ],
        ) {
            if let Some((joined, _, _)) = round_trip(&text) {
                prop_assert_eq!(joined, text);
            }
        }

        #[test]
        fn a_damaged_template_is_refused_or_joined(template in "[\\x00-\\x04\\x08a-c]{0,20}") {
            let mut out = String::new();
            let joined = join(&template, &mut out, |_| Ok(u128::MAX));
            prop_assert!(joined.is_ok() || joined == Err(Malformed("a template with a number of no length")));
        }
    }
}
