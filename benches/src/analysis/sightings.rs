//! What it costs at ingestion to look for versions that nobody has seen before: spans are taken with the tags that tell
//! versions, and by a store that knows no such tag, in turns.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use model::SpanBatch;
use serde::Serialize;
use storage::{SpanSink, StoreOptions};
use tokio::runtime::Runtime;

use crate::embedded;
use crate::process::time_of_thread;
use crate::store::quantiles;
use crate::workload::{EPOCH_US, Workload};

/// As an agent under load sends them.
const BATCH_SPANS: usize = 100;
const BATCHES: usize = 2_000;
const ROUNDS: usize = 11;

/// Medians, nanoseconds of processor time a span, of the thread that takes spans.
#[derive(Debug, Serialize)]
pub(super) struct Sightings {
    pub(super) with_versions_ns: f64,
    pub(super) without_ns: f64,
    /// Of the rounds' differences.
    pub(super) difference_ns: f64,
}

pub(super) fn measure(runtime: &Runtime, seed: u64) -> anyhow::Result<Sightings> {
    eprintln!("taking spans with and without versions");
    let batches = Workload::reference(seed).batches(BATCH_SPANS).take(BATCHES);
    let batches: Vec<SpanBatch> = batches
        .map(|spans| {
            let mut batch = SpanBatch::new();
            spans.iter().for_each(|span| batch.push_span(span));
            batch
        })
        .collect();
    let with_versions = StoreOptions::default();
    let without = StoreOptions {
        version_tags: Vec::new(),
        ..StoreOptions::default()
    };
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let with_versions = take(runtime, &batches, &with_versions)?;
        let without = take(runtime, &batches, &without)?;
        for (all, found) in taken
            .iter_mut()
            .zip([with_versions, without, with_versions - without])
        {
            all.push(found);
        }
    }
    let [with_versions, without, difference] = taken.map(|all| {
        quantiles(all)
            .context("no round at all")
            .map(|quantile| quantile(0.5))
    });
    Ok(Sightings {
        with_versions_ns: with_versions?,
        without_ns: without?,
        difference_ns: difference?,
    })
}

/// Nanoseconds a span into a new store.
fn take(runtime: &Runtime, batches: &[SpanBatch], options: &StoreOptions) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let clock = Arc::new(AtomicU64::new(EPOCH_US / 1_000));
    let store = embedded::open(directory.path(), options.clone(), &clock)?;
    let mut taken = Ok(());
    let time = time_of_thread(|| {
        let mut each = batches.iter();
        taken = each.try_for_each(|batch| runtime.block_on(store.accept(batch)));
    });
    taken?;
    runtime.block_on(store.close())?;
    Ok(time.as_nanos() as f64 / (batches.len() * BATCH_SPANS) as f64)
}
