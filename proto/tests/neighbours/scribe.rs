//! Calls of Scribe as a thrift library that is not ours writes them.

use std::fs;

use model::Span;
use proto::scribe::{Answer, Call, ExceptionKind};
use proto::{Format, Wire};

use crate::{decode, testdata};

fn frame(name: &str) -> Vec<u8> {
    fs::read(testdata("scribe").join(name)).unwrap()
}

/// What becomes of the three v1 spans in the frames: those of py_zipkin, which come in a list otherwise.
fn expected() -> Vec<Span> {
    let list = fs::read(testdata("clients/py_zipkin-v1.thrift")).unwrap();
    decode(Wire::List(Format::Thrift), &list).unwrap()
}

#[test]
fn the_entries_of_the_category_are_spans_and_others_are_counted() {
    for (name, ignored) in [("strict.frame", 1), ("old.frame", 0)] {
        let frame = frame(name);
        let call = Call::read(&frame).unwrap();
        assert!(call.header.is_log() && call.header.wants_answer(), "{name}");
        let entries = call.entries("zipkin").unwrap();
        assert_eq!(entries.ignored, ignored, "{name}");
        assert_eq!(
            decode(Wire::ScribeEntries, &entries.body).unwrap(),
            expected(),
            "{name}"
        );
        let others = call.entries("elsewhere").unwrap();
        assert_eq!((others.body.len(), others.ignored), (0, 3 + ignored));
    }
}

#[test]
fn answers_have_the_header_of_the_call() {
    let strict = frame("strict.frame");
    let call = Call::read(&strict).unwrap();
    assert_eq!(
        call.header.answer(Answer::Ok),
        b"\0\0\0\x17\x80\x01\0\x02\0\0\0\x03Log\0\0\0\0\x08\0\0\0\0\0\0\0"
    );
    assert_eq!(
        call.header.answer(Answer::TryLater),
        b"\0\0\0\x17\x80\x01\0\x02\0\0\0\x03Log\0\0\0\0\x08\0\0\0\0\0\x01\0"
    );
    let old = frame("old.frame");
    let call = Call::read(&old).unwrap();
    assert_eq!(
        call.header
            .answer(Answer::Exception(ExceptionKind::ProtocolError, "no")),
        b"\0\0\0\x1d\0\0\0\x03Log\x03\0\0\0\0\x0b\0\x01\0\0\0\x02no\x08\0\x02\0\0\0\x07\0"
    );
}

#[test]
fn an_entry_that_is_no_span_refuses_the_call_and_is_named() {
    // Entries of a body: length, then base64. The first is whole.
    let whole = Call::read(&frame("one_span.frame"))
        .unwrap()
        .entries("zipkin")
        .unwrap()
        .body;
    let after = |entry: &[u8]| {
        let mut body = whole.clone();
        body.extend((entry.len() as u32).to_be_bytes());
        body.extend(entry);
        decode(Wire::ScribeEntries, &body).unwrap_err()
    };
    assert_eq!(
        after(b"CgAB"),
        "Truncated: length 8 > bytes available 0 reading Span from TBinary at messages[1]"
    );
    let error = after(b"A");
    assert!(error.ends_with("reading base64 at messages[1]"), "{error}");
    // What is not of the alphabet is passed over, as MIME does.
    let mut body = whole.clone();
    body.extend((whole.len() as u32).to_be_bytes());
    body.extend(b"\r\n \t");
    body.extend(&whole[4..]);
    assert_eq!(decode(Wire::ScribeEntries, &body).unwrap().len(), 2);
}

#[test]
fn a_frame_that_is_no_call_is_refused() {
    let refused = |frame: &[u8]| Call::read(frame).unwrap_err().to_string();
    assert_eq!(
        refused(b""),
        "Truncated: length 4 > bytes available 0 reading a call of Scribe"
    );
    assert_eq!(
        refused(b"\x80\x02\0\x01\0\0\0\x03Log\0\0\0\0"),
        "Malformed reading a call of Scribe"
    );
    assert_eq!(
        refused(b"\x80\x01\0\x02\0\0\0\x03Log\0\0\0\0"),
        "Message type 2 reading a call of Scribe"
    );
    let mut long = b"\x80\x01\0\x01\0\0\x01\x01".to_vec();
    long.resize(8 + 257 + 4, b'x');
    assert_eq!(refused(&long), "Malformed reading a call of Scribe");
    let frame = frame("strict.frame");
    let cut = Call::read(&frame[..frame.len() - 9]).unwrap();
    let error = cut.entries("zipkin").unwrap_err().to_string();
    assert!(error.ends_with("reading List<LogEntry> from TBinary"), "{error}");
    let other = Call::read(b"\x80\x01\0\x04\0\0\0\x05flush\0\0\0\x02").unwrap();
    assert_eq!(
        (
            other.header.is_log(),
            other.header.wants_answer(),
            other.header.method()
        ),
        (false, false, "flush")
    );
}
