//! The conditions of a search, as what they say of shapes and terms.
//!
//! Conditions only find candidates; [`TraceQuery::matches`] decides. Different spans of a trace may meet
//! different conditions, so each condition gives a set of traces and the sets are intersected.

use std::sync::atomic::AtomicBool;

use storage::{StorageError, TraceQuery};

use crate::postings::{duration_class, intersect, union};
use crate::reader::{SegmentReader, Shapes};
use crate::search::check;
use crate::shape::{GENERIC, Shape, ShapeNumber, ShapeTable};
use crate::strings::Symbol;
use crate::term::{About, Term, term};
use crate::trace_table::Ordinal;

/// One thing that some span of a trace must have.
#[derive(Clone, Copy, Debug)]
enum Condition<'q> {
    /// It is local to the service asked for; nothing else.
    Service,
    Name(&'q str),
    RemoteService(&'q str),
    /// A tag key or an annotation value.
    Has(&'q str),
    Tag(&'q str, &'q str),
    /// Its duration is at least this, microseconds.
    Duration(u64),
}

/// The conditions of a query.
#[derive(Debug)]
pub(crate) struct Conditions<'q> {
    service: Option<&'q str>,
    all: Vec<Condition<'q>>,
}

impl<'q> Conditions<'q> {
    pub(crate) fn of(query: &'q TraceQuery) -> Self {
        let mut all = Vec::new();
        all.extend(query.span_name().map(Condition::Name));
        all.extend(query.remote_service_name().map(Condition::RemoteService));
        all.extend(query.annotation_query().conditions().iter().map(|(key, value)| {
            if value.is_empty() {
                Condition::Has(key)
            } else {
                Condition::Tag(key, value)
            }
        }));
        all.extend(query.min_duration().map(Condition::Duration));
        if query.service_name().is_some() {
            all.push(Condition::Service);
        }
        Self {
            service: query.service_name(),
            all,
        }
    }

    /// What a trace in memory may match by its shapes alone.
    pub(crate) fn of_shapes(&self, table: &ShapeTable) -> ShapeSets {
        let resolved = self.resolve(table);
        let sets = self.all.iter().map(|condition| {
            let meets = |(number, shape): (ShapeNumber, &Shape)| {
                number == GENERIC || (resolved.is_of_service(shape) && resolved.may_meet(condition, shape))
            };
            table.iter().map(meets).collect()
        });
        ShapeSets { sets: sets.collect() }
    }

    fn resolve<'t>(&self, table: &'t ShapeTable) -> Resolved<'t> {
        Resolved {
            table,
            service: self.service.map(|service| table.strings.find(service)),
        }
    }

    /// Traces of a segment that may match, ascending; `None` means all of them.
    pub(crate) fn candidates(
        &self,
        segment: &SegmentReader,
        cancelled: &AtomicBool,
    ) -> Result<Option<Vec<Ordinal>>, StorageError> {
        if self.all.is_empty() {
            return Ok(None);
        }
        if self.service.is_some_and(|service| !segment.has_service(service)) {
            return Ok(Some(Vec::new()));
        }
        let shapes = segment.shapes()?;
        let mut found: Option<Vec<Ordinal>> = None;
        for condition in &self.all {
            if found.as_ref().is_some_and(Vec::is_empty) {
                break;
            }
            let meeting = self.traces_meeting(condition, segment, &shapes, cancelled)?;
            found = Some(match found {
                None => meeting,
                Some(before) => intersect(before, &meeting),
            });
        }
        Ok(found)
    }

    fn traces_meeting(
        &self,
        condition: &Condition<'_>,
        segment: &SegmentReader,
        shapes: &Shapes,
        cancelled: &AtomicBool,
    ) -> Result<Vec<Ordinal>, StorageError> {
        let services: Vec<&str> = match self.service {
            Some(service) => vec![service],
            None => segment.services().collect(),
        };
        let mut lists = Vec::new();
        match condition {
            Condition::Service | Condition::Duration(_) => {
                let least = if let Condition::Duration(min) = condition {
                    duration_class(Some(*min))
                } else {
                    0
                };
                for service in services {
                    check(cancelled)?;
                    lists.push(segment.traces_of_service(service, least)?);
                }
            }
            _ => {
                let resolved = self.resolve(&shapes.table);
                for (number, shape) in shapes.table.iter() {
                    if number != GENERIC && resolved.is_of_service(shape) && resolved.meets(condition, shape)
                    {
                        lists.push(segment.traces_of_shape(shapes, number)?);
                    }
                }
                for service in services {
                    check(cancelled)?;
                    for term in condition.terms(service) {
                        lists.push(segment.traces_of_term(term)?);
                    }
                }
            }
        }
        Ok(union(lists))
    }
}

impl Condition<'_> {
    /// What a span local to `service` that meets it in its varying part is found by.
    fn terms(&self, service: &str) -> Vec<Term> {
        match *self {
            Self::Service | Self::Duration(_) => Vec::new(),
            Self::Name(name) => vec![term(About::Name, service, name, "")],
            Self::RemoteService(name) => vec![term(About::RemoteService, service, name, "")],
            Self::Has(key) => {
                vec![
                    term(About::TagKey, service, key, ""),
                    term(About::Annotation, service, key, ""),
                ]
            }
            Self::Tag(key, value) => vec![term(About::Tag, service, key, value)],
        }
    }
}

/// A service looked up in a table: `Some(None)` where it is asked for and not there.
struct Resolved<'t> {
    table: &'t ShapeTable,
    service: Option<Option<Symbol>>,
}

impl Resolved<'_> {
    fn is_of_service(&self, shape: &Shape) -> bool {
        self.service.is_none_or(|service| service == Some(shape.service))
    }

    fn is(&self, symbol: Symbol, text: &str) -> bool {
        symbol != Symbol::NONE && self.table.strings.get(symbol) == text
    }

    /// Whether every span of the shape meets the condition.
    fn meets(&self, condition: &Condition<'_>, shape: &Shape) -> bool {
        match *condition {
            Condition::Service => true,
            Condition::Duration(_) => false,
            Condition::Name(name) => self.is(shape.name, name),
            Condition::RemoteService(name) => self.is(shape.remote_service, name),
            Condition::Has(key) => {
                shape.tags.iter().any(|tag| self.is(tag.0, key))
                    || shape
                        .annotations
                        .iter()
                        .flatten()
                        .any(|&value| self.is(value, key))
            }
            Condition::Tag(key, value) => shape
                .tags
                .iter()
                .any(|tag| self.is(tag.0, key) && tag.1.is_some_and(|fixed| self.is(fixed, value))),
        }
    }

    /// Whether some span of the shape may meet the condition.
    fn may_meet(&self, condition: &Condition<'_>, shape: &Shape) -> bool {
        self.meets(condition, shape)
            || match *condition {
                Condition::Duration(_) => true,
                Condition::Has(_) => shape.annotations.iter().any(Option::is_none),
                Condition::Tag(key, _) => shape
                    .tags
                    .iter()
                    .any(|tag| tag.1.is_none() && self.is(tag.0, key)),
                _ => false,
            }
    }
}

/// For each condition the shapes whose spans may meet it.
#[derive(Debug)]
pub(crate) struct ShapeSets {
    sets: Vec<Vec<bool>>,
}

impl ShapeSets {
    /// Whether a trace with these shapes may match.
    pub(crate) fn may_match(&self, shapes: &[ShapeNumber]) -> bool {
        // A shape newer than the sets may meet anything.
        self.sets.iter().all(|set| {
            shapes
                .iter()
                .any(|&shape| set.get(shape as usize).copied().unwrap_or(true))
        })
    }
}
