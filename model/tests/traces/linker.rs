//! The cases of Zipkin's contract kit that are about linking (`zipkin.md` 6.1), and what they leave open.

use model::{DependencyLink, DependencyLinker, LinkCounts, Span, TraceId, merge_links};
use proptest::prelude::*;

use crate::spans::{Describe, address, any_trace, client, consumer, producer, server, service, span};

fn links(traces: &[&[Span]]) -> Vec<DependencyLink> {
    let mut linker = DependencyLinker::new();
    for trace in traces {
        linker.put_trace(trace);
    }
    linker.links()
}

/// The links of one trace as (parent, child, calls, errors), in the order first seen.
fn linked(trace: &[Span]) -> Vec<(String, String, u64, u64)> {
    let short = |link: DependencyLink| (link.parent, link.child, link.call_count, link.error_count);
    links(&[trace]).into_iter().map(short).collect()
}

fn link(parent: &str, child: &str, calls: u64, errors: u64) -> (String, String, u64, u64) {
    (parent.to_owned(), child.to_owned(), calls, errors)
}

/// web calls app, which calls db, which does not trace.
fn three_tiers() -> [Span; 4] {
    [
        client(1).on("web").to("app").at(10, 100),
        server(1).shared().on("app").to("web").at(20, 80),
        span(2).below(1).on("app").at(30, 60),
        client(3)
            .below(2)
            .on("app")
            .to("db")
            .at(40, 40)
            .tagged("error", "deadlock"),
    ]
}

#[test]
fn a_request_through_three_tiers() {
    assert_eq!(
        linked(&three_tiers()),
        [link("web", "app", 1, 0), link("app", "db", 1, 1)]
    );
}

#[test]
fn calls_are_summed_over_traces() {
    let trace = three_tiers();
    let both = links(&[&trace, &trace]);
    assert_eq!(
        both.iter().map(|link| link.call_count).collect::<Vec<_>>(),
        [2, 2]
    );
    assert_eq!(
        both.iter().map(|link| link.error_count).collect::<Vec<_>>(),
        [0, 2]
    );
}

#[test]
fn no_spans_no_links() {
    assert_eq!(linked(&[]), []);
    assert_eq!(linked(&[span(1)]), []);
    assert_eq!(linked(&[client(1)]), []);
}

#[test]
fn spans_reported_twice_count_once() {
    let twice = [three_tiers(), three_tiers()].concat();
    assert_eq!(linked(&twice), linked(&three_tiers()));
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let mut trace = three_tiers();
    for _ in 0..trace.len() {
        trace.rotate_left(1);
        assert_eq!(
            linked(&trace),
            [link("web", "app", 1, 0), link("app", "db", 1, 1)]
        );
    }
}

#[test]
fn a_client_that_cuts_the_trace_id_is_in_the_same_trace() {
    let mut trace = three_tiers();
    trace[2].trace_id = TraceId::new(7, 1).unwrap();
    assert_eq!(linked(&trace), linked(&three_tiers()));
}

#[test]
fn everything_instrumented_with_shared_ids() {
    let trace = [
        server(1).on("web").at(10, 100),
        client(2).below(1).on("web").to("app").at(20, 70),
        server(2).below(1).shared().on("app").at(30, 50),
        client(3).below(2).on("app").to("db").at(40, 30),
        server(3).below(2).shared().on("db").at(45, 20),
    ];
    assert_eq!(
        linked(&trace),
        [link("web", "app", 1, 0), link("app", "db", 1, 0)]
    );
}

#[test]
fn everything_instrumented_with_an_id_a_side() {
    let trace = [
        server(1).on("web").at(10, 100),
        client(2).below(1).on("web").at(20, 70),
        server(3).below(2).on("app").at(30, 50),
    ];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn an_error_only_the_client_saw_counts_when_ids_are_not_shared() {
    let trace = [
        client(2).on("web").tagged("error", "reset"),
        server(3).below(2).on("app"),
        server(4).below(2).on("app").tagged("error", ""),
    ];
    assert_eq!(linked(&trace), [link("web", "app", 2, 2)]);
}

#[test]
fn a_local_span_between_keeps_the_clients_error_out() {
    let trace = [
        client(2).on("web").tagged("error", "reset"),
        span(3).below(2).on("web"),
        server(4).below(3).on("app"),
    ];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn a_service_may_call_itself() {
    let trace = [client(1).on("app").to("app"), server(1).shared().on("app")];
    // Nothing tells the halves apart by endpoint, but `shared` does.
    assert_eq!(linked(&trace), [link("app", "app", 1, 0)]);
}

#[test]
fn a_trace_may_lack_its_head() {
    let trace = [
        server(2).below(1).on("app").at(10, 9),
        client(3).below(2).on("app").to("db").at(12, 5),
        client(4).below(2).on("app").to("cache").at(11, 5),
    ];
    // Siblings are visited by time.
    assert_eq!(
        linked(&trace),
        [link("app", "cache", 1, 0), link("app", "db", 1, 0)]
    );
}

#[test]
fn ends_that_do_not_trace_are_named_by_the_other_end() {
    assert_eq!(
        linked(&[server(1).on("app").to("browser")]),
        [link("browser", "app", 1, 0)]
    );
    assert_eq!(
        linked(&[client(1).on("app").to("mysql")]),
        [link("app", "mysql", 1, 0)]
    );
    assert_eq!(linked(&[server(1).on("app")]), []);
    assert_eq!(linked(&[client(1).on("app")]), []);
}

#[test]
fn messages_link_to_the_broker() {
    let trace = [
        producer(1).on("shop").to("kafka").at(1, 2),
        consumer(1).shared().on("mail").to("kafka").at(5, 2),
        consumer(2)
            .below(1)
            .on("stock")
            .to("kafka")
            .at(9, 2)
            .tagged("error", ""),
    ];
    let expected = [
        link("shop", "kafka", 1, 0),
        link("kafka", "mail", 1, 0),
        link("kafka", "stock", 1, 1),
    ];
    assert_eq!(linked(&trace), expected);
}

#[test]
fn messages_without_a_named_broker_link_nothing() {
    let trace = [producer(1).on("shop"), consumer(2).below(1).on("mail")];
    assert_eq!(linked(&trace), []);
}

#[test]
fn a_call_below_a_message_links_to_its_consumer() {
    let trace = [consumer(1).on("mail").to("kafka"), client(2).below(1).to("smtp")];
    assert_eq!(
        linked(&trace),
        [link("kafka", "mail", 1, 0), link("mail", "smtp", 1, 0)]
    );
}

#[test]
fn a_missing_span_between_is_bridged() {
    // The call from web to app was not reported, but app calls db below web's span.
    let trace = [
        server(1).on("web").at(1, 90),
        client(3).below(1).on("app").to("db").tagged("error", ""),
    ];
    assert_eq!(
        linked(&trace),
        [link("web", "app", 1, 0), link("app", "db", 1, 1)]
    );
}

#[test]
fn two_names_are_enough_without_a_kind() {
    assert_eq!(
        linked(&[span(1).on("app").to("redis")]),
        [link("app", "redis", 1, 0)]
    );
    assert_eq!(linked(&[span(1).to("redis")]), []);
    let trace = [server(1).on("app"), span(2).below(1).on("app").to("redis")];
    assert_eq!(linked(&trace), [link("app", "redis", 1, 0)]);
    // One is not, even if an ancestor could give the other.
    assert_eq!(linked(&[server(1).on("app"), span(2).below(1).to("redis")]), []);
}

#[test]
fn endpoints_without_a_name_are_skipped() {
    let mut unnamed = server(2).below(1);
    unnamed.local_endpoint = Some(address("10.0.0.2"));
    unnamed.remote_endpoint = Some(address("10.0.0.1"));
    assert_eq!(linked(&[server(1).on("web"), unnamed.clone()]), []);
    // The next named server links to the nearest ancestor only if that has a name.
    let named = server(3).below(2).on("db");
    assert_eq!(linked(&[server(1).on("web"), unnamed.clone(), named.clone()]), []);
    let named = named.to("proxy");
    assert_eq!(
        linked(&[server(1).on("web"), unnamed, named]),
        [link("proxy", "db", 1, 0)]
    );
}

#[test]
fn local_spans_between_are_looked_through() {
    let trace = [
        server(1).on("web"),
        span(2).below(1).on("web"),
        span(3).below(2),
        client(4).below(3).on("web"),
        server(4).below(3).shared().on("app"),
        span(5).below(4).on("app"),
        client(6).below(5).on("app").to("db"),
    ];
    assert_eq!(
        linked(&trace),
        [link("web", "app", 1, 0), link("app", "db", 1, 0)]
    );
}

#[test]
fn clients_behind_one_address_are_told_apart_by_name() {
    // A proxy: both callers of app have the same address.
    let behind = |name: &str| {
        let mut endpoint = service(name);
        assert!(endpoint.ip.insert_text("127.0.0.1"));
        Some(endpoint)
    };
    let mut trace = [server(1), client(2).below(1), server(2).below(1).shared()];
    trace[0].local_endpoint = behind("web");
    trace[1].local_endpoint = behind("web");
    trace[1].remote_endpoint = behind("app");
    trace[2].local_endpoint = behind("app");
    trace[2].remote_endpoint = behind("web");
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn one_way_calls_link() {
    let trace = [
        client(1).on("web").to("app").at(10, 0),
        server(1).shared().on("app").at(20, 0),
    ];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn one_way_calls_link_without_the_clients_name() {
    let trace = [
        client(1).to("app").at(10, 0),
        server(1).shared().on("app").to("web").at(20, 0),
    ];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn a_server_that_lacks_the_shared_flag_is_still_the_other_half() {
    let trace = [client(2).below(1).on("web").to("proxy"), server(2).on("app")];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn a_server_is_called_by_whom_the_tree_says() {
    // It takes the load balancer in front of it for the caller.
    let trace = [client(1).on("web"), server(2).below(1).on("app").to("balancer")];
    assert_eq!(linked(&trace), [link("web", "app", 1, 0)]);
}

#[test]
fn an_annotation_named_error_is_no_error() {
    assert_eq!(
        linked(&[client(1).on("a").to("b").annotated(5, "error")]),
        [link("a", "b", 1, 0)]
    );
    assert_eq!(
        linked(&[client(1).on("a").to("b").tagged("error", "")]),
        [link("a", "b", 1, 1)]
    );
}

#[test]
fn many_links() {
    let traces: Vec<_> = (0..256)
        .map(|n| [client(1).on(&format!("c{n}")).to(&format!("s{n}"))])
        .collect();
    let mut linker = DependencyLinker::new();
    for trace in traces.iter().chain(&traces) {
        linker.put_trace(trace);
    }
    let links = linker.links();
    assert_eq!(links.len(), 256);
    assert!(links.iter().all(|link| link.call_count == 2));
    assert_eq!(
        (links[255].parent.as_str(), links[255].child.as_str()),
        ("c255", "s255")
    );
}

#[test]
fn a_deep_chain_and_a_cycle_end() {
    let chain: Vec<_> = (1..=100_000).map(|id| span(id).below(id - 1).on("a")).collect();
    let leaf = client(200_000).below(100_000).on("a").to("b");
    assert_eq!(linked(&[chain, vec![leaf]].concat()), [link("a", "b", 1, 0)]);
    let cycle = [server(1).below(2).on("a"), server(2).below(1).on("b")];
    assert_eq!(linked(&cycle), [link("a", "b", 1, 0)]);
}

#[test]
fn links_are_summed_in_the_order_first_seen() {
    let of = |parent: &str, child: &str, call_count, error_count| DependencyLink {
        parent: parent.to_owned(),
        child: child.to_owned(),
        call_count,
        error_count,
    };
    let merged = merge_links([
        of("b", "c", 2, 1),
        of("a", "b", 1, 0),
        of("b", "c", 3, 2),
        of("c", "b", 1, 0),
    ]);
    assert_eq!(
        merged,
        [of("b", "c", 5, 3), of("a", "b", 1, 0), of("c", "b", 1, 0)]
    );
}

#[test]
fn what_is_taken_away_may_come_first() {
    let mut counts = LinkCounts::new();
    counts.add("a", "b", -1, -1);
    counts.add("b", "c", 2, 0);
    counts.add("a", "b", 3, 1);
    let mut others = LinkCounts::new();
    others.add("b", "c", 2, 0);
    others.add("c", "d", 1, 5);
    counts.subtract_all(&others);
    assert_eq!(
        counts.iter().map(|entry| entry.calls).collect::<Vec<_>>(),
        [2, 0, -1]
    );
    let left: Vec<_> = counts
        .clone()
        .links()
        .iter()
        .map(|link| link.parent.clone())
        .collect();
    assert_eq!(left, ["a"], "what is not called is no link");
    counts.add_all(&others);
    counts.add_all(&others);
    let left = counts.links();
    assert_eq!(
        left.iter().map(|link| link.parent.as_str()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
    assert_eq!(
        left.iter().map(|link| link.call_count).collect::<Vec<_>>(),
        [2, 4, 1]
    );
    // No more errors than calls.
    assert_eq!(
        left.iter().map(|link| link.error_count).collect::<Vec<_>>(),
        [0, 0, 1]
    );
}

fn counts(trace: &[Span]) -> LinkCounts {
    let mut linker = DependencyLinker::new();
    linker.put_trace(trace);
    linker.into_counts()
}

proptest! {
    #[test]
    fn links_do_not_depend_on_the_order_of_spans((trace, shuffled) in any_trace(30).prop_flat_map(|trace| {
        (Just(trace.clone()), Just(trace).prop_shuffle())
    })) {
        prop_assert_eq!(linked(&trace), linked(&shuffled));
    }

    #[test]
    fn every_link_is_once_and_within_bounds(trace in any_trace(30)) {
        let links = links(&[&trace]);
        for (index, link) in links.iter().enumerate() {
            prop_assert!(link.error_count <= link.call_count);
            let same = |other: &&DependencyLink| (&other.parent, &other.child) == (&link.parent, &link.child);
            prop_assert_eq!(links[index + 1..].iter().find(same), None);
        }
        // A span gives at most a call, and one that led to it.
        prop_assert!(links.iter().map(|link| link.call_count).sum::<u64>() <= 2 * trace.len() as u64);
    }

    #[test]
    fn a_trace_taken_away_leaves_the_others(first in any_trace(20), second in any_trace(20)) {
        let mut both = counts(&first);
        both.add_all(&counts(&second));
        both.subtract_all(&counts(&first));
        let mut left = both.links();
        left.sort();
        let mut expected = links(&[&second]);
        expected.sort();
        prop_assert_eq!(left, expected);
    }
}
