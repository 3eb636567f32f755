//! Asks questions over HTTP, one after the other on one connection, and holds the answers against what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use model::{DependencyLink, SpanBatch};
use proto::Format;
use serde::{Deserialize, Serialize};

use super::cold;
use super::questions::{Expected, Kind, Question};
use crate::load::{Answer, Connection};
use crate::process::bytes_read;
use crate::server::Server;

/// Slow answers must not make a run last for hours: less is asked then, and the report says how much.
const KIND_MAX: Duration = Duration::from_secs(10);
const QUESTIONS_MIN: usize = 20;

/// What came of the questions of a kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) questions: usize,
    /// Not what it must be, for whatever reason.
    pub(crate) wrong: usize,
    /// Those of them that say so themselves: an error, or something missing because there was no time for it.
    pub(crate) unanswered: usize,
    pub(crate) first_wrong: Option<String>,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Each, in the order of the answers: on one connection that of the questions, which depends on the seed alone.
    pub(crate) samples_ms: Vec<f64>,
    /// Of the answers, on average.
    pub(crate) answer_bytes: f64,
    /// What the server read from the disk for an answer, on average.
    pub(crate) disk_bytes: f64,
}

impl Asked {
    /// # Errors
    /// Where an answer is wrong: the first of them.
    pub(crate) fn require(&self) -> anyhow::Result<()> {
        match &self.first_wrong {
            None => Ok(()),
            Some(first) => bail!(
                "{} of {} answers are wrong ({}): {first}",
                self.wrong,
                self.questions,
                self.kind
            ),
        }
    }
}

/// Where pages of files are when a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageCache {
    Warm,
    /// Forgotten before every question.
    Cold,
}

/// Asks them once each, but no more of them than there is time for.
///
/// # Errors
/// Where there is no answer at all; wrong answers are counted.
pub(crate) fn ask(
    server: &Server,
    kind: Kind,
    questions: &[Question],
    cache: PageCache,
) -> anyhow::Result<Asked> {
    let mut connection = Connection::open(server.address())?;
    let mut asking = Asking::new(kind);
    let read_before = bytes_read(server.id())?;
    let begin = Instant::now();
    for (number, question) in questions.iter().enumerate() {
        if number >= QUESTIONS_MIN && begin.elapsed() > KIND_MAX {
            break;
        }
        if cache == PageCache::Cold {
            cold::forget(&server.store())?;
        }
        asking.ask(&mut connection, question)?;
    }
    asking.finish(bytes_read(server.id())? - read_before)
}

/// Asks them in turns, a kind after the other, until it is told to end; `thinking` is between an answer and the next
/// question.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_until(
    server: &Server,
    questions: &[(Kind, Vec<Question>)],
    thinking: Duration,
    done: &AtomicBool,
) -> anyhow::Result<Vec<Asked>> {
    let mut connection = Connection::open(server.address())?;
    let mut asking: Vec<Asking> = questions.iter().map(|(kind, _)| Asking::new(*kind)).collect();
    for turn in 0.. {
        for (asking, (_, questions)) in asking.iter_mut().zip(questions) {
            if done.load(Ordering::Relaxed) {
                break;
            }
            asking.ask(&mut connection, &questions[turn % questions.len()])?;
            std::thread::sleep(thinking);
        }
        if done.load(Ordering::Relaxed) {
            break;
        }
    }
    asking.into_iter().map(|asking| asking.finish(0)).collect()
}

/// Questions of a kind, so far.
pub(crate) struct Asking {
    kind: Kind,
    took_ms: Vec<f64>,
    bytes: usize,
    wrong: usize,
    unanswered: usize,
    first_wrong: Option<String>,
}

impl Asking {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            took_ms: Vec::new(),
            bytes: 0,
            wrong: 0,
            unanswered: 0,
            first_wrong: None,
        }
    }

    fn ask(&mut self, connection: &mut Connection, question: &Question) -> anyhow::Result<()> {
        let begin = Instant::now();
        let answer = connection
            .get(&question.path)
            .with_context(|| format!("no answer to {}", question.path))?;
        self.take(question, &answer, begin.elapsed());
        Ok(())
    }

    /// Whether nothing was answered yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.took_ms.is_empty()
    }

    /// An answer, and how long it took.
    pub(crate) fn take(&mut self, question: &Question, answer: &Answer, took: Duration) {
        self.took_ms.push(took.as_secs_f64() * 1_000.0);
        self.bytes += answer.body.len();
        if let Err(error) = question.expected.check(answer) {
            self.wrong += 1;
            self.unanswered += usize::from(answer.status != 200 || answer.is_partial);
            self.first_wrong
                .get_or_insert(format!("{}: {error:#}", question.path));
        }
    }

    /// # Errors
    /// Where nothing was asked: of that there is no figure.
    pub(crate) fn finish(self, disk_bytes: u64) -> anyhow::Result<Asked> {
        let questions = self.took_ms.len();
        let samples_ms = self.took_ms.iter().map(|ms| (ms * 1e3).round() / 1e3).collect();
        let quantile = quantiles(self.took_ms)
            .with_context(|| format!("there was no time for a question: {}", self.kind))?;
        let count = questions as f64;
        Ok(Asked {
            kind: self.kind,
            questions,
            wrong: self.wrong,
            unanswered: self.unanswered,
            first_wrong: self.first_wrong,
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            max_ms: quantile(1.0),
            samples_ms,
            answer_bytes: self.bytes as f64 / count,
            disk_bytes: disk_bytes as f64 / count,
        })
    }
}

/// The least value that so large a share of them does not exceed; nothing has no quantiles.
pub(crate) fn quantiles(mut values: Vec<f64>) -> Option<impl Fn(f64) -> f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(move |quantile: f64| {
        let position = (values.len() as f64 * quantile).ceil() as usize;
        values[position.saturating_sub(1).min(last)]
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpanOfTrace {
    trace_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    parent: String,
    child: String,
    call_count: u64,
    #[serde(default)]
    error_count: u64,
}

impl Expected {
    /// More spans arrive, in other traces, with names of their own.
    pub(crate) fn allow_more(&mut self) {
        if let Self::Texts(texts) = self {
            *self = Self::TextsAmongOthers(std::mem::take(texts));
        }
    }

    /// # Errors
    /// Saying what is different.
    pub(crate) fn check(&self, answer: &Answer) -> anyhow::Result<()> {
        ensure!(
            answer.status == 200,
            "answered with {}: {}",
            answer.status,
            String::from_utf8_lossy(&answer.body).trim()
        );
        ensure!(!answer.is_partial, "something is missing, it says");
        match self {
            Self::Spans(spans) => {
                let mut batch = SpanBatch::new();
                proto::decode(Format::JsonV2, &answer.body, &mut batch)
                    .map_err(|error| anyhow::anyhow!("cannot be read: {error}"))?;
                let mut found: Vec<_> = batch.iter().map(|span| span.to_span()).collect();
                let mut expected = spans.clone();
                found.sort();
                expected.sort();
                ensure!(
                    found == expected,
                    "{} spans, not the {} that were sent",
                    found.len(),
                    spans.len()
                );
            }
            Self::Traces(traces) => {
                let answered: Vec<Vec<SpanOfTrace>> = serde_json::from_slice(&answer.body)?;
                let mut found = BTreeMap::new();
                for trace in answered {
                    let first = trace.first().context("a trace without spans")?;
                    found.insert(first.trace_id.clone(), trace.len());
                }
                let expected: BTreeMap<String, usize> = traces
                    .iter()
                    .map(|(id, spans)| (id.to_string(), *spans))
                    .collect();
                ensure!(found == expected, "{found:?} instead of {expected:?}");
            }
            Self::Texts(texts) => {
                let found: Vec<String> = serde_json::from_slice(&answer.body)?;
                ensure!(&found == texts, "{found:?} instead of {texts:?}");
            }
            Self::TextsAmongOthers(texts) => {
                let found: BTreeSet<String> = serde_json::from_slice(&answer.body)?;
                let missing = texts.iter().find(|&text| !found.contains(text));
                ensure!(missing.is_none(), "{missing:?} is missing in {found:?}");
            }
            Self::Links(links) => {
                let found = links_of(answer)?;
                ensure!(
                    &found == links,
                    "{} links, not the {} expected",
                    found.len(),
                    links.len()
                );
            }
            Self::LinksWithin(calls) => {
                let found: u64 = links_of(answer)?.iter().map(|link| link.call_count).sum();
                if !(1..=*calls).contains(&found) {
                    bail!("{found} calls, which should be some and at most {calls}");
                }
            }
        }
        Ok(())
    }
}

fn links_of(answer: &Answer) -> anyhow::Result<Vec<DependencyLink>> {
    let found: Vec<Link> = serde_json::from_slice(&answer.body)?;
    let mut links: Vec<_> = found
        .into_iter()
        .map(|link| DependencyLink {
            parent: link.parent,
            child: link.child,
            call_count: link.call_count,
            error_count: link.error_count,
        })
        .collect();
    links.sort();
    Ok(links)
}
