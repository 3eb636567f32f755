//! What was measured, as Markdown for the terminal and a file, and raw as JSON.

use std::fmt::Write;

use super::{BOUNDS, Phase, Report};
use crate::ingest::report::thousands;

pub(super) fn markdown(report: &Report) -> String {
    let mut text =
        String::from("# Overload\n\nWritten by the benchmark; the method is in the README above.\n\n");
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    let _ = writeln!(text, "\n| promise | held |\n| --- | --- |");
    for (promise, held) in report.promises() {
        let _ = writeln!(text, "| {promise} | {} |", if held { "yes" } else { "**NO**" });
    }
    text += &phases(report);
    text += &memory(report);
    let _ = writeln!(text, "\n{}.", report.checked.sentence());
    for error in report.errors.iter().take(10) {
        let _ = writeln!(text, "\nThe server's log: `{error}`");
    }
    text
}

/// On what, with what, when.
fn facts(report: &Report) -> [(&'static str, String); 7] {
    let (machine, options) = (&report.machine, &report.options);
    let load = format!(
        "proto3, 100 spans a request, half over HTTP/1.1 and half over gRPC; {} senders that offer {} times the capacity for {} s",
        options.senders, options.factor, options.seconds
    );
    let hardware = format!(
        "{}, {} threads, {:.0} GB, {}; load average {:.1} before, {:.1} after",
        machine.processor,
        machine.threads,
        machine.memory_bytes as f64 / 1e9,
        machine.kernel,
        report.load_average_before,
        report.load_average_after
    );
    let health = format!(
        "asked {} times during the overload, not up {} times, the slowest answer after {:.0} ms",
        report.health.asked, report.health.not_up, report.health.slowest_ms
    );
    [
        ("Command", format!("`{}`", report.command)),
        ("Load", load),
        ("Machine", hardware),
        (
            "Processors",
            report
                .pinned
                .clone()
                .unwrap_or_else(|| "shared by server and generator".to_owned()),
        ),
        (
            "Versions",
            format!("{}; commit {}", machine.rustc, machine.commit),
        ),
        ("Date", machine.date.clone()),
        ("`/health`", health),
    ]
}

fn phases(report: &Report) -> String {
    let mut text = String::from(
        "\n| | spans/s due | spans/s sent | spans/s acknowledged | requests | refused | failed | p50 | p99 | slowest | server's processors | machine away |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let named = [
        ("capacity".to_owned(), &report.capacity),
        ("calm".to_owned(), &report.calm),
        ("overload".to_owned(), &report.overload),
    ];
    let seconds = report
        .recovery
        .iter()
        .zip(1..)
        .map(|(phase, second)| (format!("second {second} after"), phase));
    for (name, phase) in named.into_iter().chain(seconds) {
        let _ = writeln!(text, "| {name} | {} |", row(phase));
    }
    let recovered = match report.recovered_in_s {
        Some(second) => format!("Normal from second {second} on"),
        None => "Not normal within that time".to_owned(),
    };
    let _ = writeln!(
        text,
        "\n{recovered}: normal is no refusal and a p99 of at most {:.0} ms beside what the machine was away. Latencies are those of acknowledged requests, from when they \
         were due. What was due and not sent had to wait because every sender waited for an answer.",
        report.normal_ms_max
    );
    for failure in report.overload.first_failure.iter() {
        let _ = writeln!(text, "\nThe first refusal: `{failure}`.");
    }
    text
}

/// Why latency is normal again or not, in a line.
pub(super) fn seconds_after(report: &Report) -> String {
    let seconds = report.recovery.iter().map(|second| {
        let away = second
            .away_ms
            .map_or(String::new(), |away| format!(", {away:.0} away"));
        format!("{:.0}{away} ({} refused)", second.post_ms_p99, second.refused)
    });
    format!(
        "at most {:.0} ms are normal, and the seconds after it had: {}",
        report.normal_ms_max,
        seconds.collect::<Vec<_>>().join("; ")
    )
}

fn row(phase: &Phase) -> String {
    let due = phase.due_spans_per_second.map_or("–".to_owned(), thousands);
    let away = phase
        .away_ms
        .map_or("–".to_owned(), |away| format!("{away:.0} ms"));
    format!(
        "{due} | {} | {} | {} | {} | {} | {:.1} ms | {:.1} ms | {:.0} ms | {:.2} | {away}",
        thousands(phase.sent_spans_per_second),
        thousands(phase.accepted_spans_per_second),
        thousands(phase.requests as f64),
        thousands(phase.refused as f64),
        thousands(phase.failed as f64),
        phase.post_ms_p50,
        phase.post_ms_p99,
        phase.post_ms_max,
        phase.processors
    )
}

fn memory(report: &Report) -> String {
    let mut text = format!(
        "\nResident memory was {} MB at most; the bound is {} MB, the sum of what may be held at one time:\n\n",
        thousands(report.resident_bytes_max as f64 / 1e6),
        thousands(report.resident_bytes_bound as f64 / 1e6)
    );
    for (what, bytes) in BOUNDS {
        let _ = writeln!(text, "- {what}: {} MB", thousands(bytes as f64 / 1e6));
    }
    text
}
