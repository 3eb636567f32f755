//! Parents are found as `zipkin.md` 4.4 says, and every span has its place.

use std::collections::HashSet;

use model::{Span, SpanTree, merge};
use proptest::prelude::*;

use crate::spans::{Describe, address, any_trace, client, server, span};

fn parents(spans: &[Span]) -> Vec<Option<usize>> {
    let tree = SpanTree::build(spans);
    (0..spans.len()).map(|index| tree.parent(index)).collect()
}

#[test]
fn children_are_below_the_server_at_their_own_endpoint() {
    let trace = [
        client(1).on("web"),
        server(1).shared().on("a"),
        server(1).shared().on("b"),
        span(2).below(1).on("a"),
        span(3).below(1).on("b"),
        span(4).below(1).on("web"),
        span(5).below(1),
        client(6).below(3).on("b"),
    ];
    let expected = [
        None,
        Some(0),
        Some(0),
        Some(1),
        Some(2),
        Some(0),
        Some(0),
        Some(4),
    ];
    assert_eq!(parents(&trace), expected);
}

#[test]
fn the_whole_endpoint_counts() {
    let mut trace = [
        client(1).on("a"),
        server(1).shared().on("a"),
        span(2).below(1).on("a"),
    ];
    assert_eq!(parents(&trace), [None, Some(0), Some(1)]);
    trace[2].local_endpoint = Some(address("10.0.0.1"));
    assert_eq!(parents(&trace), [None, Some(0), Some(0)]);
}

#[test]
fn a_shared_span_without_its_client_is_below_its_parent_id() {
    let trace = [
        span(1).on("a"),
        server(2).below(1).shared().on("b"),
        server(3).shared().on("c"),
    ];
    assert_eq!(parents(&trace), [None, Some(0), Some(0)]);
    let headless = [server(2).below(1).shared().on("b"), span(3).below(2).on("b")];
    assert_eq!(parents(&headless), [None, Some(0)]);
}

#[test]
fn the_first_span_without_parent_is_the_root_and_others_are_below_it() {
    let trace = [
        span(2).below(1),
        span(3),
        span(4),
        span(5).below(9),
        span(6).below(4),
    ];
    let tree = SpanTree::build(&trace);
    assert_eq!(tree.root(), Some(1));
    assert_eq!(tree.tops().collect::<Vec<_>>(), [1]);
    assert_eq!(parents(&trace), [Some(1), None, Some(1), Some(1), Some(2)]);
    // A shared span has a parent, even if neither that nor its id was reported.
    assert_eq!(parents(&[server(1).shared(), span(2)]), [Some(1), None]);
}

#[test]
fn a_headless_trace_has_several_tops() {
    let trace = [
        span(2).below(1).at(30, 1),
        span(3).below(1).at(20, 1),
        span(4).below(2).at(10, 1),
    ];
    let tree = SpanTree::build(&trace);
    assert_eq!(tree.root(), None);
    assert_eq!(tree.tops().collect::<Vec<_>>(), [1, 0]);
    assert_eq!(tree.breadth_first().collect::<Vec<_>>(), [1, 0, 2]);
}

#[test]
fn children_come_by_timestamp_absent_first() {
    let trace = [
        span(1),
        span(2).below(1).at(9, 0),
        span(3).below(1),
        span(4).below(1).at(3, 0),
        span(5).below(2),
    ];
    let tree = SpanTree::build(&trace);
    assert_eq!(tree.children(0).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!(tree.children(1).collect::<Vec<_>>(), [4]);
    assert_eq!(tree.breadth_first().collect::<Vec<_>>(), [0, 2, 3, 1, 4]);
    assert_eq!(tree.children(4).len(), 0);
}

#[test]
fn of_several_spans_with_one_id_the_last_has_the_children() {
    let trace = [
        span(1),
        span(2).below(1).on("a"),
        span(2).below(1).on("b"),
        span(3).below(2),
    ];
    assert_eq!(parents(&trace), [None, Some(0), Some(0), Some(2)]);
    // The root only if there is no other.
    let trace = [span(1).below(9).on("a"), span(1).on("b"), span(3).below(1)];
    assert_eq!(parents(&trace), [Some(1), None, Some(0)]);
}

#[test]
fn a_cycle_is_cut_at_its_earliest_span() {
    let cycle = [
        span(1).below(3).at(30, 0),
        span(2).below(1).at(20, 0),
        span(3).below(2).at(40, 0),
        span(4).below(3),
    ];
    assert_eq!(parents(&cycle), [Some(2), None, Some(1), Some(2)]);
    let rooted = [cycle.to_vec(), vec![span(5)]].concat();
    assert_eq!(parents(&rooted), [Some(2), Some(4), Some(1), Some(2), None]);
}

#[test]
fn depth_and_repetition_have_no_price() {
    const SPANS: u64 = 200_000;
    let chain: Vec<_> = (1..=SPANS)
        .rev()
        .map(|id| if id == 1 { span(id) } else { span(id).below(id - 1) })
        .collect();
    let tree = SpanTree::build(&chain);
    assert_eq!(tree.breadth_first().last(), Some(0));
    let same: Vec<_> = (0..SPANS)
        .map(|n| server(7).below(8).shared().on(&n.to_string()))
        .collect();
    let tree = SpanTree::build(&same);
    assert_eq!(tree.tops().len(), same.len());
    let ring: Vec<_> = (0..SPANS)
        .map(|id| span(id + 1).below((id + 1) % SPANS + 1))
        .collect();
    let tree = SpanTree::build(&ring);
    assert_eq!(tree.breadth_first().len(), ring.len());
    assert_eq!(tree.tops().collect::<Vec<_>>(), [0]);
}

#[test]
fn no_spans_make_an_empty_tree() {
    let tree = SpanTree::build::<Span>(&[]);
    assert!(tree.is_empty());
    assert_eq!(
        (tree.root(), tree.tops().len(), tree.breadth_first().len()),
        (None, 0, 0)
    );
}

proptest! {
    #[test]
    fn every_merged_span_is_in_the_tree_once(trace in any_trace(40)) {
        let spans = merge(&trace);
        let tree = SpanTree::build(&spans);
        let order: Vec<_> = tree.breadth_first().collect();
        prop_assert_eq!(order.iter().collect::<HashSet<_>>().len(), spans.len());
        prop_assert_eq!(order.len(), spans.len());
        for index in 0..spans.len() {
            for child in tree.children(index) {
                prop_assert_eq!(tree.parent(child), Some(index));
            }
        }
        let below: usize = (0..spans.len()).map(|index| tree.children(index).len()).sum();
        prop_assert_eq!(below + tree.tops().len(), spans.len());
    }
}
