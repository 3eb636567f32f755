//! What was measured, as Markdown.

use std::fmt::Write;

use super::{Report, alone};
use crate::ingest::report::{of_machine, thousands};

pub(super) fn markdown(report: &Report) -> String {
    let mut text =
        String::from("# Hostile spans\n\nWritten by the benchmark; the method is in the README above.\n\n");
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
    text += "\n| taken | spans | JSON | in | refused | server, µs a span | resident memory, most so far |\n| --- |";
    text += &" ---: |".repeat(6);
    text += "\n";
    for taken in &report.taken {
        let _ = writeln!(
            text,
            "| {} | {} | {} MB | {:.1} s | {} | {:.1} | {} MB |",
            taken.name,
            thousands(taken.spans as f64),
            thousands(taken.json_bytes as f64 / 1e6),
            taken.seconds,
            taken.refused,
            taken.server_cpu_us_per_span,
            thousands(taken.resident_bytes_max as f64 / 1e6)
        );
    }
    text += &answers(report);
    let _ = writeln!(
        text,
        "\n| one trace of {} spans, in a server of its own | in | resident memory, most meanwhile | limit |\n\
         | --- | ---: | ---: | ---: |",
        thousands(report.alone.spans as f64)
    );
    for step in &report.alone.steps {
        let _ = writeln!(
            text,
            "| {} | {:.1} s | {} MB | {} MB |",
            step.name,
            step.seconds,
            thousands(step.resident_bytes_max as f64 / 1e6),
            thousands(alone::RESIDENT_BYTES_MAX as f64 / 1e6)
        );
    }
    let _ = writeln!(
        text,
        "\nMemory: {} MB at most while spans were taken, {} MB while questions were asked; the bounds are {} MB. \
         Healthy {:.2} s after the start that followed the kill. {:.0} bytes a span in segments.",
        thousands(report.resident_bytes_taking as f64 / 1e6),
        thousands(report.resident_bytes_asking as f64 / 1e6),
        thousands(report.resident_bytes_bound as f64 / 1e6),
        report.start_s,
        report.segment_bytes as f64 / report.spans.max(1) as f64
    );
    for error in report.errors.iter().take(10) {
        let _ = writeln!(text, "\nThe server's log: `{error}`");
    }
    text
}

/// A row a kind, a column a moment.
fn answers(report: &Report) -> String {
    let mut text = String::from("\n| answers: slowest, largest |");
    for moment in &report.moments {
        let _ = write!(text, " {} |", moment.name);
    }
    text += "\n| --- |";
    text += &" ---: |".repeat(report.moments.len());
    text += "\n";
    let kinds = report.moments.first().map_or(0, |moment| moment.answers.len());
    for kind in 0..kinds {
        let of_kind = report
            .moments
            .iter()
            .filter_map(|moment| moment.answers.get(kind));
        for (number, answered) in of_kind.enumerate() {
            if number == 0 {
                let _ = write!(text, "| {} |", answered.name);
            }
            let wrong = match answered.wrong {
                0 => String::new(),
                wrong => format!(", **{wrong} of {} WRONG**", answered.questions),
            };
            let _ = write!(
                text,
                " {} ms, {} kB{wrong} |",
                thousands(answered.slowest_ms),
                thousands(answered.largest_bytes as f64 / 1e3)
            );
        }
        text += "\n";
    }
    text
}
