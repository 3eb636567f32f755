//! Holds our readers and writers to what Zipkin's own did with the same input.
//!
//! `testdata/zipkin_*.json` are arrays of observations of `SpanBytesDecoder` and `SpanBytesEncoder` of
//! Zipkin 3.6.1 (the core library that its server holds). A reading has an input, `hex` or `text`, and either
//! `spans`, as Zipkin wrote them in v2 JSON, or the message of its `error`. Where we differ on purpose, `ours`
//! has our outcome in the same form and `because` the reason. Gson's advice, a link in some of its messages, is
//! left out. A writing has `spans` and, for each format, what was written of them, bytes as hexadecimal.

use model::{Span, SpanBatch};
use proto::Format;
use serde_json::{Value, json};

use crate::spans;

/// What a case expects of us; `input` is what it feeds the reader.
pub(crate) fn expectation(case: &Value) -> &Value {
    assert_eq!(
        case.get("ours").is_some(),
        case.get("because").is_some(),
        "a difference has a reason: {case}"
    );
    case.get("ours").unwrap_or(case)
}

pub(crate) fn input(case: &Value) -> Vec<u8> {
    match (&case["hex"], &case["text"]) {
        (Value::String(hex), _) => from_hex(hex),
        (_, Value::String(text)) => text.as_bytes().to_vec(),
        _ => panic!("no input: {case}"),
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hexadecimal") as u8;
    hex.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

fn outcome(format: Format, body: &[u8]) -> Value {
    let mut batch = SpanBatch::new();
    match proto::decode(format, body, &mut batch) {
        Ok(()) => {
            let spans: Vec<Value> = batch.iter().map(|span| spans::to_json(&span.to_span())).collect();
            json!({ "spans": spans })
        }
        Err(error) => {
            assert!(batch.is_empty(), "a body is refused whole");
            json!({ "error": error.to_string() })
        }
    }
}

/// Reports every mismatch, not only the first, so that one run tells the whole story.
fn check_readings(format: Format, cases: &str, at_least: usize) {
    let cases: Vec<Value> = serde_json::from_str(cases).expect("an array of cases");
    assert!(cases.len() >= at_least, "only {} cases", cases.len());
    let mut mismatches = Vec::new();
    for case in &cases {
        let got = outcome(format, &input(case));
        let expected = expectation(case);
        if got["spans"] != expected["spans"] || got["error"] != expected["error"] {
            mismatches.push(json!({ "name": case["name"], "got": got, "expected": expected }).to_string());
        }
    }
    assert!(
        mismatches.is_empty(),
        "{} mismatches\n{}",
        mismatches.len(),
        mismatches.join("\n")
    );
}

#[test]
fn reads_proto3_as_zipkin_does() {
    check_readings(
        Format::Proto3,
        include_str!("../../testdata/zipkin_proto3.json"),
        100,
    );
}

#[test]
fn reads_json_v1_as_zipkin_does() {
    check_readings(
        Format::JsonV1,
        include_str!("../../testdata/zipkin_json_v1.json"),
        200,
    );
}

#[test]
fn reads_thrift_as_zipkin_does() {
    check_readings(
        Format::Thrift,
        include_str!("../../testdata/zipkin_thrift.json"),
        250,
    );
}

#[test]
fn writes_byte_for_byte_what_zipkin_writes() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../testdata/zipkin_written.json")).expect("an array of cases");
    assert!(cases.len() >= 100, "only {} cases", cases.len());
    for case in &cases {
        let mut batch = SpanBatch::new();
        let body = serde_json::to_vec(&case["spans"]).expect("JSON");
        proto::decode(Format::JsonV2, &body, &mut batch).expect("spans");
        let read: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
        for format in [Format::Proto3, Format::Thrift, Format::JsonV1] {
            let written = proto::encode(format, &read);
            let written = match format {
                Format::JsonV1 => String::from_utf8(written).expect("UTF-8"),
                _ => written.iter().map(|byte| format!("{byte:02x}")).collect(),
            };
            let name = format.zipkin_name();
            let expected = expectation(case).get(name).unwrap_or(&case[name]);
            assert_eq!(written, *expected, "{name} of {}", case["name"]);
        }
    }
}
