//! Why bytes are not spans.

/// Longest message that is kept, in bytes: messages quote the input, and an answer is bounded.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Why bytes are not spans; `Display` is the body of the 400 that the sender gets, in Zipkin's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: String,
}

impl DecodeError {
    /// With the whole message; what exceeds 1,024 bytes is cut off.
    pub fn new(message: impl Into<String>) -> Self {
        let mut message = message.into();
        cut(&mut message, MESSAGE_BYTES_MAX);
        Self { message }
    }

    /// `detail reading List<Span> from encoding`, as Zipkin's readers say it; a long detail is cut.
    pub(crate) fn reading(detail: impl Into<String>, encoding: &str) -> Self {
        Self::reading_message(detail, "List<Span>", encoding)
    }

    /// The same of a message of another name.
    pub(crate) fn reading_message(detail: impl Into<String>, name: &str, encoding: &str) -> Self {
        let suffix = format!(" reading {name} from {encoding}");
        let mut message = detail.into();
        cut(&mut message, MESSAGE_BYTES_MAX - suffix.len());
        message.push_str(&suffix);
        Self { message }
    }
}

/// Shortens to at most `bytes_max` bytes, at a character's end, and says so with an ellipsis.
fn cut(message: &mut String, bytes_max: usize) {
    const ELLIPSIS: &str = "…";
    if message.len() > bytes_max {
        message.truncate(message.floor_char_boundary(bytes_max - ELLIPSIS.len()));
        message.push_str(ELLIPSIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_keeps_what_was_read() {
        assert_eq!(
            DecodeError::reading("EOF", "TBinary").to_string(),
            "EOF reading List<Span> from TBinary"
        );
        let long = DecodeError::reading("é".repeat(5000), "json").to_string();
        assert!(long.len() <= MESSAGE_BYTES_MAX);
        assert!(long.ends_with("é… reading List<Span> from json"), "{long}");
        assert!(DecodeError::new("é".repeat(5000)).to_string().len() <= MESSAGE_BYTES_MAX);
    }
}
