//! Any JSON that comes near a list of spans, and damage to it.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Every name that the reader knows, and some that it does not.
const KEYS: [&str; 22] = [
    "traceId",
    "id",
    "parentId",
    "kind",
    "name",
    "timestamp",
    "duration",
    "localEndpoint",
    "remoteEndpoint",
    "annotations",
    "tags",
    "debug",
    "shared",
    "serviceName",
    "ipv4",
    "ipv6",
    "port",
    "value",
    "x",
    "",
    "Id",
    "na\\u006de",
];

/// Scalars as they stand in JSON: right and wrong for every field.
const SCALARS: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "80",
    "65536",
    "1.5",
    "1.0",
    "1e3",
    "1502787600000000",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999",
    "2147483648",
    "\"\"",
    "\"1\"",
    "\" 7 \"",
    "\"-1\"",
    "\"1.5\"",
    "\"2e2\"",
    "\"a\"",
    "\"A\"",
    "\"CLIENT\"",
    "\"SERVER\"",
    "\"Get /É\"",
    "\"\\u00c9\\n\"",
    "\"\\ud83d\\ude00\"",
    "\"0000000000000000463ac35c9f6413ad\"",
    "\"463ac35c9f6413ad\"",
    "\"463ac35c9f6413ad463ac35c9f6413ad\"",
    "\"0000000000000000\"",
    "\"1.2.3.4\"",
    "\"::1\"",
    "\"::ffff:1.2.3.4\"",
    "\"2001:db8::c001\"",
    "\"\\\"\"",
    "\"é\\\\\"",
];

const SPACE: [&str; 5] = ["", "", "", " ", "\n\t\r "];

fn scalar() -> impl Strategy<Value = String> {
    select(SCALARS.as_slice()).prop_map(str::to_owned)
}

/// A value of any shape.
fn value() -> impl Strategy<Value = String> {
    scalar().prop_recursive(4, 24, 6, |inner| {
        prop_oneof![list('[', inner.clone(), ']'), object(KEYS.as_slice(), inner)]
    })
}

fn list(open: char, element: impl Strategy<Value = String>, close: char) -> impl Strategy<Value = String> {
    (prop::collection::vec(element, 0..4), select(SPACE.as_slice()))
        .prop_map(move |(elements, space)| format!("{open}{space}{}{space}{close}", elements.join(",")))
}

fn object(
    keys: &'static [&'static str],
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    let member = (select(keys), value, select(SPACE.as_slice()))
        .prop_map(|(key, value, space)| format!("{space}\"{key}\"{space}:{space}{value}"));
    list('{', member, '}')
}

/// A member that its span will mostly accept.
fn likely_member() -> impl Strategy<Value = String> {
    let named = |name: &'static str, value: BoxedStrategy<String>| {
        value.prop_map(move |value| format!("\"{name}\":{value}"))
    };
    let endpoint = || object(&["serviceName", "ipv4", "ipv6", "port", "x"], scalar()).boxed();
    let annotation = prop_oneof![
        4 => scalar().prop_map(|value| format!("{{\"timestamp\":5,\"value\":{value}}}")),
        1 => object(&["timestamp", "value", "endpoint"], scalar()),
    ];
    prop_oneof![
        named("parentId", scalar().boxed()),
        named(
            "kind",
            select(["\"CLIENT\"", "\"SERVER\"", "\"PRODUCER\"", "null"].as_slice())
                .prop_map(str::to_owned)
                .boxed()
        ),
        named("name", scalar().boxed()),
        named("timestamp", scalar().boxed()),
        named("duration", scalar().boxed()),
        named("localEndpoint", endpoint()),
        named("remoteEndpoint", endpoint()),
        named("annotations", list('[', annotation, ']').boxed()),
        named(
            "tags",
            object(&["a", "b", "é", "\\u0061", "error"], scalar()).boxed()
        ),
        named(
            "debug",
            select(["true", "false", "null"].as_slice())
                .prop_map(str::to_owned)
                .boxed()
        ),
        named(
            "shared",
            select(["true", "false", "null"].as_slice())
                .prop_map(str::to_owned)
                .boxed()
        ),
        named("x", value().boxed()),
    ]
}

/// `[span, …]`, most of which are acceptable.
pub(crate) fn any_list() -> impl Strategy<Value = String> {
    let span = prop::collection::vec(likely_member(), 0..5).prop_map(|members| {
        format!(
            "{{\"traceId\":\"a\",\"id\":\"1\"{}}}",
            members
                .iter()
                .map(|member| format!(",{member}"))
                .collect::<String>()
        )
    });
    list(
        '[',
        prop_oneof![6 => span, 1 => object(KEYS.as_slice(), value())],
        ']',
    )
}

/// Replaces, removes or repeats a stretch of a text.
pub(crate) fn damage() -> impl Strategy<Value = (Index, Index, String)> {
    let replacement = prop_oneof![
        scalar(),
        value(),
        select(["", ",", "\"", "\\", "{", "}", "[", "]", ":", " "].as_slice()).prop_map(str::to_owned)
    ];
    (any::<Index>(), any::<Index>(), replacement)
}

pub(crate) fn damaged(text: &str, (from, length, replacement): &(Index, Index, String)) -> String {
    let from = text.floor_char_boundary(from.index(text.len() + 1));
    let to = text
        .floor_char_boundary((from + length.index(12)).min(text.len()))
        .max(from);
    format!("{}{replacement}{}", &text[..from], &text[to..])
}
