//! How fast `tracehound import` and `export` are, beside what the server takes over HTTP in the same run.
//!
//! 1. *HTTP.* As many spans as are imported, prepared, by as many connections and in requests as large as those of
//!    `import`: what the server takes from a sender that costs nothing.
//! 2. *Import* of each form, into a server of its own: the time of the whole process.
//! 3. *Export* from the last of these, plain and compressed.
//!
//! The store must count every span after each import, and an export has a line for each trace and all their spans.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use model::Span;
use serde::Serialize;
use tempfile::TempDir;

use crate::ingest::report::{of_machine, thousands};
use crate::ingest::{command, settle, yesterday_us};
use crate::load::{Load, Pace, Requests, Way};
use crate::machine::{Machine, load_average};
use crate::options::{Common, Reports};
use crate::process::Usage;
use crate::server::{Product, Server};
use crate::workload::Workload;

/// As `import` has them without being told.
const CONNECTIONS: usize = 4;
const SPANS_PER_REQUEST: usize = 1_000;
const PREPARED_SPANS: usize = 200_000;
const HTTP_MAX: Duration = Duration::from_secs(300);

/// What to measure.
#[derive(Clone, Debug, Serialize, clap::Args)]
pub struct Options {
    /// Millions of spans to import.
    #[arg(long, default_value_t = 2.0)]
    pub spans: f64,
    /// Which server, on which data.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: Common,
    /// Where what was measured is written down.
    #[command(flatten)]
    #[serde(flatten)]
    pub reports: Reports,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    command: String,
    options: Options,
    machine: Machine,
    version: String,
    settings: String,
    load_average_before: f64,
    load_average_after: f64,
    http: Moved,
    imported: Vec<Moved>,
    exported: Vec<Moved>,
}

/// Spans that came in or went out.
#[derive(Debug, Serialize)]
struct Moved {
    name: String,
    spans: u64,
    /// Of the file, or of the bodies.
    bytes: u64,
    seconds: f64,
    server_cpu_s: f64,
}

/// How a file has its spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One trace a line.
    Lines,
    /// One array of all traces.
    Arrays,
    /// One trace a line, compressed.
    LinesGzip,
}

impl Form {
    const ALL: [Self; 3] = [Self::Arrays, Self::LinesGzip, Self::Lines];

    fn name(self) -> &'static str {
        match self {
            Self::Lines => "one trace a line",
            Self::Arrays => "an array of traces",
            Self::LinesGzip => "one trace a line, gzip",
        }
    }
}

/// Measures, prints and writes the reports.
///
/// # Errors
/// Where a span is missing.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let product = options.common.product()?;
    let load_average_before = load_average();
    let directory = match options.common.data() {
        Some(parent) => TempDir::new_in(parent),
        None => TempDir::new(),
    }?;
    let spans = (options.spans * 1e6) as u64;
    eprintln!("HTTP");
    let http = http(&product, options, spans)?;
    let (mut imported, mut exported) = (Vec::new(), Vec::new());
    for form in Form::ALL {
        eprintln!("import: {}", form.name());
        let file = directory.path().join("spans");
        let written = write(&file, form, options, spans)?;
        let server = Server::start(&product, options.common.data())?;
        imported.push(import(&product, &server, form, &file, written)?);
        std::fs::remove_file(&file)?;
        if form == Form::Lines {
            for gzip in [false, true] {
                eprintln!("export, gzip: {gzip}");
                exported.push(export(&product, &server, &file, gzip, written)?);
            }
        }
        server.stop()?;
    }
    let report = Report {
        command: command(),
        options: options.clone(),
        machine: Machine::find(),
        version: product.version(),
        settings: product.settings(),
        load_average_before,
        load_average_after: load_average(),
        http,
        imported,
        exported,
    };
    let markdown = markdown(&report);
    print!("{markdown}");
    let written = options.reports.write("import", &markdown, &report)?;
    eprintln!("written: {}", written.display());
    Ok(())
}

fn http(product: &Product, options: &Options, spans: u64) -> anyhow::Result<Moved> {
    let batches = Workload::reference(options.common.seed)
        .batches(SPANS_PER_REQUEST)
        .take(PREPARED_SPANS / SPANS_PER_REQUEST);
    let requests = Requests::prepare(batches, yesterday_us())?;
    let server = Server::start(product, options.common.data())?;
    let load = Load {
        address: server.address(),
        connections: CONNECTIONS,
        pace: Pace::Closed,
        duration: HTTP_MAX,
        requests_max: spans.div_ceil(SPANS_PER_REQUEST as u64),
    };
    let before = Usage::of(server.id())?;
    let outcome = load.run(&requests)?;
    let after = Usage::of(server.id())?;
    let why = outcome.first_failure.as_deref().unwrap_or_default();
    ensure!(outcome.failed == 0, "{} requests failed: {why}", outcome.failed);
    server.stop()?;
    Ok(Moved {
        name: "HTTP, prepared".to_owned(),
        spans: outcome.accepted_spans,
        bytes: (requests.body_bytes_per_span() * outcome.accepted_spans as f64) as u64,
        seconds: outcome.elapsed.as_secs_f64(),
        server_cpu_s: (after.cpu - before.cpu).as_secs_f64(),
    })
}

/// What a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    spans: u64,
    traces: u64,
}

fn write(path: &Path, form: Form, options: &Options, spans: u64) -> anyhow::Result<Written> {
    let file = BufWriter::new(File::create(path)?);
    let workload = Workload::reference(options.common.seed).beginning_at(yesterday_us());
    match form {
        Form::LinesGzip => {
            let mut encoder = GzEncoder::new(file, Compression::fast());
            let written = write_to(&mut encoder, form, workload, spans)?;
            encoder.finish()?.flush()?;
            Ok(written)
        }
        Form::Lines | Form::Arrays => {
            let mut file = file;
            let written = write_to(&mut file, form, workload, spans)?;
            file.flush()?;
            Ok(written)
        }
    }
}

fn write_to(
    output: &mut impl Write,
    form: Form,
    mut workload: Workload,
    spans: u64,
) -> anyhow::Result<Written> {
    let mut written = Written { spans: 0, traces: 0 };
    let (before, between, after): (&[u8], &[u8], &[u8]) = match form {
        Form::Arrays => (b"[", b",", b"]"),
        Form::Lines | Form::LinesGzip => (b"", b"\n", b"\n"),
    };
    output.write_all(before)?;
    while written.spans < spans {
        let trace = workload.next().context("the workload ended")?;
        let trace: Vec<Span> = trace.spans.into_iter().map(|reported| reported.span).collect();
        if written.traces > 0 {
            output.write_all(between)?;
        }
        output.write_all(&Way::JSON.encode(&trace))?;
        written.spans += trace.len() as u64;
        written.traces += 1;
    }
    output.write_all(after)?;
    Ok(written)
}

fn import(
    product: &Product,
    server: &Server,
    form: Form,
    file: &Path,
    written: Written,
) -> anyhow::Result<Moved> {
    let before = Usage::of(server.id())?;
    let seconds = tracehound(product, "import", file, server.address(), &[])?;
    let after = Usage::of(server.id())?;
    // Traces that are carried over while others are sealed are counted twice for a moment.
    settle::wait(server)?;
    let metrics = server.metrics()?;
    let number = |name: &str| {
        metrics
            .get(name)
            .with_context(|| format!("the server has no {name}"))
    };
    let stored = number("tracehound_head_spans")? + number("tracehound_segment_spans")?;
    ensure!(
        stored as u64 == written.spans,
        "{} spans were imported, {stored} are stored",
        written.spans
    );
    Ok(Moved {
        name: format!("import, {}", form.name()),
        spans: written.spans,
        bytes: file.metadata()?.len(),
        seconds,
        server_cpu_s: (after.cpu - before.cpu).as_secs_f64(),
    })
}

fn export(
    product: &Product,
    server: &Server,
    file: &Path,
    gzip: bool,
    written: Written,
) -> anyhow::Result<Moved> {
    let before = Usage::of(server.id())?;
    let from = (yesterday_us() / 1_000).saturating_sub(3_600_000).to_string();
    let mut flags = vec!["--from", &from];
    if gzip {
        flags.push("--gzip");
    }
    let seconds = tracehound(product, "export", file, server.address(), &flags)?;
    let after = Usage::of(server.id())?;
    let found = read(file, gzip)?;
    ensure!(found == written, "{found:?} were exported instead of {written:?}");
    let bytes = file.metadata()?.len();
    std::fs::remove_file(file)?;
    Ok(Moved {
        name: format!("export{}", if gzip { ", gzip" } else { "" }),
        spans: found.spans,
        bytes,
        seconds,
        server_cpu_s: (after.cpu - before.cpu).as_secs_f64(),
    })
}

/// What an exported file has.
fn read(path: &Path, gzip: bool) -> anyhow::Result<Written> {
    let file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let lines: Box<dyn BufRead> = if gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    };
    let mut found = Written { spans: 0, traces: 0 };
    for line in lines.lines() {
        let spans: Vec<serde::de::IgnoredAny> = serde_json::from_str(&line?)?;
        found.spans += spans.len() as u64;
        found.traces += 1;
    }
    Ok(found)
}

/// Runs a subcommand on a file, and answers how many seconds that took.
fn tracehound(
    product: &Product,
    subcommand: &str,
    file: &Path,
    address: SocketAddr,
    flags: &[&str],
) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let output = Command::new(product.binary().context("only our server imports")?)
        .arg(subcommand)
        .arg(file)
        .args(["--server", &format!("http://{address}")])
        .args(flags)
        .output()?;
    let seconds = begin.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{subcommand} failed: {said}");
    Ok(seconds)
}

impl Moved {
    fn spans_per_second(&self) -> f64 {
        self.spans as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }
}

fn markdown(report: &Report) -> String {
    let [hardware, versions] = of_machine(&report.machine);
    let mut text = format!(
        "# Import and export\n\nWritten by the benchmark; the method is in the README above.\n\n\
         - Command: `{}`\n- Server: {}, `{}`\n- Machine: {hardware}; load average {:.1} before, {:.1} after\n\
         - Versions: {versions}\n- Date: {}\n\n\
         | | spans | MB | in | spans a second | of HTTP | server, µs of processor a span |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        report.command,
        report.version,
        report.settings,
        report.load_average_before,
        report.load_average_after,
        report.machine.date,
    );
    for moved in std::iter::once(&report.http)
        .chain(&report.imported)
        .chain(&report.exported)
    {
        text += &format!(
            "| {} | {} | {} | {:.1} s | {} | {:.2} | {:.2} |\n",
            moved.name,
            thousands(moved.spans as f64),
            thousands(moved.bytes as f64 / 1e6),
            moved.seconds,
            thousands(moved.spans_per_second()),
            moved.spans_per_second() / report.http.spans_per_second(),
            moved.server_cpu_s * 1e6 / moved.spans.max(1) as f64
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_all_spans() {
        let directory = TempDir::new().unwrap();
        for (form, gzip) in [(Form::Lines, false), (Form::LinesGzip, true)] {
            let mut bytes = Vec::new();
            let written = write_to(&mut bytes, form, Workload::reference(1), 200).unwrap();
            assert!((200..260).contains(&written.spans));
            let path = directory.path().join("spans");
            if gzip {
                let mut encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap();
            } else {
                std::fs::write(&path, &bytes).unwrap();
            }
            assert_eq!(read(&path, gzip).unwrap(), written);
        }
        let mut bytes = Vec::new();
        let written = write_to(&mut bytes, Form::Arrays, Workload::reference(1), 200).unwrap();
        let traces: Vec<Vec<serde::de::IgnoredAny>> = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(traces.len() as u64, written.traces);
        assert_eq!(traces.iter().map(Vec::len).sum::<usize>() as u64, written.spans);
    }
}
