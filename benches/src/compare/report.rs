//! What was measured, as Markdown: a column for each storage.

use std::fmt::Write;

use super::stored::Stored;
use super::subject::Cost;
use super::{Measured, Report};
use crate::ingest::report::{of_machine, thousands};
use crate::store::ask::Asked;
use crate::store::quantiles;
use crate::store::questions::Kind;

/// A figure: its name, and its value.
type Row = (&'static str, fn(&Measured) -> String);

#[rustfmt::skip]
const ROWS: [Row; 14] = [
    ("**most spans a second that hold**", |of| format!("**{}**", thousands(of.limit.spans_per_second))),
    ("processors busy then: server + storage", |of| of.at_limit(|step| cost(step.processors))),
    ("POST then, p50 / p99, ms", |of| of.at_limit(|step| format!("{:.1} / {:.1}", step.post_ms_p50, step.post_ms_p99))),
    ("spans filled in", |of| thousands(of.stored.spans as f64)),
    ("spans a second while filling", |of| thousands(of.stored.added as f64 / of.stored.seconds)),
    ("refused meanwhile, requests", |of| thousands(of.stored.refused as f64)),
    ("**disk, bytes a span**", |of| of.stored.bytes_per_span.map_or("in memory".to_owned(), |bytes| format!("**{bytes:.0}**"))),
    ("µs of processor a span: server + storage", |of| cost(of.stored.cpu_us_per_span)),
    ("resident memory, most: server", |of| megabytes(of.stored.server_bytes_max)),
    ("resident memory, most: storage", |of| of.stored.backend_bytes_max.map_or("–".to_owned(), megabytes)),
    ("report of a rollout, first / again, ms", |of| of.report_ms()),
    ("it blames whom it was", |of| if of.report.is_found { "yes".to_owned() } else { format!("**no**: {}", of.report.verdict) }),
    ("half of that load: accepted, spans a second", |of| of.mixed(|mixed| thousands(mixed.accepted))),
    ("half of that load: POST, p50 / p99, ms", |of| of.mixed(|mixed| format!("{:.1} / {:.1}", mixed.post_ms_p50, mixed.post_ms_p99))),
];

impl Measured {
    /// All that was asked.
    fn asked(&self) -> impl Iterator<Item = &Asked> {
        let filled = self.smaller.iter().chain([&self.stored]);
        filled
            .flat_map(|stored| &stored.asked)
            .chain(self.asked_meanwhile())
    }

    /// Of the step that is the limit.
    fn at_limit(&self, tell: impl Fn(&super::limit::Step) -> String) -> String {
        let limit = self.limit.spans_per_second;
        let found = self.limit.steps.iter().find(|step| step.offered == limit);
        found.map_or("–".to_owned(), tell)
    }

    /// At one of the sizes, by their order.
    fn filled(&self, number: usize) -> &Stored {
        self.smaller.get(number).unwrap_or(&self.stored)
    }

    /// Nothing where no load was offered.
    fn asked_meanwhile(&self) -> &[Asked] {
        self.mixed.as_ref().map_or(&[], |mixed| &mixed.asked)
    }

    fn report_ms(&self) -> String {
        let median = quantiles(self.report.again_ms.clone()).map(|quantile| quantile(0.5));
        let again = median.map_or("–".to_owned(), |again| format!("{again:.0}"));
        format!("{:.0} / {again}", self.report.first_ms)
    }

    fn mixed(&self, tell: impl Fn(&super::mixed::Mixed) -> String) -> String {
        self.mixed.as_ref().map_or("–".to_owned(), tell)
    }
}

fn cost(cost: Cost) -> String {
    match cost.backend {
        Some(backend) => format!("{:.2} + {backend:.2}", cost.server),
        None => format!("{:.2}", cost.server),
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", thousands(bytes as f64 / 1e6))
}

/// A storage that was measured, in a line for who waits.
pub(super) fn line(measured: &Measured) -> String {
    let wrong: usize = measured.asked().map(|asked| asked.wrong).sum();
    format!(
        "{}: {} spans/s hold, {} µs a span, {wrong} answers missing or wrong",
        measured.backend.name(),
        thousands(measured.limit.spans_per_second),
        cost(measured.stored.cpu_us_per_span),
    )
}

pub(super) fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "# Storages compared\n\nWritten by the benchmark; the method is in the README above, load and what it costs in \
         the plot beside this.\n\n",
    );
    for (name, fact) in facts(report) {
        let _ = writeln!(text, "- {name}: {fact}");
    }
    for measured in &report.measured {
        let (name, version) = (measured.backend.name(), &measured.version);
        let _ = writeln!(text, "- {name}: {version}; `{}`", measured.configuration);
    }
    for missing in &report.missing {
        let _ = writeln!(
            text,
            "- {}: **not measured**: {}",
            missing.backend.name(),
            missing.why
        );
    }
    text += &head(report, "");
    for (name, value) in ROWS {
        let _ = writeln!(text, "| {name} |{}", cells(report, value));
    }
    for (number, size) in report.options.sizes().into_iter().enumerate() {
        let when = format!("{} spans, nothing else going on", thousands(size as f64));
        text += &questions(report, &when, |of| &of.filled(number).asked);
    }
    if report.measured.iter().any(|measured| measured.mixed.is_some()) {
        let when = "half of the load, 20 questions a second, of which one in a hundred is for dependencies";
        text += &questions(report, when, Measured::asked_meanwhile);
    }
    text += &wrong(report);
    text
}

fn head(report: &Report, name: &str) -> String {
    let columns = cells(report, |measured| measured.backend.name().to_owned());
    format!(
        "\n| {name} |{columns}\n| --- |{}\n",
        " ---: |".repeat(report.measured.len())
    )
}

fn cells(report: &Report, value: impl Fn(&Measured) -> String) -> String {
    report
        .measured
        .iter()
        .map(|measured| format!(" {} |", value(measured)))
        .collect()
}

/// On what, with what, when.
fn facts(report: &Report) -> [(&'static str, String); 5] {
    let (options, [hardware, versions]) = (&report.options, of_machine(&report.machine));
    let load = format!(
        "the workload of seed {}, JSON v2, 100 spans a request, {} senders; a load holds if all of it is accepted, p99 of a \
         POST is at most {} ms and the storage keeps up; steps of {} s",
        options.common.seed, options.connections, options.bound_ms, options.step_seconds
    );
    let others = format!(
        "load average {:.1} before, {:.1} after, which include the run itself; the generator runs on the same machine",
        report.load_average_before, report.load_average_after
    );
    [
        ("Command", format!("`{}`", report.command)),
        ("Load", load),
        ("Machine", format!("{hardware}; {others}")),
        ("Versions", format!("{}; {versions}", report.server)),
        ("Date", report.machine.date.clone()),
    ]
}

fn questions(report: &Report, when: &str, asked: impl Fn(&Measured) -> &[Asked]) -> String {
    let mut text = head(report, &format!("p50 / p99 of questions, ms; {when}"));
    for kind in Kind::ALL {
        let value = |measured: &Measured| {
            let found = asked(measured).iter().find(|asked| asked.kind == kind);
            found.map_or("–".to_owned(), of_asked)
        };
        let _ = writeln!(text, "| {kind} |{}", cells(report, value));
    }
    text
}

fn of_asked(asked: &Asked) -> String {
    let wrong = match asked.wrong {
        0 => String::new(),
        wrong if wrong == asked.unanswered => format!(", **{wrong} of {} not answered**", asked.questions),
        wrong => format!(
            ", **{} of {} wrong, {} not answered**",
            wrong - asked.unanswered,
            asked.questions,
            asked.unanswered
        ),
    };
    format!("{:.1} / {:.1}{wrong}", asked.p50_ms, asked.p99_ms)
}

/// The first wrong or missing answer of each kind.
fn wrong(report: &Report) -> String {
    let mut text = String::new();
    for measured in &report.measured {
        for asked in measured.asked() {
            if let Some(first) = &asked.first_wrong {
                let _ = writeln!(
                    text,
                    "- {}, {}: {}",
                    measured.backend.name(),
                    asked.kind,
                    shortened(first)
                );
            }
        }
    }
    match text.is_empty() {
        true => "\nEvery answer was what it must be.\n".to_owned(),
        false => format!("\nThe first answer of each kind that was wrong or missing:\n\n{text}"),
    }
}

fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 300;
    text.chars().take(CHARACTERS_MAX).collect()
}
