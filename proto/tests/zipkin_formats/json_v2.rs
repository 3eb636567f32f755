//! v2 JSON against Zipkin's own codec, against itself, and against a slow twin.

use model::{Span, SpanBatch};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use proto::Format;
use serde_json::{Value, json};

use crate::golden::{expectation, input};
use crate::json_any::{any_list, damage, damaged};
use crate::json_twin::{self, Refusal};
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

/// `testdata/zipkin_json_v2.json` holds bodies and what Zipkin 3.6.1 made of them: `written` is what its writer
/// made of the spans it read, byte by byte, otherwise there is the message of its `error`.
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

/// Reads with both readers; true if the twin judged.
fn agrees_with_the_twin(text: &str) -> Result<bool, TestCaseError> {
    let mut batch = SpanBatch::new();
    let outcome = proto::decode(Format::JsonV2, text.as_bytes(), &mut batch);
    match json_twin::read(text) {
        Ok(spans) => {
            prop_assert_eq!(&outcome, &Ok(()), "{}", text);
            let read: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
            prop_assert_eq!(read, spans, "{}", text);
        }
        Err(Refusal::Invalid) => prop_assert!(outcome.is_err(), "{}", text),
        Err(Refusal::Unjudged) => return Ok(false),
    }
    Ok(true)
}

/// That the comparisons below are not idle.
#[test]
fn the_twin_judges_most_lists_and_finds_spans_in_many() {
    let mut runner = TestRunner::deterministic();
    let (mut judged, mut found) = (0, 0);
    for _ in 0..500 {
        let text = any_list().new_tree(&mut runner).expect("a list").current();
        match json_twin::read(&text) {
            Ok(spans) if spans.is_empty() => judged += 1,
            Ok(_) => found += 1,
            Err(Refusal::Invalid) => judged += 1,
            Err(Refusal::Unjudged) => {}
        }
    }
    assert!(
        judged + found > 300 && found > 75,
        "judged {judged}, found spans in {found}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_written_is_read(spans in prop::collection::vec(any_span(), 0..4)) {
        let mut batch = SpanBatch::new();
        proto::decode(Format::JsonV2, &proto::encode(Format::JsonV2, &spans), &mut batch).expect("spans");
        let read: Vec<Span> = batch.iter().map(|span| span.to_span()).collect();
        prop_assert_eq!(read, spans);
    }

    #[test]
    fn a_slow_twin_reads_the_same(text in any_list()) {
        agrees_with_the_twin(&text)?;
    }

    #[test]
    fn a_slow_twin_reads_the_same_of_damaged_lists(text in any_list(), damages in prop::collection::vec(damage(), 1..3)) {
        let text = damages.iter().fold(text, |text, damage| damaged(&text, damage));
        agrees_with_the_twin(&text)?;
    }
}
