//! Questions while spans arrive at a steady rate.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::Options;
use super::ask::{Asked, ask_until};
use super::questions::{Kind, Questions};
use super::source::{SPANS_PER_REQUEST, Source};
use crate::load::{Load, Pace, Requests};
use crate::process::{Sampler, Usage};
use crate::server::Server;
use crate::workload::Random;

/// Spans that are prepared and sent again with new identifiers and times.
const PREPARED_SPANS: u64 = 400_000;
/// Senders: as many as agents would be connections.
const SENDERS: usize = 16;
/// Until the server seals as much as it takes.
const WARM_UP: Duration = Duration::from_secs(3);
/// A person asks, looks, and asks again: so long after each answer.
const THINKING: Duration = Duration::from_millis(10);
const QUESTIONS: usize = 50;

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Loaded {
    pub(super) seconds: f64,
    pub(super) offered_spans_per_second: f64,
    pub(super) spans_per_second: f64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    pub(super) post_ms_p50: f64,
    pub(super) post_ms_p99: f64,
    pub(super) post_ms_max: f64,
    pub(super) resident_bytes_max: u64,
    pub(super) server_cpu_us_per_span: f64,
    pub(super) generator_cpu_us_per_span: f64,
    pub(super) processors_used: f64,
    pub(super) asked: Vec<Asked>,
}

/// Offers a load and asks questions meanwhile.
///
/// # Errors
/// Where the server does not answer.
pub(super) fn measure(server: &Server, source: &mut Source, options: &Options) -> anyhow::Result<Loaded> {
    let after_us = source.truth.end_us + 60_000_000;
    let requests = Requests::prepare(source.beyond(PREPARED_SPANS), after_us)?;
    let mut drawn = Questions {
        truth: &source.truth,
        random: Random::new(options.common.seed ^ u64::MAX),
    };
    let mut questions = Vec::new();
    for kind in Kind::ALL {
        let mut of_kind = drawn.draw(kind, QUESTIONS)?;
        for question in &mut of_kind {
            question.expected.allow_more();
        }
        questions.push((kind, of_kind));
    }
    eprintln!("asking under load");
    let mut load = Load {
        address: server.address(),
        connections: SENDERS,
        pace: Pace::Open {
            rate: options.rate / SPANS_PER_REQUEST as f64,
        },
        duration: WARM_UP,
        requests_max: u64::MAX,
    };
    load.run(&requests)?;
    load.duration = Duration::from_secs(options.seconds);
    let (own, before) = (Usage::own()?, Usage::of(server.id())?);
    let sampler = Sampler::start(server.id());
    let done = AtomicBool::new(false);
    let (outcome, asked) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(server, &questions, THINKING, &done));
        let outcome = load.run(&requests);
        done.store(true, Ordering::Relaxed);
        (outcome, asking.join().ok().context("asking panicked"))
    });
    let (outcome, asked) = (outcome?, asked??);
    let (own_after, after) = (Usage::own()?, Usage::of(server.id())?);
    let resident = sampler.finish().iter().map(|sample| sample.resident_bytes).max();
    let ms = |quantile: f64| outcome.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
    let spans = outcome.accepted_spans.max(1) as f64;
    let used = (after.cpu - before.cpu) + (own_after.cpu - own.cpu);
    Ok(Loaded {
        seconds: outcome.elapsed.as_secs_f64(),
        offered_spans_per_second: options.rate,
        spans_per_second: outcome.spans_per_second(),
        refused: outcome.refused,
        failed: outcome.failed,
        first_failure: outcome.first_failure.clone(),
        post_ms_p50: ms(0.5),
        post_ms_p99: ms(0.99),
        post_ms_max: ms(1.0),
        resident_bytes_max: resident.unwrap_or(after.resident_bytes),
        server_cpu_us_per_span: (after.cpu - before.cpu).as_secs_f64() * 1e6 / spans,
        generator_cpu_us_per_span: (own_after.cpu - own.cpu).as_secs_f64() * 1e6 / spans,
        processors_used: used.as_secs_f64() / outcome.elapsed.as_secs_f64(),
        asked,
    })
}

impl Loaded {
    /// # Errors
    /// Where a request failed otherwise than by being refused.
    pub(super) fn require(&self) -> anyhow::Result<()> {
        let why = self.first_failure.as_deref().unwrap_or_default();
        anyhow::ensure!(self.failed == 0, "{} requests failed: {why}", self.failed);
        Ok(())
    }
}
