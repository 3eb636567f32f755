//! Zipkin's v1 JSON.

use model::{Span, SpanBatch};

use crate::DecodeError;

pub(crate) fn decode(_body: &[u8], _batch: &mut SpanBatch) -> Result<(), DecodeError> {
    Err(DecodeError::new("Malformed"))
}

pub(crate) fn encode(_spans: &[Span]) -> Vec<u8> {
    Vec::new()
}
