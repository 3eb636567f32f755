//! What each route says of itself, for the API's document. How parameters are read is Zipkin's (`params`); what is said
//! here is what they mean.

use std::borrow::Cow;

use openapi::{Answer, Endpoint, Errors, Kind, Parameter, Verb, schema_of};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::dependencies::LinkJson;
use crate::summaries::TraceSummary;
use crate::trace_view::{RowSpans, TraceView};

/// The greatest limit, as in Zipkin.
const LIMIT_MAX: u64 = i32::MAX as u64;

const SERVICE_NAME: Parameter = Parameter::required("serviceName", Kind::TEXT, "Of which service");

const SEARCH: &[Parameter] = &[
    Parameter::optional(
        "serviceName",
        Kind::TEXT,
        "A span of this service is in the trace",
    ),
    Parameter::optional("spanName", Kind::TEXT, "Of this operation; without it of any"),
    Parameter::optional(
        "remoteServiceName",
        Kind::TEXT,
        "With this service on the other side; without it with any",
    ),
    Parameter::optional(
        "annotationQuery",
        Kind::TEXT,
        "Annotations and tags, joined by \" and \": error and http.method=GET",
    ),
    Parameter::optional(
        "minDuration",
        Kind::Whole(1, i64::MAX as u64),
        "A span takes at least so long, microseconds",
    ),
    Parameter::optional(
        "maxDuration",
        Kind::Whole(1, i64::MAX as u64),
        "And at most so long, microseconds; only with minDuration",
    ),
    Parameter::optional(
        "endTs",
        Kind::MILLIS,
        "When the window ends, epoch milliseconds; now without it",
    ),
    Parameter::optional(
        "lookback",
        Kind::MILLIS,
        "How long the window is, milliseconds; QUERY_LOOKBACK without it",
    ),
    Parameter::optional(
        "limit",
        Kind::Whole(1, LIMIT_MAX),
        "At most so many traces; 10 without it",
    ),
    Parameter::optional(
        "sort",
        Kind::Word(&["newest", "slowest", "errors"]),
        "Which come first, of the whole window; newest without it",
    ),
    Parameter::optional(
        "q",
        Kind::TEXT,
        "Text in names, tags and annotations: words, prefix*, \"a phrase\", /an expression/",
    ),
    Parameter::optional(
        "after",
        Kind::TEXT,
        "The next page: from the address in the header Link of the page before",
    ),
];

const fn endpoint(path: &'static str, summary: &'static str, answers: &'static [Answer]) -> Endpoint {
    Endpoint {
        errors: Errors::Text,
        ..Endpoint::new(Verb::Get, path, summary, answers)
    }
}

pub(crate) const SERVICES: Endpoint = endpoint(
    "/services",
    "Names of all services",
    &[Answer::of(200, "By name", schema_of::<Vec<String>>)],
);

pub(crate) const SPANS: Endpoint = Endpoint {
    parameters: &[SERVICE_NAME],
    ..endpoint(
        "/spans",
        "Names of what a service does",
        &[Answer::of(200, "By name", schema_of::<Vec<String>>)],
    )
};

pub(crate) const REMOTE_SERVICES: Endpoint = Endpoint {
    parameters: &[SERVICE_NAME],
    ..endpoint(
        "/remoteServices",
        "Names of services that a service named as its other side",
        &[Answer::of(200, "By name", schema_of::<Vec<String>>)],
    )
};

pub(crate) const AUTOCOMPLETE_KEYS: Endpoint = endpoint(
    "/autocompleteKeys",
    "Tags whose values are kept to choose from (AUTOCOMPLETE_KEYS)",
    &[Answer::of(200, "By name", schema_of::<Vec<String>>)],
);

pub(crate) const AUTOCOMPLETE_VALUES: Endpoint = Endpoint {
    parameters: &[Parameter::required("key", Kind::TEXT, "Of which tag")],
    ..endpoint(
        "/autocompleteValues",
        "Values of a tag",
        &[Answer::of(200, "Each once", schema_of::<Vec<String>>)],
    )
};

pub(crate) const TRACES: Endpoint = Endpoint {
    parameters: SEARCH,
    ..endpoint(
        "/traces",
        "Searches traces",
        &[Answer::of(200, "In order, the spans of each", traces)],
    )
};

pub(crate) const UNTIMED: Endpoint = Endpoint {
    parameters: &[
        Parameter::optional("after", Kind::TEXT, "The last trace of the page before"),
        Parameter::optional(
            "limit",
            Kind::Whole(1, LIMIT_MAX),
            "At most so many traces; 10 without it",
        ),
    ],
    ..endpoint(
        "/traces/untimed",
        "Traces that no window finds, because no span of them says when it began",
        &[Answer::of(200, "By identifier, the spans of each", traces)],
    )
};

pub(crate) const TRACE: Endpoint = endpoint(
    "/trace/{traceId}",
    "A trace",
    &[
        Answer::of(200, "Its spans, as they were reported", spans),
        Answer::refused(404, "There is no such trace"),
    ],
);

pub(crate) const TRACE_MANY: Endpoint = Endpoint {
    parameters: &[Parameter::required(
        "traceIds",
        Kind::TEXT,
        "Two identifiers or more, with commas between",
    )],
    ..endpoint(
        "/traceMany",
        "Several traces",
        &[Answer::of(200, "Those that there are, the spans of each", traces)],
    )
};

pub(crate) const TRACE_SUMMARIES: Endpoint = Endpoint {
    parameters: SEARCH,
    ..endpoint(
        "/traceSummaries",
        "Searches traces, for lists of them",
        &[Answer::of(200, "In order", schema_of::<Vec<TraceSummary>>)],
    )
};

pub(crate) const TRACE_VIEW: Endpoint = endpoint(
    "/traceView/{traceId}",
    "A trace as a timeline shows it: clocks corrected, in order, with self times and critical path",
    &[
        Answer::of(200, "Its rows, by columns", schema_of::<TraceView>),
        Answer::refused(404, "There is no such trace"),
    ],
);

pub(crate) const TRACE_VIEW_SPANS: Endpoint = endpoint(
    "/traceView/{traceId}/{spanId}",
    "The spans of one row of a trace",
    &[
        Answer::of(200, "As they are stored", schema_of::<RowSpans>),
        Answer::refused(404, "There is no such trace, or no such span in it"),
    ],
);

pub(crate) const TRACE_VIEW_OF: Endpoint = Endpoint {
    verb: Verb::Post,
    parameters: &[Parameter::optional(
        "traceId",
        Kind::TEXT,
        "Which trace of the body; the first without it",
    )],
    body: Some(any_spans),
    ..endpoint(
        "/traceView",
        "As the view of a trace that is stored, of one that is sent: nothing is stored",
        &[
            Answer::of(
                200,
                "The rows of one trace, and which others there are",
                schema_of::<TraceView>,
            ),
            Answer::refused(404, "The body has no such trace"),
        ],
    )
};

pub(crate) const DEPENDENCIES: Endpoint = Endpoint {
    parameters: &[
        Parameter::required("endTs", Kind::MILLIS, "When the window ends, epoch milliseconds"),
        Parameter::optional(
            "lookback",
            Kind::MILLIS,
            "How long the window is, milliseconds; QUERY_LOOKBACK without it",
        ),
        Parameter::optional(
            "latency",
            Kind::Word(&["true", "false"]),
            "With how long calls took, of the newest traces; without it not",
        ),
    ],
    ..endpoint(
        "/dependencies",
        "Who calls whom",
        &[Answer::of(200, "The links", schema_of::<Vec<LinkJson<'_>>>)],
    )
};

/// Spans in Zipkin's v2 JSON.
pub(crate) fn spans(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Vec<SpanV2>>()
}

fn traces(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Vec<Vec<SpanV2>>>()
}

fn any_spans(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Spans as Zipkin's JSON of version 1 or 2, or what OpenTelemetry exports as JSON; plain or gzip",
        "type": ["array", "object"],
    })
}

/// A span in Zipkin's v2 JSON, which `proto` writes.
enum SpanV2 {}

impl JsonSchema for SpanV2 {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let endpoint = generator.subschema_for::<EndpointV2>();
        let micros = json_schema!({"type": "integer", "minimum": 1});
        json_schema!({
            "description": "One operation as one side of it saw it, in Zipkin's v2 JSON.",
            "type": "object",
            "required": ["traceId", "id"],
            "properties": {
                "traceId": {"type": "string", "description": "16 or 32 characters, lower hexadecimal."},
                "parentId": {"type": "string", "description": "The span that caused it; absent of a root."},
                "id": {"type": "string", "description": "16 characters."},
                "kind": {"type": "string", "enum": ["CLIENT", "SERVER", "PRODUCER", "CONSUMER"]},
                "name": {"type": "string", "description": "What was done, lower case."},
                "timestamp": micros,
                "duration": micros,
                "localEndpoint": endpoint,
                "remoteEndpoint": endpoint,
                "annotations": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["timestamp", "value"],
                        "properties": {"timestamp": micros, "value": {"type": "string"}},
                    },
                },
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
                "debug": {"type": "boolean"},
                "shared": {"type": "boolean", "description": "The server's half of a span that its client began."},
            },
        })
    }
}

/// An endpoint in Zipkin's v2 JSON.
enum EndpointV2 {}

impl JsonSchema for EndpointV2 {
    fn schema_name() -> Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Who recorded a span, or who was on the other side.",
            "type": "object",
            "properties": {
                "serviceName": {"type": "string", "description": "Lower case."},
                "ipv4": {"type": "string"},
                "ipv6": {"type": "string"},
                "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            },
        })
    }
}
