//! What was measured, as a table for the terminal, as Markdown, and raw as JSON.

use std::fmt::Write;

use super::settle::StoreFigures;
use super::{Options, Report, Run};
use crate::machine::Machine;

/// What is promised, on two processors shared with the generator.
const TARGETS: [(&str, &str); 3] = [
    ("the same until settled", "≤ 1,500 ns JSON"),
    ("POST p99", "< 50 ms"),
    ("requests refused or failed", "0"),
];
/// Of as many as are answered.
const TARGET_CLOSED: (&str, &str) = ("spans a second, sustained", "≥ 600,000 JSON, 800,000 proto3");
/// Of 300,000 spans a second, or fewer, that are offered.
const TARGET_OPEN: (&str, &str) = ("resident memory, most", "≤ 600 MB");
const TARGET_OPEN_RATE: f64 = 300_000.0;

fn target(row: &str, options: &Options) -> &'static str {
    let of_pace = match options.rate {
        None => Some(TARGET_CLOSED),
        Some(rate) => (rate <= TARGET_OPEN_RATE).then_some(TARGET_OPEN),
    };
    let mut targets = TARGETS.iter().chain(&of_pace);
    targets
        .find(|target| target.0 == row)
        .map_or("", |target| target.1)
}

/// Name and value of everything there is to say of a run, in the order of the table.
fn rows(run: &Run) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("spans a request", run.spans_per_request.to_string()),
        (
            "bytes of the body, a span",
            format!("{:.0}", run.body_bytes_per_span),
        ),
        ("spans a second, sustained", thousands(run.spans_per_second)),
        ("POST p50", format!("{:.2} ms", run.post_ms_p50)),
        ("POST p90", format!("{:.2} ms", run.post_ms_p90)),
        ("POST p99", format!("{:.2} ms", run.post_ms_p99)),
        ("POST p99.9", format!("{:.2} ms", run.post_ms_p999)),
        ("POST, slowest", format!("{:.2} ms", run.post_ms_max)),
        (
            "resident memory, most",
            format!("{} MB", thousands(run.resident_bytes_max as f64 / 1e6)),
        ),
        (
            "server processor time a span, during the load",
            format!("{} ns", thousands(run.server_cpu_ns_per_span)),
        ),
        (
            "the same until settled",
            format!("{} ns", thousands(run.server_cpu_ns_per_span_settled)),
        ),
        (
            "generator processor time a span",
            format!("{} ns", thousands(run.client_cpu_ns_per_span)),
        ),
        ("processors that both got", format!("{:.2}", run.processors_used)),
        ("requests", thousands(run.requests as f64)),
        (
            "requests refused or failed",
            thousands((run.refused + run.failed) as f64),
        ),
        ("spans acknowledged", thousands(run.spans as f64)),
    ];
    rows.extend(run.store.iter().flat_map(store_rows));
    rows.push((
        "load average before / after",
        format!("{:.1} / {:.1}", run.load_average_before, run.load_average_after),
    ));
    rows
}

/// What only a store that tells its figures has.
fn store_rows(store: &StoreFigures) -> [(&'static str, String); 5] {
    let journal = store
        .journal_bytes_per_span
        .map_or("not seen before the first seal".to_owned(), |bytes| {
            format!("{bytes:.1} bytes")
        });
    [
        ("journal a span", journal),
        (
            "segments a span, indexes included",
            format!("{:.1} bytes", store.segment_bytes_per_span),
        ),
        (
            "spans in segments / in the head, settled",
            format!(
                "{} / {}",
                thousands(store.segment_spans as f64),
                thousands(store.head_spans as f64)
            ),
        ),
        (
            "segments sealed / compactions / left",
            format!("{} / {} / {}", store.sealed, store.compactions, store.segments),
        ),
        (
            "journal syncs / requests a sync / time of a sync",
            format!(
                "{} / {:.1} / {:.0} µs",
                thousands(store.journal_syncs as f64),
                store.journal_records_per_sync,
                store.journal_sync_us
            ),
        ),
    ]
}

/// For who waits for it.
pub(super) fn terminal(report: &Report) -> String {
    let mut text = String::new();
    for run in &report.runs {
        let _ = writeln!(
            text,
            "\n{}, {} ({}; {})",
            run.server, run.way, run.version, run.settings
        );
        for (name, value) in rows(run) {
            let _ = writeln!(text, "  {name:<50} {value:>24}");
        }
        for note in notes(run) {
            let _ = writeln!(text, "  {note}");
        }
    }
    for ratio in ratios(report) {
        let _ = writeln!(text, "\n{ratio}");
    }
    text
}

fn notes(run: &Run) -> Vec<String> {
    let checked = run
        .checked
        .as_ref()
        .map(|checked| format!("{}.", checked.sentence()));
    let failure = run
        .first_failure
        .as_ref()
        .map(|failure| format!("The first request that was not accepted: {failure}"));
    checked.into_iter().chain(failure).collect()
}

/// How the first server compares with the second, by each way.
fn ratios(report: &Report) -> impl Iterator<Item = String> {
    let pairs = report.runs.iter().zip(report.runs.iter().skip(1));
    let pairs = pairs.filter(|(ours, theirs)| ours.way == theirs.way);
    pairs.map(|(ours, theirs)| {
        format!(
            "{} against {}, {}: {:.1} times the spans a second, {:.2} of the processor time a span, {:.2} of the p99, {:.2} of \
             the memory.",
            ours.server,
            theirs.server,
            ours.way,
            ours.spans_per_second / theirs.spans_per_second,
            ours.server_cpu_ns_per_span_settled / theirs.server_cpu_ns_per_span_settled,
            ours.post_ms_p99 / theirs.post_ms_p99,
            ours.resident_bytes_max as f64 / theirs.resident_bytes_max as f64,
        )
    })
}

pub(super) fn markdown(report: &Report) -> String {
    let mut text =
        String::from("# Ingestion\n\nWritten by the benchmark; the method is in the README above.\n\n");
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    text += &table(&report.runs, &report.options);
    for run in &report.runs {
        let _ = writeln!(
            text,
            "\n{}, {}: {}, `{}`.",
            run.server, run.way, run.version, run.settings
        );
        for note in notes(run) {
            let _ = writeln!(text, "{note}");
        }
    }
    for ratio in ratios(report) {
        let _ = writeln!(text, "\n{ratio}");
    }
    text
}

/// On what, with what, when.
fn facts(report: &Report) -> [(&'static str, String); 5] {
    let (machine, options) = (&report.machine, &report.options);
    let pace = match options.rate {
        Some(rate) => format!("{} spans a second offered (open loop)", thousands(rate)),
        None => "as many as are answered (closed loop)".to_owned(),
    };
    let load = format!(
        "{} senders, {pace}, {} s after {} s of warm-up",
        options.connections, options.seconds, options.warm_up_seconds
    );
    let [hardware, versions] = of_machine(machine);
    [
        ("Command", format!("`{}`", report.command)),
        ("Load", load),
        ("Machine", hardware),
        ("Versions", versions),
        ("Date", machine.date.clone()),
    ]
}

/// Hardware and versions.
pub(crate) fn of_machine(machine: &Machine) -> [String; 2] {
    let hardware = format!(
        "{}, {} threads for server and generator together, {:.0} GB, {}",
        machine.processor,
        machine.threads,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel
    );
    let versions = format!("{}, {}; commit {}", machine.rustc, machine.java, machine.commit);
    [hardware, versions]
}

/// A column a run.
fn table(runs: &[Run], options: &Options) -> String {
    let mut text = String::from("\n| |");
    for run in runs {
        let _ = write!(text, " {}, {} |", run.server, run.way);
    }
    text += " target |\n| --- |";
    text += &" ---: |".repeat(runs.len() + 1);
    text += "\n";
    let columns: Vec<_> = runs.iter().map(rows).collect();
    for (name, _) in columns.first().into_iter().flatten() {
        let _ = write!(text, "| {name} |");
        for column in &columns {
            let value = column.iter().find(|row| row.0 == *name).map_or("", |row| &row.1);
            let _ = write!(text, " {value} |");
        }
        let _ = writeln!(text, " {} |", target(name, options));
    }
    text
}

/// Whole, in groups of three digits.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        assert_eq!(thousands(0.4), "0");
        assert_eq!(thousands(999.6), "1,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
