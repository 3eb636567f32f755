//! What was measured, as Markdown.

use std::fmt::Write;

use super::Report;
use crate::ingest::report::{of_machine, thousands};

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# A full store\n\nWritten by the benchmark; the method is in the README above, size over time in `retention.svg`.\n\n",
    );
    let [hardware, versions] = of_machine(&report.machine);
    let facts = [
        ("Command", format!("`{}`", report.command)),
        ("Server", format!("{}, `{}`", report.version, report.settings)),
        (
            "Machine",
            format!(
                "{hardware}; load average {:.1} before, {:.1} after",
                report.load_average_before, report.load_average_after
            ),
        ),
        ("Versions", versions),
        ("Date", report.machine.date.clone()),
    ];
    for (name, fact) in facts {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    let _ = writeln!(text, "\n| promise | held |\n| --- | --- |");
    for (promise, held) in report.promises() {
        let _ = writeln!(text, "| {promise} | {} |", if held { "yes" } else { "**NO**" });
    }
    text += "\n| | |\n| --- | ---: |\n";
    for (name, value) in rows(report) {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    for error in report.errors.iter().take(10) {
        let _ = writeln!(text, "\nThe server's log: `{error}`");
    }
    text
}

fn rows(report: &Report) -> [(&'static str, String); 14] {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let count = |count: usize| thousands(count as f64);
    let (sizes, watched) = (&report.sizes, &report.watched);
    [
        ("spans acknowledged", thousands(report.acknowledged_spans as f64)),
        (
            "in / hours simulated, of the spans' time",
            format!("{:.0} s / {:.1} h", report.seconds, report.hours),
        ),
        (
            "refused meanwhile, and sent again",
            thousands(report.refused as f64),
        ),
        ("spans stored in the end", thousands(report.stored_spans as f64)),
        (
            "segments left / dropped / compactions",
            format!(
                "{} / {} / {}",
                report.segments, report.segments_dropped, report.compactions
            ),
        ),
        ("limit", megabytes(report.bytes_max)),
        (
            "segments on the disk, most / in the end / the largest",
            format!(
                "{} / {} / {}",
                megabytes(sizes.most_bytes),
                megabytes(sizes.last_bytes),
                megabytes(sizes.largest_segment_bytes)
            ),
        ),
        (
            "looks above the limit",
            format!("{} of {}", count(sizes.above), count(sizes.looks)),
        ),
        ("journal, most", megabytes(sizes.journal_bytes_most)),
        ("resident memory, most", megabytes(report.resident_bytes_max)),
        (
            "traces watched: whole / gone / cut at the border / torn",
            format!(
                "{} / {} / {} / {}",
                count(watched.whole),
                count(watched.gone),
                watched.cut,
                watched.torn
            ),
        ),
        (
            "traces by id, p50 / p99",
            format!(
                "{}: {:.2} / {:.2} ms",
                count(watched.by_id),
                watched.by_id_ms_p50,
                watched.by_id_ms_p99
            ),
        ),
        (
            "searches of two seconds, p50 / p99",
            format!(
                "{}: {:.2} / {:.2} ms",
                count(watched.searches),
                watched.search_ms_p50,
                watched.search_ms_p99
            ),
        ),
        (
            "answers that failed / were partial / had what is gone",
            format!("{} / {} / {}", watched.failed, watched.partial, watched.came_back),
        ),
    ]
}
