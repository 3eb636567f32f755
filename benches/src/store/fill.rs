//! Fills a store, and what that cost once everything is sealed and joined.

use anyhow::Context;
use serde::Serialize;

use super::disk::Disk;
use super::source::Source;
use crate::ingest::settle;
use crate::load::{Way, feed};
use crate::process::Usage;
use crate::server::Server;

/// A store with so many spans, all in segments.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Filled {
    /// All there are.
    pub(super) spans: u64,
    pub(super) traces: u64,
    /// Those that came last: what was measured while they did.
    pub(super) new_spans: u64,
    pub(super) seconds: f64,
    pub(super) refused: u64,
    /// Of all the server's threads until nothing was left to do.
    pub(super) cpu_us_per_new_span: f64,
    pub(super) resident_bytes_max: u64,
    pub(super) compactions: u64,
    pub(super) disk: Disk,
}

/// Sends what is missing, and waits until nothing is left to do.
///
/// # Errors
/// Where a span is not acknowledged, or not counted by the store.
pub(super) fn fill(
    server: &mut Server,
    source: &mut Source,
    spans: u64,
    senders: usize,
) -> anyhow::Result<Filled> {
    let before = Usage::of(server.id())?;
    let mut batches = source.until(spans);
    let fed = feed(server.address(), Way::JSON, senders, &mut batches)?;
    batches.error.map_or(Ok(()), Err)?;
    settle::wait(server)?;
    let settled = Usage::of(server.id())?;
    let compactions = server
        .metrics()?
        .get("tracehound_compactions_total")
        .unwrap_or(0.0);

    let sealing = settle::seal(server)?;
    let metrics = server.metrics()?;
    let number = |name: &str| {
        metrics
            .get(name)
            .with_context(|| format!("the server has no {name}"))
    };
    let stored = number("tracehound_segment_spans")? as u64;
    let compactions = compactions + number("tracehound_compactions_total")?;
    let all = source.truth.spans;
    anyhow::ensure!(
        stored == all,
        "{all} spans were acknowledged, {stored} are stored"
    );
    let cpu = (settled.cpu - before.cpu) + sealing;
    Ok(Filled {
        spans: all,
        traces: source.truth.traces,
        new_spans: fed.spans,
        seconds: fed.elapsed.as_secs_f64(),
        refused: fed.refused,
        cpu_us_per_new_span: cpu.as_secs_f64() * 1e6 / fed.spans as f64,
        resident_bytes_max: settled.resident_bytes_max,
        compactions: compactions as u64,
        disk: Disk::of(&server.store())?,
    })
}
