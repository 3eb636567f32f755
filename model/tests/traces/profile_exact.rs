//! The pieces of a profile add up to the duration of its entry span, to the microsecond: for a million traces with
//! every defect there is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use model::{
    ArrangedTrace, Callee, Kind, Place, SpanFacts, SpanId, SpanOutline, SpanTree, Timeline, TraceId,
    TraceProfile, TraceProfiler,
};

/// Where the next number comes from.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time: of few moments, so that spans meet and miss each other, or at the ends of what there is.
    fn time(&mut self, extreme: bool) -> u64 {
        match self.below(4) {
            0 if extreme => u64::MAX - self.below(3),
            1 if extreme => 1 << self.below(64),
            _ => self.below(60),
        }
    }
}

/// Of few identifiers, places and moments, so that there are loops, orphans, duplicates, several roots and none, halves
/// of one id, children before, beside and after their parents, and times that are missing, zero or the greatest.
fn any_outline(random: &mut Random, index: u32, ids: u64, extreme: bool) -> SpanOutline {
    let place = Place {
        name: Some(random.below(4) as u32).filter(|&name| name > 0),
        port: random.below(2) as u16,
        ..Place::default()
    };
    SpanOutline {
        id: SpanId::new(random.below(ids)),
        parent_id: Some(SpanId::new(random.below(ids))).filter(|_| random.chance(85)),
        kind: Kind::from_number(random.below(6)),
        shared: random.chance(20),
        timestamp: Some(random.time(extreme)).filter(|_| random.chance(90)),
        duration: Some(random.time(extreme)).filter(|_| random.chance(90)),
        is_error: random.chance(20),
        place: place.into_option(),
        remote_name: Some(random.below(4) as u32).filter(|&name| name > 0),
        index,
    }
}

/// What is used from trace to trace.
struct Workshop {
    profiler: TraceProfiler,
    tree: SpanTree,
    timeline: Timeline,
}

impl Workshop {
    fn new() -> Self {
        Self {
            profiler: TraceProfiler::default(),
            tree: SpanTree::default(),
            timeline: Timeline::default(),
        }
    }

    fn profile(&mut self, spans: &[SpanOutline], facts: &[SpanFacts]) -> Option<TraceProfile> {
        self.tree.rebuild(spans);
        self.timeline.rebuild(spans, &self.tree);
        let trace = ArrangedTrace {
            spans,
            tree: &self.tree,
            timeline: &mut self.timeline,
            facts,
        };
        let trace_id = TraceId::new(0, 1).unwrap();
        self.profiler.profile(trace_id, 0, trace).cloned()
    }

    /// Profiles a trace and holds against it what must be true of every profile.
    fn check(&mut self, spans: &[SpanOutline], facts: &[SpanFacts]) {
        let Some(profile) = self.profile(spans, facts) else {
            assert!(spans.is_empty());
            return;
        };
        let told = |what: &str| format!("{what}: {spans:?} {profile:?}");
        let path: u128 = profile.pieces().map(|piece| u128::from(piece.1)).sum();
        assert_eq!(
            path,
            profile.entry.duration.unwrap_or(0).into(),
            "{}",
            told("pieces")
        );
        let timed = spans.iter().filter_map(|span| span.timestamp.and(span.duration));
        match profile.entry.duration {
            Some(duration) => assert!(timed.clone().any(|timed| timed == duration), "{}", told("entry")),
            None => assert_eq!(timed.clone().count(), 0, "{}", told("entry")),
        }
        let sum = |of: fn(&model::CallSums) -> u32| profile.calls.iter().map(of).sum::<u32>() as usize;
        assert_eq!(sum(|sums| sums.calls), spans.len(), "{}", told("calls"));
        let failed = spans.iter().filter(|span| span.is_error).count();
        assert_eq!(sum(|sums| sums.failed), failed, "{}", told("failed"));
        assert_eq!(
            failed > 0,
            sum(|sums| sums.failed_first) > 0,
            "{}",
            told("failed first")
        );
        let durations = timed.fold(0, u64::saturating_add);
        let of_profile = profile.calls.iter().map(|sums| sums.duration_micros);
        assert_eq!(
            of_profile.fold(0, u64::saturating_add),
            durations,
            "{}",
            told("durations")
        );
        for sums in &profile.calls {
            assert!(sums.calls > 0 && sums.failed <= sums.calls, "{}", told("counts"));
            assert!(sums.failed_first <= sums.failed && sums.retries < spans.len() as u32);
            assert!(sums.path_micros <= sums.self_micros, "{}", told("path"));
            assert!(sums.self_micros <= sums.duration_micros, "{}", told("self time"));
        }
        assert!(
            profile.calls.is_sorted_by(|a, b| a.place < b.place),
            "{}",
            told("places")
        );
        assert!(profile.cut.cut_micros <= profile.cut.reported_micros);
    }
}

fn any_facts(random: &mut Random) -> SpanFacts {
    SpanFacts {
        operation: random.below(5) as u32,
        callee: Some(random.below(5) as u32).filter(|&callee| callee > 0),
        instance: random.below(5) as u32,
    }
}

fn check_many(seed: u64, traces: usize, extreme: bool) {
    let mut random = Random(seed);
    let mut workshop = Workshop::new();
    let (mut spans, mut facts) = (Vec::new(), Vec::new());
    for _ in 0..traces {
        let count = random.below(12) as u32;
        let ids = 1 + random.below(14);
        spans.clear();
        spans.extend((0..count).map(|index| any_outline(&mut random, index, ids, extreme)));
        facts.clear();
        facts.extend((0..count).map(|_| any_facts(&mut random)));
        workshop.check(&spans, &facts);
    }
}

#[test]
fn pieces_add_up_for_half_a_million_traces() {
    check_many(0x9e37_79b9_7f4a_7c15, 500_000, false);
}

#[test]
fn pieces_add_up_for_half_a_million_traces_of_extreme_times() {
    check_many(0xd134_2543_de82_ef95, 500_000, true);
}

fn plain(id: u64, parent: Option<u64>, timestamp: u64, duration: u64) -> SpanOutline {
    SpanOutline {
        id: SpanId::new(id),
        parent_id: parent.map(SpanId::new),
        kind: Some(Kind::Client),
        shared: false,
        timestamp: Some(timestamp),
        duration: Some(duration),
        is_error: id.is_multiple_of(3),
        place: None,
        remote_name: Some(1),
        index: 0,
    }
}

#[test]
fn wide_and_deep_traces_take_no_recursion_and_no_square() {
    const SPANS: u64 = 100_000;
    let begin = Instant::now();
    let wide: Vec<_> = (0..SPANS)
        .map(|id| {
            plain(
                id,
                Some(0).filter(|_| id > 0),
                1000 + id * 7919 % SPANS,
                1 + id % 997 * 100,
            )
        })
        .collect();
    let deep: Vec<_> = (0..SPANS)
        .map(|id| plain(id, id.checked_sub(1), 1000 + id % 7, 1 + (SPANS - id) * 2))
        .collect();
    // A loop of all of them, with nothing at its top.
    let round: Vec<_> = (0..SPANS)
        .map(|id| plain(id, Some((id + 1) % SPANS), 1000 + id, SPANS))
        .collect();
    let mut random = Random(7);
    for spans in [wide, deep, round] {
        let facts: Vec<_> = spans.iter().map(|_| any_facts(&mut random)).collect();
        Workshop::new().check(&spans, &facts);
    }
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[test]
fn the_greatest_times_stay_exact() {
    let spans = [
        plain(0, None, u64::MAX, u64::MAX),
        plain(1, Some(0), 5, u64::MAX),
        plain(2, Some(0), u64::MAX - 1, 1),
    ];
    let facts = [SpanFacts::default(); 3];
    let mut workshop = Workshop::new();
    workshop.check(&spans, &facts);
    let profile = workshop.profile(&spans, &facts).unwrap();
    assert_eq!(profile.entry.duration, Some(u64::MAX));
    assert!(
        profile
            .calls
            .iter()
            .all(|sums| sums.place.call.callee == Callee::None)
    );
}
