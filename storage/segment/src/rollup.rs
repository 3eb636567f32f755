//! Rollups: what a segment knows of its traces without reading spans.
//!
//! - Dependency links by the minute of the trace, as if every trace were whole here; a query corrects those that
//!   are not (`dependencies.rs`).
//! - Latency sketches by operation, version and minute (`sketches.rs`).
//! - Profiles: where the time of each trace went (`profiles.rs`).
//!
//! All are of the spans as [`model::merge`] gives them. Nearly all traces have nothing to be joined; those are counted
//! from outlines, with names as numbers and in memory that is kept. The others are counted as the definition says it,
//! from spans.

use std::collections::BTreeMap;
use std::io;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{
    ArrangedTrace, DependencyLinker, Kind, LinkCounts, LinkFinder, NameNumber, Place, Span, SpanFacts,
    SpanOutline, SpanTree, Timeline, TraceId, TraceNode, TraceProfiler, merge, merge_outlines,
};

use crate::format::Run;
use crate::page::PageWriter;
use crate::profile_facts::ProfileFacts;
use crate::profiles::ProfilesBuilder;
use crate::rows::{RowRef, RowSpan, TraceRows};
use crate::segment_shapes::{Operation, SegmentShapes};
use crate::sketches::{Measured, OperationKey, OperationNumber, SketchesBuilder};
use crate::strings::Strings;
use storage_record::bytes::{Cursor, Malformed, Put};

/// Microseconds of a minute: what rollups are kept by.
pub(crate) const MINUTE: u64 = 60_000_000;

/// The links of the traces of a minute.
#[derive(Clone, Debug)]
pub(crate) struct MinuteLinks {
    /// Minutes since the epoch.
    pub(crate) minute: u64,
    pub(crate) links: LinkCounts,
}

/// The links of one trace.
pub(crate) fn links_of(spans: &[Span]) -> LinkCounts {
    let mut linker = DependencyLinker::new();
    linker.put_trace(spans);
    linker.into_counts()
}

/// Collects rollups of the traces of a segment.
#[derive(Debug, Default)]
pub(crate) struct RollupBuilder {
    /// Services, span names and versions; a [`NameNumber`] is a symbol of them.
    names: Strings,
    links: BTreeMap<u64, NumberedLinks>,
    sketches: SketchesBuilder,
    profiles: ProfilesBuilder,
    facts: ProfileFacts,
    scratch: Scratch,
}

/// The links of a minute in the order first seen.
#[derive(Debug, Default)]
struct NumberedLinks {
    links: Vec<Link>,
    positions: HashMap<(NameNumber, NameNumber), u32, RandomState>,
}

#[derive(Debug)]
struct Link {
    parent: NameNumber,
    child: NameNumber,
    calls: i64,
    errors: i64,
}

/// What every trace is counted in.
#[derive(Debug, Default)]
struct Scratch {
    outlines: Vec<SpanOutline>,
    operations: Vec<OperationNumber>,
    tree: SpanTree,
    timeline: Timeline,
    finder: LinkFinder,
    found: Vec<(NameNumber, NameNumber, bool)>,
    profiler: TraceProfiler,
    facts: Vec<SpanFacts>,
}

impl RollupBuilder {
    /// The number of a name.
    pub(crate) fn name(&mut self, name: &str) -> NameNumber {
        self.names.insert(name).0
    }

    /// The number of an operation (service, span name, kind) in a version; names are empty where there are none.
    pub(crate) fn operation(
        &mut self,
        (service, span_name, kind): (&str, &str, Option<Kind>),
        version: &str,
    ) -> OperationNumber {
        let mut name = |name: &str| {
            self.names
                .insert_option(Some(name).filter(|name| !name.is_empty()))
                .0
        };
        let service = name(service);
        let key = if self.sketches.is_full() {
            // It would hardly get an entry of its own, and names are not bounded by anything else.
            OperationKey::rest_of(service)
        } else {
            OperationKey {
                service,
                span_name: name(span_name),
                kind,
                version: name(version),
            }
        };
        self.sketches.operation(key)
    }

    /// Adds a trace; `timestamp` is what dependency windows go by, 0 when it has none, and then it is in no window.
    pub(crate) fn add_trace(
        &mut self,
        timestamp: u64,
        rows: &TraceRows,
        shapes: &SegmentShapes,
        version_tags: &[String],
    ) -> Result<(), Malformed> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.outlines.clear();
        scratch.operations.clear();
        for (row, index) in rows.iter().zip(0..) {
            let (outline, operation) = self.outline(row, index, shapes, version_tags)?;
            scratch.outlines.push(outline);
            scratch.operations.push(operation);
        }
        if merge_outlines(&mut scratch.outlines) {
            let outlines = std::mem::take(&mut scratch.outlines);
            scratch.arrange(&outlines, |name| *name);
            self.add_sketches(&outlines, &scratch.timeline, |_, span| {
                scratch.operations[span.index as usize]
            });
            self.gather_facts(&outlines, &mut scratch);
            self.add_profile(trace_id_of(rows), timestamp, &outlines, &mut scratch)?;
            scratch.outlines = outlines;
        } else {
            let spans = rows.to_spans(shapes.table())?;
            let merged = merge(&spans);
            scratch.arrange(&merged, |name| self.name(name));
            self.add_sketches(&merged, &scratch.timeline, |rollup, span| {
                rollup.operation_of(span, version_tags)
            });
            let table = &mut self.profiles.table;
            scratch.facts.clear();
            scratch
                .facts
                .extend(merged.iter().map(|span| table.facts(span, version_tags)));
            self.add_profile(trace_id_of(rows), timestamp, &merged, &mut scratch)?;
        }
        if timestamp != 0 {
            let links = self.links.entry(timestamp / MINUTE).or_default();
            for &(parent, child, failed) in &scratch.found {
                links.add(parent, child, failed);
            }
        }
        if scratch.outlines.capacity() <= SCRATCH_SPANS_MAX {
            self.scratch = scratch;
        }
        Ok(())
    }

    fn add_sketches<S: TraceNode>(
        &mut self,
        spans: &[S],
        timeline: &Timeline,
        mut operation_of: impl FnMut(&mut Self, &S) -> OperationNumber,
    ) {
        self.sketches.begin_trace();
        for (index, span) in spans.iter().enumerate() {
            let Some(timestamp) = span.timestamp() else {
                continue;
            };
            let operation = operation_of(self, span);
            let measured = Measured {
                timestamp,
                is_error: span.is_error(),
                duration: span.duration(),
                self_time: timeline.self_time(index),
            };
            self.sketches.add(operation, measured);
        }
    }

    /// What a profile needs to know of outlined spans.
    fn gather_facts(&mut self, outlines: &[SpanOutline], scratch: &mut Scratch) {
        let Self {
            names,
            sketches,
            profiles,
            facts,
            ..
        } = self;
        scratch.facts.clear();
        scratch.facts.extend(outlines.iter().map(|span| {
            let operation = scratch.operations[span.index as usize];
            facts.of(span, operation, sketches, names, &mut profiles.table)
        }));
    }

    /// Adds the profile of a trace, which changes its timeline.
    fn add_profile<S: TraceNode>(
        &mut self,
        trace_id: Option<TraceId>,
        timestamp: u64,
        spans: &[S],
        scratch: &mut Scratch,
    ) -> Result<(), Malformed> {
        let Scratch {
            tree,
            timeline,
            profiler,
            facts,
            ..
        } = scratch;
        let trace = ArrangedTrace {
            spans,
            tree,
            timeline,
            facts,
        };
        let profile = trace_id
            .and_then(|trace_id| profiler.profile(trace_id, timestamp, trace))
            .ok_or(Malformed("a trace without spans"))?;
        self.profiles.add(profile);
        Ok(())
    }

    fn operation_of(&mut self, span: &Span, version_tags: &[String]) -> OperationNumber {
        let version = version_tags.iter().find_map(|tag| span.tag(tag));
        let operation = (
            span.local_service_name().unwrap_or_default(),
            span.name.as_deref().unwrap_or_default(),
            span.kind,
        );
        self.operation(operation, version.unwrap_or_default())
    }

    fn outline(
        &mut self,
        row: RowRef<'_>,
        index: u32,
        shapes: &SegmentShapes,
        version_tags: &[String],
    ) -> Result<(SpanOutline, OperationNumber), Malformed> {
        let head = row.head;
        let facts = shapes.facts(head.shape);
        let outline = SpanOutline {
            id: head.id,
            parent_id: head.parent_id,
            kind: facts.kind,
            shared: facts.shared,
            timestamp: head.timestamp,
            duration: head.duration,
            is_error: facts.is_error,
            place: place(facts.local_name, row),
            remote_name: facts.remote_name,
            index,
        };
        match facts.operation {
            Operation::Known(operation) => Ok((outline, operation)),
            Operation::Versioned(value) => {
                let span = row.span(shapes.table())?;
                Ok((outline, self.operation(names_of(&span), row.value(value))))
            }
            Operation::OfRow => {
                let span = row.span(shapes.table())?;
                Ok(self.outline_of_generic(outline, &span, version_tags))
            }
        }
    }

    fn outline_of_generic(
        &mut self,
        outline: SpanOutline,
        span: &RowSpan<'_>,
        version_tags: &[String],
    ) -> (SpanOutline, OperationNumber) {
        let tag = |key: &str| span.tags().find(|tag| tag.0 == key).map(|tag| tag.1);
        let version = version_tags.iter().find_map(|key| tag(key));
        let local_name = span.service().map(|name| self.name(name));
        let outline = SpanOutline {
            kind: span.kind(),
            shared: span.shared(),
            is_error: tag("error").is_some(),
            place: place(local_name, span.row),
            remote_name: span.remote_service().map(|name| self.name(name)),
            ..outline
        };
        (
            outline,
            self.operation(names_of(span), version.unwrap_or_default()),
        )
    }

    pub(crate) fn links_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_varint(self.links.len() as u64);
        for (minute, NumberedLinks { links, .. }) in &self.links {
            out.put_varint(*minute);
            out.put_varint(links.len() as u64);
            for link in links {
                out.put_text(self.names.get(crate::strings::Symbol(link.parent)));
                out.put_text(self.names.get(crate::strings::Symbol(link.child)));
                out.put_zigzag(link.calls);
                out.put_zigzag(link.errors);
            }
        }
        out
    }

    /// Writes the section of profiles; none are left afterwards.
    pub(crate) fn write_profiles(&mut self, pages: &mut PageWriter) -> io::Result<Run> {
        std::mem::take(&mut self.profiles).write(pages)
    }

    /// The directory of profiles, and their pages; none are left afterwards.
    pub(crate) fn take_profiles(&mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        std::mem::take(&mut self.profiles).into_pages()
    }

    pub(crate) fn sketches_bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.sketches.put(&self.names, &mut out);
        out
    }
}

/// Spans of a trace whose memory is kept for the next one.
const SCRATCH_SPANS_MAX: usize = 1 << 16;

impl Scratch {
    /// Arranges merged spans and finds their links; `number_of` gives the number of a name.
    fn arrange<S: TraceNode>(&mut self, spans: &[S], mut number_of: impl FnMut(&S::Name) -> NameNumber) {
        let Self {
            tree,
            timeline,
            finder,
            found,
            ..
        } = self;
        tree.rebuild(spans);
        timeline.rebuild(spans, tree);
        found.clear();
        finder.find(spans, tree, |call| {
            found.push((number_of(call.parent), number_of(call.child), call.failed));
        });
    }
}

impl NumberedLinks {
    fn add(&mut self, parent: NameNumber, child: NameNumber, failed: bool) {
        let next = self.links.len() as u32;
        let position = *self.positions.entry((parent, child)).or_insert(next);
        if position == next {
            self.links.push(Link {
                parent,
                child,
                calls: 0,
                errors: 0,
            });
        }
        let link = &mut self.links[position as usize];
        link.calls += 1;
        link.errors += i64::from(failed);
    }
}

/// The greatest identifier of a trace's rows: some reporters leave out the high half.
fn trace_id_of(rows: &TraceRows) -> Option<TraceId> {
    rows.iter().map(|row| row.head.trace_id).max()
}

fn place(name: Option<NameNumber>, row: RowRef<'_>) -> Option<Place> {
    let (ip, port) = row.head.local;
    Place { name, ip, port }.into_option()
}

fn names_of<'a>(span: &RowSpan<'a>) -> (&'a str, &'a str, Option<Kind>) {
    let (service, name) = (span.service(), span.name());
    (service.unwrap_or_default(), name.unwrap_or_default(), span.kind())
}

/// Reads what [`RollupBuilder::links_bytes`] wrote.
pub(crate) fn read_links(bytes: &[u8]) -> Result<Vec<MinuteLinks>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.count(2)?;
    let mut minutes = Vec::with_capacity(count);
    for _ in 0..count {
        let minute = cursor.varint()?;
        let mut links = LinkCounts::new();
        for _ in 0..cursor.count(4)? {
            let (parent, child) = (cursor.text()?, cursor.text()?);
            links.add(parent, child, cursor.zigzag()?, cursor.zigzag()?);
        }
        minutes.push(MinuteLinks { minute, links });
    }
    Ok(minutes)
}
