//! v2 JSON against Zipkin's own codec, against itself, and against a slow twin.

use model::{Span, SpanBatch};
use proptest::prelude::*;
use proto::Format;
use serde_json::{Value, json};

use crate::golden::{expectation, input};
use crate::spans::any_span;

/// Reads a body and writes what was read, as the cases of `zipkin_json_v2.json` do.
fn outcome(body: &[u8]) -> Value {
    let mut batch = SpanBatch::new();
    match proto::decode(Format::JsonV2, body, &mut batch) {
        Ok(()) => {
            let spans: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            let written = String::from_utf8(proto::encode(Format::JsonV2, &spans)).expect("UTF-8");
            json!({ "written": written })
        }
        Err(error) => {
            assert!(batch.is_empty(), "a body is refused whole");
            json!({ "error": error.to_string() })
        }
    }
}

/// Gson ends some messages with a link to its documentation; ours do not.
fn without_link(message: &str) -> String {
    match message.split_once("\nSee https://github.com/google/gson/") {
        Some((before, link)) => format!("{before}{}", link.find(" reading ").map_or("", |at| &link[at..])),
        None => message.to_owned(),
    }
}

/// `testdata/zipkin_json_v2.json` holds bodies and what Zipkin made of them: `written` is what its writer made
/// of the spans it read, byte by byte.
#[test]
fn reads_and_writes_as_zipkin_does() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../testdata/zipkin_json_v2.json")).expect("an array of cases");
    assert!(cases.len() > 500, "only {} cases", cases.len());
    let mut mismatches = Vec::new();
    for case in &cases {
        let mut expected = expectation(case).clone();
        if let Some(Value::String(message)) = expected.get_mut("error") {
            *message = without_link(message);
        }
        let got = outcome(&input(case));
        if got["written"] != expected["written"] || got["error"] != expected["error"] {
            mismatches.push(format!("{case}\n  got {got}"));
        }
    }
    assert!(
        mismatches.is_empty(),
        "{} mismatches\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read(spans in prop::collection::vec(any_span(), 0..4)) {
        let mut batch = SpanBatch::new();
        proto::decode(Format::JsonV2, &proto::encode(Format::JsonV2, &spans), &mut batch).expect("spans");
        let read: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
        prop_assert_eq!(read, spans);
    }
}
