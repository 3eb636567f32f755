//! What was measured, as Markdown: a column for each size of the store, the targets beside it.

use std::fmt::Write;

use super::ask::Asked;
use super::loaded::Loaded;
use super::questions::Kind;
use super::{Report, Stage};
use crate::ingest::report::{of_machine, thousands};

/// A figure of a store: its name, its value, and what is promised.
struct Row {
    name: &'static str,
    value: fn(&Stage) -> String,
    target: &'static str,
}

const fn row(name: &'static str, value: fn(&Stage) -> String, target: &'static str) -> Row {
    Row { name, value, target }
}

#[rustfmt::skip]
const ROWS: [Row; 13] = [
    row("disk, everything, bytes a span", |stage| a_span(stage, stage.filled.disk.bytes()), ""),
    row("segments with their indexes, bytes a span", |stage| a_span(stage, stage.filled.disk.segment_bytes), "≤ 36"),
    row("journal, emptied, kept to be written again", |stage| megabytes(stage.filled.disk.journal_bytes), ""),
    row("segments", |stage| stage.filled.disk.segments.to_string(), ""),
    row("compactions", |stage| stage.filled.compactions.to_string(), ""),
    row("server, µs of processor a new span, until sealed and joined", |stage| format!("{:.2}", stage.filled.cpu_us_per_new_span), "≤ 1.5"),
    row("filled in", |stage| format!("{:.0} s", stage.filled.seconds), ""),
    row("refused meanwhile", |stage| thousands(stage.filled.refused as f64), ""),
    row("resident memory while filling, most", |stage| megabytes(stage.filled.resident_bytes_max), ""),
    row("resident memory after a start", |stage| megabytes(stage.resident_bytes_started), ""),
    row("resident memory after all questions", |stage| megabytes(stage.resident_bytes_asked), ""),
    row("start, warm", |stage| format!("{:.2} s", stage.start_s), "≤ 1 s"),
    row("start, cold", |stage| format!("{:.2} s", stage.start_cold_s), ""),
];

fn a_span(stage: &Stage, bytes: u64) -> String {
    format!("{:.1}", stage.a_span(bytes))
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", thousands(bytes as f64 / 1e6))
}

/// The figures of a kind; of fewer questions than asked for where answers were slow.
fn value(asked: &Asked) -> String {
    format!("{:.2} / {:.2} of {}", asked.p50_ms, asked.p99_ms, asked.questions)
}

/// A size that was done, in a line for who waits.
pub(super) fn line(stage: &Stage) -> String {
    let wrong: usize = stage
        .warm
        .iter()
        .chain(&stage.cold)
        .map(|asked| asked.wrong)
        .sum();
    format!(
        "{} spans: {} bytes a span in segments, {:.2} µs a span, {wrong} wrong answers",
        thousands(stage.filled.spans as f64),
        a_span(stage, stage.filled.disk.segment_bytes),
        stage.filled.cpu_us_per_new_span,
    )
}

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# The store, as it grows\n\nWritten by the benchmark; the method is in the README above, how cost grows in `store.svg`.\n\n",
    );
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    text += "\n| spans stored |";
    for stage in &report.stages {
        let _ = write!(text, " {} |", thousands(stage.filled.spans as f64));
    }
    text += " target |\n| --- |";
    text += &" ---: |".repeat(report.stages.len() + 1);
    text += "\n";
    for Row { name, value, target } in ROWS {
        let _ = write!(text, "| {name} |");
        for stage in &report.stages {
            let _ = write!(text, " {} |", value(stage));
        }
        let _ = writeln!(text, " {target} |");
    }
    text += &questions(report, "warm", |stage| &stage.warm, |kind| kind.targets_ms().0);
    text += &questions(report, "cold", |stage| &stage.cold, |kind| kind.targets_ms().1);
    let bare = &report.without_text;
    let _ = writeln!(
        text,
        "\nWithout an index of words (`TEXT_INDEX_ENABLED=false`), {} spans: {:.1} bytes a span in segments (target ≤ 32), \
         {:.2} µs of processor a span.",
        thousands(bare.spans as f64),
        bare.disk.segment_bytes as f64 / bare.spans as f64,
        bare.cpu_us_per_new_span
    );
    if let Some(loaded) = &report.loaded {
        text += &under_load(loaded);
    }
    text += &wrong(report);
    text
}

/// On what, with what, when.
fn facts(report: &Report) -> [(&'static str, String); 6] {
    let (options, [hardware, versions]) = (&report.options, of_machine(&report.machine));
    let load = format!(
        "the workload of seed {}, JSON v2, 100 spans a request, no span twice, 5 million spans an hour of their time; {} senders. \
         {} questions of each kind, one after the other on one connection",
        options.common.seed, options.connections, options.questions
    );
    let others = format!(
        "load average {:.1} before, {:.1} after, which include the run itself",
        report.load_average_before, report.load_average_after
    );
    [
        ("Command", format!("`{}`", report.command)),
        ("Server", format!("{}, `{}`", report.version, report.settings)),
        ("Load", load),
        ("Machine", format!("{hardware}; {others}")),
        ("Versions", versions),
        ("Date", report.machine.date.clone()),
    ]
}

fn questions(
    report: &Report,
    cache: &str,
    asked: fn(&Stage) -> &Vec<Asked>,
    target: fn(Kind) -> Option<f64>,
) -> String {
    let mut text = format!("\n| {cache} page cache, p50 / p99 of so many questions, ms |");
    for stage in &report.stages {
        let _ = write!(text, " {} |", thousands(stage.filled.spans as f64));
    }
    text += " read from disk at the last size | target of p99 |\n| --- |";
    text += &" ---: |".repeat(report.stages.len() + 2);
    text += "\n";
    for kind in Kind::ALL {
        let _ = write!(text, "| {kind} |");
        let of_kind = |stage| asked(stage).iter().find(|asked| asked.kind == kind);
        for found in report.stages.iter().map(of_kind) {
            let value = found.map_or(String::new(), |asked| {
                format!("{:.2} / {:.2}", asked.p50_ms, asked.p99_ms)
            });
            let _ = write!(text, " {value} |");
        }
        let read = report
            .stages
            .last()
            .and_then(of_kind)
            .map_or(0.0, |asked| asked.disk_bytes);
        let target = target(kind).map_or(String::new(), |ms| format!("≤ {ms}"));
        let _ = writeln!(text, " {:.0} kB | {target} |", read / 1e3);
    }
    text
}

fn under_load(loaded: &Loaded) -> String {
    let mut text = format!(
        "\nUnder load, {} spans a second offered for {:.0} s (open loop) while questions are asked:\n\n| | | target |\n| --- | ---: | ---: |\n",
        thousands(loaded.offered_spans_per_second),
        loaded.seconds
    );
    let rows = [
        ("spans a second taken", thousands(loaded.spans_per_second), ""),
        (
            "requests refused or failed",
            thousands((loaded.refused + loaded.failed) as f64),
            "0",
        ),
        (
            "resident memory, most",
            megabytes(loaded.resident_bytes_max),
            "≤ 600 MB",
        ),
        ("POST p50", format!("{:.2} ms", loaded.post_ms_p50), ""),
        ("POST p99", format!("{:.2} ms", loaded.post_ms_p99), ""),
        ("POST, slowest", format!("{:.2} ms", loaded.post_ms_max), ""),
        (
            "server, µs of processor a span",
            format!("{:.2}", loaded.server_cpu_us_per_span),
            "",
        ),
        (
            "generator, µs of processor a span",
            format!("{:.2}", loaded.generator_cpu_us_per_span),
            "",
        ),
        (
            "processors that both got",
            format!("{:.2}", loaded.processors_used),
            "",
        ),
    ];
    for (name, value, target) in rows {
        let _ = writeln!(text, "| {name} | {value} | {target} |");
    }
    for asked in &loaded.asked {
        let _ = writeln!(text, "| {}, p50 / p99, ms | {} | |", asked.kind, value(asked));
    }
    text
}

/// What was wrong, or that nothing was.
fn wrong(report: &Report) -> String {
    match report.require() {
        Ok(()) => {
            let of_stages = report
                .stages
                .iter()
                .flat_map(|stage| stage.warm.iter().chain(&stage.cold));
            let asked: usize = of_stages
                .chain(report.loaded.iter().flat_map(|loaded| &loaded.asked))
                .map(|asked| asked.questions)
                .sum();
            format!("\nAll {} answers are what was sent.\n", thousands(asked as f64))
        }
        Err(error) => format!("\n**WRONG**: {error}\n"),
    }
}
