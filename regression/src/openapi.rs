//! What every route says of itself, and the OpenAPI document that is made of it.
//!
//! Schemas of answers come from the types that write them, parameters from the tables that read them, so that neither
//! can say something else than the code does.

#[cfg(test)]
pub(crate) mod tests;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::parameters::{Kind, Parameter};

/// Where the document is.
pub(crate) const DOCUMENT: Endpoint = Endpoint::new(
    Verb::Get,
    "/openapi.json",
    "This document",
    &[Answer::of(200, "An OpenAPI document", any_object)],
);

/// Of bodies that say themselves what they are.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

/// Of what is answered where something is wrong.
fn error(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"$ref": "#/components/schemas/Error"})
}

/// Refusals of whoever sends a body, or anything at all.
const OF_BODIES: [Answer; 3] = [
    MALFORMED,
    Answer::refused(408, "The body did not come in time"),
    Answer::refused(413, "The body is too long"),
];
const MALFORMED: Answer = Answer::refused(400, "What was sent is malformed, and where");

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    /// As a document has it.
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// Where the paths of a route begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Below `/api/v2` and `/zipkin/api/v2`.
    Api,
    /// At the root, as tools that speak another's API expect it.
    Root,
}

/// Makes the schema of a body.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type, as a reference to where it stands once.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An answer of a route. What every route can answer besides (500, 503) is described once, and what follows from how it
/// is asked (400, 408, 413 of a body) is added to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) meaning: &'static str,
    /// `None` where it has no body.
    pub(crate) schema: Option<SchemaOf>,
    /// Of the body.
    pub(crate) media_type: &'static str,
}

/// What answers are unless they say otherwise.
const JSON: &str = "application/json";

impl Answer {
    pub(crate) const fn of(status: u16, meaning: &'static str, schema: SchemaOf) -> Self {
        Self {
            status,
            meaning,
            schema: Some(schema),
            media_type: JSON,
        }
    }

    /// Server-sent events; the schema is that of the data of each.
    pub(crate) const fn events(meaning: &'static str, schema: SchemaOf) -> Self {
        Self {
            media_type: "text/event-stream",
            ..Self::of(200, meaning, schema)
        }
    }

    /// That it is not done, and why.
    pub(crate) const fn refused(status: u16, meaning: &'static str) -> Self {
        Self::of(status, meaning, error)
    }

    pub(crate) const fn empty(status: u16, meaning: &'static str) -> Self {
        Self {
            status,
            meaning,
            schema: None,
            media_type: JSON,
        }
    }
}

/// A route: how it is asked, and what it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) base: Base,
    pub(crate) verb: Verb,
    /// Below its base, with `{name}` for what varies.
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answers: &'static [Answer],
}

impl Endpoint {
    /// One below the API's prefixes, without parameters or body.
    pub(crate) const fn new(
        verb: Verb,
        path: &'static str,
        summary: &'static str,
        answers: &'static [Answer],
    ) -> Self {
        Self {
            base: Base::Api,
            verb,
            path,
            summary,
            parameters: &[],
            body: None,
            answers,
        }
    }
}

/// The OpenAPI 3.1 document of routes.
pub(crate) fn document(endpoints: &[Endpoint]) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints {
        let prefix = match endpoint.base {
            Base::Api => "/api/v2",
            Base::Root => "",
        };
        let path = paths.entry(format!("{prefix}{}", endpoint.path));
        let path = path.or_insert_with(|| json!({}));
        path[endpoint.verb.name()] = operation(endpoint, &mut generator);
    }
    let failed = json!({
        "description": "It failed, and why; 503 with Retry-After: try later, nothing of the request was kept",
        "content": content(JSON, error, &mut generator),
    });
    let mut schemas = generator.take_definitions(true);
    schemas.insert(
        "Error".to_owned(),
        json!({"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tracehound: deployments, reports, gate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durations are microseconds; what ends in Ts, and lookback, is milliseconds. Paths below /api/v2 \
                are below /zipkin/api/v2 too. Unset fields are absent.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "responses": {"Error": failed}},
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let mut responses: Map<String, Value> = Map::new();
    let asks = path_names(endpoint.path).count() + endpoint.parameters.len();
    let refusals: &[Answer] = match endpoint.body {
        Some(_) => &OF_BODIES,
        None if asks > 0 => &[MALFORMED],
        None => &[],
    };
    for answer in refusals.iter().chain(endpoint.answers) {
        let mut response = json!({"description": answer.meaning});
        if let Some(schema) = answer.schema {
            response["content"] = content(answer.media_type, schema, generator);
        }
        responses.insert(answer.status.to_string(), response);
    }
    responses.insert(
        "default".to_owned(),
        json!({"$ref": "#/components/responses/Error"}),
    );
    let in_path = path_names(endpoint.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let parameters = in_path.chain(endpoint.parameters.iter().map(describe));
    let mut operation = json!({
        "summary": endpoint.summary,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(schema) = endpoint.body {
        operation["requestBody"] = json!({"required": true, "content": content(JSON, schema, generator)});
    }
    operation
}

fn content(media_type: &str, schema: SchemaOf, generator: &mut SchemaGenerator) -> Value {
    json!({media_type: {"schema": schema(generator)}})
}

/// What varies in a path.
fn path_names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn describe(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        // Bytes, and a schema counts characters: of those there are at most as many.
        Kind::Text(bytes_max) => json!({"type": "string", "maxLength": bytes_max}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Kind::Word(words) => json!({"enum": words}),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.meaning,
        "schema": schema,
    })
}
