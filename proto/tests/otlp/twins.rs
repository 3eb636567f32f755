//! Any request reads the same from protobuf and from JSON, both written by OpenTelemetry's own library.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::requests::{
    any as any_value, array, bare_span, object, pair, read_both, request, resource, scope,
};

fn value() -> impl Strategy<Value = AnyValue> {
    let scalar = prop_oneof![
        "\\PC{0,6}".prop_map(|text| any_value(Value::StringValue(text))),
        any::<bool>().prop_map(|value| any_value(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| any_value(Value::IntValue(value))),
        any::<f64>().prop_map(|value| any_value(Value::DoubleValue(value))),
        vec(any::<u8>(), 0..5).prop_map(|bytes| any_value(Value::BytesValue(bytes))),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(array),
            vec(("[a-c\"]{0,3}", inner), 0..3)
                .prop_map(|pairs| object(pairs.into_iter().map(|(key, value)| pair(&key, value)).collect())),
        ]
    })
}

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        Just("server.address".to_owned()),
        Just("network.peer.port".to_owned()),
        Just("error".to_owned()),
        "[a-c.]{0,4}",
    ];
    vec((key, value()).prop_map(|(key, value)| pair(&key, value)), 0..4)
}

fn event() -> impl Strategy<Value = Event> {
    (0u64..1 << 62, "\\PC{0,5}", pairs(), 0u32..3).prop_map(|(time_unix_nano, name, attributes, dropped)| {
        Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count: dropped,
        }
    })
}

fn span() -> impl Strategy<Value = Span> {
    let times = (0u64..1 << 62, 0u64..1 << 62, 0i32..6, any::<u32>());
    let status = prop::option::of((0i32..3, "[a-z]{0,4}"));
    (
        times,
        "\\PC{0,8}",
        pairs(),
        vec(event(), 0..3),
        vec(pairs(), 0..2),
        status,
    )
        .prop_map(
            |((start, end, kind, flags), name, attributes, events, links, status)| Span {
                start_time_unix_nano: start,
                end_time_unix_nano: end,
                kind,
                flags,
                name,
                attributes,
                events,
                links: links
                    .into_iter()
                    .map(|attributes| Link {
                        trace_id: vec![7; 16],
                        span_id: vec![8; 8],
                        attributes,
                        flags: 1,
                        dropped_attributes_count: 2,
                        trace_state: "a=b".to_owned(),
                    })
                    .collect(),
                status: status.map(|(code, message)| Status { code, message }),
                ..bare_span()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn protobuf_and_json_are_twins(spans in vec(span(), 0..4), attributes in pairs(), name in "[A-Z]{0,3}") {
        let mut resource = resource(&[("service.name", &name)]);
        resource.attributes.extend(attributes.clone());
        let mut scope = scope(&name, "1");
        scope.attributes = attributes;
        let count = spans.len();
        let (read, rejected) = read_both(&request(Some(resource), Some(scope), spans));
        prop_assert_eq!((read.len(), rejected.spans), (count, 0));
    }
}
