//! The command line of the benchmarks: a subcommand a question.

use clap::{Parser, Subcommand};

use benches::{
    analysis, compare, diff, hostile, import, ingest, joining, kafka, limits, overload, recover, retention,
    rollouts, store, transports,
};

/// What the server allocates with: what is measured in this process costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How fast, how large, how sure.
#[derive(Debug, Parser)]
#[command(name = "benches")]
struct CommandLine {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What a report of a deployment and a list of the operations of a day cost.
    Analysis(analysis::Options),
    /// What storages take in under the same server, what that costs, and how fast they answer.
    Compare(compare::Options),
    /// What two runs of `compare` differ in by more than chance and the machine explain.
    Diff(diff::Options),
    /// Whether the server takes spans that nobody should send within its memory, and has them after a kill.
    Hostile(hostile::Options),
    /// How many spans a second are imported from files and exported to them.
    Import(import::Options),
    /// How many spans a second the server takes in, and what that costs.
    Ingest(ingest::Options),
    /// Whether a POST waits while segments are sealed and joined.
    Joining(joining::Options),
    /// What this machine could do at most, and what share of that the whole server reaches.
    Limits(limits::Options),
    /// How many spans a second the server reads from Kafka, and what share that is of only reading.
    Kafka(kafka::Options),
    /// What names, values, links and starts cost in a store of many small segments over a month.
    Months(store::months::Options),
    /// Whether the server refuses, keeps and recovers when it is offered several times what it can take.
    Overload(overload::Options),
    /// How long the server takes to start after a kill, and whether everything acknowledged is there.
    Recover(recover::Options),
    /// Whether a full store stays at its limit while spans arrive and questions are asked.
    Retention(retention::Options),
    /// Which deployment made it slow: how often an analysis finds what is true of simulated and of real rollouts.
    Rollouts(rollouts::Options),
    /// What spans cost in a store, how fast questions are answered, and how both grow with the store.
    Store(store::Options),
    /// How the ways in compare: formats and transports, spans a second and what a span costs.
    Transports(transports::Options),
}

fn main() -> anyhow::Result<()> {
    match CommandLine::parse().question {
        Question::Analysis(options) => analysis::run(&options),
        Question::Compare(options) => compare::run(&options),
        Question::Diff(options) => diff::run(&options),
        Question::Hostile(options) => hostile::run(&options),
        Question::Import(options) => import::run(&options),
        Question::Ingest(options) => ingest::run(&options),
        Question::Joining(options) => joining::run(&options),
        Question::Kafka(options) => kafka::run(&options),
        Question::Limits(options) => limits::run(&options),
        Question::Months(options) => store::months::run(&options),
        Question::Overload(options) => overload::run(&options),
        Question::Recover(options) => recover::run(&options),
        Question::Retention(options) => retention::run(&options),
        Question::Rollouts(options) => rollouts::run(&options),
        Question::Store(options) => store::run(&options),
        Question::Transports(options) => transports::run(&options),
    }
}
