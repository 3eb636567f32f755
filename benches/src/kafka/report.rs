//! What was measured, as a table for the terminal, as Markdown, and raw as JSON.

use std::fmt::Write;

use super::{Report, Round};
use crate::ingest::report::thousands;

/// A figure of a round, and what is promised of it on two processors that server and broker share.
struct Row {
    name: &'static str,
    value: fn(&Round) -> f64,
    unit: &'static str,
    decimals: usize,
    target: &'static str,
}

const fn row(name: &'static str, value: fn(&Round) -> f64, unit: &'static str, decimals: usize) -> Row {
    Row {
        name,
        value,
        unit,
        decimals,
        target: "",
    }
}

const fn promised(row: Row, target: &'static str) -> Row {
    Row { target, ..row }
}

#[rustfmt::skip]
const ROWS: [Row; 10] = [
    promised(row("spans a second, read and stored by the server", |round| round.serving.spans_per_second, "", 0), "≥ 300,000"),
    row("spans a second, only read by a consumer", |round| round.reading.spans_per_second, "", 0),
    row("share of only reading", share, " %", 0),
    row("from the first span to the last, server", |round| round.serving.seconds, " s", 2),
    row("from the server's start until nothing is left to read", |round| round.serving.seconds_to_lag_zero, " s", 2),
    row("server processor time a span", |round| round.serving.server_cpu_ns_per_span, " ns", 0),
    row("broker processor time a span, server reading", |round| round.serving.broker_cpu_ns_per_span, " ns", 0),
    row("reader processor time a span, only reading", |round| round.reading.reader_cpu_ns_per_span, " ns", 0),
    row("broker processor time a span, only reading", |round| round.reading.broker_cpu_ns_per_span, " ns", 0),
    row("server's resident memory, most", |round| round.serving.resident_bytes_max as f64 / 1e6, " MB", 0),
];

/// Per cent.
fn share(round: &Round) -> f64 {
    100.0 * round.serving.spans_per_second / round.reading.spans_per_second
}

impl Row {
    fn shown(&self, value: f64) -> String {
        let number = match self.decimals {
            0 => thousands(value),
            decimals => format!("{value:.decimals$}"),
        };
        number + self.unit
    }

    /// Of an even number of rounds, the lower one.
    fn median(&self, rounds: &[Round]) -> f64 {
        let mut values: Vec<f64> = rounds.iter().map(self.value).collect();
        values.sort_by(f64::total_cmp);
        values
            .get((values.len().max(1) - 1) / 2)
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// For who waits for it.
pub(super) fn terminal(report: &Report) -> String {
    let mut text = format!(
        "\n{}: the median of {} rounds\n",
        report.version,
        report.rounds.len()
    );
    for row in &ROWS {
        let value = row.shown(row.median(&report.rounds));
        let _ = writeln!(text, "  {:<56} {value:>14}", row.name);
    }
    text
}

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Reading from Kafka\n\nWritten by the benchmark; the method is in the README above.\n\n",
    );
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    text += "\n| | median |";
    for number in 1..=report.rounds.len() {
        let _ = write!(text, " round {number} |");
    }
    text += " target |\n| --- |";
    text += &" ---: |".repeat(report.rounds.len() + 2);
    text += "\n";
    for row in &ROWS {
        let _ = write!(
            text,
            "| {} | {} |",
            row.name,
            row.shown(row.median(&report.rounds))
        );
        for round in &report.rounds {
            let _ = write!(text, " {} |", row.shown((row.value)(round)));
        }
        let _ = writeln!(text, " {} |", row.target);
    }
    let compared = report
        .rounds
        .first()
        .map_or(0, |round| round.serving.traces_compared);
    let _ = writeln!(
        text,
        "\nIn every round the store counted exactly {} spans, and {compared} traces, read by id, were what was sent.",
        thousands(report.spans as f64)
    );
    text
}

/// On what, with what, when.
fn facts(report: &Report) -> [(&'static str, String); 6] {
    let (machine, options) = (&report.machine, &report.options);
    let load = format!(
        "{} spans in {} records, proto3 lists of {} spans, {:.0} bytes a span, {} partitions, {} consumers",
        thousands(report.spans as f64),
        thousands(report.records as f64),
        options.spans_per_record,
        report.bytes_per_span,
        options.partitions,
        options.streams
    );
    let hardware = format!(
        "{}, {} threads for server, broker and benchmark together, {:.0} GB, {}",
        machine.processor,
        machine.threads,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel
    );
    let versions = format!(
        "{}, {}, {}; commit {}",
        report.version, machine.rustc, machine.java, machine.commit
    );
    let average = format!(
        "{:.1} before, {:.1} after",
        report.load_average_before, report.load_average_after
    );
    [
        ("Command", format!("`{}`", report.command)),
        ("Backlog", load),
        ("Machine", hardware),
        ("Versions", versions),
        ("Load average", average),
        ("Date", machine.date.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{Reading, Serving};

    fn round(server: f64) -> Round {
        Round {
            reading: Reading {
                seconds: 1.0,
                spans_per_second: 800_000.0,
                reader_cpu_ns_per_span: 1.0,
                broker_cpu_ns_per_span: 1.0,
            },
            serving: Serving {
                seconds: 1.0,
                spans_per_second: server,
                server_cpu_ns_per_span: 1.0,
                broker_cpu_ns_per_span: 1.0,
                seconds_to_lag_zero: 2.345,
                resident_bytes_max: 1,
                traces_compared: 1,
            },
        }
    }

    #[test]
    fn the_median_is_of_the_rounds_and_the_share_of_each() {
        let rounds = [round(600_000.0), round(200_000.0), round(400_000.0)];
        let medians: Vec<String> = ROWS.iter().map(|row| row.shown(row.median(&rounds))).collect();
        assert_eq!(medians[0], "400,000");
        assert_eq!(medians[2], "50 %");
        assert_eq!(medians[4], "2.35 s");
        assert_eq!(ROWS[0].median(&rounds[..2]), 200_000.0);
    }
}
