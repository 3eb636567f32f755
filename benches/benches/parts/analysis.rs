//! What the comparison of versions asks a store: profiles of a population, and how long operations took.

use std::collections::BTreeSet;
use std::hint::black_box;

use benches::workload::EPOCH_US;
use criterion::{Criterion, SamplingMode, Throughput};
use model::Span;
use storage::{LatencyQuery, LatencySource, ProfileQuery, WindowQuery};

use super::segment::Fixture;
use super::{BATCH_SPANS, batches, size, span_batch};

const MINUTE_US: u64 = 60_000_000;
const DAY_MINUTES: u64 = 24 * 60;
/// Traces a side that a report compares at most.
const POPULATION: usize = 20_000;

/// A question of the whole day from the workload's first trace on.
fn population(service_name: Option<String>, limit: usize) -> ProfileQuery {
    ProfileQuery {
        window: (EPOCH_US, EPOCH_US + DAY_MINUTES * MINUTE_US),
        service_name,
        entry: None,
        limit,
        seed: 1,
    }
}

fn day() -> LatencyQuery {
    LatencyQuery {
        first_minute: EPOCH_US / MINUTE_US,
        last_minute: EPOCH_US / MINUTE_US + DAY_MINUTES - 1,
        service_name: None,
    }
}

/// What a list of operations asks: the whole day, and the day before to tell what changed.
fn overview() -> WindowQuery {
    let day = day();
    WindowQuery {
        windows: vec![
            day.first_minute..=day.last_minute,
            day.first_minute - DAY_MINUTES..=day.first_minute - 1,
        ],
        service_name: None,
        operations_max: 20_000,
        ..WindowQuery::default()
    }
}

pub(crate) fn questions(criterion: &mut Criterion) {
    let spans: Vec<Vec<Span>> = batches(size(10_000, 20));
    let service_names = spans.iter().flatten().filter_map(Span::local_service_name);
    let service_names: BTreeSet<&str> = service_names.collect();
    let service_name = service_names.first().map(|&name| name.to_owned());
    let fixture = Fixture::new();
    for batch in &spans {
        fixture.fill(&[span_batch(batch)]);
    }
    drop(spans);
    // What is asked for again and again is of traces that are whole.
    fixture.go_on(60);
    let mut group = criterion.benchmark_group("analysis");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((size(10_000, 20) * BATCH_SPANS) as u64));
    let of_all = population(None, usize::MAX);
    let of_service = population(service_name, POPULATION);
    for place in ["head", "segments"] {
        if place == "segments" {
            fixture.store.seal_all().expect("the disk works");
        }
        for (name, query) in [
            ("profiles of all traces", &of_all),
            ("profiles of a service", &of_service),
        ] {
            group.bench_function(format!("{name}, {place}"), |bencher| {
                bencher.iter(|| black_box(fixture.wait(fixture.store.profiles(query)).profiles.len()));
            });
        }
        group.bench_function(format!("latencies, {place}"), |bencher| {
            bencher.iter(|| black_box(fixture.wait(fixture.store.latencies(&day())).operations.len()));
        });
        group.bench_function(format!("overview of operations, {place}"), |bencher| {
            bencher.iter(|| black_box(fixture.wait(fixture.store.windows(&overview())).operations.len()));
        });
    }
    group.finish();
}
