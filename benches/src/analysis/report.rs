//! What was measured, as Markdown.

use super::{Kind, Report};
use crate::ingest::report::{of_machine, thousands};

pub(super) fn markdown(report: &Report) -> String {
    let [hardware, versions] = of_machine(&report.machine);
    let mut text = format!(
        "# Reports of deployments, lists of operations\n\nWritten by the benchmark; the method is in the README above.\n\n\
         - Command: `{}`\n- Machine: {hardware}; load average {:.1} before, {:.1} after\n- Versions: {versions}\n- Date: {}\n\n\
         | | spans | segments | about | first answer | p50 of {} | slowest | target | processor time | answer | resident: before, most |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        report.command,
        report.load_average_before,
        report.load_average_after,
        report.machine.date,
        report.options.questions,
    );
    for measured in &report.measured {
        let about = match measured.kind {
            Kind::Report => "traces",
            Kind::Operations => "operations",
        };
        let megabytes = |bytes: u64| thousands(bytes as f64 / 1e6);
        text += &format!(
            "| {} | {} | {} | {} {about} | {:.0} ms | {:.1} ms | {:.1} ms | ≤ {} ms | {:.0} ms | {} kB | {} MB, {} MB |\n",
            measured.kind.name(),
            thousands(measured.spans as f64),
            measured.segments,
            thousands(measured.about as f64),
            measured.first_ms,
            measured.p50_ms,
            measured.max_ms,
            measured.kind.target_ms(),
            measured.cpu_ms,
            thousands(measured.answer_bytes as f64 / 1e3),
            megabytes(measured.resident_bytes),
            megabytes(measured.resident_bytes_max),
        );
    }
    text += "\n| store | spans | bytes a span | of these profiles | sealing and joining, processor time a span |\n\
             | --- | ---: | ---: | ---: | ---: |\n";
    for measured in &report.measured {
        text += &format!(
            "| for the {} | {} | {:.2} | {:.2} | {:.0} ns |\n",
            measured.kind.name(),
            thousands(measured.spans as f64),
            measured.bytes_a_span,
            measured.profile_bytes_a_span,
            measured.sealing_ns_a_span,
        );
    }
    if let Some(sightings) = &report.sightings {
        text += &format!(
            "\nTaking a span costs {:.0} ns of the thread that does, and {:.0} ns where no tag tells a version: looking for \
             versions that nobody has seen takes {:.0} ns, the median of differences.\n",
            sightings.with_versions_ns, sightings.without_ns, sightings.difference_ns,
        );
    }
    text
}
