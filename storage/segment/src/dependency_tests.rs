//! Links of windows that cut minutes, segments and traces, against their definition.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::{DependencyLink, DependencyLinker, Kind, Span, SpanId};

use crate::config::Limits;
use crate::dependencies::dependencies;
use crate::link_sums::Part;
use crate::reader::SegmentReader;
use crate::rollup::MINUTE;
use crate::seal::{Quiet, seal};
use crate::store::Store;
use crate::testing::{Machine, batch_of, span};
use crate::view::Reading;
use crate::warm::warm;

const BEGIN: u64 = 1_600_000_020_000_000;
/// Traces begin so often: some two hundred a minute, so a page of the trace table ends within one.
const EVERY: u64 = MINUTE / 200;
const TRACES: u64 = 700;

/// A call of a service that calls two others; some of it shared, some of it failed.
fn trace_of(number: u64) -> Vec<Span> {
    let begin = BEGIN + number * EVERY;
    let at = |id: u64, parent: Option<u64>, kind: Kind, service: &str| {
        let mut span = span(number, id, begin + id * 1_000);
        span.parent_id = parent.map(SpanId::new);
        span.kind = Some(kind);
        span.remote_endpoint = None;
        if let Some(endpoint) = &mut span.local_endpoint {
            endpoint.service_name = Some(service.into());
        }
        span
    };
    let callee = format!("service-{}", number % 7);
    let mut spans = vec![
        at(1, None, Kind::Server, "web"),
        at(2, Some(1), Kind::Client, "web"),
        at(2, Some(1), Kind::Server, &callee),
        at(3, Some(2), Kind::Client, &callee),
        at(4, Some(3), Kind::Server, "db"),
    ];
    spans[2].shared = true;
    if number.is_multiple_of(5) {
        spans[3].tags.push(("error".into(), String::new()));
        spans[3].tags.sort_unstable();
    }
    spans
}

/// Every trace, a part of it at a time: of some the second half comes after the first was sealed.
struct Stored {
    machine: Machine,
    store: Store,
    traces: BTreeMap<u64, Vec<Span>>,
}

impl Stored {
    fn new() -> Self {
        let machine = Machine::new(Limits::default());
        let store = machine.open();
        let mut stored = Self {
            machine,
            store,
            traces: BTreeMap::new(),
        };
        for number in 1..=TRACES {
            let spans = trace_of(number);
            let first = if number % 9 == 0 { 3 } else { spans.len() };
            stored.add(&spans[..first]);
        }
        stored.seal();
        for number in (1..=TRACES).filter(|number| number % 18 == 0) {
            stored.add(&trace_of(number)[3..]);
        }
        stored.seal();
        stored
    }

    fn add(&mut self, spans: &[Span]) {
        self.machine.accept(&self.store, &batch_of(spans));
        for span in spans {
            self.traces
                .entry(span.trace_id.low())
                .or_default()
                .push(span.clone());
        }
    }

    fn seal(&self) {
        let frozen = self.store.freeze();
        seal(&self.store, &frozen, Quiet::Everything).unwrap();
    }

    fn asked(&self, window: (u64, u64)) -> Vec<DependencyLink> {
        let view = self.store.view();
        let mut reading = Reading::new(&view, u64::MAX);
        let sums = self.store.link_sums();
        let found = dependencies(&mut reading, &sums, window, &AtomicBool::new(false)).unwrap();
        sorted(found.links)
    }

    fn defined(&self, window: (u64, u64)) -> Vec<DependencyLink> {
        let mut linker = DependencyLinker::new();
        for spans in self.traces.values() {
            if model::trace_timestamp(spans).is_some_and(|time| (window.0..=window.1).contains(&time)) {
                linker.put_trace(spans);
            }
        }
        sorted(linker.links())
    }

    /// Windows that begin and end anywhere, from less than a minute to all there is.
    fn check_windows(&self) {
        let end = BEGIN + (TRACES + 2) * EVERY;
        let moments: Vec<u64> = (0..14).map(|part| BEGIN + part * (end - BEGIN) / 13).collect();
        for &first in &moments {
            for &last in moments.iter().filter(|&&last| last >= first) {
                assert_eq!(self.asked((first, last)), self.defined((first, last)));
            }
        }
        assert_eq!(self.asked((0, u64::MAX)), self.defined((0, u64::MAX)));
    }

    fn segments(&self) -> Vec<Arc<SegmentReader>> {
        self.store.view().segments.clone()
    }
}

fn sorted(mut links: Vec<DependencyLink>) -> Vec<DependencyLink> {
    links.sort_unstable();
    links
}

#[test]
fn any_window_has_the_links_of_its_traces_wherever_their_parts_are() {
    let mut stored = Stored::new();
    stored.check_windows();
    // Into the head: the rest of traces that are in a segment, and traces that are nowhere else.
    for number in (1..=TRACES).filter(|number| number % 18 == 9) {
        stored.add(&trace_of(number)[3..]);
    }
    for number in TRACES + 1..TRACES + 40 {
        stored.add(&trace_of(number)[..3]);
    }
    stored.check_windows();
    // What is remembered of the head is not right any more.
    for number in TRACES + 1..TRACES + 40 {
        stored.add(&trace_of(number)[3..]);
    }
    stored.check_windows();
    // A generation on its way into a segment, and another that goes on with its traces.
    let frozen = stored.store.freeze();
    for number in TRACES + 1..TRACES + 20 {
        let mut late = trace_of(number)[4].clone();
        late.id = SpanId::new(9);
        late.parent_id = Some(SpanId::new(2));
        stored.add(&[late]);
    }
    stored.check_windows();
    seal(&stored.store, &frozen, Quiet::Everything).unwrap();
    stored.check_windows();
}

#[test]
fn pages_are_counted_before_anybody_asks_for_them() {
    let stored = Stored::new();
    let sums = stored.store.link_sums();
    let known = || {
        let segments = stored.segments();
        let pages = segments.iter().map(|segment| {
            let pages = 0..segment.footer().bounds.len() as u32;
            let known = pages.map(|page| sums.timed(segment.number(), Part::Page(page)).is_some());
            known.collect::<Vec<bool>>()
        });
        pages.collect::<Vec<_>>().concat()
    };
    assert_eq!(known(), [false; 4]);
    let view = stored.store.view();
    let mut reading = Reading::new(&view, u64::MAX);
    // One at a time, as there is time for.
    let looks = Cell::new(0);
    let is_over = || looks.replace(looks.get() + 1) == 1;
    assert!(!warm(&mut reading, &sums, is_over).unwrap());
    assert_eq!(known().iter().filter(|&&known| known).count(), 1);
    assert!(warm(&mut reading, &sums, || false).unwrap());
    assert_eq!(known(), [true; 4]);
    stored.check_windows();
}
