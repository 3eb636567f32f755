//! Batches of Jaeger's clients. Both formats end in the same conversion, so what spans mean is tested in one.

use std::fs;

use model::{Kind, Span as ZipkinSpan};
use prost::Message;
use proto::Wire;

use crate::jaeger_messages::{Batch, KeyValue, Log, PostSpansRequest, Process, Span, SpanRef, Time};
use crate::{decode, lines, testdata};

const TRACE: [u8; 16] = [0x01; 16];

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        v_str: value.to_owned(),
        ..KeyValue::default()
    }
}

fn truth(key: &str, value: bool) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        v_type: 1,
        v_bool: value,
        ..KeyValue::default()
    }
}

fn int(key: &str, value: i64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        v_type: 2,
        v_int64: value,
        ..KeyValue::default()
    }
}

fn reference(trace_id: &[u8], span_id: u64, ref_type: i32) -> SpanRef {
    SpanRef {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_be_bytes().to_vec(),
        ref_type,
    }
}

fn span() -> Span {
    Span {
        trace_id: TRACE.to_vec(),
        span_id: 7u64.to_be_bytes().to_vec(),
        start_time: Some(Time {
            seconds: 1,
            nanos: 5_000,
        }),
        duration: Some(Time {
            seconds: 0,
            nanos: 3_000_999,
        }),
        ..Span::default()
    }
}

fn request(spans: Vec<Span>, process: Option<Process>) -> Vec<u8> {
    let batch = Some(Batch { spans, process });
    PostSpansRequest { batch }.encode_to_vec()
}

fn read(spans: Vec<Span>, process: Option<Process>) -> Result<Vec<ZipkinSpan>, String> {
    decode(Wire::JaegerProto, &request(spans, process))
}

fn read_one(span: Span) -> ZipkinSpan {
    let spans = read(vec![span], None).unwrap();
    assert_eq!(spans.len(), 1);
    spans.into_iter().next().unwrap()
}

fn tags(span: &ZipkinSpan) -> Vec<(&str, &str)> {
    span.tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

#[test]
fn batches_of_real_clients_become_the_spans_beside_them() {
    let mut read = 0;
    for file in fs::read_dir(testdata("jaeger")).unwrap() {
        let path = file.unwrap().path();
        let wire = match path.extension().and_then(|extension| extension.to_str()) {
            Some("thrift") => Wire::JaegerThrift,
            Some("proto3") => Wire::JaegerProto,
            _ => continue,
        };
        let spans = decode(wire, &fs::read(&path).unwrap()).unwrap();
        let mut expected = path.clone().into_os_string();
        expected.push(".spans");
        let expected = fs::read_to_string(&expected).unwrap();
        assert_eq!(lines(&spans), expected, "{}", path.display());
        read += 1;
    }
    assert_eq!(read, 3);
}

#[test]
fn the_process_is_the_local_endpoint_and_its_tags_go_with_every_span() {
    let process = Process {
        service_name: "Shop".to_owned(),
        tags: vec![
            text("ip", "10.0.0.1"),
            text("service.version", "3"),
            text("zone", "a"),
        ],
    };
    let own = Process {
        service_name: "Other".to_owned(),
        tags: vec![text("ip", "unknown")],
    };
    let spans = vec![
        span(),
        Span {
            tags: vec![text("zone", "b")],
            ..span()
        },
        Span {
            process: Some(own),
            ..span()
        },
    ];
    let read = read(spans, Some(process)).unwrap();
    let local = |span: &ZipkinSpan| {
        let endpoint = span.local_endpoint.clone().unwrap();
        let v4 = endpoint.ip.v4.map(|ip| ip.to_string());
        (endpoint.service_name.unwrap(), v4.unwrap_or_default())
    };
    assert_eq!(local(&read[0]), ("shop".to_owned(), "10.0.0.1".to_owned()));
    assert_eq!(tags(&read[0]), [("service.version", "3"), ("zone", "a")]);
    assert_eq!(tags(&read[1]), [("service.version", "3"), ("zone", "b")]);
    assert_eq!(local(&read[2]), ("other".to_owned(), String::new()));
    assert_eq!(tags(&read[2]), [("ip", "unknown")]);
}

#[test]
fn tags_that_zipkin_has_a_field_for_fill_it() {
    for (name, kind) in [
        ("client", Kind::Client),
        ("server", Kind::Server),
        ("producer", Kind::Producer),
        ("consumer", Kind::Consumer),
    ] {
        let read = read_one(Span {
            tags: vec![text("span.kind", name)],
            ..span()
        });
        assert_eq!((read.kind, tags(&read)), (Some(kind), vec![]));
    }
    let read = read_one(Span {
        tags: vec![
            text("span.kind", "internal"),
            text("peer.service", "pay"),
            int("peer.ipv4", 0x0a00_0002),
            text("peer.ipv6", "2001:db8::1"),
            int("peer.port", 80),
        ],
        ..span()
    });
    assert_eq!((read.kind, tags(&read)), (None, vec![("span.kind", "internal")]));
    let remote = read.remote_endpoint.unwrap();
    assert_eq!((remote.service_name.as_deref(), remote.port), (Some("pay"), 80));
    assert_eq!(remote.ip.v4.unwrap().to_string(), "10.0.0.2");
    assert_eq!(remote.ip.v6.unwrap().to_string(), "2001:db8::1");
}

#[test]
fn what_a_field_cannot_say_in_full_stays_a_tag() {
    let told = [
        ("peer.address", "10.0.0.3:99"),
        ("peer.hostname", "pay-1"),
        ("peer.ipv4", "pay-1"),
        ("peer.port", "http"),
        ("peer.service", "Pay"),
    ];
    let read = read_one(Span {
        tags: told.iter().map(|(key, value)| text(key, value)).collect(),
        ..span()
    });
    assert_eq!(tags(&read), told);
    let remote = read.remote_endpoint.unwrap();
    assert_eq!((remote.service_name.as_deref(), remote.port), (Some("pay"), 99));
    assert_eq!(remote.ip.v4.unwrap().to_string(), "10.0.0.3");
}

#[test]
fn an_error_that_is_false_is_none() {
    let error = |tag| {
        let read = read_one(Span {
            tags: vec![tag],
            ..span()
        });
        read.tag("error").map(str::to_owned)
    };
    assert_eq!(error(truth("error", false)), None);
    assert_eq!(error(text("error", "false")), None);
    assert_eq!(error(truth("error", true)).unwrap(), "true");
    assert_eq!(error(text("error", "timeout")).unwrap(), "timeout");
    let process = Process {
        service_name: String::new(),
        tags: vec![truth("error", false)],
    };
    assert_eq!(tags(&read(vec![span()], Some(process)).unwrap()[0]), []);
}

#[test]
fn the_parent_is_the_one_that_jaeger_shows_and_other_references_are_links() {
    let other = [0x02; 16];
    let of = |references| {
        let read = read_one(Span { references, ..span() });
        let links = read.tag("otel.links").unwrap_or_default().to_owned();
        assert!(read.tags.len() <= 1);
        (read.parent_id.map(|id| id.value()), links)
    };
    let link = |trace_id: &str, span_id: u64, kind: &str| {
        let attributes = format!(r#""attributes":{{"opentracing.ref_type":"{kind}"}}"#);
        format!(r#"{{{trace_id}"spanId":"{span_id:016x}",{attributes}}}"#)
    };
    let same = format!(r#""traceId":"{}","#, "01".repeat(16));
    let elsewhere = format!(r#""traceId":"{}","#, "02".repeat(16));
    assert_eq!(of(vec![reference(&TRACE, 5, 0)]), (Some(5), String::new()));
    let (parent, links) = of(vec![
        reference(&other, 3, 0),
        reference(&TRACE, 4, 1),
        reference(&TRACE, 5, 0),
        reference(&TRACE, 6, 0),
    ]);
    assert_eq!(parent, Some(5));
    let expected = [
        link(&elsewhere, 3, "child_of"),
        link(&same, 4, "follows_from"),
        link(&same, 6, "child_of"),
    ];
    assert_eq!(links, format!("[{}]", expected.join(",")));
    // A parent that it only follows: the link says so.
    let (parent, links) = of(vec![reference(&TRACE, 4, 1)]);
    assert_eq!(
        (parent, links),
        (Some(4), format!("[{}]", link(&same, 4, "follows_from")))
    );
    let (parent, links) = of(vec![reference(&[], 4, 0)]);
    assert_eq!((parent, links), (None, format!("[{}]", link("", 4, "child_of"))));
}

#[test]
fn logs_are_annotations() {
    let log = |micros: i32, fields| Log {
        timestamp: Some(Time {
            seconds: 1,
            nanos: micros * 1000,
        }),
        fields,
    };
    let read = read_one(Span {
        logs: vec![
            log(9, vec![text("event", "sent")]),
            log(
                6,
                vec![int("attempt", 2), text("event", "re\"try"), truth("ok", true)],
            ),
            log(7, vec![text("message", "no event"), int("code", 3)]),
            log(7, vec![text("level", "info"), int("event", 1)]),
            log(8, vec![]),
            Log {
                timestamp: None,
                fields: vec![text("event", "when?")],
            },
        ],
        ..span()
    });
    let annotations: Vec<(u64, &str)> = read
        .annotations
        .iter()
        .map(|annotation| (annotation.timestamp, annotation.value.as_str()))
        .collect();
    assert_eq!(
        annotations,
        [
            (1_000_005, "when?"),
            (1_000_006, r#""re\"try":{"attempt":2,"ok":true}"#),
            (1_000_007, r#""no event":{"code":3}"#),
            (1_000_007, r#"{"level":"info","event":1}"#),
            (1_000_008, "{}"),
            (1_000_009, "sent"),
        ]
    );
}

#[test]
fn times_are_microseconds_and_flags_say_debug() {
    let read = read_one(span());
    assert_eq!((read.timestamp, read.duration), (Some(1_000_005), Some(3000)));
    assert!(!read.debug);
    let short = Span {
        duration: Some(Time { seconds: 0, nanos: 1 }),
        flags: 3,
        warnings: vec!["clock \"skew\"".to_owned(), "b".to_owned()],
        ..span()
    };
    let read = read_one(short);
    assert_eq!((read.duration, read.debug), (Some(1), true));
    assert_eq!(read.tag("jaeger.warnings"), Some(r#"["clock \"skew\"","b"]"#));
    let sampled_only = read_one(Span { flags: 1, ..span() });
    assert!(!sampled_only.debug);
}

#[test]
fn a_batch_with_a_span_without_identifiers_is_refused_and_the_span_is_named() {
    let refused = |broken: Span| read(vec![span(), broken], None).unwrap_err();
    let suffix = "at batch.spans[1] reading PostSpansRequest from proto3";
    let without_trace = Span {
        trace_id: vec![0; 16],
        ..span()
    };
    assert_eq!(refused(without_trace), format!("traceId is all zeros {suffix}"));
    let without_id = Span {
        span_id: vec![],
        ..span()
    };
    assert_eq!(refused(without_id), format!("spanId is zero {suffix}"));
    let short_id = Span {
        trace_id: vec![1; 3],
        ..span()
    };
    assert_eq!(
        refused(short_id),
        format!("traceId of 3 bytes, expected 16 {suffix}")
    );
    let unknown = Span {
        tags: vec![KeyValue {
            v_type: 9,
            ..text("a", "b")
        }],
        ..span()
    };
    assert_eq!(
        refused(unknown),
        format!("Unknown value type 9 of a tag {suffix}")
    );
}

#[test]
fn a_thrift_batch_with_a_span_without_identifiers_is_refused_and_the_span_is_named() {
    // Batch { spans: [Span { traceIdLow: 1, spanId: 2 }, Span { traceIdLow: 1 }] }
    let mut body = b"\x0f\x00\x02\x0c\x00\x00\x00\x02".to_vec();
    let trace_id = b"\x0a\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01";
    body.extend(trace_id);
    body.extend(b"\x0a\x00\x03\x00\x00\x00\x00\x00\x00\x00\x02\x00");
    body.extend(trace_id);
    body.extend(b"\x00\x00");
    let error = decode(Wire::JaegerThrift, &body).unwrap_err();
    assert_eq!(error, "spanId is zero at spans[1] reading Batch from TBinary");
    let cut = decode(Wire::JaegerThrift, &body[..20]).unwrap_err();
    assert!(
        cut.starts_with("Truncated: length") && cut.ends_with("reading Batch from TBinary"),
        "{cut}"
    );
}

#[test]
fn what_a_process_says_may_not_be_repeated_without_bound() {
    let process = Process {
        service_name: String::new(),
        tags: vec![text("long", &"x".repeat(1 << 20))],
    };
    let spans = |count| vec![span(); count];
    assert_eq!(read(spans(63), Some(process.clone())).unwrap().len(), 63);
    let error = read(spans(64), Some(process)).unwrap_err();
    assert!(
        error.contains("67108864 bytes") && error.contains("spans[63]"),
        "{error}"
    );
}
