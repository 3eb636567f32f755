//! One trace with a million spans in a server of its own: the most memory that taking, sealing and answering it need.

use std::time::Instant;

use serde::Serialize;

use super::keep::Answered;
use super::{Options, SETTINGS, take};
use crate::ingest::settle;
use crate::process::{Usage, forget_peak};
use crate::server::{Product, Server};
use crate::workload::Hostility;

/// What each step may take, everything of the server included.
pub(super) const RESIDENT_BYTES_MAX: u64 = 1 << 30;

/// What came of it.
#[derive(Debug, Serialize)]
pub(super) struct Alone {
    pub(super) spans: u64,
    pub(super) steps: Vec<Step>,
    /// Of both answers.
    pub(super) answers: Vec<Answered>,
}

/// Something that the server did with the trace.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) seconds: f64,
    /// Since the step began.
    pub(super) resident_bytes_max: u64,
}

impl Alone {
    /// Sends the trace, asks for it, has it sealed, and asks again.
    ///
    /// # Errors
    /// Where the server does not do so; wrong answers are counted.
    pub(super) fn measure(product: &Product, options: &Options, spans: u64) -> anyhow::Result<Self> {
        eprintln!("{}, alone: {spans} spans", Hostility::EndlessTrace.name());
        let mut server = Server::start_with(product, &SETTINGS, options.common.data())?;
        let mut steps = Vec::new();
        let (taken, kept) = step(&mut server, "take", &mut steps, |server| {
            take(server, options.common.seed, Hostility::EndlessTrace, spans)
        })?;
        let from_memory = step(&mut server, "answer from memory", &mut steps, |server| {
            kept.ask(server)
        })?;
        step(&mut server, "start again, and seal", &mut steps, settle::seal)?;
        let sealed = step(&mut server, "answer from segments", &mut steps, |server| {
            kept.ask(server)
        })?;
        server.stop()?;
        Ok(Self {
            spans: taken.spans,
            steps,
            answers: vec![from_memory, sealed],
        })
    }

    pub(super) fn is_within_bound(&self) -> bool {
        self.steps
            .iter()
            .all(|step| step.resident_bytes_max <= RESIDENT_BYTES_MAX)
    }
}

/// Does something, and adds what that took. It may start the server again: the peak is that of the new process then.
fn step<T>(
    server: &mut Server,
    name: &'static str,
    steps: &mut Vec<Step>,
    work: impl FnOnce(&mut Server) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    forget_peak(server.id())?;
    let begin = Instant::now();
    let done = work(server)?;
    steps.push(Step {
        name,
        seconds: begin.elapsed().as_secs_f64(),
        resident_bytes_max: Usage::of(server.id())?.resident_bytes_max,
    });
    Ok(done)
}
