//! Why bytes are not spans.

/// Why bytes are not spans; `Display` is the body of the 400 that the sender gets, in Zipkin's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DecodeError {
    message: String,
}

impl DecodeError {
    /// With the whole message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}
