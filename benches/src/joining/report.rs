//! What was measured, as Markdown.

use std::fmt::Write;

use super::{RATIO_MAX, Report};
use crate::ingest::report::{of_machine, thousands};

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# POST while segments are joined\n\nWritten by the benchmark; the method is in the README above.\n\n",
    );
    let [hardware, versions] = of_machine(&report.machine);
    let facts = [
        ("Command", format!("`{}`", report.command)),
        ("Server", format!("{}, `{}`", report.version, report.settings)),
        (
            "Load",
            format!(
                "{} spans a second offered (open loop) for {:.0} s, JSON v2, 100 spans a request; {} requests refused",
                thousands(report.options.rate),
                report.seconds,
                thousands(report.refused as f64)
            ),
        ),
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
    let _ = writeln!(
        text,
        "\n{} segments were sealed, and some joined {} times.\n\n\
         | POST | of the time | requests | p50 | p99 | slowest |\n| --- | ---: | ---: | ---: | ---: | ---: |",
        report.sealed, report.joins
    );
    let rows = [
        ("while segments are joined", &report.joining),
        ("while one is sealed", &report.sealing),
        ("otherwise", &report.neither),
    ];
    for (name, posts) in rows {
        let _ = writeln!(
            text,
            "| {name} | {:.1} s | {} | {:.2} ms | {:.2} ms | {:.2} ms |",
            posts.seconds,
            thousands(posts.requests as f64),
            posts.p50_ms,
            posts.p99_ms,
            posts.max_ms
        );
    }
    let _ = writeln!(
        text,
        "\nThe p99 while segments are joined is {:.2} times that of otherwise; the target is at most {RATIO_MAX}.",
        report.ratio
    );
    text
}
