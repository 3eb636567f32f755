//! Numbers as Java reads them.

use super::fault::{Fault, Result};

/// What Gson reads as a `long` at once; minus zero is a `double` to it.
pub(super) fn is_java_long(number: &str) -> bool {
    number != "-0" && number.parse::<i64>().is_ok()
}

/// The integer that Java makes of a text: a `long`, or else a `double` without fraction. `None` where the
/// number is none of these.
pub(super) fn java_integer(text: &str) -> Result<Option<i64>> {
    let text = text.trim_matches(|character| character <= ' ');
    if text.is_empty() {
        return Err(Fault::plain("empty String"));
    }
    if let Ok(value) = text.parse() {
        return Ok(Some(value));
    }
    let decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    match text.parse::<f64>() {
        Ok(value) if decimal => Ok(Some(value as i64).filter(|&whole| whole as f64 == value)),
        _ => Err(Fault::plain(format!("For input string: \"{text}\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_may_be_written_as_a_double() {
        let whole = |text: &str| java_integer(text).unwrap();
        assert_eq!(whole("+5"), Some(5));
        assert_eq!(whole(" 05\t"), Some(5));
        assert_eq!(whole("1.50e1"), Some(15));
        assert_eq!(whole("-0.0"), Some(0));
        assert_eq!(whole("9223372036854775808"), Some(i64::MAX));
        assert_eq!(whole("1.5"), None);
        assert_eq!(whole("1e400"), None);
    }

    #[test]
    fn what_is_no_number_is_said_in_javas_words() {
        let refused = |text: &str| java_integer(text).unwrap_err().detail("");
        assert_eq!(refused(" "), "empty String");
        for text in ["abc", "NaN", "inf", "1d", "0x10", "1_000", "e5", "--1", "1-"] {
            assert_eq!(refused(text), format!("For input string: \"{text}\""));
        }
    }
}
