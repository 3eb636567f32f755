//! What is found out from outlines is what is found out from spans.

use std::collections::{BTreeMap, HashMap};

use model::{
    DependencyLinker, LinkFinder, NameNumber, Place, Span, SpanOutline, SpanTree, Timeline, merge,
    merge_outlines,
};
use proptest::prelude::*;

use crate::spans::{Describe, any_trace, client, server, span};

/// Numbers names in the order first seen, from 0.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) names: Vec<String>,
    numbers: HashMap<String, NameNumber>,
}

impl Names {
    fn number(&mut self, name: &str) -> NameNumber {
        let next = self.names.len() as NameNumber;
        *self.numbers.entry(name.to_owned()).or_insert_with(|| {
            self.names.push(name.to_owned());
            next
        })
    }

    fn outline(&mut self, span: &Span, index: u32) -> SpanOutline {
        let place = span.local_endpoint.as_ref().map(|endpoint| Place {
            name: endpoint.service_name.as_deref().map(|name| self.number(name)),
            ip: endpoint.ip,
            port: endpoint.port,
        });
        SpanOutline {
            id: span.id,
            parent_id: span.parent_id,
            kind: span.kind,
            shared: span.shared,
            timestamp: span.timestamp,
            duration: span.duration,
            is_error: span.is_error(),
            place: place.and_then(Place::into_option),
            remote_name: span.remote_service_name().map(|name| self.number(name)),
            index,
        }
    }

    pub(crate) fn outlines<'s>(&mut self, spans: impl IntoIterator<Item = &'s Span>) -> Vec<SpanOutline> {
        spans
            .into_iter()
            .zip(0..)
            .map(|(span, index)| self.outline(span, index))
            .collect()
    }
}

/// Calls and errors of each link, from outlines.
fn links_of(
    outlines: &[SpanOutline],
    tree: &SpanTree,
    names: &Names,
) -> BTreeMap<(String, String), (i64, i64)> {
    let mut links = BTreeMap::<_, (i64, i64)>::new();
    let name = |number: &NameNumber| names.names[*number as usize].clone();
    LinkFinder::default().find(outlines, tree, |call| {
        let counts = links.entry((name(call.parent), name(call.child))).or_default();
        counts.0 += 1;
        counts.1 += i64::from(call.failed);
    });
    links
}

fn without_index(outline: &SpanOutline) -> SpanOutline {
    SpanOutline { index: 0, ..*outline }
}

proptest! {
    #[test]
    fn outlines_say_what_spans_say(spans in any_trace(14), distant in prop::collection::vec(any::<bool>(), 1..9)) {
        let mut spans = spans;
        // Of ids that are few, most meet another; so some are told apart.
        for ((span, distant), number) in spans.iter_mut().zip(distant.into_iter().cycle()).zip(100..) {
            if distant {
                span.id = model::SpanId::new(number);
            }
            if span.kind == Some(model::Kind::Client) && span.remote_endpoint.is_none() {
                span.remote_endpoint.clone_from(&span.local_endpoint);
            }
        }
        spans.sort();
        spans.dedup();
        let mut names = Names::default();
        let mut outlines = names.outlines(&spans);
        let merged = merge(&spans);
        if !merge_outlines(&mut outlines) {
            return Ok(());
        }
        prop_assert_eq!(merged.len(), spans.len(), "nothing is joined");
        let expected = names.outlines(merged.iter().map(|span| &**span));
        let found: Vec<_> = outlines.iter().map(without_index).collect();
        let expected: Vec<_> = expected.iter().map(without_index).collect();
        prop_assert_eq!(found, expected);
        for (outline, span) in outlines.iter().zip(&merged) {
            prop_assert_eq!(spans[outline.index as usize].id, span.id);
        }

        // In the memory of another trace.
        let (mut tree, mut timeline) = (SpanTree::default(), Timeline::default());
        for some in [&outlines[outlines.len() / 2..], &outlines[..]] {
            tree.rebuild(some);
            timeline.rebuild(some, &tree);
        }
        let tree_of_spans = SpanTree::build(&merged);
        let timeline_of_spans = Timeline::build(&merged, &tree_of_spans);
        prop_assert_eq!(tree.root(), tree_of_spans.root());
        prop_assert!(tree.tops().eq(tree_of_spans.tops()));
        prop_assert!(tree.breadth_first().eq(tree_of_spans.breadth_first()));
        prop_assert_eq!(timeline.entry(), timeline_of_spans.entry());
        for index in 0..merged.len() {
            prop_assert_eq!(tree.parent(index), tree_of_spans.parent(index));
            prop_assert!(tree.children(index).eq(tree_of_spans.children(index)));
            prop_assert_eq!(timeline.self_time(index), timeline_of_spans.self_time(index));
        }
        let mut linker = DependencyLinker::new();
        linker.put_trace(&spans);
        let counts = linker.into_counts();
        let expected = counts.iter().map(|l| ((l.parent.clone(), l.child.clone()), (l.calls, l.errors)));
        prop_assert_eq!(links_of(&outlines, &tree, &names), expected.collect::<BTreeMap<_, _>>());
    }
}

#[test]
fn only_what_may_be_pieces_of_one_span_takes_texts() {
    let is_merged = |spans: &[Span]| merge_outlines(&mut Names::default().outlines(spans));
    let halves = [client(1).on("web"), server(1).on("app").shared()];
    assert!(is_merged(&halves));
    assert!(
        is_merged(&[client(1).on("web"), server(1).on("app")]),
        "halves without a flag"
    );
    assert!(is_merged(&[client(1).on("web"), span(2).on("web"), span(3)]));
    assert!(
        !is_merged(&[client(1).on("web"), client(1).on("app")]),
        "two of a side"
    );
    assert!(
        !is_merged(&[client(1).on("web"), server(1).on("web")]),
        "one endpoint"
    );
    assert!(
        !is_merged(&[client(1).on("web"), server(1)]),
        "perhaps one endpoint"
    );
}

#[test]
fn a_tree_and_a_timeline_of_nothing_hold_nothing() {
    let (tree, timeline) = (SpanTree::default(), Timeline::default());
    assert_eq!((tree.len(), tree.root(), tree.tops().len()), (0, None, 0));
    assert_eq!(timeline.entry(), None);
}
