//! How many spans a second the whole server reads from Kafka, and what share that is of merely reading.
//!
//! 1. A broker is started, and a backlog of proto3 lists of the workload is written to it.
//! 2. A consumer in this process reads all of it and does nothing with it, on as many threads as the server.
//! 3. The server is started on an empty store and reads the same: from the first span it has stored to the last.
//!    The broker must then say that nothing is left to read.
//! 4. The store must count exactly the spans that were sent, and some hundred traces must be what was sent.
//!
//! 2 to 4 are repeated, since others may use the machine; the report has every round, and judges the median.

mod backlog;
mod broker;
mod read;
mod report;
mod serve;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Serialize;

use crate::ingest::command;
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use backlog::Backlog;
use broker::Broker;
use read::Reading;
use serve::Serving;

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Program that gets Apache Kafka and prints its class path.
    #[arg(long, default_value = "benches/kafka.sh")]
    pub kafka: PathBuf,
    /// Spans that wait on the broker.
    #[arg(long, default_value_t = 3_000_000)]
    pub spans: u64,
    /// Spans in each record, all of one instance.
    #[arg(long, default_value_t = 100)]
    pub spans_per_record: usize,
    /// Partitions of the topic.
    #[arg(long, default_value_t = 4)]
    pub partitions: u32,
    /// Consumers, of the server and of the comparison.
    #[arg(long, default_value_t = 2)]
    pub streams: usize,
    /// How often the same backlog is read.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Which server, on which data.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    version: String,
    /// What is read in each round.
    spans: u64,
    records: u64,
    /// proto3 a span, bytes.
    bytes_per_span: f64,
    load_average_before: f64,
    load_average_after: f64,
    rounds: Vec<Round>,
}

/// The same backlog read twice.
#[derive(Clone, Debug, Serialize)]
struct Round {
    reading: Reading,
    serving: Serving,
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where something cannot be started, or a span that was sent is not stored.
pub fn run(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        options.rounds > 0 && options.streams > 0,
        "at least one round and one stream"
    );
    let product = options.common.product()?;
    let load_average_before = load_average();
    let broker = Broker::start(
        &classpath(&options.kafka)?,
        options.partitions,
        options.common.data(),
    )?;
    eprintln!("writing {} spans to the broker", options.spans);
    let backlog = Backlog::write(&broker, options)?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let reading = read::measure(&broker, &backlog, options.streams, number)?;
        let serving = serve::measure(&product, &broker, &backlog, options, number)?;
        eprintln!(
            "round {number}: {:.0} spans a second read, {:.0} served",
            reading.spans_per_second, serving.spans_per_second
        );
        rounds.push(Round { reading, serving });
    }
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        spans: backlog.spans,
        records: backlog.records,
        bytes_per_span: backlog.bytes as f64 / backlog.spans as f64,
        load_average_before,
        load_average_after: load_average(),
        rounds,
    };
    print!("{}", report::terminal(&report));
    let written = options
        .reports
        .write("kafka", &report::markdown(&report), &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

fn classpath(program: &Path) -> anyhow::Result<String> {
    let shown = program.display();
    let output = Command::new(program)
        .output()
        .with_context(|| format!("{shown} cannot be run"))?;
    anyhow::ensure!(
        output.status.success(),
        "{shown} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
