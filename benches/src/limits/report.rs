//! The parts beside the whole, as Markdown.

use std::fmt::Write;

use super::Report;
use super::parts::Part;
use crate::ingest::report::{of_machine, thousands};

pub(super) fn markdown(report: &Report) -> String {
    let [hardware, versions] = of_machine(&report.machine);
    let mut text = format!(
        "# What the machine could do, and what the server reaches\n\nWritten by the benchmark; the method is in the README \
         above.\n\n- Command: `{}`\n- Machine: {hardware}\n- Versions: {}; {versions}\n- Date: {}\n",
        report.command, report.version, report.machine.date
    );
    let whole = &report.whole;
    text += "\n| part, one thread | ns of processor a span | bytes a span | of the whole |\n| --- | ---: | ---: | ---: |\n";
    for part in &report.parts {
        let _ = writeln!(
            text,
            "| {} | {} | {:.1} | {} |",
            part.name,
            thousands(part.cpu_ns_per_span),
            part.bytes_per_span,
            percent(part.cpu_ns_per_span / whole.server_cpu_ns_per_span_settled)
        );
    }
    let least = least(&report.parts);
    let _ = writeln!(
        text,
        "| **parse, compress and append** | **{}** | | **{}** |",
        thousands(least),
        percent(least / whole.server_cpu_ns_per_span_settled)
    );
    let _ = writeln!(
        text,
        "| the server during the load | {} | | {} |\n| **the server until settled** | **{}** | | 100 % |",
        thousands(whole.server_cpu_ns_per_span),
        percent(whole.server_cpu_ns_per_span / whole.server_cpu_ns_per_span_settled),
        thousands(whole.server_cpu_ns_per_span_settled)
    );
    let _ = writeln!(
        text,
        "\nThe server took {} spans a second, while it and the generator had {:.2} processors, {} of the generator's {} ns a \
         span. One processor that did nothing but parse, compress and append would take {}.",
        thousands(whole.spans_per_second),
        whole.processors_used,
        percent(whole.client_cpu_ns_per_span / (whole.client_cpu_ns_per_span + whole.server_cpu_ns_per_span)),
        thousands(whole.client_cpu_ns_per_span),
        thousands(1e9 / least)
    );
    for part in &report.parts {
        let Some(ns) = part.ns_per_span else { continue };
        let _ = writeln!(
            text,
            "The disk, synced at every mebibyte, takes {:.0} MB a second: {} spans a second as records.",
            part.bytes_per_span / ns * 1e3,
            thousands(1e9 / ns)
        );
    }
    text
}

/// Of those that cannot be left out.
fn least(parts: &[Part]) -> f64 {
    let needed = parts.iter().filter(|part| part.is_needed);
    needed.map(|part| part.cpu_ns_per_span).sum()
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
