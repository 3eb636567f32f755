//! Pieces of spans join as `zipkin.md` 4.4 says.

use std::borrow::Cow;

use model::{Endpoint, Kind, Span, SpanId, TraceId, merge};
use proptest::prelude::*;

use crate::spans::{Describe, address, any_trace, client, server, service, span};

fn merged(spans: &[Span]) -> Vec<Span> {
    merge(spans).into_iter().map(Cow::into_owned).collect()
}

/// A service at an address and port.
fn host(name: &str, ip: &str, port: u16) -> Endpoint {
    Endpoint {
        service_name: Some(name.to_owned()),
        port,
        ..address(ip)
    }
}

fn local(span: Span, endpoint: Endpoint) -> Span {
    Span {
        local_endpoint: Some(endpoint),
        ..span
    }
}

#[test]
fn nothing_to_merge_is_borrowed() {
    let trace = [client(1).on("a"), server(1).shared().on("b"), span(2).below(1)];
    let twice = [trace.clone(), trace.clone()].concat();
    for spans in [&trace[..], &twice] {
        let merged = merge(spans);
        assert_eq!(merged.len(), 3);
        assert!(merged.iter().all(|span| matches!(span, Cow::Borrowed(_))));
    }
    assert!(merge(&[]).is_empty());
}

#[test]
fn spans_come_by_id_with_the_client_first_and_shared_last() {
    let trace = [
        span(3),
        server(2).shared().on("b"),
        span(2).on("c").annotated(1, "local"),
        client(2).on("d"),
        client(2).on("a"),
        span(1),
    ];
    let kinds: Vec<_> = merge(&trace)
        .iter()
        .map(|span| (span.id.value(), span.kind, span.shared))
        .collect();
    let expected: Vec<_> = [&trace[5], &trace[4], &trace[3], &trace[2], &trace[1], &trace[0]]
        .map(|s| (s.id.value(), s.kind, s.shared))
        .into();
    assert_eq!(kinds, expected);
    assert_eq!(merge(&trace)[1].local_service_name(), Some("a"));
}

#[test]
fn what_one_piece_lacks_another_gives() {
    let begun = client(1)
        .below(9)
        .at(10, 0)
        .tagged("a", "1")
        .tagged("b", "1")
        .annotated(12, "y");
    let begun = local(begun, service("web"));
    let mut ended = client(1)
        .at(0, 5)
        .to("app")
        .tagged("b", "2")
        .tagged("c", "2")
        .annotated(11, "x");
    ended.name = Some("get".to_owned());
    ended.debug = true;
    let ended = local(ended.annotated(12, "y"), address("10.0.0.1"));
    let joined = merged(&[begun, ended]);
    assert_eq!(joined.len(), 1);
    let span = &joined[0];
    assert_eq!((span.timestamp, span.duration), (Some(10), Some(5)));
    assert_eq!(
        (span.parent_id, span.name.as_deref()),
        (Some(SpanId::new(9)), Some("get"))
    );
    let tags: Vec<_> = span
        .tags
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        tags,
        [("a", "1"), ("b", "2"), ("c", "2")],
        "the last value of a tag wins"
    );
    let annotations: Vec<_> = span
        .annotations
        .iter()
        .map(|a| (a.timestamp, a.value.as_str()))
        .collect();
    assert_eq!(annotations, [(11, "x"), (12, "y")]);
    assert_eq!(span.local_endpoint, Some(host("web", "10.0.0.1", 0)));
    assert_eq!(span.remote_service_name(), Some("app"));
    assert!(span.debug);
}

#[test]
fn endpoints_that_contradict_keep_spans_apart() {
    let at = |endpoint: Endpoint| local(server(1).shared(), endpoint);
    let base = host("a", "10.0.0.1", 80);
    let others = [
        host("b", "10.0.0.1", 80),
        host("a", "10.0.0.2", 80),
        host("a", "10.0.0.1", 81),
    ];
    for other in others {
        assert_eq!(merge(&[at(base.clone()), at(other)]).len(), 2);
    }
    for piece in [
        service("a"),
        address("10.0.0.1"),
        address("::2"),
        host("a", "::2", 80),
    ] {
        assert_eq!(merge(&[at(base.clone()), at(piece)]).len(), 1);
    }
    // What was learnt from one piece keeps the next out.
    let pieces = [at(service("a")), at(host("a", "::2", 0)), at(host("a", "::3", 0))];
    assert_eq!(merge(&pieces).len(), 2);
}

#[test]
fn a_piece_without_endpoint_joins_the_first() {
    let trace = [span(1).on("b"), span(1).at(5, 5), span(1).on("a")];
    let merged = merged(&trace);
    assert_eq!(merged.len(), 2);
    assert_eq!(merged[0], span(1).on("a").at(5, 5));
}

#[test]
fn all_get_the_longest_trace_id() {
    let long = TraceId::new(5, 1).unwrap();
    let trace = [
        span(1),
        Span {
            trace_id: long,
            ..span(2)
        },
        span(3),
    ];
    assert!(merge(&trace).iter().all(|span| span.trace_id == long));
}

#[test]
fn a_server_after_its_client_is_shared_and_has_its_parent() {
    let trace = [client(2).below(1).on("web"), server(2).on("app")];
    assert_eq!(merged(&trace)[1], server(2).below(1).shared().on("app"));
    // Not so without a client, or for another kind.
    assert_eq!(merged(&[server(2).on("app")])[0], server(2).on("app"));
    let two_locals = [client(2).below(1).on("web"), span(2).on("app")];
    assert_eq!(merged(&two_locals)[1], span(2).on("app"));
    let flagged = [span(2).below(1).on("web"), server(2).shared().on("app")];
    assert_eq!(merged(&flagged)[1], server(2).below(1).shared().on("app"));
}

#[test]
fn a_span_in_very_many_pieces_is_one() {
    let piece = |n: u64| span(1).tagged(&format!("{n:06}"), "").annotated(n, "");
    let pieces: Vec<_> = (0..50_000).map(piece).collect();
    let merged = merge(&pieces);
    assert_eq!(merged.len(), 1);
    assert_eq!(
        (merged[0].tags.len(), merged[0].annotations.len()),
        (50_000, 50_000)
    );
}

#[test]
fn of_contradicting_pieces_the_same_wins_whichever_came_first() {
    let base = || server(1).shared().on("a");
    let pairs = [
        [
            base(),
            Span {
                kind: Some(Kind::Consumer),
                ..base()
            },
        ],
        [base().at(1, 0), base().at(2, 0)],
        [base().at(0, 1), base().at(0, 2)],
        [base().below(2), base().below(3)],
        [base().to("b"), base().to("c")],
        [base().tagged("k", "1"), base().tagged("k", "2")],
        [base().annotated(1, "x"), base().annotated(2, "x")],
        [
            base(),
            Span {
                debug: true,
                ..base()
            },
        ],
        [
            Span {
                name: Some("x".to_owned()),
                ..base()
            },
            Span {
                name: Some("y".to_owned()),
                ..base()
            },
        ],
        [
            local(base(), host("a", "10.0.0.1", 80)),
            local(base(), host("a", "10.0.0.1", 81)),
        ],
        [
            local(base(), host("a", "10.0.0.1", 80)),
            local(base(), host("a", "10.0.0.2", 80)),
        ],
    ];
    for [a, b] in pairs {
        assert_eq!(merged(&[a.clone(), b.clone()]), merged(&[b, a]));
    }
}

/// No endpoint in pieces, and no flag to repair: where merging twice is merging once.
fn plain(mut trace: Vec<Span>) -> Vec<Span> {
    for span in &mut trace {
        let name = span
            .local_endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.service_name.clone());
        span.local_endpoint = Some(host(name.as_deref().unwrap_or("x"), "10.0.0.1", 80));
        span.shared |= span.kind == Some(Kind::Server);
    }
    trace
}

proptest! {
    #[test]
    fn the_order_of_spans_does_not_matter((trace, shuffled) in any_trace(30).prop_flat_map(|trace| {
        (Just(trace.clone()), Just(trace).prop_shuffle())
    })) {
        prop_assert_eq!(merge(&trace), merge(&shuffled));
    }

    #[test]
    fn what_is_merged_stays(trace in any_trace(30).prop_map(plain)) {
        let once = merged(&trace);
        prop_assert_eq!(merged(&once), once);
    }

    #[test]
    fn every_id_and_tag_survives(trace in any_trace(30)) {
        let merged = merge(&trace);
        prop_assert!(merged.len() <= trace.len());
        for span in &trace {
            let joined: Vec<_> = merged.iter().filter(|joined| joined.id == span.id).collect();
            prop_assert!(!joined.is_empty());
            for (key, _) in &span.tags {
                prop_assert!(joined.iter().any(|joined| joined.tag(key).is_some()));
            }
        }
    }
}
