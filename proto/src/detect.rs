//! Which format a list of spans is in, from its first bytes (`zipkin.md` 2.4 and 7.1).

use memchr::memmem;

use crate::{DecodeError, Format};

/// What only v1 JSON holds: the end of `"binaryAnnotations"`.
const V1_MARK: &[u8] = b"yAnnotations\"";
/// What only v2 JSON holds: the end of `"localEndpoint"` and `"remoteEndpoint"`, and the tags.
const V2_MARKS: [&[u8]; 2] = [b"Endpoint\"", b"\"tags\""];

/// The format of a list of spans that came without a content type, or `None` where it is no list.
///
/// JSON without any mark of v2 is v1: a list of spans that have ids and names only reads the same in both.
pub fn detect(body: &[u8]) -> Option<Format> {
    match *body {
        [b'[', ..] if V2_MARKS.iter().any(|mark| memmem::find(body, mark).is_some()) => Some(Format::JsonV2),
        [b'[', ..] => Some(Format::JsonV1),
        // The key of the first field of `ListOfSpans`, and the length of a span, which is never empty.
        [0x0a, length, ..] if length != 0 => Some(Format::Proto3),
        // A list starts with the type of its elements: a struct, or a string that holds one.
        [11 | 12, ..] => Some(Format::Thrift),
        _ => None,
    }
}

/// Checks that a body which is said to be in a format looks like a list, and not like the other JSON.
///
/// Only the two versions of JSON are told apart; whether thrift is proto3, its reader will find out. An empty
/// body is no list: callers accept it before they ask.
///
/// # Errors
/// [`DecodeError`] in Zipkin's words, which end in a newline.
pub fn check_list(expected: Format, body: &[u8]) -> Result<(), DecodeError> {
    let name = expected.zipkin_name();
    if detect(body).is_none() {
        return Err(DecodeError::new(format!("Expected a {name} encoded list\n")));
    }
    let holds = |mark: &[u8]| memmem::find(body, mark).is_some();
    let received = match expected {
        Format::JsonV2 if holds(V1_MARK) => Format::JsonV1,
        Format::JsonV1 if V2_MARKS.iter().any(|mark| holds(mark)) => Format::JsonV2,
        _ => return Ok(()),
    };
    let received = received.zipkin_name();
    Err(DecodeError::new(format!(
        "Expected a {name} encoded list, but received: {received}\n"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_their_first_bytes() {
        let cases: [(&[u8], Option<Format>); 15] = [
            (b"[", Some(Format::JsonV1)),
            (b"[]", Some(Format::JsonV1)),
            (br#"[{"traceId":"1","id":"1"}]"#, Some(Format::JsonV1)),
            (br#"[{"localEndpoint":{}}]"#, Some(Format::JsonV2)),
            (br#"[{"tags":{}}]"#, Some(Format::JsonV2)),
            (b"\x0a\x01", Some(Format::Proto3)),
            (b"\x0a\x00", None),
            (b"\x0a", None),
            (b"\x0b", Some(Format::Thrift)),
            (b"\x0c\x00\x00\x00\x01", Some(Format::Thrift)),
            (b"\x0d\x00", None),
            (b" []", None),
            (b"{}", None),
            ("\u{feff}[]".as_bytes(), None),
            (b"", None),
        ];
        for (body, expected) in cases {
            assert_eq!(detect(body), expected, "{body:?}");
        }
    }

    #[test]
    fn a_list_of_another_kind_is_refused_in_zipkins_words() {
        let refused = |expected, body: &str| check_list(expected, body.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused(Format::JsonV2, " []"),
            "Expected a JSON_V2 encoded list\n"
        );
        assert_eq!(refused(Format::Thrift, "{}"), "Expected a THRIFT encoded list\n");
        assert_eq!(
            refused(Format::JsonV2, r#"[{"binaryAnnotations":[]}]"#),
            "Expected a JSON_V2 encoded list, but received: JSON_V1\n"
        );
        for body in [r#"[{"remoteEndpoint":{}}]"#, r#"[{"tags":{}}]"#] {
            assert_eq!(
                refused(Format::JsonV1, body),
                "Expected a JSON_V1 encoded list, but received: JSON_V2\n"
            );
        }
    }

    #[test]
    fn a_list_of_ids_and_names_is_of_either_version() {
        let body = br#"[{"traceId":"1","id":"1","annotations":[]}]"#;
        assert_eq!(check_list(Format::JsonV1, body), Ok(()));
        assert_eq!(check_list(Format::JsonV2, body), Ok(()));
        assert_eq!(check_list(Format::Proto3, b"\x0a\x01"), Ok(()));
    }
}
