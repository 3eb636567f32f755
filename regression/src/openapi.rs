//! What every route says of itself, and the OpenAPI document that is made of it.
//!
//! Schemas of answers come from the types that write them, parameters from the tables that read them, so that neither
//! can say something else than the code does.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::parameters::Parameter;

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
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

/// An answer of a route. What every route can answer besides (400, 404, 503, …) is described once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) meaning: &'static str,
    /// `None` where it has no body.
    pub(crate) schema: Option<SchemaOf>,
}

impl Answer {
    pub(crate) const fn of(status: u16, meaning: &'static str, schema: SchemaOf) -> Self {
        Self {
            status,
            meaning,
            schema: Some(schema),
        }
    }

    pub(crate) const fn empty(status: u16, meaning: &'static str) -> Self {
        Self {
            status,
            meaning,
            schema: None,
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
