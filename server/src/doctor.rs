//! `tracehound doctor`: looks at stores that no server has open, prints what they are and what is wrong, and mends
//! what can be mended.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use storage::StoreOptions;
use storage_segment::{Doctor, Report};

use crate::lock::DirectoryLock;

/// What the doctor is told.
#[derive(Debug)]
pub(crate) struct DoctorConfig {
    /// The stores, each a directory.
    pub(crate) stores: Vec<PathBuf>,
    pub(crate) repair: bool,
    pub(crate) json: bool,
    /// What a repaired segment keeps, as the server's does.
    pub(crate) options: StoreOptions,
}

/// Broken, and not mended.
const BROKEN: u8 = 1;
/// There is no such store, or a server has it open.
const WRONG_USE: u8 = 2;

/// Examines one store after the other; the worst of them is the exit status.
pub(crate) fn run(config: &DoctorConfig) -> ExitCode {
    let mut worst = 0;
    for directory in &config.stores {
        let status = match examine(config, directory) {
            Ok(report) => {
                let told = if config.json {
                    print_json(directory, &report)
                } else {
                    print_text(directory, &report)
                };
                // Whoever closed the pipe has read enough.
                drop(told);
                if report.is_whole() { 0 } else { BROKEN }
            }
            Err(error) => {
                eprintln!("tracehound: {error:#}");
                WRONG_USE
            }
        };
        worst = worst.max(status);
    }
    ExitCode::from(worst)
}

fn examine(config: &DoctorConfig, directory: &Path) -> anyhow::Result<Report> {
    let shown = directory.display();
    if !directory.join("segments").is_dir() && !directory.join("manifest.json").is_file() {
        bail!("{shown} is no store: it has neither segments nor a manifest");
    }
    let _lock = DirectoryLock::acquire(directory)?;
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        progress.set_style(style);
    }
    let told = progress.clone();
    let tell = move |what: &str| {
        told.set_message(what.to_owned());
        told.tick();
    };
    let mut doctor =
        Doctor::new(segment_config(config, directory), tell).context("cannot look at the store")?;
    let report = if config.repair {
        doctor.repair()
    } else {
        doctor.examine()
    };
    progress.finish_and_clear();
    report.with_context(|| format!("cannot look at all of {shown}"))
}

fn segment_config(config: &DoctorConfig, directory: &Path) -> storage_segment::SegmentConfig {
    storage_segment::SegmentConfig {
        directory: directory.to_owned(),
        options: config.options.clone(),
        // The store is not opened: what follows is not used.
        sync: storage_journal::SyncPolicy::Always,
        journal_bytes_max: u64::MAX,
        head_bytes_max: u64::MAX,
        retention: storage_segment::Retention::default(),
        now: std::sync::Arc::new(crate::wiring::now_ms),
    }
}

/// A report as machines read it, a line a store.
#[derive(Serialize)]
struct Told<'r> {
    store: &'r Path,
    whole: bool,
    #[serde(flatten)]
    report: &'r Report,
}

fn print_json(store: &Path, report: &Report) -> std::io::Result<()> {
    let whole = report.is_whole();
    let told = serde_json::to_string(&Told { store, whole, report })?;
    writeln!(std::io::stdout(), "{told}")
}

fn print_text(directory: &Path, report: &Report) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", directory.display())?;
    for repair in &report.repairs {
        writeln!(out, "  repaired  {repair}")?;
    }
    for finding in &report.findings {
        let kind = if finding.harmless { "harmless" } else { "BROKEN" };
        writeln!(out, "  {kind:<8}  {}: {}", finding.file, finding.what)?;
    }
    let journal = &report.journal;
    writeln!(
        out,
        "  journal   {} spans in {} batches that are in no segment yet; {} files, {} bytes",
        journal.spans, journal.records, journal.files, journal.bytes
    )?;
    print_segments(&mut out, report)?;
    let broken = report.findings.iter().filter(|finding| !finding.harmless).count();
    match broken {
        0 => writeln!(out, "  whole"),
        _ => writeln!(
            out,
            "  {broken} broken; `tracehound doctor --repair` mends what can be mended"
        ),
    }
}

fn print_segments(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let sum = |of: fn(&storage_segment::SegmentReport) -> u64| report.segments.iter().map(of).sum::<u64>();
    let (bytes, spans) = (sum(|segment| segment.bytes), sum(|segment| segment.spans));
    let per_span = |bytes: u64| bytes as f64 / spans.max(1) as f64;
    writeln!(
        out,
        "  segments  {} with {spans} spans of {} traces; {bytes} bytes, {:.1} a span",
        report.segments.len(),
        sum(|segment| segment.traces),
        per_span(bytes)
    )?;
    let names = report
        .segments
        .first()
        .map_or(&[][..], |segment| &segment.sections);
    for (at, name) in names.iter().map(|section| section.name).enumerate() {
        let of = report
            .segments
            .iter()
            .filter_map(|segment| segment.sections.get(at));
        let bytes: u64 = of.map(|section| section.bytes).sum();
        writeln!(
            out,
            "    {name:<14} {bytes:>14} bytes  {:>6.2} a span",
            per_span(bytes)
        )?;
    }
    Ok(())
}
