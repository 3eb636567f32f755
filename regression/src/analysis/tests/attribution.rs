//! Nothing of a change is left over.

use model::{Call, CallPlace, CallSums, Callee, Entry, Kind, ProfileTable, TimeCut, TraceId, TraceProfile};
use proptest::prelude::*;
use storage::{Completeness, Profiles};

use super::super::attribution::{Parts, attribute};
use super::super::sums::{StratumSums, Sums};
use super::super::traces::Traces;
use super::shop::{Request, START, Shop};
use crate::statistics::Arms;

/// Traces of any numbers, two sides.
fn traces() -> impl Strategy<Value = Vec<(bool, u64, u64, u32, u64, Option<u64>)>> {
    let trace = (
        any::<bool>(),
        0..50_000u64,
        0..5_000u64,
        1..6u32,
        0..9_000u64,
        proptest::option::of(0..20_000u64),
    );
    proptest::collection::vec(trace, 2..40)
}

proptest! {
    #[test]
    fn parts_add_up_to_the_change_of_the_mean(drawn in traces()) {
        let mut shop = Shop::new();
        for (number, &(_, cart_own, gap, queries, query, recommendations)) in drawn.iter().enumerate() {
            shop.add(Request {
                cart_own,
                gap,
                queries,
                query,
                recommendations,
                ..Request::at(START + number as u64, "", 1)
            });
        }
        let profiles = shop.profiles(0, u64::MAX / 1_000);
        let traces = Traces::of(&[&profiles]);
        let mut sums = StratumSums::default();
        let mut dense = vec![Arms::<Sums>::default(); traces.calls().len()];
        for (trace, (is_new, ..)) in traces.all().iter().zip(&drawn) {
            let count = if *is_new { &mut sums.traces.candidate } else { &mut sums.traces.baseline };
            *count += 1;
            let duration = if *is_new { &mut sums.durations.candidate } else { &mut sums.durations.baseline };
            *duration += u128::from(trace.profile.entry.duration.unwrap());
            for (node, call) in traces.calls_of(trace) {
                let arms = &mut dense[node as usize];
                let side = if *is_new { &mut arms.candidate } else { &mut arms.baseline };
                side.calls += f64::from(call.calls);
                side.path += call.path_micros as f64;
            }
        }
        prop_assume!(sums.traces.baseline > 0 && sums.traces.candidate > 0);
        sums.nodes = dense.into_iter().enumerate().map(|(node, arms)| (node as u32, arms)).collect();
        let parts = attribute(&traces, &sums);
        let attributed: f64 = parts.iter().map(|part: &Parts| part.time + part.calls).sum();
        let mean = |sum: u128, count: u64| sum as f64 / count as f64;
        let change = mean(sums.durations.candidate, sums.traces.candidate)
            - mean(sums.durations.baseline, sums.traces.baseline);
        prop_assert!((attributed - change).abs() < 1e-6 * (1.0 + change.abs()), "{attributed} {change}");
    }
}

/// Before, one operation called another ten times; now that one calls it back. At average rates neither ever ends.
#[test]
fn what_calls_itself_at_average_rates_is_met_no_more_often_than_on_either_side() {
    let mut table = ProfileTable::new(10);
    let (a, b) = (
        table.operation("shop", "a", Some(Kind::Server)),
        table.operation("shop", "b", Some(Kind::Server)),
    );
    let call = |caller, operation| CallSums {
        place: CallPlace {
            call: Call {
                caller,
                operation,
                callee: Callee::None,
            },
            instance: 0,
            caller_instance: 0,
        },
        ..CallSums::default()
    };
    let profiles = Profiles {
        table,
        matched: 1,
        profiles: vec![TraceProfile {
            trace_id: TraceId::new(0, 1).unwrap(),
            timestamp: START,
            entry: Entry {
                operation: a,
                duration: Some(1),
                failed: false,
            },
            cut: TimeCut::default(),
            calls: vec![call(None, a), call(Some(a), b), call(Some(b), a)],
        }],
        completeness: Completeness::Complete,
    };
    let traces = Traces::of(&[&profiles]);
    let counted = |calls: f64| Sums {
        calls,
        path: 100.0 * calls,
        ..Sums::default()
    };
    let node = |baseline, candidate| Arms {
        baseline: counted(baseline),
        candidate: counted(candidate),
    };
    let sums = StratumSums {
        traces: Arms {
            baseline: 1,
            candidate: 1,
        },
        nodes: vec![(0, node(1.0, 1.0)), (1, node(10.0, 1.0)), (2, node(0.0, 9.0))],
        ..StratumSums::default()
    };
    for parts in attribute(&traces, &sums) {
        for part in [parts.time, parts.calls, parts.below, parts.share] {
            assert!(part.abs() < 1e6, "{parts:?}");
        }
    }
}
