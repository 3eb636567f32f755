//! Holds the figures of the reference workload.

use std::collections::{HashMap, HashSet};

use model::{IpAddresses, Kind, SpanBatch};
use proto::Format;

use super::random::mix;
use super::*;

fn sample(traces: usize) -> Vec<Trace> {
    Workload::reference(1).take(traces).collect()
}

fn spans(traces: &[Trace]) -> impl Iterator<Item = &Span> {
    traces
        .iter()
        .flat_map(|trace| trace.spans.iter().map(|reported| &reported.span))
}

/// The share of `items` for which `is` is true.
fn share<T>(items: impl Iterator<Item = T>, is: impl Fn(&T) -> bool) -> f64 {
    let (mut found, mut all) = (0, 0);
    for item in items {
        found += usize::from(is(&item));
        all += 1;
    }
    found as f64 / all as f64
}

#[test]
fn a_seed_is_the_same_traces_always() {
    let first = sample(50);
    assert_eq!(first, sample(50));
    let other: Vec<Trace> = Workload::reference(2).take(50).collect();
    assert_ne!(first, other);
    // Written by the first version of this workload. A change here makes older figures incomparable.
    let mut digest = 0;
    for span in spans(&first) {
        let mut json = Vec::new();
        proto::write_span(&mut json, span);
        for byte in json {
            digest = mix(digest ^ u64::from(byte));
        }
    }
    assert_eq!(digest, DIGEST, "{digest:#x}");
}

const DIGEST: u64 = 0xdc19_25fb_8eaf_fc26;

#[test]
fn traces_have_the_size_of_the_reference() {
    let traces = sample(4_000);
    let sizes: Vec<usize> = traces.iter().map(|trace| trace.spans.len()).collect();
    assert!(sizes.iter().all(|size| (5..=60).contains(size)));
    let mean = sizes.iter().sum::<usize>() as f64 / sizes.len() as f64;
    assert!((19.5..=20.5).contains(&mean), "{mean} spans a trace");
    let all: Vec<Span> = spans(&traces).cloned().collect();
    let bytes = proto::encode(Format::JsonV2, &all).len() as f64 / all.len() as f64;
    assert!((470.0..=495.0).contains(&bytes), "{bytes} bytes of JSON a span");
    let tags = all.iter().map(|span| span.tags.len()).sum::<usize>() as f64 / all.len() as f64;
    assert!((4.5..=5.5).contains(&tags), "{tags} tags a span");
}

#[test]
fn forty_services_have_ten_operations_each() {
    let traces = sample(20_000);
    let mut operations: HashMap<&str, HashSet<&str>> = HashMap::new();
    for span in spans(&traces).filter(|span| span.kind == Some(Kind::Server)) {
        let of_service = operations.entry(span.local_service_name().unwrap()).or_default();
        of_service.insert(span.name.as_deref().unwrap());
    }
    assert_eq!(operations.len(), 40);
    for (service, names) in operations {
        assert!((8..=10).contains(&names.len()), "{service} has {names:?}");
    }
    let workload = Workload::reference(1);
    assert!((280..=360).contains(&workload.instances()));
}

#[test]
fn tags_are_as_many_and_as_different_as_the_reference_says() {
    let traces = sample(20_000);
    let mut values: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (key, value) in spans(&traces).flat_map(|span| &span.tags) {
        values.entry(key).or_default().insert(value);
    }
    let distinct = |key: &str| values[key].len();
    // Drawn with a skew, so a sample does not see all 50,000 paths and 100,000 users.
    let paths = distinct("http.path");
    assert!((20_000..=52_000).contains(&paths), "{paths} paths");
    let users = distinct("user.id");
    assert!((15_000..=100_000).contains(&users), "{users} users");
    let numbers = || {
        values["user.id"]
            .iter()
            .filter_map(|user| user.strip_prefix("u-")?.parse::<usize>().ok())
    };
    assert_eq!(numbers().count(), users);
    assert!(numbers().any(|user| user > 95_000) && numbers().all(|user| user < 100_000));
    assert!(distinct("http.method") >= 4 && distinct("http.status_code") >= 6);
    let errors = share(spans(&traces), |span| span.is_error());
    assert!((0.009..=0.011).contains(&errors), "{errors} of spans failed");
    let annotated = share(spans(&traces), |span| !span.annotations.is_empty());
    assert!(
        (0.03..=0.06).contains(&annotated),
        "{annotated} of spans are annotated"
    );
    let shared = share(spans(&traces), |span| span.shared);
    assert!((0.002..=0.1).contains(&shared), "{shared} of spans are shared");
    let long = share(spans(&traces), |span| span.trace_id.high() != 0);
    assert_eq!(long, 1.0);
}

/// The identifiers that a path of each operation may have, and the paths that have none.
#[test]
fn there_are_fifty_thousand_paths() {
    let workload = Workload::reference(1);
    let operations = workload.services.iter().flat_map(|service| &service.operations);
    let paths = operations.map(|operation| {
        if operation.route.contains("{id}") {
            call::SUBJECTS
        } else {
            1
        }
    });
    let paths: usize = paths.sum();
    assert!((50_000..=51_000).contains(&paths), "{paths} paths");
}

#[test]
fn statements_have_literals_of_their_own() {
    let traces = sample(2_000);
    let statements: Vec<&str> = spans(&traces)
        .filter_map(|span| span.tag("db.statement"))
        .collect();
    assert!(statements.len() > 1_000, "{} statements", statements.len());
    assert!(statements.iter().all(|statement| !statement.contains(['{', '}'])));
    let distinct: HashSet<&&str> = statements.iter().collect();
    assert!(
        distinct.len() * 10 > statements.len() * 9,
        "{} of {}",
        distinct.len(),
        statements.len()
    );
    let without_literals = |statement: &&str| {
        let text: String = statement.chars().filter(|c| !c.is_ascii_digit()).collect();
        // What is left of a random hexadecimal literal is as random.
        text.split('\'').step_by(2).collect::<String>()
    };
    let templates: HashSet<String> = statements.iter().map(without_literals).collect();
    assert!(
        (20..=200).contains(&templates.len()),
        "{} templates",
        templates.len()
    );
}

#[test]
fn services_have_instances_and_two_versions_each() {
    let traces = sample(5_000);
    let mut seen: HashMap<&str, (HashSet<&IpAddresses>, HashSet<&str>)> = HashMap::new();
    for span in spans(&traces) {
        let (instances, versions) = seen.entry(span.local_service_name().unwrap()).or_default();
        instances.insert(&span.local_endpoint.as_ref().unwrap().ip);
        versions.insert(span.tag("service.version").unwrap());
    }
    for (service, (instances, versions)) in seen {
        assert!(
            (4..=12).contains(&instances.len()),
            "{service}: {} instances",
            instances.len()
        );
        assert_eq!(versions.len(), 2, "{service}: {versions:?}");
    }
}

#[test]
fn who_calls_has_an_ephemeral_port() {
    let traces = sample(2_000);
    let servers = spans(&traces).filter(|span| span.kind == Some(Kind::Server));
    let remotes: Vec<u16> = servers
        .filter_map(|span| Some(span.remote_endpoint.as_ref()?.port))
        .collect();
    assert!(remotes.len() > 1_000 && remotes.iter().all(|&port| port >= 1_024));
    let distinct: HashSet<&u16> = remotes.iter().collect();
    // Connections are kept: a port comes again.
    assert!(
        distinct.len() > 1_000 && distinct.len() < remotes.len(),
        "{} of {}",
        distinct.len(),
        remotes.len()
    );
}

#[test]
fn spans_are_normalised_and_traces_hang_together() {
    for trace in sample(500) {
        let ids: HashSet<_> = trace.spans.iter().map(|reported| reported.span.id).collect();
        let roots = trace
            .spans
            .iter()
            .filter(|reported| reported.span.parent_id.is_none())
            .count();
        assert_eq!(roots, 1);
        for ReportedSpan { span, .. } in &trace.spans {
            assert!(span.parent_id.is_none_or(|parent| ids.contains(&parent)));
            let mut batch = SpanBatch::new();
            batch.push_span(span);
            assert_eq!(&batch.get(0).to_span(), span);
        }
    }
}

#[test]
fn a_batch_is_of_one_instance_and_traces_are_spread() {
    let batches: Vec<Vec<Span>> = Workload::reference(1).batches(100).take(200).collect();
    let mut batches_of_trace: HashMap<TraceId, usize> = HashMap::new();
    for batch in &batches {
        assert_eq!(batch.len(), 100);
        let instance = &batch[0].local_endpoint;
        assert!(batch.iter().all(|span| &span.local_endpoint == instance));
        let traces: HashSet<TraceId> = batch.iter().map(|span| span.trace_id).collect();
        for trace in traces {
            *batches_of_trace.entry(trace).or_default() += 1;
        }
    }
    let spread = batches_of_trace.values().sum::<usize>() as f64 / batches_of_trace.len() as f64;
    assert!(spread > 2.0, "a trace is in {spread} batches");
}

#[test]
fn time_moves_on_at_five_million_spans_an_hour() {
    let traces = sample(10_000);
    let last = traces.last().unwrap().spans[0].span.timestamp.unwrap();
    let hours = (last - EPOCH_US) as f64 / 3_600e6;
    let rate = spans(&traces).count() as f64 / hours;
    assert!((4.8e6..=5.3e6).contains(&rate), "{rate} spans an hour");
}
