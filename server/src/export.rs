//! `tracehound export`: traces of a running server as Zipkin JSON, one trace a line, in the order of time.
//!
//! The server answers a window of time with as many traces as are asked for. A window whose answer is full is halved,
//! so that none is left out; one with few is followed by a longer one. A trace lies in the window that its timestamp
//! lies in, wherever its spans are, so it comes once. Those without any timestamp are in no window: they follow by their
//! identifiers, where everything is exported.

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

use crate::api_client::{ApiClient, ServerAccess, TooLarge};
use output::Output;

/// Traces that are asked for at once.
const PAGE_TRACES: u64 = 500;
/// Spans of several traces that are taken at once: less than a server answers.
const PAGE_SPANS_MAX: usize = 200_000;
/// Traces of one millisecond, which cannot be halved.
const PAGE_TRACES_MAX: u64 = 1 << 17;
/// How far a window reaches at first, milliseconds.
const WINDOW_MS: u64 = 3_600_000;
/// What the server says of answers that lack something.
const COMPLETENESS: &str = "tracehound-completeness";

/// What the export is told.
#[derive(Debug)]
pub(crate) struct ExportConfig {
    pub(crate) server: ServerAccess,
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

impl ExportConfig {
    /// The last millisecond that a timestamp can lie in.
    pub(crate) const END_MS: u64 = i64::MAX as u64 / 1000;

    fn is_of_everything(&self) -> bool {
        self.from_ms == 0 && self.to_ms >= Self::END_MS && self.filters.is_empty()
    }
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
    let mut export = Export {
        config,
        output: Output::open(config)?,
        client: ApiClient::new(config.server.clone()),
        bar: progress_bar(config),
    };
    export.windows().await?;
    if config.is_of_everything() {
        export.untimed().await?;
    }
    export.bar.finish_and_clear();
    let traces = export.output.finish()?;
    eprintln!("exported {traces} traces");
    Ok(())
}

/// An export on its way.
struct Export<'c> {
    config: &'c ExportConfig,
    output: Output,
    client: ApiClient,
    bar: ProgressBar,
}

/// What the server answered.
struct Page {
    body: Bytes,
    /// What the answer lacks, if it is not complete.
    lacks: Option<String>,
}

/// A trace of an answer.
struct Trace<'p> {
    /// The identifier of its first span.
    id: String,
    spans: usize,
    json: &'p str,
}

impl Page {
    /// Its traces in the order of the answer.
    fn traces(&self) -> anyhow::Result<Vec<Trace<'_>>> {
        let traces: Vec<&RawValue> =
            serde_json::from_slice(&self.body).context("the answer is no list of traces")?;
        let read = |json: &'_ RawValue| -> anyhow::Result<(String, usize)> {
            let spans: Vec<SpanHead> =
                serde_json::from_str(json.get()).context("the answer has a trace that is none")?;
            let count = spans.len();
            let first = spans.into_iter().next();
            let first = first.context("the answer has a trace without a span")?;
            Ok((first.trace_id, count))
        };
        let traces = traces.into_iter().map(|json| {
            let (id, spans) = read(json)?;
            let json = json.get();
            Ok(Trace { id, spans, json })
        });
        traces.collect()
    }
}

impl Export<'_> {
    /// Traces that have a timestamp, in its order.
    async fn windows(&mut self) -> anyhow::Result<()> {
        let mut from = self.output.next_ms().max(self.config.from_ms);
        let (mut length, mut limit) = (WINDOW_MS, PAGE_TRACES);
        // Both ends of a window belong to it, so that no microsecond is between two.
        let mut before: HashSet<String> = self.output.last_ids();
        // The end of the last window that was too full: up to there are nearly as many traces.
        let mut full_to = 0;
        while from <= self.config.to_ms {
            if from + length > full_to && full_to > from {
                length = (full_to - from).div_ceil(2);
            }
            let to = from.saturating_add(length - 1).min(self.config.to_ms);
            let page = self.ask_window((from, to), limit).await?;
            let traces = page.as_ref().map(Page::traces).transpose()?;
            let extent = Extent::of(page.as_ref(), traces.as_deref(), limit);
            if extent != Extent::Fits && to > from {
                full_to = to;
                continue;
            }
            if extent == Extent::TooMany {
                limit *= 2;
                if limit > PAGE_TRACES_MAX {
                    bail!("more than {PAGE_TRACES_MAX} traces begin in the millisecond {from}");
                }
                continue;
            }
            let (Some(page), Some(traces)) = (&page, traces) else {
                bail!("the traces that begin in the millisecond {from} are too large for an answer");
            };
            self.check(page)?;
            let few = (traces.len() as u64) < PAGE_TRACES / 4 && extent == Extent::Fits;
            let mut ids = HashSet::with_capacity(traces.len());
            // The newest comes first.
            for trace in traces.into_iter().rev() {
                if !before.contains(&trace.id) {
                    self.output.write(trace.json);
                }
                ids.insert(trace.id);
            }
            if few {
                length = length.saturating_mul(2);
            }
            limit = PAGE_TRACES;
            from = to + 1;
            self.output.end_window(from, &ids)?;
            before = ids;
            let position = (to - self.config.from_ms).min(self.bar.length().unwrap_or(0));
            self.bar.set_position(position);
            self.bar.set_message(format!("{} traces", self.output.traces()));
        }
        Ok(())
    }

    /// Traces without a timestamp, which are in no window, by their identifiers.
    async fn untimed(&mut self) -> anyhow::Result<()> {
        let mut limit = PAGE_TRACES;
        loop {
            let after = self.output.last_untimed().to_owned();
            let path = format!("/api/v2/traces/untimed?limit={limit}&after={after}");
            let Some(page) = self.ask(&path).await? else {
                if limit == 1 {
                    bail!("the trace without a timestamp that follows {after:?} is too large for an answer");
                }
                limit = limit.div_ceil(2);
                continue;
            };
            self.check(&page)?;
            let traces = page.traces()?;
            let Some(last) = traces.last() else { return Ok(()) };
            traces.iter().for_each(|trace| self.output.write(trace.json));
            self.output.end_untimed(&last.id)?;
            self.bar.set_message(format!("{} traces", self.output.traces()));
        }
    }

    /// The answer for a window, in which a trace may be whose timestamp lies within a millisecond after its end.
    async fn ask_window(&mut self, (from, to): (u64, u64), limit: u64) -> anyhow::Result<Option<Page>> {
        let (end, lookback) = (to + 1, to + 1 - from);
        let filters = &self.config.filters;
        let path = format!("/api/v2/traces?endTs={end}&lookback={lookback}&limit={limit}{filters}");
        self.ask(&path).await
    }

    /// Nothing where the answer is too large.
    async fn ask(&mut self, path: &str) -> anyhow::Result<Option<Page>> {
        let answer = match self.client.send(Method::GET, path, Bytes::new()).await {
            Err(error) if error.chain().any(|cause| cause.is::<TooLarge>()) => return Ok(None),
            other => other?,
        };
        if answer.status != StatusCode::OK {
            bail!("the server refuses: {}", answer.text());
        }
        let told = answer.headers.get(COMPLETENESS);
        let told = told.and_then(|told| told.to_str().ok());
        let lacks = told.filter(|&told| told != "complete").map(str::to_owned);
        let body = answer.body;
        Ok(Some(Page { body, lacks }))
    }

    /// An error where the answer lacks something, unless that is allowed.
    fn check(&self, page: &Page) -> anyhow::Result<()> {
        match &page.lacks {
            Some(told) if !self.config.allow_partial => {
                bail!("an answer lacks something: {told} (--allow-partial goes on)")
            }
            _ => Ok(()),
        }
    }
}

/// How an answer compares with what a server answers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Fits,
    /// As many traces as were asked for: there may be more.
    TooMany,
    /// So many spans that the server may have stopped for them.
    TooLarge,
}

impl Extent {
    fn of(page: Option<&Page>, traces: Option<&[Trace<'_>]>, limit: u64) -> Self {
        let (Some(page), Some(traces)) = (page, traces) else {
            return Self::TooLarge;
        };
        let spans: usize = traces.iter().map(|trace| trace.spans).sum();
        if traces.len() as u64 >= limit {
            Self::TooMany
        } else if spans > PAGE_SPANS_MAX && (traces.len() > 1 || page.lacks.is_some()) {
            Self::TooLarge
        } else {
            Self::Fits
        }
    }
}

fn progress_bar(config: &ExportConfig) -> ProgressBar {
    let to = config.to_ms.min(crate::wiring::now_ms());
    let bar = ProgressBar::new(to.saturating_sub(config.from_ms));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent}% of the time {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar
}
