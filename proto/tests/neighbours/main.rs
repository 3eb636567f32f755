//! What clients of Jaeger and Scribe send, and what becomes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod jaeger;
mod jaeger_messages;
mod scribe;

use std::path::{Path, PathBuf};

use model::{Span, SpanBatch};
use proto::{Format, Wire};

/// The spans of a message.
fn decode(wire: Wire, body: &[u8]) -> Result<Vec<Span>, String> {
    let mut batch = SpanBatch::new();
    match proto::decode_message(wire, body, &mut batch) {
        Ok(rejected) => {
            assert_eq!(rejected.spans, 0, "a message is taken whole");
            Ok(batch.iter().map(|span| span.to_span()).collect())
        }
        Err(error) => {
            assert!(batch.is_empty(), "a message is refused whole");
            Err(error.to_string())
        }
    }
}

fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(path)
}

/// One span a line, in Zipkin's v2 JSON, so that a difference is seen.
fn lines(spans: &[Span]) -> String {
    let mut lines = String::new();
    for span in spans {
        let list = proto::encode(Format::JsonV2, std::slice::from_ref(span));
        let list = String::from_utf8(list).unwrap();
        lines.push_str(&list[1..list.len() - 1]);
        lines.push('\n');
    }
    lines
}
