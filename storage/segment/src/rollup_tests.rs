//! Rollups from rows are what the definition says of spans.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Kind, Sketch, Span, SpanId, SpanTree, Timeline, merge, trace_timestamp};
use proptest::prelude::*;

use crate::fields::Fields;
use crate::names::Names;
use crate::postings::PostingsBuilder;
use crate::registry::Registry;
use crate::rollup::{MINUTE, RollupBuilder, links_of, read_links};
use crate::rows::TraceRows;
use crate::segment_shapes::{Learners, SegmentShapes};
use crate::shape::GENERIC;
use crate::shape_plan::ShapePlan;
use crate::sketches::{ENTRIES_MAX, SketchEntry, read_sketches};
use crate::testing::{arbitrary_spans, span};
use crate::view::sort_distinct;
use crate::writer::WriterOptions;

/// Calls and errors by minute, parent and child.
pub(crate) type Links = BTreeMap<(u64, String, String), (i64, i64)>;
pub(crate) type Sketches = BTreeMap<(String, String, Option<Kind>, String, u64), Counted>;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counted {
    spans: u64,
    errors: u64,
    traces: u64,
    durations: Sketch,
    self_times: Sketch,
}

/// As the definition says it.
pub(crate) fn defined(traces: &[Vec<Span>], version_tags: &[String]) -> (Links, Sketches) {
    let (mut links, mut sketches) = (Links::new(), Sketches::new());
    for spans in traces {
        if let Some(timestamp) = trace_timestamp(spans) {
            for link in links_of(spans).iter() {
                let key = (timestamp / MINUTE, link.parent.clone(), link.child.clone());
                let counts = links.entry(key).or_default();
                *counts = (counts.0 + link.calls, counts.1 + link.errors);
            }
        }
        let merged = merge(spans);
        let timeline = Timeline::build(&merged, &SpanTree::build(&merged));
        let mut seen = Vec::new();
        for (index, span) in merged.iter().enumerate() {
            let Some(timestamp) = span.timestamp else { continue };
            let version = version_tags
                .iter()
                .find_map(|tag| span.tag(tag))
                .unwrap_or_default();
            let key = (
                span.local_service_name().unwrap_or_default().to_owned(),
                span.name.clone().unwrap_or_default(),
                span.kind,
                version.to_owned(),
                timestamp / MINUTE,
            );
            let counted = sketches.entry(key.clone()).or_default();
            counted.spans += 1;
            counted.errors += u64::from(span.is_error());
            span.duration
                .iter()
                .for_each(|&duration| counted.durations.record(duration));
            timeline
                .self_time(index)
                .iter()
                .for_each(|&time| counted.self_times.record(time));
            if !seen.contains(&key) {
                counted.traces += 1;
                seen.push(key);
            }
        }
    }
    (links, sketches)
}

fn options(version_tags: &[&str]) -> WriterOptions {
    WriterOptions {
        indexed: true,
        text_indexed: false,
        autocomplete_keys: Arc::new([]),
        version_tags: version_tags.iter().map(|&tag| tag.to_owned()).collect(),
    }
}

/// From rows, generic ones where `generic` says so.
fn of_rows(traces: &[Vec<Span>], generic: &[bool], options: &WriterOptions) -> RollupBuilder {
    let mut registry = Registry::default();
    let mut generic = generic.iter().cycle();
    let mut coded = Vec::new();
    for spans in traces {
        let mut rows = TraceRows::default();
        for (span, generic) in spans.iter().zip(&mut generic) {
            let fields = Fields::of_span(span);
            let number = if *generic {
                GENERIC
            } else {
                registry.insert(&fields)
            };
            rows.push_fields(&fields, number, registry.table().get(number).unwrap());
        }
        coded.push(rows);
    }
    let plan = Arc::new(ShapePlan::of(&[registry.table()]));
    let mut shapes = SegmentShapes::new(plan.clone());
    let mut rollup = RollupBuilder::default();
    for (rows, spans) in coded.iter_mut().zip(traces) {
        plan.recode(0, rows).unwrap();
        rows.sort_distinct(plan.table()).unwrap();
        let mut learners = Learners {
            options,
            names: &mut Names::default(),
            postings: &mut PostingsBuilder::default(),
            rollup: &mut rollup,
        };
        shapes.recode(rows, &mut learners).unwrap();
        let timestamp = trace_timestamp(spans).unwrap_or(0);
        rollup
            .add_trace(timestamp, rows, &shapes, &options.version_tags)
            .unwrap();
    }
    rollup
}

fn read(rollup: &mut RollupBuilder) -> (Links, Vec<SketchEntry>) {
    let mut links = Links::new();
    for minute in read_links(&rollup.links_bytes()).unwrap() {
        for link in minute.links.iter() {
            let key = (minute.minute, link.parent.clone(), link.child.clone());
            assert!(links.insert(key, (link.calls, link.errors)).is_none());
        }
    }
    (links, read_sketches(&rollup.sketches_bytes()).unwrap())
}

/// Entries by what they are of, each once.
pub(crate) fn keyed(entries: Vec<SketchEntry>) -> Sketches {
    let mut sketches = Sketches::new();
    for entry in entries {
        let operation = entry.operation;
        let key = (
            operation.service_name,
            operation.span_name,
            operation.kind,
            entry.version,
            entry.minute,
        );
        let counted = Counted {
            spans: entry.spans,
            errors: entry.errors,
            traces: entry.traces,
            durations: entry.durations,
            self_times: entry.self_times,
        };
        assert!(sketches.insert(key, counted).is_none(), "an entry twice");
    }
    sketches
}

/// Traces of spans that are pieces of each other often, seldom or never.
fn traces() -> impl Strategy<Value = Vec<Vec<Span>>> {
    let trace = (arbitrary_spans(12), 0..3u64).prop_map(|(mut spans, apart)| {
        for (span, number) in spans.iter_mut().zip(0..) {
            if apart == 2 || apart == 1 && number % 4 == 0 {
                span.id = SpanId::new(100 + number);
            }
            // Within few minutes.
            span.timestamp = span.timestamp.map(|timestamp| timestamp % (2 * MINUTE) + 1);
        }
        sort_distinct(&mut spans);
        spans
    });
    prop::collection::vec(trace, 1..6)
}

proptest! {
    #[test]
    fn rollups_from_rows_are_those_of_spans(
        traces in traces(), generic in prop::collection::vec(any::<bool>(), 1..6),
    ) {
        let options = options(&["a", "http.path"]);
        let (links, entries) = read(&mut of_rows(&traces, &generic, &options));
        let (expected_links, expected) = defined(&traces, &options.version_tags);
        prop_assert_eq!(links, expected_links);
        prop_assert_eq!(keyed(entries), expected);
    }
}

#[test]
fn hostile_names_share_an_entry() {
    let spans: Vec<_> = (0..ENTRIES_MAX as u64 + 100)
        .map(|name| Span {
            name: Some(format!("name-{name}")),
            ..span(1, name, MINUTE)
        })
        .collect();
    for generic in [true, false] {
        let (_, entries) = read(&mut of_rows(
            std::slice::from_ref(&spans),
            &[generic],
            &options(&[]),
        ));
        assert_eq!(entries.len(), ENTRIES_MAX + 1);
        let rest = &entries[ENTRIES_MAX];
        assert_eq!((rest.spans, rest.operation.span_name.as_str()), (100, ""));
        assert_eq!(rest.operation.service_name, "web");
    }
}

#[test]
fn spans_of_hostile_services_are_counted_all_the_same() {
    let spans: Vec<_> = (0..2 * ENTRIES_MAX as u64 + 100)
        .map(|service| {
            let mut span = span(1, service, MINUTE);
            span.local_endpoint.as_mut().unwrap().service_name = Some(format!("service-{service}"));
            span
        })
        .collect();
    let (_, entries) = read(&mut of_rows(std::slice::from_ref(&spans), &[true], &options(&[])));
    assert_eq!(entries.len(), 2 * ENTRIES_MAX + 1);
    assert_eq!(
        entries.iter().map(|entry| entry.spans).sum::<u64>(),
        spans.len() as u64
    );
    assert_eq!(
        entries.last().map(|entry| entry.operation.service_name.as_str()),
        Some("")
    );
}
