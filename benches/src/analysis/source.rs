//! What is stored: the workload with a rollout in it, or spread over two days.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use model::{Deployment, Span, SpanBatch};
use storage::{DeploymentStore, Put, SpanSink, StoreOptions};
use storage_segment::SegmentStore;
use tokio::runtime::Runtime;

use super::{DAY_MS, Kind, MINUTE_MS};
use crate::embedded;
use crate::process::Usage;
use crate::workload::{EPOCH_US, Rollout, Workload};

/// The workload's own pace.
const SPANS_AN_HOUR: f64 = 5e6;
/// By how much more the new version takes.
const SLOWER: f64 = 0.5;
/// Traces that are looked at to find the service that is in most of them.
const SURVEYED: usize = 2_000;
/// Spans that are handed over at once.
const BATCH_SPANS: usize = 1_000;
/// A server seals after so long, milliseconds, or when its head has so many bytes: a third of what it may have.
const SEALED_AFTER_MS: u64 = 600_000;
const SEALED_BYTES: u64 = 64 << 20;

/// Service, span name and kind.
pub(super) type Name = [String; 3];

/// A store that was filled.
pub(super) struct Stored {
    pub(super) spans: u64,
    /// When the last trace begins.
    pub(super) end_ms: u64,
    /// As a pipeline would declare it, whether there is one or not.
    pub(super) deployment: Arc<Deployment>,
    /// Processor time of sealing, and joining what was sealed.
    pub(super) sealing: Duration,
    /// Of each minute since the epoch how many spans of each operation begin in it.
    minutes: BTreeMap<u64, BTreeMap<u32, u64>>,
    names: BTreeMap<Name, u32>,
}

impl Stored {
    /// Spans by operation, of the minutes of a window.
    pub(super) fn counted(&self, window: Range<u64>) -> BTreeMap<Name, u64> {
        let mut counts = vec![0; self.names.len()];
        for (number, count) in self.minutes.range(window).flat_map(|(_, counts)| counts) {
            counts[*number as usize] += count;
        }
        let counted = self
            .names
            .iter()
            .map(|(name, &number)| (name.clone(), counts[number as usize]));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn note(&mut self, span: &Span) {
        let name = [
            span.local_service_name().unwrap_or_default(),
            span.name.as_deref().unwrap_or_default(),
            span.kind.map_or("", |kind| kind.as_str()),
        ];
        let next = self.names.len() as u32;
        let number = *self.names.entry(name.map(str::to_owned)).or_insert(next);
        if let Some(timestamp) = span.timestamp {
            let minute = self.minutes.entry(timestamp / 1_000 / MINUTE_MS).or_default();
            *minute.entry(number).or_default() += 1;
        }
        self.spans += 1;
    }
}

/// Fills a new store with so many spans, a few more for whole traces, and seals them all.
pub(super) fn fill(
    directory: &Path,
    runtime: &Runtime,
    seed: u64,
    kind: Kind,
    spans: u64,
) -> anyhow::Result<Stored> {
    let hours = match kind {
        Kind::Report => spans as f64 / SPANS_AN_HOUR,
        Kind::Operations => 2.0 * DAY_MS as f64 / 3_600_000.0,
    };
    let (mut workload, deployment) = rollout(seed, hours)?;
    if kind == Kind::Operations {
        workload = Workload::reference(seed).paced(spans as f64 / hours);
    }
    let clock = Arc::new(AtomicU64::new(EPOCH_US / 1_000));
    let store = embedded::open(directory, StoreOptions::default(), &clock)?;
    let declared = runtime.block_on(store.put_deployment(deployment))?;
    let (Put::Added(deployment) | Put::Present(deployment)) = declared else {
        bail!("the deployment is not taken: {declared:?}");
    };
    let mut stored = Stored {
        spans: 0,
        end_ms: 0,
        deployment,
        sealing: Duration::ZERO,
        minutes: BTreeMap::new(),
        names: BTreeMap::new(),
    };
    let mut batch = SpanBatch::new();
    let mut sealed_ms = EPOCH_US / 1_000;
    while stored.spans < spans {
        batch.clear();
        while batch.len() < BATCH_SPANS {
            let trace = workload.next().context("the workload ended")?;
            for reported in &trace.spans {
                stored.note(&reported.span);
                batch.push_span(&reported.span);
            }
            let begins = trace
                .spans
                .iter()
                .filter_map(|reported| reported.span.timestamp)
                .min();
            stored.end_ms = begins.unwrap_or(0) / 1_000;
        }
        clock.store(stored.end_ms, Ordering::Relaxed);
        runtime.block_on(store.accept(&batch))?;
        if stored.end_ms >= sealed_ms + SEALED_AFTER_MS || store.stats().head_bytes >= SEALED_BYTES {
            sealed_ms = stored.end_ms;
            stored.sealing += seal(&store)?;
        }
    }
    stored.sealing += seal(&store)?;
    runtime.block_on(store.close())?;
    Ok(stored)
}

/// Seals everything; gives the processor time that took. Nothing else goes on in this process.
fn seal(store: &SegmentStore) -> anyhow::Result<Duration> {
    let before = Usage::own()?.cpu;
    store.seal_all()?;
    Ok(Usage::own()?.cpu - before)
}

/// The workload with a rollout of the service that is in most traces, in the middle of its time.
fn rollout(seed: u64, hours: f64) -> anyhow::Result<(Workload, Deployment)> {
    let workload = Workload::reference(seed);
    let rollout = Rollout {
        service: service_in_most(seed)?,
        begin_us: EPOCH_US + (3_600e6 * hours / 2.0) as u64,
        slower: SLOWER,
    };
    let (service_name, versions) = workload
        .services()
        .nth(rollout.service)
        .context("no such service")?;
    let deployment = Deployment {
        service_name: service_name.to_owned(),
        version: versions[1].clone(),
        previous_version: Some(versions[0].clone()),
        start_ts: rollout.begin_us / 1_000,
        ..Deployment::default()
    };
    Ok((workload.rolling_out(rollout), deployment))
}

/// The number of the service that takes part in most traces.
fn service_in_most(seed: u64) -> anyhow::Result<usize> {
    let names: Vec<&str> = Workload::reference(seed)
        .services()
        .map(|(name, _)| name)
        .collect();
    let mut counts = vec![0; names.len()];
    for trace in Workload::reference(seed).take(SURVEYED) {
        let services = trace
            .spans
            .iter()
            .filter_map(|reported| reported.span.local_service_name());
        let mut services: Vec<&str> = services.collect();
        services.sort_unstable();
        services.dedup();
        for number in (0..names.len()).filter(|&number| services.contains(&names[number])) {
            counts[number] += 1;
        }
    }
    let most = (0..counts.len()).max_by_key(|&number| counts[number]);
    most.context("a workload without services")
}
