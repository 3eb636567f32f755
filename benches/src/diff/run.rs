//! What `compare` wrote, as far as two runs can be told apart by it.

use std::path::Path;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// A run.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    options: Asked,
    machine: Machine,
    server: String,
    pub(super) measured: Vec<Measured>,
}

/// What was asked for: questions are drawn by it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Asked {
    spans: f64,
    questions: usize,
    seed: u64,
    bound_ms: f64,
    connections: usize,
}

#[derive(Clone, Debug, Deserialize)]
struct Machine {
    processor: String,
    threads: usize,
    commit: String,
    date: String,
}

/// A storage.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Measured {
    pub(super) backend: String,
    pub(super) limit: Limit,
    pub(super) stored: Stored,
    pub(super) report: Reported,
    pub(super) mixed: Option<Mixed>,
    pub(super) pace_ms: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Limit {
    pub(super) spans_per_second: f64,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Step {
    pub(super) offered: f64,
    pub(super) holds: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stored {
    pub(super) bytes_per_span: Option<f64>,
    pub(super) cpu_us_per_span: Cost,
    pub(super) asked: Vec<OfKind>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Cost {
    pub(super) server: f64,
    pub(super) backend: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct OfKind {
    pub(super) kind: String,
    pub(super) wrong: usize,
    pub(super) samples_ms: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reported {
    pub(super) again_ms: Vec<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mixed {
    pub(super) asked: Vec<OfKind>,
}

impl Run {
    /// # Errors
    /// Where it is not what `compare` wrote.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `benches compare` writes", path.display()))
    }

    /// # Errors
    /// Where questions, or what they were asked of, are others.
    pub(super) fn require_same(&self, other: &Self) -> anyhow::Result<()> {
        ensure!(
            self.options == other.options,
            "what was asked is not the same, so nothing has a partner: {:?} before, {:?} after",
            self.options,
            other.options
        );
        Ok(())
    }

    /// When, on what, of what.
    pub(super) fn about(&self) -> String {
        let Machine {
            processor,
            threads,
            commit,
            date,
        } = &self.machine;
        format!(
            "{} of commit {commit}, {date}, {threads} threads of {processor}",
            self.server
        )
    }

    /// Storages that the other run has not measured.
    pub(super) fn missing_in<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let is_there = |measured: &Measured| {
            let mut others = other.measured.iter();
            others.any(|one| one.backend == measured.backend)
        };
        let missing = self.measured.iter().filter(move |measured| !is_there(measured));
        missing.map(|measured| measured.backend.as_str())
    }
}
