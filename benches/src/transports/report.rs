//! The ways in, a row each, and what is promised of them.

use std::fmt::Write;

use super::{Measured, Report};
use crate::ingest::Run;
use crate::ingest::report::{of_machine, thousands};
use crate::load::{Format, Transport, Way};

/// Spans a second that OTLP is to take.
const OTLP_SPANS_MIN: f64 = 200_000.0;

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Ways in, compared\n\nWritten by the benchmark; the method is in the README above. Medians of all rounds; ratios are \
         medians of the ratios within a round.\n\n",
    );
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    text += &table(report);
    text += &promises(report);
    text += "\nSpans a second, round by round:\n\n";
    for way in &report.ways {
        let rounds: Vec<_> = way
            .closed
            .iter()
            .map(|run| thousands(run.spans_per_second))
            .collect();
        let _ = writeln!(text, "- {}: {}", way.name, rounds.join(", "));
    }
    text
}

fn facts(report: &Report) -> [(&'static str, String); 6] {
    let (machine, options) = (&report.machine, &report.options);
    let offered = options.rate.map_or(String::new(), |rate| {
        format!("; then {} spans a second offered (open loop)", thousands(rate))
    });
    let load = format!(
        "{} senders with one request at a time, as many as are answered (closed loop){offered}, {} s after {} s of warm-up, \
         {} rounds",
        options.connections, options.seconds, options.warm_up_seconds, options.rounds
    );
    let runs = || {
        report
            .ways
            .iter()
            .flat_map(|way| way.closed.iter().chain(&way.open))
    };
    let most = runs().map(|run| run.load_average_before).fold(0.0, f64::max);
    let [hardware, versions] = of_machine(machine);
    [
        ("Command", format!("`{}`", report.command)),
        ("Load", load),
        ("Machine", hardware),
        ("Versions", versions),
        ("Date", machine.date.clone()),
        (
            "Others on the machine",
            format!("load average before a run at most {most:.1}, which includes the run before it"),
        ),
    ]
}

fn table(report: &Report) -> String {
    let mut text = String::from(
        "\n| way in | spans a request | bytes a span | spans a second | of the first | for each processor got | server, ns a span | the same until settled \
         | generator, ns a span | refused |",
    );
    let rate = report.options.rate;
    if let Some(rate) = rate {
        let _ = write!(text, " POST p50 at {} | p99 |", thousands(rate));
    }
    text += "\n| --- |";
    text += &" ---: |".repeat(9 + 2 * usize::from(rate.is_some()));
    text += "\n";
    for way in &report.ways {
        let closed = |number: fn(&Run) -> f64| median(way.closed.iter().map(number));
        let _ = write!(
            text,
            "| {} | {} | {:.0} | {} | {:.2} | {} | {} | {} | {} | {} |",
            way.name,
            way.spans_per_request,
            way.body_bytes_per_span,
            thousands(closed(|run| run.spans_per_second)),
            ratio(way, &report.ways[0]),
            thousands(closed(|run| run.spans_per_second / run.processors_used)),
            thousands(closed(|run| run.server_cpu_ns_per_span)),
            thousands(closed(|run| run.server_cpu_ns_per_span_settled)),
            thousands(closed(|run| run.client_cpu_ns_per_span)),
            thousands(way.closed.iter().map(|run| run.refused as f64).sum()),
        );
        if rate.is_some() {
            let open = |number: fn(&Run) -> f64| median(way.open.iter().map(number));
            let _ = write!(
                text,
                " {:.2} ms | {:.2} ms |",
                open(|run| run.post_ms_p50),
                open(|run| run.post_ms_p99)
            );
        }
        text += "\n";
    }
    text
}

/// What is promised, and what came of it.
fn promises(report: &Report) -> String {
    let of = |format, transport| {
        let name = Way::new(format, transport).ok()?.name();
        report.ways.iter().find(|way| way.name == name)
    };
    let mut text = String::new();
    if let (Some(grpc), Some(http)) = (
        of(Format::Proto3, Transport::Grpc),
        of(Format::Proto3, Transport::Http),
    ) {
        let _ = writeln!(
            text,
            "\ngRPC is to take proto3 at least as fast as HTTP does: {:.2} times the spans a second.",
            ratio(grpc, http)
        );
    }
    for transport in [Transport::Http, Transport::Grpc] {
        if let Some(way) = of(Format::OtlpProto, transport) {
            let rate = median(way.closed.iter().map(|run| run.spans_per_second));
            let verdict = if rate >= OTLP_SPANS_MIN {
                "kept"
            } else {
                "NOT KEPT"
            };
            let _ = writeln!(
                text,
                "{} is to take {} spans a second: {}, {verdict}.",
                way.name,
                thousands(OTLP_SPANS_MIN),
                thousands(rate)
            );
        }
    }
    text
}

/// Spans a second of one way over those of another, round by round.
fn ratio(way: &Measured, other: &Measured) -> f64 {
    let rounds = way.closed.iter().zip(&other.closed);
    median(rounds.map(|(run, other)| run.spans_per_second / other.spans_per_second))
}

/// The middle one, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median(std::iter::empty()).is_nan());
    }
}
