//! Asks for traces while they come and go.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::Context;
use model::{Span, SpanBatch};
use proto::Format;
use serde::{Deserialize, Serialize};

use crate::load::{Answer, Connection};
use crate::server::Server;
use crate::store::disk::Disk;
use crate::store::quantiles;
use crate::workload::Random;

/// Between two questions.
const ASK_EVERY: Duration = Duration::from_millis(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How much time a search around a trace looks back, milliseconds.
const AROUND_MS: u64 = 2_000;
/// Agents report when they have a hundred spans, a quiet one later than others: by so much of the spans' time traces
/// arrive out of their order.
const BORDER_US: u64 = 120_000_000;

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Watched {
    pub(super) traces: usize,
    /// In the end.
    pub(super) whole: usize,
    pub(super) gone: usize,
    /// Of some spans: cut where the oldest segment begins, or else wrong.
    pub(super) cut: usize,
    pub(super) torn: usize,
    /// No trace that is whole is older than one that is gone, but for those that arrived at the same time.
    pub(super) is_oldest_first: bool,
    pub(super) came_back: usize,
    pub(super) by_id: usize,
    pub(super) by_id_ms_p50: f64,
    pub(super) by_id_ms_p99: f64,
    pub(super) searches: usize,
    pub(super) search_ms_p50: f64,
    pub(super) search_ms_p99: f64,
    /// Answers with another status than 200, or 404 of a trace.
    pub(super) failed: usize,
    pub(super) partial: usize,
    pub(super) first_wrong: Option<String>,
}

impl Watched {
    pub(super) fn asked(&self) -> usize {
        self.by_id + self.searches
    }
}

/// Bytes of segments on the disk, seen from outside.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sizes {
    pub(super) looks: usize,
    pub(super) most_bytes: u64,
    pub(super) last_bytes: u64,
    pub(super) largest_segment_bytes: u64,
    /// Looks at which they were above the limit.
    pub(super) above: usize,
    pub(super) journal_bytes_most: u64,
    pub(super) over_time: Vec<Size>,
}

/// Bytes of segments at a moment.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Size {
    /// Of the spans' time, that had been sent then.
    pub(super) hours: f64,
    pub(super) bytes: u64,
}

/// Looks at the disk until it is told to end; `hours` tells how far the spans' time is.
pub(super) fn sizes(
    server: &Server,
    bytes_max: u64,
    hours: impl Fn() -> f64,
    done: &AtomicBool,
) -> anyhow::Result<Sizes> {
    let mut sizes = Sizes::default();
    loop {
        let is_last = done.load(Ordering::Relaxed);
        let disk = Disk::of(&server.store())?;
        sizes.looks += 1;
        sizes.most_bytes = sizes.most_bytes.max(disk.segment_bytes);
        sizes.largest_segment_bytes = sizes.largest_segment_bytes.max(disk.largest_segment_bytes);
        sizes.journal_bytes_most = sizes.journal_bytes_most.max(disk.journal_bytes);
        sizes.above += usize::from(disk.segment_bytes > bytes_max);
        sizes.last_bytes = disk.segment_bytes;
        sizes.over_time.push(Size {
            hours: hours(),
            bytes: disk.segment_bytes,
        });
        if is_last {
            return Ok(sizes);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

struct Known {
    spans: Vec<Span>,
    timestamp_us: u64,
    /// How many of them were answered when it was asked for last.
    answered: usize,
    was_whole: bool,
    is_gone: bool,
}

/// See the module.
pub(super) struct Watch {
    connection: Connection,
    told: Receiver<Vec<Span>>,
    known: Vec<Known>,
    /// Identifiers, as they are written.
    gone: HashSet<String>,
    random: Random,
    by_id_ms: Vec<f64>,
    search_ms: Vec<f64>,
    watched: Watched,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanOfTrace {
    trace_id: String,
}

impl Watch {
    pub(super) fn new(address: SocketAddr, told: Receiver<Vec<Span>>) -> anyhow::Result<Self> {
        Ok(Self {
            connection: Connection::open(address)?,
            told,
            known: Vec::new(),
            gone: HashSet::new(),
            random: Random::new(7),
            by_id_ms: Vec::new(),
            search_ms: Vec::new(),
            watched: Watched::default(),
        })
    }

    /// Asks until it is told to end.
    pub(super) fn until(mut self, done: &AtomicBool) -> anyhow::Result<Self> {
        while !done.load(Ordering::Relaxed) {
            self.hear();
            if !self.known.is_empty() {
                let index = self.random.below(self.known.len());
                self.look_at(index)?;
                self.search_around(index)?;
            }
            std::thread::sleep(ASK_EVERY);
        }
        self.hear();
        Ok(self)
    }

    /// Asks for every trace once more.
    pub(super) fn look_at_all(&mut self) -> anyhow::Result<()> {
        // The server was started again meanwhile.
        self.connection.reopen()?;
        (0..self.known.len()).try_for_each(|index| self.look_at(index))
    }

    fn hear(&mut self) {
        for spans in self.told.try_iter() {
            self.known.push(Known {
                timestamp_us: model::trace_timestamp(&spans).unwrap_or(0),
                spans,
                answered: 0,
                was_whole: false,
                is_gone: false,
            });
        }
    }

    fn look_at(&mut self, index: usize) -> anyhow::Result<()> {
        let trace_id = self.known[index].spans[0].trace_id;
        let path = format!("/api/v2/trace/{trace_id}");
        let (answer, took_ms) = self.get(&path)?;
        self.by_id_ms.push(took_ms);
        let found = match answer.status {
            200 => spans_of(&answer.body)?,
            404 => Vec::new(),
            status => {
                self.watched.failed += 1;
                self.wrong(format!("{path}: answered with {status}"));
                return Ok(());
            }
        };
        self.watched.partial += usize::from(answer.is_partial);
        let known = &mut self.known[index];
        let invented = found.iter().filter(|span| !known.spans.contains(span)).count();
        let has_more = found.len() > known.answered;
        known.answered = found.len();
        known.was_whole |= found.len() == known.spans.len();
        // It grows until it is whole, and only shrinks from then on; from nothing nothing comes.
        let has_come_back = known.is_gone && !found.is_empty();
        if known.was_whole && found.is_empty() && !known.is_gone {
            known.is_gone = true;
            self.gone.insert(trace_id.to_string());
        }
        let is_impossible = known.was_whole && has_more && found.len() < known.spans.len();
        if has_come_back || invented > 0 || is_impossible {
            self.watched.came_back += 1;
            self.wrong(format!(
                "{path}: {} spans, {invented} of them never sent",
                found.len()
            ));
        }
        Ok(())
    }

    fn search_around(&mut self, index: usize) -> anyhow::Result<()> {
        let end_ms = self.known[index].timestamp_us / 1_000 + 1;
        let path = format!("/api/v2/traces?endTs={end_ms}&lookback={AROUND_MS}&limit=100");
        let (answer, took_ms) = self.get(&path)?;
        self.search_ms.push(took_ms);
        self.watched.partial += usize::from(answer.is_partial);
        if answer.status != 200 {
            self.watched.failed += 1;
            self.wrong(format!("{path}: answered with {}", answer.status));
            return Ok(());
        }
        let traces: Vec<Vec<SpanOfTrace>> = serde_json::from_slice(&answer.body)?;
        let ids = traces
            .iter()
            .filter_map(|trace| trace.first())
            .map(|span| &span.trace_id);
        let back: Vec<&String> = ids.filter(|id| self.gone.contains(*id)).collect();
        if let Some(first) = back.first() {
            let wrong = format!("{path}: has {first}, which is gone");
            self.watched.came_back += back.len();
            self.wrong(wrong);
        }
        Ok(())
    }

    fn get(&mut self, path: &str) -> anyhow::Result<(Answer, f64)> {
        let begin = Instant::now();
        let answer = self
            .connection
            .get(path)
            .with_context(|| format!("no answer to {path}"))?;
        Ok((answer, begin.elapsed().as_secs_f64() * 1_000.0))
    }

    fn wrong(&mut self, what: String) {
        self.watched.first_wrong.get_or_insert(what);
    }

    /// # Errors
    /// Where nothing was asked.
    pub(super) fn finish(self) -> anyhow::Result<Watched> {
        let is_whole = |known: &&Known| known.answered == known.spans.len();
        let is_gone = |known: &&Known| known.answered == 0;
        let oldest_whole = self
            .known
            .iter()
            .filter(is_whole)
            .map(|known| known.timestamp_us)
            .min()
            .unwrap_or(u64::MAX - BORDER_US);
        let newest_gone = self
            .known
            .iter()
            .filter(is_gone)
            .map(|known| known.timestamp_us)
            .max()
            .unwrap_or(0);
        let is_some = |known: &Known| (1..known.spans.len()).contains(&known.answered);
        let is_at_border = |known: &Known| {
            (oldest_whole.saturating_sub(BORDER_US)..newest_gone + BORDER_US).contains(&known.timestamp_us)
        };
        let (by_id, search) = (self.by_id_ms.len(), self.search_ms.len());
        let unasked = "there was no time for a question";
        let by_id_ms = quantiles(self.by_id_ms).context(unasked)?;
        let search_ms = quantiles(self.search_ms).context(unasked)?;
        let whole = self.known.iter().filter(is_whole).count();
        let gone = self.known.iter().filter(is_gone).count();
        Ok(Watched {
            traces: self.known.len(),
            whole,
            gone,
            cut: self
                .known
                .iter()
                .filter(|known| is_some(known) && is_at_border(known))
                .count(),
            torn: self
                .known
                .iter()
                .filter(|known| is_some(known) && !is_at_border(known))
                .count(),
            is_oldest_first: newest_gone < oldest_whole + BORDER_US,
            by_id,
            by_id_ms_p50: by_id_ms(0.5),
            by_id_ms_p99: by_id_ms(0.99),
            searches: search,
            search_ms_p50: search_ms(0.5),
            search_ms_p99: search_ms(0.99),
            ..self.watched
        })
    }
}

fn spans_of(body: &[u8]) -> anyhow::Result<Vec<Span>> {
    let mut batch = SpanBatch::new();
    proto::decode(Format::JsonV2, body, &mut batch)
        .map_err(|error| anyhow::anyhow!("a trace cannot be read: {error}"))?;
    Ok(batch.iter().map(|span| span.to_span()).collect())
}
