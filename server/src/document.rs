//! The API's document: every part says what its routes are, and here are those that no part describes itself.

use axum::Router;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::routing::get;
use bytes::Bytes;
use openapi::{Answer, Base, DOCUMENT, Endpoint, Errors, Verb};
use schemars::{Schema, SchemaGenerator, json_schema};

/// As the parts have them.
const PREFIXES: [&str; 2] = ["/api/v2", "/zipkin/api/v2"];

/// How spans come in over HTTP; other transports have documents of their own.
const POST_SPANS: Endpoint = Endpoint {
    body: Some(list_of_spans),
    errors: Errors::Text,
    ..Endpoint::new(
        Verb::Post,
        "/spans",
        "Takes spans: what is answered 202 is stored",
        &[Answer::empty(202, "They are stored")],
    )
};

/// What the UI is told by its server.
const CONFIGURATION: Endpoint = Endpoint {
    base: Base::Root,
    errors: Errors::Text,
    ..Endpoint::new(
        Verb::Get,
        "/zipkin/config.json",
        "What the UI is configured to",
        &[Answer::of(200, "Zipkin's settings of its UI", configuration)],
    )
};

/// `/openapi.json`, of everything that a server answers which has all parts.
pub(crate) fn router() -> Router {
    let mut endpoints = vec![DOCUMENT, CONFIGURATION, POST_SPANS];
    endpoints.extend(query::http::endpoints());
    endpoints.extend(regression::http::endpoints());
    let document = Bytes::from(openapi::document(&endpoints).to_string());
    PREFIXES.into_iter().fold(Router::new(), |router, prefix| {
        let document = document.clone();
        let content_type = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let path = format!("{prefix}{}", DOCUMENT.path);
        router.route(&path, get(async move || (content_type, document)))
    })
}

fn list_of_spans(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"$ref": "#/components/schemas/Span"}})
}

fn configuration(_: &mut SchemaGenerator) -> Schema {
    let address = json_schema!({"type": ["string", "null"]});
    let share = json_schema!({"type": "number", "minimum": 0, "maximum": 1});
    json_schema!({
        "type": "object",
        "required": [
            "environment", "queryLimit", "defaultLookback", "searchEnabled", "logsUrl", "supportUrl", "archivePostUrl",
            "archiveUrl", "dependency",
        ],
        "properties": {
            "environment": {"type": "string", "description": "The name of this installation; empty is none."},
            "queryLimit": {"type": "integer", "minimum": 1, "description": "How many traces a search asks for."},
            "defaultLookback": {"type": "integer", "description": "How far a search looks back, milliseconds."},
            "searchEnabled": {"type": "boolean", "description": "Whether traces can be searched."},
            "logsUrl": address,
            "supportUrl": address,
            "archivePostUrl": address,
            "archiveUrl": address,
            "dependency": {
                "type": "object",
                "required": ["enabled", "lowErrorRate", "highErrorRate"],
                "properties": {
                    "enabled": {"type": "boolean"},
                    "lowErrorRate": share,
                    "highErrorRate": share,
                },
            },
        },
    })
}
