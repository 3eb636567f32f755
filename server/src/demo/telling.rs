//! What the demo says: to who watches, lines with the seconds since the start; to machines, one JSON object.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Instant;

use ::demo::{
    Agreement, Event, Finding, Judged, Operation, Options, Outcome, Recovery, Report, Traffic, Truth,
};
use serde_json::{Value, json};

use super::Found;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Teller {
    started: Instant,
    server: SocketAddr,
    is_coloured: bool,
}

/// How something is shown on a terminal.
#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Good,
    Unsure,
    Faint,
}

impl Tone {
    /// Its number among the colours of terminals.
    fn code(self) -> u8 {
        match self {
            Self::Bad => 31,
            Self::Good => 32,
            Self::Unsure => 33,
            Self::Faint => 2,
        }
    }
}

impl Teller {
    pub(super) fn new(started: Instant, server: SocketAddr, no_colour: bool) -> Self {
        Self {
            started,
            server,
            is_coloured: !no_colour && std::io::stdout().is_terminal(),
        }
    }

    /// Where the UI shows deployments.
    pub(super) fn ui(&self) -> String {
        self.page("")
    }

    /// Where the UI says what a deployment did.
    fn report_of(&self, id: &str) -> String {
        self.page(&format!("/{id}"))
    }

    /// A page that leads through what there is to see.
    fn page(&self, path: &str) -> String {
        let port = self.server.port();
        format!("http://localhost:{port}/zipkin/deployments{path}?tour=demo")
    }

    pub(super) fn begin(&self, options: &Options) {
        let kept = format!("(demo data, temporary, seed {})", options.seed);
        self.line(&format!(
            "UI  {}        {}",
            self.ui(),
            self.toned(Tone::Faint, kept)
        ));
        let rate = options.requests_per_second;
        let begins = options.script.baseline.as_secs();
        self.at(&format!(
            "services start, {rate} requests a second; the rollout begins at {begins} s"
        ));
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Switched {
                service,
                version,
                switched,
                of,
            } => self.at(&format!("deploying {service} {version} ({switched}/{of})")),
            Event::Provisional {
                service,
                version,
                report,
            } => {
                let said = format!(
                    "so far: {}, decision {}",
                    report.verdict.replace('_', " "),
                    report.decision
                );
                self.at(&format!("{service} {version} {}", self.toned(Tone::Faint, said)));
            }
        }
    }

    pub(super) fn verdict(&self, outcome: &Outcome, traffic: &Traffic) {
        for judged in &outcome.judged {
            self.judged(judged);
        }
        let injected = injected(outcome.truth.as_ref());
        let said = match &outcome.agreement {
            Agreement::Same => format!("{injected} {}", self.toned(Tone::Good, "✔ as found")),
            Agreement::Different(wrong) => {
                format!(
                    "{injected} {}",
                    self.toned(Tone::Bad, format!("✖ {}", wrong.join("; ")))
                )
            }
            Agreement::NotEnoughData(missing) => {
                format!(
                    "{injected} {}",
                    self.toned(Tone::Unsure, format!("? {}", missing.join("; ")))
                )
            }
        };
        self.line(&format!("truth   the demo injected {said}"));
        if traffic.is_of_a_busy_machine() {
            let said = "this machine is so busy that times tell of it and not of the services";
            self.line(&format!("        {}", self.toned(Tone::Unsure, said)));
        }
    }

    fn judged(&self, judged: &Judged) {
        let report = &judged.report;
        let (tone, word) = match report.verdict.as_str() {
            "regressed" => (Tone::Bad, "✖ FAIL"),
            "unchanged" | "improved" => (Tone::Good, "✔ PASS"),
            _ => (Tone::Unsure, "? NOT ENOUGH DATA"),
        };
        let score = report
            .score
            .map_or_else(String::new, |score| format!(" {score:.0}/100"));
        let who = format!("{} {}", judged.service, judged.version);
        let about = match report.blamed().next() {
            Some(worst) => format!(" — {}", found(report, worst)),
            None => String::new(),
        };
        self.at(&format!("{}{score}  {who}{about}", self.toned(tone, word)));
        if let Some(worst) = report.blamed().next() {
            self.line(&format!("        cause   {}", worst.summary));
        }
        let report = self.toned(Tone::Faint, self.report_of(&judged.id));
        self.line(&format!("        report  {report}"));
    }

    pub(super) fn recovered(&self, recoveries: &[Recovery]) {
        if recoveries.is_empty() {
            self.at("nothing is to be rolled back");
        }
        for Recovery {
            service,
            version,
            report,
        } in recoveries
        {
            let became = report.findings.first().map_or_else(
                || report.verdict.replace('_', " "),
                |finding| found(report, finding),
            );
            let word = self.toned(Tone::Good, "rolled back");
            self.at(&format!("{word}  {service} {version} again — {became}"));
        }
    }

    /// What one could do from here.
    pub(super) fn next(&self, outcome: &Outcome) {
        let port = self.server.port();
        let first = outcome.judged.first();
        let (service, version) = first.map_or(("", ""), |judged| (judged.service, judged.version));
        self.line(&format!(
            "next    your own spans   POST http://localhost:{port}/api/v2/spans, as to Zipkin"
        ));
        self.line(&format!(
            "        gate it in CI    tracehound gate --server http://localhost:{port} --service {service} --version {version}"
        ));
        self.line("        all of it        README.md, docs/demo.md; Ctrl-C ends the demo");
    }

    pub(super) fn stopped(&self, traffic: &Traffic) {
        let Traffic {
            requests,
            failed,
            skipped,
            spans,
            spans_lost,
            ..
        } = traffic;
        let lost = match skipped + spans_lost {
            0 => String::new(),
            _ => format!(", {skipped} requests not made, {spans_lost} spans lost"),
        };
        let said =
            format!("load ended: {requests} requests, {failed} failed, {spans} spans{lost}; the UI stays");
        self.at(&self.toned(Tone::Faint, said));
    }

    /// For machines.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn check(
        &self,
        options: &Options,
        outcome: &Outcome,
        traffic: &Traffic,
        found: Found,
    ) -> std::io::Result<()> {
        let why = match &outcome.agreement {
            Agreement::Same => &[][..],
            Agreement::Different(why) | Agreement::NotEnoughData(why) => &why[..],
        };
        let deployments: Vec<Value> = outcome.judged.iter().map(json_of).collect();
        let object = json!({
            "fault": options.fault.name(),
            "seed": options.seed,
            "result": found.name(),
            "why": why,
            "injected": outcome.truth.map(|truth| json!({
                "version": truth.version,
                "origin": {"serviceName": truth.origin.service, "spanName": truth.origin.span},
                "cause": truth.cause,
                "callee": truth.callee.map(|callee| json!({"serviceName": callee.service, "spanName": callee.span})),
            })),
            "deployments": deployments,
            "seconds": self.started.elapsed().as_secs_f64(),
            "requests": traffic.requests,
            "requestsFailed": traffic.failed,
            "requestsLate": traffic.late,
            "requestsSkipped": traffic.skipped,
            "spans": traffic.spans,
            "spansLost": traffic.spans_lost,
        });
        writeln!(std::io::stdout().lock(), "{object}")
    }

    /// With the seconds since the start before it.
    fn at(&self, text: &str) {
        let seconds = format!("[{:4.1}s]", self.started.elapsed().as_secs_f64());
        self.line(&format!("{} {text}", self.toned(Tone::Faint, seconds)));
    }

    /// Whoever closed the pipe has read enough.
    fn line(&self, text: &str) {
        drop(writeln!(std::io::stdout().lock(), "{text}"));
    }

    fn toned(&self, tone: Tone, text: impl Display) -> String {
        if self.is_coloured {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_string()
        }
    }
}

fn injected(truth: Option<&Truth>) -> String {
    truth.map_or_else(
        || "nothing".to_owned(),
        |truth| {
            format!(
                "{} in {} {} {}",
                truth.cause.replace('_', " "),
                truth.origin.service,
                truth.version,
                truth.origin.span
            )
        },
    )
}

/// Where it began, and what it does to durations there or to failures.
fn found(report: &Report, finding: &Finding) -> String {
    let origin = name(&finding.origin);
    if let Some(change) = finding.error_rate_change {
        return format!("origin {origin}, {:+.1} % of requests fail", change * 100.0);
    }
    let millis = |micros: f64| micros / 1_000.0;
    match report.shift(&finding.origin) {
        Some(shift) => format!(
            "origin {origin}, {:+.1} ms (95 % CI {:.1} to {:.1})",
            millis(shift.estimate),
            millis(shift.low),
            millis(shift.high)
        ),
        None => format!(
            "origin {origin}, {:+.1} ms of {} (95 % CI {:.1} to {:.1})",
            millis(finding.contribution as f64),
            name(&finding.entry),
            millis(finding.contribution_low as f64),
            millis(finding.contribution_high as f64)
        ),
    }
}

fn name(operation: &Operation) -> String {
    format!("{} {}", operation.service_name, operation.span_name)
}

fn json_of(judged: &Judged) -> Value {
    let Judged {
        id,
        service,
        version,
        report,
    } = judged;
    let operation = |operation: &Operation| json!({"serviceName": operation.service_name, "spanName": operation.span_name});
    let findings = report.findings.iter().map(|finding| {
        json!({
            "origin": operation(&finding.origin),
            "cause": finding.cause,
            "callee": finding.callee.as_ref().map(operation),
            "contribution": finding.contribution,
            "causedByDeployment": finding.caused_by_deployment,
            "explanation": finding.explanation,
            "summary": finding.summary,
        })
    });
    json!({
        "id": id,
        "serviceName": service,
        "version": version,
        "verdict": report.verdict,
        "decision": report.decision,
        "score": report.score,
        "missing": report.missing,
        "findings": findings.collect::<Vec<Value>>(),
    })
}
