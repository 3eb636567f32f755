//! What every route says of itself, and the OpenAPI document that is made of it.
//!
//! Schemas of answers come from the types that write them, parameters from the tables that read them (`parameter`), so
//! that neither can say something else than the code does. Packages with routes hand out their [`Endpoint`]s; the server
//! makes one [`document`] of all. `check` is for tests that hold answers to it.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

#[cfg(feature = "check")]
pub mod check;
mod parameter;

pub use parameter::{Kind, Parameter, Parameters};

/// Where the document is.
pub const DOCUMENT: Endpoint = Endpoint::new(
    Verb::Get,
    "/openapi.json",
    "This document",
    &[Answer::of(200, "An OpenAPI document", any_object)],
);

/// Of bodies that say themselves what they are.
pub fn any_object(_: &mut SchemaGenerator) -> Schema {
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
pub enum Verb {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
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
pub enum Base {
    /// Below `/api/v2` and `/zipkin/api/v2`.
    Api,
    /// At the root, as tools that speak another's API expect it.
    Root,
}

/// Makes the schema of a body.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of a type, as a reference to where it stands once.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An answer of a route. What every route can answer besides (500, 503) is described once, and what follows from how it
/// is asked (400, 408, 413 of a body) is added to it.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// For people who read the document.
    pub meaning: &'static str,
    /// `None` where it has no body.
    pub schema: Option<SchemaOf>,
    /// Of the body.
    pub media_type: &'static str,
    /// Whether it says that it is not done: how, the route's [`Errors`] tell.
    pub is_refusal: bool,
}

/// What answers are unless they say otherwise.
const JSON: &str = "application/json";

impl Answer {
    /// With a body of JSON.
    pub const fn of(status: u16, meaning: &'static str, schema: SchemaOf) -> Self {
        Self {
            status,
            meaning,
            schema: Some(schema),
            media_type: JSON,
            is_refusal: false,
        }
    }

    /// Server-sent events; the schema is that of the data of each.
    pub const fn events(meaning: &'static str, schema: SchemaOf) -> Self {
        Self {
            media_type: "text/event-stream",
            ..Self::of(200, meaning, schema)
        }
    }

    /// That it is not done, and why.
    pub const fn refused(status: u16, meaning: &'static str) -> Self {
        Self {
            is_refusal: true,
            ..Self::of(status, meaning, error)
        }
    }

    /// Without a body.
    pub const fn empty(status: u16, meaning: &'static str) -> Self {
        Self {
            status,
            meaning,
            schema: None,
            media_type: JSON,
            is_refusal: false,
        }
    }
}

/// A route: how it is asked, and what it answers.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Where its path begins.
    pub base: Base,
    /// How it is asked.
    pub verb: Verb,
    /// Below its base, with `{name}` for what varies.
    pub path: &'static str,
    /// For people who read the document.
    pub summary: &'static str,
    /// What may follow the `?`.
    pub parameters: &'static [Parameter],
    /// `None` where it takes none.
    pub body: Option<SchemaOf>,
    /// What it answers; refusals that follow from how it is asked need not be named.
    pub answers: &'static [Answer],
    /// How it says what is wrong.
    pub errors: Errors,
}

/// How a route says what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errors {
    /// As `{"error": "…"}`.
    Json,
    /// As plain text: what Zipkin does.
    Text,
}

impl Errors {
    fn content(self, generator: &mut SchemaGenerator) -> Value {
        match self {
            Self::Json => content(JSON, error, generator),
            Self::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
        }
    }

    /// Where the description of those stands that every route may answer.
    const fn default_response(self) -> &'static str {
        match self {
            Self::Json => "#/components/responses/Error",
            Self::Text => "#/components/responses/TextError",
        }
    }
}

impl Endpoint {
    /// One below the API's prefixes, without parameters or body.
    pub const fn new(
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
            errors: Errors::Json,
        }
    }
}

/// The OpenAPI 3.1 document of routes.
pub fn document(endpoints: &[Endpoint]) -> Value {
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
    let mut failed = |errors: Errors| {
        json!({
            "description": "It failed, and why; 503 with Retry-After: try later, nothing of the request was kept",
            "content": errors.content(&mut generator),
        })
    };
    let responses = json!({"Error": failed(Errors::Json), "TextError": failed(Errors::Text)});
    let mut schemas = generator.take_definitions(true);
    schemas.insert(
        "Error".to_owned(),
        json!({"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tracehound",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Durations are microseconds; what ends in Ts, and lookback, is milliseconds. Paths below /api/v2 \
                are below /zipkin/api/v2 too. Unset fields are absent.",
        },
        "paths": paths,
        "components": {"schemas": schemas, "responses": responses},
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
            response["content"] = if answer.is_refusal {
                endpoint.errors.content(generator)
            } else {
                content(answer.media_type, schema, generator)
            };
        }
        responses.insert(answer.status.to_string(), response);
    }
    responses.insert(
        "default".to_owned(),
        json!({"$ref": endpoint.errors.default_response()}),
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
        Kind::Text(usize::MAX) => json!({"type": "string"}),
        // Bytes, and a schema counts characters: of those there are at most as many.
        Kind::Text(bytes_max) => json!({"type": "string", "maxLength": bytes_max}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.meaning,
        "schema": schema,
    })
}
