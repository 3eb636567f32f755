//! The mapping of `docs/otlp.md`, row by row.

use model::{Kind, SpanBatch, SpanId};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proto::{OtlpEncoding, Wire};

use crate::requests::{
    SPAN_ID, TRACE_ID, any, array, attributes, bare_span, decode, object, only, pair, protobuf, read_both,
    read_one, request, resource, scope, tags, text, zipkin,
};

/// A span that says all that one can.
fn whole_span() -> Span {
    Span {
        trace_id: TRACE_ID.to_vec(),
        span_id: SPAN_ID.to_vec(),
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 0xa1],
        trace_state: "vendor=1".to_owned(),
        flags: 0x301,
        name: "GET /Orders/{id}".to_owned(),
        kind: 3,
        start_time_unix_nano: 1_700_000_000_123_456_789,
        end_time_unix_nano: 1_700_000_000_125_456_789,
        attributes: attributes(&[
            ("http.request.method", "GET"),
            ("server.address", "Orders.Shop"),
            ("network.peer.address", "10.0.0.7"),
            ("network.local.address", "10.0.0.1"),
        ])
        .into_iter()
        .chain([
            pair("network.peer.port", any(Value::IntValue(8443))),
            pair("http.response.status_code", any(Value::IntValue(503))),
        ])
        .collect(),
        dropped_attributes_count: 1,
        events: vec![
            Event {
                time_unix_nano: 1_700_000_000_124_000_999,
                name: "retry".to_owned(),
                attributes: vec![pair("attempt", any(Value::IntValue(2)))],
                ..Event::default()
            },
            Event {
                time_unix_nano: 1_700_000_000_124_500_000,
                name: "gave up".to_owned(),
                ..Event::default()
            },
        ],
        dropped_events_count: 2,
        links: vec![Link {
            trace_id: TRACE_ID.to_vec(),
            span_id: SPAN_ID.to_vec(),
            trace_state: "a=b".to_owned(),
            attributes: attributes(&[("why", "batch")]),
            dropped_attributes_count: 4,
            flags: 1,
        }],
        dropped_links_count: 3,
        status: Some(Status {
            message: "unavailable".to_owned(),
            code: 2,
        }),
    }
}

#[test]
fn a_whole_span_is_mapped_as_documented() {
    let resource = resource(&[
        ("service.name", "Checkout"),
        ("service.version", "1.4.2"),
        ("service.instance.id", "c-7"),
        ("deployment.environment.name", "prod"),
    ]);
    let read = read_one(&request(
        Some(resource),
        Some(scope("http-client", "0.9")),
        vec![whole_span()],
    ));
    assert_eq!(
        zipkin(&read),
        concat!(
            r#"{"traceId":"5b8efff798038103d269b633813fc60c","parentId":"00000000000000a1","id":"eee19b7ec3c1b174","#,
            r#""kind":"CLIENT","name":"get /orders/{id}","timestamp":1700000000123456,"duration":2000,"#,
            r#""localEndpoint":{"serviceName":"checkout","ipv4":"10.0.0.1"},"#,
            r#""remoteEndpoint":{"serviceName":"orders.shop","ipv4":"10.0.0.7","port":8443},"#,
            r#""annotations":[{"timestamp":1700000000124000,"value":"\"retry\":{\"attempt\":2}"},"#,
            r#"{"timestamp":1700000000124500,"value":"gave up"}],"#,
            r#""tags":{"deployment.environment.name":"prod","error":"unavailable","http.request.method":"GET","#,
            r#""http.response.status_code":"503","network.local.address":"10.0.0.1","#,
            r#""network.peer.address":"10.0.0.7","network.peer.port":"8443","otel.dropped_attributes_count":"1","#,
            r#""otel.dropped_events_count":"2","otel.dropped_links_count":"3","otel.flags":"0x301","#,
            r#""otel.links":"[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\","#,
            r#"\"traceState\":\"a=b\",\"droppedAttributesCount\":4,\"flags\":1,\"attributes\":{\"why\":\"batch\"}}]","#,
            r#""otel.scope.name":"http-client","otel.scope.version":"0.9","otel.status_code":"ERROR","#,
            r#""server.address":"Orders.Shop","service.instance.id":"c-7","service.version":"1.4.2","#,
            r#""w3c.tracestate":"vendor=1"}}"#
        )
    );
}

#[test]
fn a_bare_span_is_its_identifiers() {
    let read = read_one(&only(vec![bare_span()]));
    assert_eq!(
        zipkin(&read),
        r#"{"traceId":"5b8efff798038103d269b633813fc60c","id":"eee19b7ec3c1b174"}"#
    );
}

#[test]
fn kinds_are_zipkins_and_inside_of_a_process_there_is_none() {
    let kinds = [
        None,
        None,
        Some(Kind::Server),
        Some(Kind::Client),
        Some(Kind::Producer),
        Some(Kind::Consumer),
        None,
    ];
    for (number, kind) in (0..).zip(kinds) {
        let span = Span {
            kind: number,
            ..bare_span()
        };
        assert_eq!(read_one(&only(vec![span])).kind, kind, "{number}");
    }
}

#[test]
fn a_span_lasts_at_least_a_microsecond() {
    let times = |start: u64, end: u64| {
        let span = Span {
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            ..bare_span()
        };
        let read = read_one(&only(vec![span]));
        (read.timestamp, read.duration)
    };
    assert_eq!(times(5_000_999, 5_001_000), (Some(5_000), Some(1)));
    assert_eq!(times(5_000_000, 5_000_000), (Some(5_000), Some(1)));
    assert_eq!(times(5_000_000, 4_000_000), (Some(5_000), Some(1)));
    assert_eq!(times(5_000_000, 7_000_000), (Some(5_000), Some(2_000)));
    assert_eq!(times(5_000_000, 0), (Some(5_000), None));
    assert_eq!(times(0, 5_000_000), (None, None));
}

#[test]
fn a_parent_of_zeros_is_none() {
    for (parent, expected) in [
        (vec![], None),
        (vec![0; 8], None),
        (vec![0, 0, 0, 0, 0, 0, 0, 9], Some(SpanId::new(9))),
    ] {
        let span = Span {
            parent_span_id: parent,
            ..bare_span()
        };
        assert_eq!(read_one(&only(vec![span])).parent_id, expected);
    }
}

#[test]
fn values_of_every_type_are_text() {
    let nested = object(vec![
        pair(
            "list",
            array(vec![
                any(Value::IntValue(1)),
                any(Value::DoubleValue(2.0)),
                AnyValue::default(),
            ]),
        ),
        pair("bytes", any(Value::BytesValue(vec![1, 2, 3]))),
        pair("text", text("a\"b")),
        pair("empty", object(vec![])),
    ]);
    let span = Span {
        attributes: vec![
            pair("array", array(vec![text("x"), any(Value::BoolValue(true))])),
            pair("bool", any(Value::BoolValue(false))),
            pair("bytes", any(Value::BytesValue(vec![0xff]))),
            pair("double", any(Value::DoubleValue(1.0))),
            pair("empty", AnyValue::default()),
            pair("int", any(Value::IntValue(-3))),
            pair("nested", nested),
            pair("text", text("Ünï")),
        ],
        ..bare_span()
    };
    assert_eq!(
        tags(&read_one(&only(vec![span]))),
        [
            r#"array=["x",true]"#,
            "bool=false",
            "bytes=/w==",
            "double=1.0",
            "empty=",
            "int=-3",
            r#"nested={"list":[1,2.0,null],"bytes":"AQID","text":"a\"b","empty":{}}"#,
            "text=Ünï",
        ]
    );
}

/// OpenTelemetry's own JSON has no form for these.
#[test]
fn numbers_that_are_none_are_named() {
    let double = |value| any(Value::DoubleValue(value));
    let span = Span {
        attributes: vec![
            pair("a", double(f64::NEG_INFINITY)),
            pair("b", array(vec![double(f64::INFINITY), double(f64::NAN)])),
        ],
        ..bare_span()
    };
    let (spans, _) = decode(OtlpEncoding::Protobuf, &protobuf(&only(vec![span]))).unwrap();
    assert_eq!(tags(&spans[0]), ["a=-Infinity", r#"b=["Infinity","NaN"]"#]);
}

#[test]
fn an_attribute_of_the_span_wins_over_one_of_its_resource() {
    let span = Span {
        attributes: attributes(&[("k", "span"), ("k", "span, later")]),
        ..bare_span()
    };
    let read = read_one(&request(
        Some(resource(&[("k", "resource"), ("only", "here")])),
        None,
        vec![span],
    ));
    assert_eq!(tags(&read), ["k=span, later", "only=here"]);
}

#[test]
fn what_is_known_of_resource_and_scope_is_kept() {
    let resource = Resource {
        dropped_attributes_count: 7,
        ..resource(&[("service.name", "A"), ("host.name", "h")])
    };
    let scope = InstrumentationScope {
        attributes: attributes(&[("team", "core")]),
        dropped_attributes_count: 8,
        ..scope("lib", "")
    };
    let mut request = request(Some(resource), Some(scope), vec![bare_span(), bare_span()]);
    request.resource_spans[0].schema_url = "https://r".to_owned();
    request.resource_spans[0].scope_spans[0].schema_url = "https://s".to_owned();
    let (spans, _) = read_both(&request);
    assert_eq!(spans.len(), 2);
    for span in &spans {
        assert_eq!(
            tags(span),
            [
                "host.name=h",
                "otel.resource.dropped_attributes_count=7",
                "otel.resource.schema_url=https://r",
                "otel.scope.dropped_attributes_count=8",
                "otel.scope.name=lib",
                "otel.scope.schema_url=https://s",
                "otel.scope.team=core",
            ]
        );
        assert_eq!(span.local_service_name(), Some("a"));
    }
}

#[test]
fn resources_and_scopes_do_not_leak_into_each_other() {
    let mut first = request(
        Some(resource(&[("service.name", "a"), ("r", "1")])),
        Some(scope("s1", "")),
        vec![bare_span()],
    );
    first.resource_spans[0].scope_spans.push(Default::default());
    first.resource_spans[0].scope_spans[1].spans = vec![bare_span()];
    let second = request(None, Some(scope("s3", "")), vec![bare_span()]);
    first.resource_spans.extend(second.resource_spans);
    let (spans, _) = read_both(&first);
    let seen: Vec<_> = spans
        .iter()
        .map(|span| (span.local_service_name(), tags(span)))
        .collect();
    let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (Some("a"), of(&["otel.scope.name=s1", "r=1"])),
            (Some("a"), of(&["r=1"])),
            (None, of(&["otel.scope.name=s3"])),
        ]
    );
}

#[test]
fn the_prefix_stands_before_attributes_of_the_resource_only() {
    let span = Span {
        attributes: attributes(&[("k", "span")]),
        ..bare_span()
    };
    let request = request(
        Some(resource(&[("service.name", "a"), ("k", "resource")])),
        None,
        vec![span],
    );
    let mut batch = SpanBatch::new();
    let wire = Wire::Otlp {
        encoding: OtlpEncoding::Protobuf,
        resource_prefix: "resource.",
    };
    proto::decode_message(wire, &protobuf(&request), &mut batch).unwrap();
    let span = batch.get(0).to_span();
    assert_eq!(tags(&span), ["k=span", "resource.k=resource"]);
    assert_eq!(span.local_service_name(), Some("a"));
}

#[test]
fn a_status_is_told_and_an_error_is_zipkins() {
    let status = |code: i32, message: &str, own_error: &[(&str, &str)]| {
        let span = Span {
            attributes: attributes(own_error),
            status: Some(Status {
                message: message.to_owned(),
                code,
            }),
            ..bare_span()
        };
        tags(&read_one(&only(vec![span]))).join(" ")
    };
    assert_eq!(status(0, "", &[]), "");
    assert_eq!(status(0, "m", &[]), "otel.status_description=m");
    assert_eq!(status(1, "", &[]), "otel.status_code=OK");
    assert_eq!(
        status(1, "m", &[]),
        "otel.status_code=OK otel.status_description=m"
    );
    assert_eq!(status(2, "", &[]), "error= otel.status_code=ERROR");
    assert_eq!(status(2, "m", &[]), "error=m otel.status_code=ERROR");
    assert_eq!(
        status(2, "m", &[("error", "own")]),
        "error=own otel.status_code=ERROR otel.status_description=m"
    );
}

#[test]
fn events_become_annotations_and_none_is_lost() {
    let event = |nanos: u64, name: &str| Event {
        time_unix_nano: nanos,
        name: name.to_owned(),
        ..Event::default()
    };
    let span = Span {
        start_time_unix_nano: 9_000,
        events: vec![
            event(0, "without time"),
            Event {
                dropped_attributes_count: 5,
                ..event(12_000, "cut \"short\"")
            },
            Event {
                attributes: vec![pair("a", text("1")), pair("b", array(vec![]))],
                ..event(11_999, "both")
            },
        ],
        ..bare_span()
    };
    let read = read_one(&only(vec![span]));
    let seen: Vec<_> = read
        .annotations
        .iter()
        .map(|a| (a.timestamp, a.value.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (9, "without time"),
            (11, r#""both":{"a":"1","b":[]}"#),
            (12, r#""cut \"short\"":{"otel.dropped_attributes_count":5}"#),
        ]
    );
}

#[test]
fn links_are_one_tag() {
    let link = |id: u8| Link {
        span_id: vec![id; 8],
        ..Link::default()
    };
    let span = Span {
        links: vec![link(1), link(0xab)],
        ..bare_span()
    };
    let read = read_one(&only(vec![span]));
    let links: serde_json::Value = serde_json::from_str(read.tag("otel.links").unwrap()).unwrap();
    let ids: Vec<_> = links
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["spanId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["0101010101010101", "abababababababab"]);
}

#[test]
fn flags_that_say_nothing_new_are_left_out() {
    let flags = |flags: u32| {
        let span = Span { flags, ..bare_span() };
        read_one(&only(vec![span])).tag("otel.flags").map(str::to_owned)
    };
    for usual in [0, 1, 0x100, 0x101] {
        assert_eq!(flags(usual), None, "{usual:#x}");
    }
    assert_eq!(flags(0x303).as_deref(), Some("0x303"));
}

#[test]
fn the_other_side_depends_on_the_kind() {
    let remote = |kind: i32| {
        let span = Span {
            kind,
            attributes: attributes(&[
                ("server.address", "db"),
                ("client.address", "192.0.2.9"),
                ("network.peer.address", "192.0.2.1"),
            ]),
            ..bare_span()
        };
        let read = read_one(&only(vec![span]));
        read.remote_endpoint
            .map(|remote| (remote.service_name, remote.ip.v4.unwrap().to_string()))
    };
    assert_eq!(remote(1), None);
    assert_eq!(remote(2), Some((None, "192.0.2.9".to_owned())));
    for kind in [3, 4, 5] {
        assert_eq!(
            remote(kind),
            Some((Some("db".to_owned()), "192.0.2.1".to_owned()))
        );
    }
}
