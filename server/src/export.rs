//! `tracehound export`: traces of a running server as Zipkin JSON, one trace a line, in the order of time.
//!
//! The server answers a window of time with as many traces as are asked for. A window whose answer is full is halved,
//! so that none is left out; one with few is followed by a longer one. A trace lies in the window that its timestamp
//! lies in, wherever its spans are, so it comes once; those without any timestamp are in no window, and are not exported.

mod output;

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api_client::{ApiClient, ServerAddress};
use output::Output;

/// Traces that are asked for at once.
const PAGE_TRACES: u64 = 500;
/// Traces of one millisecond, which cannot be halved.
const PAGE_TRACES_MAX: u64 = 1 << 17;
/// How far a window reaches at first, milliseconds.
const WINDOW_MS: u64 = 3_600_000;
/// What the server says of answers that lack something.
const COMPLETENESS: &str = "tracehound-completeness";

/// What the export is told.
#[derive(Debug)]
pub(crate) struct ExportConfig {
    pub(crate) server: ServerAddress,
    /// Standard output without it.
    pub(crate) file: Option<PathBuf>,
    pub(crate) gzip: bool,
    /// The first and the last millisecond since the epoch.
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    /// Parameters of the search API, encoded, each with an `&` before it.
    pub(crate) filters: String,
    /// Where the end of the last window is remembered.
    pub(crate) resume: Option<PathBuf>,
    /// Goes on where an answer lacks what is damaged.
    pub(crate) allow_partial: bool,
}

/// Exports all windows.
pub(crate) fn run(config: &ExportConfig) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let exported = runtime
        .context("cannot start")
        .and_then(|runtime| runtime.block_on(export(config)));
    match exported {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tracehound: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What of a span says where its trace belongs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanHead {
    trace_id: String,
}

async fn export(config: &ExportConfig) -> anyhow::Result<()> {
    let mut output = Output::open(config)?;
    let mut client = ApiClient::new(config.server.clone());
    let bar = progress_bar(config);
    let mut from = output.next_ms().max(config.from_ms);
    let (mut length, mut limit) = (WINDOW_MS, PAGE_TRACES);
    // Both ends of a window belong to it, so that no microsecond is between two.
    let mut before: HashSet<String> = output.last_ids();
    while from <= config.to_ms {
        let to = from.saturating_add(length - 1).min(config.to_ms);
        let traces = ask(config, &mut client, (from, to), limit).await?;
        let traces: Vec<&RawValue> =
            serde_json::from_slice(&traces).context("the answer is no list of traces")?;
        let is_full = traces.len() as u64 >= limit;
        if is_full && to > from {
            length = ((to - from).div_ceil(2)).max(1);
            continue;
        }
        if is_full {
            limit *= 2;
            if limit > PAGE_TRACES_MAX {
                bail!("more than {PAGE_TRACES_MAX} traces begin in the millisecond {from}");
            }
            continue;
        }
        let mut ids = HashSet::with_capacity(traces.len());
        // The newest comes first.
        for trace in traces.iter().rev() {
            let id = first_id(trace)?;
            if !before.contains(&id) {
                output.write(trace.get())?;
            }
            ids.insert(id);
        }
        if (traces.len() as u64) < PAGE_TRACES / 4 {
            length = length.saturating_mul(2);
        }
        limit = PAGE_TRACES;
        from = to + 1;
        output.end_window(from, &ids)?;
        before = ids;
        bar.set_position(to - config.from_ms);
        bar.set_message(format!("{} traces", output.traces()));
    }
    bar.finish_and_clear();
    let traces = output.finish()?;
    eprintln!("exported {traces} traces");
    Ok(())
}

/// The answer for a window, in which a trace may be whose timestamp lies within a millisecond after its end.
async fn ask(
    config: &ExportConfig,
    client: &mut ApiClient,
    (from, to): (u64, u64),
    limit: u64,
) -> anyhow::Result<Bytes> {
    let (end, lookback) = (to + 1, to + 1 - from);
    let filters = &config.filters;
    let path = format!("/api/v2/traces?endTs={end}&lookback={lookback}&limit={limit}{filters}");
    let answer = client.send(Method::GET, &path, Bytes::new()).await?;
    if answer.status != StatusCode::OK {
        bail!("the server refuses: {}", answer.text());
    }
    let told = answer
        .headers
        .get(COMPLETENESS)
        .and_then(|told| told.to_str().ok());
    match told {
        Some(told) if told != "complete" && !config.allow_partial => {
            bail!("an answer lacks something: {told} (--allow-partial goes on)")
        }
        _ => Ok(answer.body),
    }
}

fn first_id(trace: &RawValue) -> anyhow::Result<String> {
    let spans: Vec<SpanHead> =
        serde_json::from_str(trace.get()).context("the answer has a trace that is none")?;
    spans
        .into_iter()
        .next()
        .map(|span| span.trace_id)
        .context("the answer has a trace without a span")
}

fn progress_bar(config: &ExportConfig) -> ProgressBar {
    let bar = ProgressBar::new(config.to_ms.saturating_sub(config.from_ms));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}% of the time {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar
}
