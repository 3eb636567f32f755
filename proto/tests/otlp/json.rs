//! What OTLP's JSON allows beyond what one encoder writes.

use proto::{OtlpEncoding, Rejected};

use crate::requests::{decode, tags, zipkin};

/// Reads spans of one scope, written by hand.
fn read(spans: &str) -> (Vec<model::Span>, Rejected) {
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
    decode(OtlpEncoding::Json, body.as_bytes()).expect("a request")
}

const IDS: &str = r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174""#;

#[test]
fn numbers_may_be_strings_and_enumerations_names() {
    let by_name = format!(
        r#"{{{IDS},"kind":"SPAN_KIND_SERVER","startTimeUnixNano":"5000000","endTimeUnixNano":7000000,
            "status":{{"code":"STATUS_CODE_ERROR"}},"flags":"3","droppedEventsCount":"2",
            "attributes":[{{"key":"i","value":{{"intValue":"-9007199254740993"}}}},
                          {{"key":"j","value":{{"intValue":7}}}},
                          {{"key":"d","value":{{"doubleValue":2}}}},
                          {{"key":"n","value":{{"doubleValue":"NaN"}}}},
                          {{"key":"b","value":{{"bytesValue":"AQID"}}}}]}}"#
    );
    let by_number = by_name
        .replace("\"SPAN_KIND_SERVER\"", "2")
        .replace("\"STATUS_CODE_ERROR\"", "2")
        .replace("\"3\"", "3");
    let (spans, rejected) = read(&format!("{by_name},{by_number}"));
    assert_eq!((spans.len(), rejected), (2, Rejected::default()));
    assert_eq!(spans[0], spans[1]);
    assert_eq!(
        zipkin(&spans[0]),
        concat!(
            r#"{"traceId":"5b8efff798038103d269b633813fc60c","id":"eee19b7ec3c1b174","kind":"SERVER","#,
            r#""timestamp":5000,"duration":2000,"tags":{"b":"AQID","d":"2.0","error":"","#,
            r#""i":"-9007199254740993","j":"7","n":"NaN","otel.dropped_events_count":"2","#,
            r#""otel.flags":"0x3","otel.status_code":"ERROR"}}"#
        )
    );
}

#[test]
fn members_come_in_any_order_and_unknown_ones_are_passed_over() {
    let body = format!(
        r#"{{"unknown":[{{}}],"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"links":null,
            "events":[{{"attributes":[{{"value":{{"kvlistValue":{{"values":[{{"value":{{"boolValue":true}},"key":"y"}}]}}}},
            "key":"x"}}],"name":"e","x":1}}],"startTimeUnixNano":"1000",{IDS},"futureField":{{"a":[1]}}}}],
            "scope":{{"version":"2","name":"lib","attributes":null}},"schemaUrl":"u"}}],
            "resource":{{"attributes":[{{"value":{{"stringValue":"Shop"}},"key":"service.name"}}]}}}}]}}  trailing"#
    );
    let (spans, rejected) = decode(OtlpEncoding::Json, body.as_bytes()).unwrap();
    assert_eq!(rejected, Rejected::default());
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].local_service_name(), Some("shop"));
    assert_eq!(
        tags(&spans[0]),
        [
            "otel.scope.name=lib",
            "otel.scope.schema_url=u",
            "otel.scope.version=2"
        ]
    );
    assert_eq!(spans[0].annotations[0].value, r#""e":{"x":{"y":true}}"#);
    assert_eq!(spans[0].annotations[0].timestamp, 1);
}

#[test]
fn identifiers_are_hexadecimal_in_either_case() {
    let upper = IDS
        .to_uppercase()
        .replace("TRACEID", "traceId")
        .replace("SPANID", "spanId");
    let (spans, rejected) = read(&format!("{{{upper}}}"));
    assert_eq!(
        (spans[0].id.to_string().as_str(), rejected),
        ("eee19b7ec3c1b174", Rejected::default())
    );

    // Base64, as protobuf's JSON would have it, is not OTLP's.
    let base64 = r#"{"traceId":"W47/95gDgQPSabYzgT/GDA==","spanId":"7uGbfsPBsXQ="}"#;
    let (spans, rejected) = read(base64);
    assert_eq!((spans.len(), rejected.spans), (0, 1));
    assert_eq!(
        rejected.reason.as_deref(),
        Some("traceId is not the hexadecimal form of 16 bytes at resourceSpans[0].scopeSpans[0].spans[0]")
    );
    let (_, rejected) = read(r#"{"traceId":"5b8efff798038103d269b633813fc60x","spanId":"eee19b7ec3c1b174"}"#);
    assert_eq!(rejected.spans, 1);
    let (_, rejected) = read(&format!(r#"{{{IDS},"parentSpanId":"abc"}}"#));
    assert_eq!(rejected.spans, 1);
}

#[test]
fn of_several_values_in_one_the_last_counts() {
    let two = r#"{"stringValue":"first","intValue":"2"}"#;
    let (spans, _) = read(&format!(
        r#"{{{IDS},"attributes":[{{"key":"a","value":{two}}},
            {{"key":"b","value":{{"arrayValue":{{"values":[{two}]}}}}}},
            {{"key":"c","value":{{"kvlistValue":{{"values":[{{"key":"k","value":{two},"value":{{}}}}]}}}}}}]}}"#
    ));
    assert_eq!(tags(&spans[0]), ["a=2", "b=[2]", r#"c={"k":null}"#]);
}

#[test]
fn nothing_is_an_empty_request() {
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        let (spans, rejected) = decode(OtlpEncoding::Json, body.as_bytes()).unwrap();
        assert_eq!((spans.len(), rejected), (0, Rejected::default()), "{body}");
    }
}

#[test]
fn a_double_that_is_none_is_refused() {
    for double in ["\"inf\"", "\"nan\"", "\"\"", "\"1.5x\"", "true"] {
        let body = format!(
            r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{{"doubleValue":{double}}}}}]}}}}]}}"#
        );
        let refused = decode(OtlpEncoding::Json, body.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(refused.starts_with("Expected a "), "{double}: {refused}");
    }
}
