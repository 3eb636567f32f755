//! Real traces as scenarios: labelled faults among five deployments, stretches and halves without any fault, and load
//! that changes by itself. The README beside the data says what is in them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::bufread::MultiGzDecoder;
use model::{Span, SpanBatch};
use serde::Deserialize;

use crate::workload::{Random, mix};

use super::evaluate::{Contender, Evaluated, judge_all};
use super::misses::Miss;
use super::report::Report;
use super::scenario::{Deployment, Knowledge, Labels, Scenario};
use super::score::Measure;
use super::truth::{Culprit, Decision, Explanation, Truth};

/// A trace a line; none is longer than this, inflated.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Traces of a file.
const TRACES_MAX: usize = 100_000;
const SETS: [&str; 3] = ["hotel_reservation", "media_microservices", "nodejs_microservices"];
/// Beside the one that is at fault.
const DECOYS: usize = 4;
/// How far decoys are from it, microseconds.
const DECOYS_WITHIN: u64 = 120_000_000;
const VERSION_TAG: &str = "service.version";

/// A labelled fault.
#[derive(Clone, Debug, Deserialize)]
struct Label {
    id: String,
    inject_us: u64,
    service: String,
    fault: String,
    before_us: [u64; 2],
    after_us: [u64; 2],
    usable: bool,
}

impl Label {
    /// What shows in latencies; return values and exceptions do not in these traces.
    fn is_slowness(&self) -> bool {
        ["cpu_contention", "cpu_consumed", "network_delay"].contains(&self.fault.as_str())
    }
}

/// All that is there.
struct Data {
    labels: Vec<Label>,
    shop: Vec<Vec<Span>>,
    /// By set and then load, ascending.
    loads: Vec<Vec<(String, Vec<Vec<Span>>)>>,
}

/// Something to judge.
enum Question {
    Fault(usize),
    /// The same version twice: before and after a moment, or traces by lot.
    Same {
        number: u64,
        is_concurrent: bool,
    },
    /// A service deployed while the load changes from one to another.
    Load {
        set: usize,
        from: usize,
        to: usize,
        service: String,
    },
}

/// Judges them all.
///
/// # Errors
/// Where the data cannot be read, naming the file and line.
pub(super) fn run(
    data: &Path,
    without_fault: u64,
    contenders: &[Contender],
) -> anyhow::Result<(Report, Vec<Miss>)> {
    let data = Data::read(data)?;
    let questions = data.questions(without_fault);
    let Evaluated { tallies, misses } = judge_all(questions.len(), contenders, |number, judges| {
        let question = &questions[number];
        let scenario = data.scenario(question)?;
        judges.judge(&scenario, |tally, judgement| {
            let mut count = |measure, hit| tally.measures.entry(measure).or_default().add(hit);
            match question {
                Question::Fault(_) => {
                    let first = judgement.blaming().next();
                    let guilty = &scenario.truth.culprits[0].origin_service;
                    count(
                        Measure::RealService,
                        first.is_some_and(|first| first.origin.service_name == *guilty),
                    );
                    for number in 1..scenario.deployments.len() {
                        count(Measure::RealDecoy, judgement.blames(number));
                    }
                }
                Question::Same { is_concurrent, .. } => {
                    let measure = if *is_concurrent {
                        Measure::RealConcurrent
                    } else {
                        Measure::RealBeforeAfter
                    };
                    count(measure, judgement.blames(0));
                }
                Question::Load { .. } => {
                    let is_rolled_back = judgement.deployments[0].decision == Decision::Rollback;
                    count(Measure::RealLoad, is_rolled_back);
                }
            }
        });
        Ok(())
    })?;
    let material = format!("{} deployments made of real traces", questions.len());
    let report = Report::of("Which deployment made it slow: real traces", material, tallies);
    Ok((report, misses))
}

impl Data {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let shop_folder = folder.join("nezha-online-boutique");
        let path = shop_folder.join("cases-2022-08-22.json");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let labels = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        let mut shop = Vec::new();
        for file in files(&shop_folder.join("2022-08-22"))? {
            shop.extend(read_traces(&file)?);
        }
        shop.sort_by_key(|trace| begin(trace));
        let mut loads = Vec::new();
        for set in SETS {
            let mut of_set = Vec::new();
            for file in files(&folder.join("traceweaver").join(set))? {
                let mut traces = read_traces(&file)?;
                traces.sort_by_key(|trace| begin(trace));
                let name = file
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                of_set.push((name, traces));
            }
            of_set.sort_by_key(|(name, _)| load(name));
            loads.push(of_set);
        }
        Ok(Self { labels, shop, loads })
    }

    fn questions(&self, without_fault: u64) -> Vec<Question> {
        let labels = self.labels.iter().enumerate();
        let faults = labels.filter(|(_, label)| label.usable && label.is_slowness());
        let mut questions: Vec<Question> = faults.map(|(number, _)| Question::Fault(number)).collect();
        for number in 0..without_fault {
            for is_concurrent in [false, true] {
                questions.push(Question::Same {
                    number,
                    is_concurrent,
                });
            }
        }
        for (set, loads) in self.loads.iter().enumerate() {
            for (from, (_, traces)) in loads.iter().enumerate() {
                for to in from + 1..loads.len() {
                    for service in services(traces) {
                        questions.push(Question::Load {
                            set,
                            from,
                            to,
                            service,
                        });
                    }
                }
            }
        }
        questions
    }

    fn scenario(&self, question: &Question) -> anyhow::Result<Scenario> {
        match question {
            Question::Fault(number) => self.fault(*number),
            Question::Same {
                number,
                is_concurrent,
            } => self.same(*number, *is_concurrent),
            Question::Load {
                set,
                from,
                to,
                service,
            } => Ok(self.load(*set, *from, *to, service)),
        }
    }

    /// A fault is a deployment of its service; others, chosen by lot, are deployed around the same time.
    fn fault(&self, number: usize) -> anyhow::Result<Scenario> {
        let label = &self.labels[number];
        let within = |trace: &&Vec<Span>| {
            let begin = begin(trace);
            let is_in = |[from, to]: [u64; 2]| (from..to).contains(&begin);
            is_in(label.before_us) || is_in(label.after_us)
        };
        let traces: Vec<Vec<Span>> = self.shop.iter().filter(within).cloned().collect();
        let mut others: Vec<String> = services(&traces)
            .into_iter()
            .filter(|service| *service != label.service)
            .collect();
        ensure!(!others.is_empty(), "{} has no other services", label.id);
        let mut random = Random::new(mix(label.inject_us));
        let mut deployments = vec![deployment(&label.service, label.inject_us)];
        for _ in 0..DECOYS.min(others.len()) {
            let other = others.swap_remove(random.below(others.len()));
            let start = label.inject_us - DECOYS_WITHIN + random.below(2 * DECOYS_WITHIN as usize) as u64;
            deployments.push(deployment(&other, start));
        }
        let mut scenario = scenario(format!("real/{}", label.id), traces, deployments);
        scenario.truth.culprits.push(Culprit {
            deployment: 0,
            origin_service: label.service.clone(),
            origin: None,
            callee: None,
            cause: None,
            size: 1.0,
            contributions: Vec::new(),
        });
        tag_by_time(&mut scenario);
        Ok(scenario)
    }

    /// A stretch without a fault, and a deployment of nothing.
    fn same(&self, number: u64, is_concurrent: bool) -> anyhow::Result<Scenario> {
        let random = &mut Random::new(mix(number << 1 | u64::from(is_concurrent)));
        let traces: Vec<Vec<Span>> = if random.chance(0.5) {
            let quiet: Vec<&Label> = self.labels.iter().filter(|label| label.usable).collect();
            ensure!(!quiet.is_empty(), "no case is usable");
            let [from, to] = quiet[random.below(quiet.len())].before_us;
            let within = |trace: &&Vec<Span>| (from..to).contains(&begin(trace));
            self.shop.iter().filter(within).cloned().collect()
        } else {
            let set = &self.loads[random.below(self.loads.len())];
            set[random.below(set.len())].1.clone()
        };
        let services: Vec<String> = services(&traces).into_iter().collect();
        ensure!(!services.is_empty(), "a stretch without traces");
        let service = &services[random.below(services.len())];
        let (first, last) = (begin(&traces[0]), traces.last().map_or(0, |trace| begin(trace)));
        let share = 0.35 + 0.3 * random.unit();
        if is_concurrent {
            let deployed = deployment(service, first);
            let mut scenario = scenario(
                format!("real/a_a-concurrent-{number}"),
                traces,
                vec![Deployment {
                    end: None,
                    ..deployed
                }],
            );
            let is_new = |span: &Span| Random::new(mix(span.trace_id.low() ^ number)).chance(share);
            tag(&mut scenario, |_, span| is_new(span));
            return Ok(scenario);
        }
        let start = first + ((last - first) as f64 * share) as u64;
        let name = format!("real/a_a-before-after-{number}");
        let mut scenario = scenario(name, traces, vec![deployment(service, start)]);
        tag_by_time(&mut scenario);
        Ok(scenario)
    }

    /// One load right after another, and a service deployed in between.
    fn load(&self, set: usize, from: usize, to: usize, service: &str) -> Scenario {
        let loads = &self.loads[set];
        let (before, after) = (&loads[from].1, &loads[to].1);
        let end = before.iter().map(|trace| begin(trace)).max().unwrap_or(0);
        let shift = end as i64 + 1_000_000 - after.first().map_or(0, |trace| begin(trace)) as i64;
        let moved = after.iter().map(|trace| {
            let mut trace = trace.clone();
            for span in &mut trace {
                span.timestamp = span
                    .timestamp
                    .map(|timestamp| timestamp.saturating_add_signed(shift));
            }
            trace
        });
        let traces = before.iter().cloned().chain(moved).collect();
        let name = format!("real/load-{}-{}", loads[from].0, loads[to].0);
        let mut scenario = scenario(name, traces, vec![deployment(service, end + 500_000)]);
        scenario.truth.explanation = Some(Explanation::Load);
        tag_by_time(&mut scenario);
        scenario
    }
}

fn scenario(name: String, traces: Vec<Vec<Span>>, deployments: Vec<Deployment>) -> Scenario {
    let end = |span: &Span| span.timestamp.unwrap_or(0) + span.duration.unwrap_or(0);
    Scenario {
        name,
        seed: 0,
        asked: traces.iter().flatten().map(end).max().unwrap_or(0) + 1,
        traces,
        late: Vec::new(),
        labels: Labels {
            shape: None,
            strategy: None,
            knowledge: Knowledge::Tags,
            decoys: deployments.len() - 1,
        },
        deployments,
        truth: Truth::default(),
    }
}

/// All at once at a moment.
fn deployment(service: &str, start: u64) -> Deployment {
    Deployment {
        service_name: service.to_owned(),
        version: "v2".to_owned(),
        previous_version: "v1".to_owned(),
        strategy: None,
        start,
        end: Some(start),
        rolled_back: None,
        instances: Vec::new(),
        is_declared: true,
        requests: [0; 2],
    }
}

fn tag_by_time(scenario: &mut Scenario) {
    tag(scenario, |deployment, span| {
        span.timestamp.unwrap_or(0) >= deployment.start
    });
}

/// Gives the spans of deployed services the version that `is_new` says, and counts traces.
fn tag(scenario: &mut Scenario, is_new: impl Fn(&Deployment, &Span) -> bool) {
    for trace in &mut scenario.traces {
        for deployment in &mut scenario.deployments {
            let mut served = [false; 2];
            for span in trace.iter_mut() {
                if span.local_service_name() != Some(&deployment.service_name) {
                    continue;
                }
                let is_new = is_new(deployment, span);
                served[usize::from(is_new)] = true;
                let version = if is_new {
                    &deployment.version
                } else {
                    &deployment.previous_version
                };
                span.tags.push((VERSION_TAG.to_owned(), version.clone()));
                span.tags.sort();
            }
            match served {
                [true, false] => deployment.requests[0] += 1,
                [false, true] => deployment.requests[1] += 1,
                _ => {}
            }
        }
    }
}

/// Services that report spans.
fn services(traces: &[Vec<Span>]) -> BTreeSet<String> {
    let names = traces.iter().flatten().filter_map(Span::local_service_name);
    names.map(str::to_owned).collect()
}

fn begin(trace: &[Span]) -> u64 {
    trace.iter().filter_map(|span| span.timestamp).min().unwrap_or(0)
}

/// The number in the name of a file.
fn load(name: &str) -> u64 {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Files of traces in a folder, by name.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".ndjson.gz") {
            files.push(path);
        }
    }
    ensure!(!files.is_empty(), "{} has no .ndjson.gz", folder.display());
    files.sort();
    Ok(files)
}

/// The traces of a file, a line each.
fn read_traces(path: &Path) -> anyhow::Result<Vec<Vec<Span>>> {
    let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let mut reader = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
    let mut traces = Vec::new();
    let mut line = Vec::new();
    let mut batch = SpanBatch::new();
    loop {
        line.clear();
        let place = || format!("{}, line {}", path.display(), traces.len() + 1);
        let read = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.with_context(place)? == 0 {
            return Ok(traces);
        }
        ensure!(
            (line.len() as u64) < LINE_BYTES_MAX,
            "{}: the line is too long",
            place()
        );
        ensure!(traces.len() < TRACES_MAX, "{}: too many traces", place());
        batch.clear();
        proto::decode(proto::Format::JsonV2, &line, &mut batch)
            .map_err(|error| anyhow::anyhow!("{error}"))
            .with_context(place)?;
        traces.push(batch.iter().map(|span| span.to_span()).collect());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_damaged_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.ndjson.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        encoder
            .write_all(b"[{\"traceId\":\"1\",\"id\":\"1\"}]\n[{\"traceId\":\n")
            .unwrap();
        encoder.finish().unwrap();
        let error = format!("{:#}", read_traces(&path).unwrap_err());
        assert!(error.contains("a.ndjson.gz, line 2"), "{error}");
    }

    #[test]
    fn versions_are_by_time_and_traces_of_both_count_for_none() {
        let span = |trace: u64, timestamp| Span {
            trace_id: model::TraceId::new(0, trace).unwrap(),
            parent_id: None,
            id: model::SpanId::new(timestamp),
            kind: None,
            name: None,
            timestamp: Some(timestamp),
            duration: Some(1),
            local_endpoint: model::Endpoint {
                service_name: Some("a".to_owned()),
                ..model::Endpoint::default()
            }
            .into_option(),
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        };
        let traces = vec![
            vec![span(1, 5)],
            vec![span(2, 9), span(2, 11)],
            vec![span(3, 12)],
            vec![span(4, 13)],
        ];
        let mut scenario = scenario("real/test".to_owned(), traces, vec![deployment("a", 10)]);
        tag_by_time(&mut scenario);
        assert_eq!(scenario.deployments[0].requests, [1, 2]);
        assert_eq!(scenario.traces[1][1].tag(VERSION_TAG), Some("v2"));
        assert_eq!(load("hotel_load125.ndjson.gz"), 125);
    }
}
