//! What a JSON string with escapes means.

/// The characters of a string between its quotes; `None` where an escape is none.
///
/// As Gson: `\'` and a backslash before a newline are escapes too. Half of a surrogate pair, which Java can
/// keep and UTF-8 cannot, becomes U+FFFD.
pub(super) fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(backslash) = rest.find('\\') {
        text.push_str(&rest[..backslash]);
        rest = &rest[backslash + 1..];
        let escape = *rest.as_bytes().first()?;
        let character = match escape {
            b'u' => {
                rest = unescape_unit(rest, &mut text)?;
                continue;
            }
            b'"' | b'\\' | b'/' | b'\'' | b'\n' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return None,
        };
        text.push(character);
        rest = &rest[1..];
    }
    text.push_str(rest);
    Some(text)
}

/// Reads `uXXXX`, and the low half `\uXXXX` that follows a high one; gives what remains.
fn unescape_unit<'a>(rest: &'a str, text: &mut String) -> Option<&'a str> {
    let (unit, rest) = utf16_unit(rest)?;
    if (0xd800..0xdc00).contains(&unit)
        && let Some((low, after)) = rest.strip_prefix('\\').and_then(utf16_unit)
        && (0xdc00..0xe000).contains(&low)
    {
        text.extend(char::from_u32(
            0x1_0000 + ((unit - 0xd800) << 10 | (low - 0xdc00)),
        ));
        return Some(after);
    }
    text.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
    Some(rest)
}

/// Reads `uXXXX`, digits of either case.
fn utf16_unit(rest: &str) -> Option<(u32, &str)> {
    let digits = rest.strip_prefix('u')?.get(..4)?;
    let value = digits
        .chars()
        .try_fold(0, |value, digit| Some(value << 4 | digit.to_digit(16)?))?;
    Some((value, &rest[5..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_mean_what_gson_takes_them_for() {
        assert_eq!(
            unescape(r#"a\"\\\/\b\f\n\r\t\'z"#).unwrap(),
            "a\"\\/\u{8}\u{c}\n\r\t'z"
        );
        assert_eq!(unescape("\\\n").unwrap(), "\n");
        assert_eq!(unescape(r"\u0041\u00e9\u00E9\uD83D\uDE00").unwrap(), "Aéé😀");
    }

    #[test]
    fn half_a_pair_is_a_replacement_character() {
        assert_eq!(unescape(r"\ud83d").unwrap(), "\u{fffd}");
        assert_eq!(unescape(r"\ude00x").unwrap(), "\u{fffd}x");
        assert_eq!(unescape(r"\ud83d\u0041").unwrap(), "\u{fffd}A");
        assert_eq!(unescape(r"\ud83d\ud83d\ude00").unwrap(), "\u{fffd}😀");
        assert_eq!(unescape(r"\ud83d\n").unwrap(), "\u{fffd}\n");
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for raw in [
            r"\x",
            "\\",
            r"\u12",
            r"\u12g4",
            r"\u+123",
            r"\ué000",
            r"\ud83d\u12",
            "\\é",
        ] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
    }
}
