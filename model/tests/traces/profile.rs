//! What a profile says of a trace: whose time it was, who called whom, what failed and what was tried again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use model::{
    ArrangedTrace, Callee, InstanceNumber, Key, OperationNumber, ProfileTable, Span, SpanFacts, SpanTree,
    Timeline, TraceId, TraceNode, TraceProfile, TraceProfiler, merge, merge_outlines, trace_timestamp,
};
use proptest::prelude::*;

use crate::outlines::Names;
use crate::spans::{Describe, any_trace, client, consumer, producer, server, span};

/// The profile of a trace, and what its numbers are of.
pub(crate) struct Profiled {
    pub(crate) profile: TraceProfile,
    table: ProfileTable,
}

pub(crate) fn profile(spans: &[Span]) -> Profiled {
    let merged = merge(spans);
    let mut table = ProfileTable::new(1000);
    let versions = ["version".to_owned()];
    let facts: Vec<_> = merged.iter().map(|span| table.facts(span, &versions)).collect();
    let profile = profile_with(&merged, &facts, trace_timestamp(spans).unwrap_or(0));
    Profiled { profile, table }
}

/// As a store does it: with numbers that are the same for the same spans.
fn profile_with<S: TraceNode>(spans: &[S], facts: &[SpanFacts], timestamp: u64) -> TraceProfile {
    let tree = SpanTree::build(spans);
    let mut timeline = Timeline::build(spans, &tree);
    let trace = ArrangedTrace {
        spans,
        tree: &tree,
        timeline: &mut timeline,
        facts,
    };
    let trace_id = TraceId::new(0, 1).unwrap();
    let mut profiler = TraceProfiler::default();
    profiler.profile(trace_id, timestamp, trace).unwrap().clone()
}

impl Profiled {
    fn operation(&self, number: OperationNumber) -> String {
        let operation = self.table.operations()[number as usize];
        let kind = operation.kind.map_or("", |kind| kind.as_str());
        let kind = kind.to_lowercase();
        let parts = [
            self.table.name(operation.service),
            self.table.name(operation.span_name),
            &kind,
        ];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn instance(&self, number: InstanceNumber) -> String {
        let instance = self.table.instances()[number as usize];
        let (service, version) = (
            self.table.name(instance.service),
            self.table.name(instance.version),
        );
        format!("{service} {version}").trim().to_owned()
    }

    fn pieces(&self) -> BTreeMap<String, u64> {
        let mut pieces = BTreeMap::new();
        for (key, micros) in self.profile.pieces().filter(|piece| piece.1 > 0) {
            let name = match key {
                Key::SelfTime(operation) => self.operation(operation),
                Key::Gap { caller, callee } => {
                    format!("{} -> {}", self.operation(caller), self.operation(callee))
                }
            };
            *pieces.entry(name).or_default() += micros;
        }
        pieces
    }

    /// Everything in texts and in an order that no number decides.
    fn to_text(&self) -> String {
        let mut profiles = [self.profile.clone()];
        let table = self.table.canonical(&mut profiles);
        format!(
            "{profiles:?} {:?} {:?} {:?}",
            table.names(),
            table.operations(),
            table.instances()
        )
    }

    /// Of the calls of an operation, added up: calls, failed, failed first, retries.
    fn counts(&self, operation: &str) -> [u32; 4] {
        let mut counts = [0; 4];
        for sums in &self.profile.calls {
            if self.operation(sums.place.call.operation) == operation {
                let more = [sums.calls, sums.failed, sums.failed_first, sums.retries];
                counts
                    .iter_mut()
                    .zip(more)
                    .for_each(|(count, more)| *count += more);
            }
        }
        counts
    }
}

fn pieces_of<const N: usize>(pieces: [(&str, u64); N]) -> BTreeMap<String, u64> {
    pieces.map(|(key, micros)| (key.to_owned(), micros)).into()
}

/// A call of b by a, its halves of one id, and of a database by b.
fn call() -> Vec<Span> {
    vec![
        server(1).on("a").at(100, 100),
        client(2).below(1).on("a").to("b").at(110, 80),
        server(2).below(1).on("b").shared().at(120, 60),
        client(3).below(2).on("b").to("db").at(130, 40),
    ]
}

#[test]
fn time_between_both_sides_of_a_call_is_its_gap() {
    let profiled = profile(&call());
    let expected = [
        ("a server", 20),
        ("a client -> b server", 20),
        ("b server", 20),
        ("db server", 40),
    ];
    assert_eq!(profiled.pieces(), pieces_of(expected));
    let profile = &profiled.profile;
    assert_eq!((profile.entry.duration, profile.entry.failed), (Some(100), false));
    assert_eq!(profiled.operation(profile.entry.operation), "a server");
    assert_eq!((profile.timestamp, profile.cut.share()), (100, 0.0));
    let called: Vec<_> = profile
        .calls
        .iter()
        .map(|sums| {
            let call = sums.place.call;
            let caller = call
                .caller
                .map_or(String::new(), |caller| profiled.operation(caller));
            (
                caller,
                profiled.operation(call.operation),
                sums.duration_micros,
                sums.self_micros,
            )
        })
        .collect();
    for expected in [
        ("", "a server", 100, 20),
        ("a server", "a client", 80, 20),
        ("a client", "b server", 60, 20),
        ("b server", "b client", 40, 40),
    ] {
        assert!(called.contains(&(
            expected.0.to_owned(),
            expected.1.to_owned(),
            expected.2,
            expected.3
        )));
    }
}

#[test]
fn both_sides_may_have_ids_of_their_own_and_local_spans_between() {
    let trace = [
        client(1).on("a").to("b").at(100, 100),
        span(2).below(1).on("a").at(105, 90),
        server(3).below(2).on("b").at(110, 80),
    ];
    let expected = [("a client -> b server", 10), ("a", 10), ("b server", 80)];
    assert_eq!(profile(&trace).pieces(), pieces_of(expected));
}

#[test]
fn a_call_that_leads_to_another_is_its_own_and_not_the_callees() {
    let trace = [
        client(1).on("a").to("b").at(100, 100),
        client(2).below(1).on("a").to("b").at(110, 80),
        server(3).below(2).on("b").at(120, 60),
    ];
    let expected = [("a client", 20), ("a client -> b server", 20), ("b server", 60)];
    assert_eq!(profile(&trace).pieces(), pieces_of(expected));
    // The server between two clients is missing: what is not explained is its.
    let trace = [
        client(1).on("a").to("b").at(100, 100),
        client(2).below(1).on("b").to("c").at(110, 80),
    ];
    assert_eq!(
        profile(&trace).pieces(),
        pieces_of([("b server", 20), ("c server", 80)])
    );
    // Nobody says who is called.
    let trace = [client(1).on("a").at(100, 100)];
    assert_eq!(profile(&trace).pieces(), pieces_of([("a client", 100)]));
    // Old instrumentation tells no kind.
    let trace = [span(1).on("a").to("db").at(100, 100)];
    assert_eq!(profile(&trace).pieces(), pieces_of([("db server", 100)]));
}

#[test]
fn messages_are_cut_to_what_was_waited_for() {
    let trace = [
        producer(1).on("a").to("broker").at(100, 100),
        consumer(2).below(1).on("b").to("broker").at(190, 500),
        producer(3).below(2).on("b").to("broker").at(700, 50),
    ];
    let profiled = profile(&trace);
    let expected = [("a producer -> b consumer", 90), ("b consumer", 10)];
    assert_eq!(profiled.pieces(), pieces_of(expected));
    assert_eq!(profiled.profile.cut.cut_micros, 490 + 50);
    let alone = [producer(1).on("a").to("broker").at(100, 100)];
    assert_eq!(profile(&alone).pieces(), pieces_of([("broker consumer", 100)]));
}

#[test]
fn clocks_that_differ_neither_make_gaps_nor_hide_them() {
    let straight = profile(&call());
    // The clock of b, and of whom it calls, is behind or ahead, by little or by hours.
    for offset in [-119i64, -30, -1, 35, 5_000_000, 7_200_000_000] {
        let mut trace = call();
        let begin = 10_000_000;
        for (span, clock) in trace.iter_mut().zip([0, 0, offset, offset]) {
            let timestamp = begin + span.timestamp.unwrap();
            span.timestamp = Some(timestamp.saturating_add_signed(clock).max(1));
        }
        let skewed = profile(&trace);
        assert_eq!(skewed.pieces(), straight.pieces(), "{offset}");
        assert_eq!(skewed.profile.cut.cut_micros, 0, "{offset}");
    }
    // One clock: what outlives its caller does.
    let mut trace = call();
    trace[2] = server(2).below(1).on("a").shared().at(170, 60);
    trace.truncate(3);
    let outlived = profile(&trace);
    let expected = [("a server", 40), ("a client -> a server", 60)];
    assert_eq!(outlived.pieces(), pieces_of(expected));
    assert_eq!(outlived.profile.cut.cut_micros, 40);
    // An answer that takes longer than its call did not begin before it.
    let trace = [
        client(1).on("a").to("b").at(100, 100),
        server(1).on("b").shared().at(50, 130),
    ];
    assert_eq!(profile(&trace).pieces(), pieces_of([("b server", 100)]));
}

#[test]
fn calls_that_run_side_by_side_overlap() {
    let trace = [
        span(1).on("a").at(100, 100),
        client(2).below(1).on("a").to("b").at(110, 60),
        client(3).below(1).on("a").to("b").at(130, 60),
    ];
    let profiled = profile(&trace);
    let sums = |operation: &str| {
        let found = profiled
            .profile
            .calls
            .iter()
            .find(|sums| profiled.operation(sums.place.call.operation) == operation);
        found.copied().unwrap()
    };
    assert_eq!((sums("a").overlap_micros, sums("a").self_micros), (40, 20));
    let calls = sums("a client");
    assert_eq!(
        (calls.calls, calls.duration_micros, calls.path_micros),
        (2, 120, 80)
    );
}

#[test]
fn failures_are_told_from_those_that_only_inherit_them() {
    let trace = [
        server(1).on("a").at(100, 100).tagged("error", ""),
        span(2).below(1).on("a").at(100, 90),
        client(3).below(2).on("a").to("b").at(110, 30).tagged("error", ""),
        server(4).below(3).on("b").at(120, 10).tagged("error", ""),
        client(5).below(2).on("a").to("c").at(150, 30).tagged("error", ""),
        server(6).below(5).on("c").at(160, 10),
    ];
    let profiled = profile(&trace);
    assert!(profiled.profile.entry.failed);
    assert_eq!(profiled.counts("a server"), [1, 1, 0, 0]);
    assert_eq!(
        profiled.counts("a client"),
        [2, 2, 1, 0],
        "only the call of c began to fail"
    );
    assert_eq!(profiled.counts("b server"), [1, 1, 1, 0]);
    assert_eq!(profiled.counts("c server"), [1, 0, 0, 0]);
}

#[test]
fn calls_after_a_failed_one_of_the_same_are_retries() {
    let failed = |span: Span| span.tagged("error", "");
    let trace = [
        server(1).on("a").at(100, 900),
        // Fails, and again without reaching anybody; then it works.
        client(2).below(1).on("a").to("b").at(110, 10),
        failed(server(2).below(1).on("b").shared().at(112, 5)),
        failed(client(3).below(1).on("a").to("b").at(130, 10)),
        client(4).below(1).on("a").to("b").at(150, 10),
        server(4).below(1).on("b").shared().at(152, 5),
        client(5).below(1).on("a").to("b").at(170, 10),
        // Another service, and another caller.
        failed(client(6).below(1).on("a").to("c").at(190, 10)),
        client(7).below(1).on("a").to("d").at(210, 10),
        span(8).below(1).on("a").at(220, 100),
        failed(client(9).below(8).on("a").to("b").at(230, 10)),
    ];
    assert_eq!(profile(&trace).counts("a client")[3], 2);
    let mut one_after_the_other = trace;
    one_after_the_other[4].timestamp = Some(120);
    assert_eq!(
        profile(&one_after_the_other).counts("a client")[3],
        2,
        "by time, not by id"
    );
}

#[test]
fn versions_and_instances_are_those_of_the_spans() {
    let mut trace = call();
    trace[2] = trace[2].clone().tagged("version", "2");
    let profiled = profile(&trace);
    let instances: Vec<_> = profiled
        .profile
        .instances()
        .into_iter()
        .map(|number| profiled.instance(number))
        .collect();
    assert_eq!(instances.len(), 3);
    for expected in ["a", "b", "b 2"] {
        assert!(
            instances.iter().any(|instance| instance == expected),
            "{expected}"
        );
    }
    let query = profiled
        .profile
        .calls
        .iter()
        .find(|sums| matches!(sums.place.call.callee, Callee::Uninstrumented(_)))
        .unwrap();
    assert_eq!(profiled.instance(query.place.instance), "b");
    assert_eq!(profiled.instance(query.place.caller_instance), "b 2");
}

#[test]
fn traces_without_times_are_profiled_for_what_they_called() {
    let trace = [
        span(5).below(9).on("b").at(0, 5),
        server(1).on("a").tagged("error", ""),
    ];
    let profiled = profile(&trace);
    assert_eq!(profiled.operation(profiled.profile.entry.operation), "a server");
    assert_eq!(
        (profiled.profile.entry.duration, profiled.profile.entry.failed),
        (None, true)
    );
    let headless = [span(5).below(9).on("b"), span(6).below(9).on("c").at(7, 0)];
    let profiled = profile(&headless);
    assert_eq!(profiled.operation(profiled.profile.entry.operation), "c");
    let mut nothing = Timeline::default();
    let trace = ArrangedTrace::<Span> {
        spans: &[],
        tree: &SpanTree::default(),
        timeline: &mut nothing,
        facts: &[],
    };
    let trace_id = TraceId::new(0, 1).unwrap();
    let profile = TraceProfiler::default().profile(trace_id, 1, trace).cloned();
    assert_eq!(profile, None);
}

#[test]
fn a_full_table_counts_for_services_and_then_for_nothing() {
    let mut table = ProfileTable::new(4);
    for name in 0..100 {
        table.operation("a", &name.to_string(), None);
        table.instance("a", &name.to_string(), Default::default(), 80);
    }
    assert!(table.operations().len() <= 5 && table.instances().len() <= 5);
    let rest = table.operation("a", "another", None);
    assert_eq!(table.operations()[rest as usize].span_name, 0);
    assert_eq!(table.name(table.operations()[rest as usize].service), "a");
    assert_eq!(table.operation("a", "1", None), 2, "what is known stays known");
    for service in 0..100 {
        table.operation(&service.to_string(), "", None);
    }
    assert!(table.operations().len() <= 8);
    assert!(table.names().len() <= 16);
    assert_eq!(table.operation("unknown", "", None), 0);
    for service in 0..100 {
        table.instance(&service.to_string(), "", Default::default(), 0);
    }
    assert_eq!(table.instances().len(), 8);
    assert_eq!(table.instance("unknown", "", Default::default(), 0), 0);
}

proptest! {
    #[test]
    fn the_order_of_spans_does_not_matter(spans in any_trace(20), seed in any::<u64>()) {
        prop_assume!(!spans.is_empty());
        let mut shuffled = spans.clone();
        let mut state = seed;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(index, (state >> 33) as usize % (index + 1));
        }
        prop_assert_eq!(profile(&spans).to_text(), profile(&shuffled).to_text());
    }

    #[test]
    fn outlines_give_the_profile_of_their_spans(spans in any_trace(14), distant in prop::collection::vec(any::<bool>(), 1..9)) {
        let mut spans = spans;
        for ((span, distant), number) in spans.iter_mut().zip(distant.into_iter().cycle()).zip(100..) {
            if distant {
                span.id = model::SpanId::new(number);
            }
        }
        spans.sort();
        spans.dedup();
        let mut outlines = Names::default().outlines(&spans);
        if spans.is_empty() || !merge_outlines(&mut outlines) {
            return Ok(());
        }
        let mut table = ProfileTable::new(1000);
        let versions = ["version".to_owned()];
        let facts: Vec<_> = spans.iter().map(|span| table.facts(span, &versions)).collect();
        let facts: Vec<_> = outlines.iter().map(|outline| facts[outline.index as usize]).collect();
        let of_outlines = profile_with(&outlines, &facts, trace_timestamp(&spans).unwrap_or(0));
        let of_outlines = Profiled { profile: of_outlines, table };
        prop_assert_eq!(of_outlines.to_text(), profile(&spans).to_text());
    }
}
