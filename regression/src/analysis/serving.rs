//! Which versions served a trace, and what served before a rollout: of many deployments in one pass over the traces.

use model::{Bearings, Deployment, Instance, NameNumber, ServedBy, ServingVersions};

use super::side::Side;
use super::traces::Traces;

/// Who served a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    By(Side),
    Both,
    /// Another version than the two.
    Other,
    Unknown,
}

/// The version that is judged and what it replaces; empty where that has no name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions<'a> {
    pub(super) baseline: &'a str,
    pub(super) candidate: &'a str,
}

/// Which of two versions served traces in which a service took part?
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving<'a> {
    pub(super) service: NameNumber,
    pub(super) serving: &'a ServingVersions<'a>,
    pub(super) versions: Versions<'a>,
}

/// Who served a span.
#[derive(Clone, Copy)]
enum By {
    Baseline,
    Candidate,
    Other,
    Nobody,
}

/// What an instance tells of its spans.
#[derive(Clone, Copy)]
enum Known {
    /// Its version is in a tag: who served, whenever it was.
    Always(By),
    /// It depends on the time.
    ByTime,
}

/// By whom a trace was served so far.
#[derive(Clone, Copy, Default)]
struct Met {
    baseline: bool,
    candidate: bool,
    other: bool,
}

impl Met {
    fn add(&mut self, by: By) {
        match by {
            By::Baseline => self.baseline = true,
            By::Candidate => self.candidate = true,
            By::Other => self.other = true,
            By::Nobody => {}
        }
    }

    fn served(self) -> Served {
        match (self.baseline, self.candidate, self.other) {
            (true, true, _) => Served::Both,
            (_, _, true) => Served::Other,
            (true, ..) => Served::By(Side::Baseline),
            (_, true, _) => Served::By(Side::Candidate),
            _ => Served::Unknown,
        }
    }
}

impl Serving<'_> {
    fn by(&self, version: Option<&str>) -> By {
        match version {
            Some(version) if version == self.versions.candidate => By::Candidate,
            Some(version) if version == self.versions.baseline => By::Baseline,
            Some(_) => By::Other,
            None => By::Nobody,
        }
    }

    fn known(&self, traces: &Traces<'_>, instance: &Instance) -> Known {
        match self.serving.served(&bearings(traces, instance, None)) {
            ServedBy::Tag(version) => Known::Always(self.by(Some(version))),
            _ => Known::ByTime,
        }
    }

    fn at(&self, traces: &Traces<'_>, instance: &Instance, timestamp: u64) -> By {
        let served = self.serving.served(&bearings(traces, instance, Some(timestamp)));
        self.by(served.version())
    }
}

fn bearings<'t>(traces: &'t Traces<'_>, instance: &Instance, timestamp: Option<u64>) -> Bearings<'t> {
    Bearings {
        version: Some(traces.table.name(instance.version)).filter(|version| !version.is_empty()),
        environment: None,
        ip: instance.ip,
        port: instance.port,
        timestamp,
    }
}

/// Of each question who served every trace.
pub(super) fn find_served(traces: &Traces<'_>, questions: &[Serving<'_>]) -> Vec<Vec<Served>> {
    let instances = traces.table.instances().iter();
    let asked: Vec<Vec<(usize, Known)>> = instances
        .map(|instance| {
            let about = questions.iter().enumerate();
            let about = about.filter(|(_, question)| question.service == instance.service);
            about
                .map(|(number, question)| (number, question.known(traces, instance)))
                .collect()
        })
        .collect();
    let mut served = vec![vec![Served::Unknown; traces.all().len()]; questions.len()];
    let mut met = vec![Met::default(); questions.len()];
    let mut touched: Vec<usize> = Vec::new();
    for (place, trace) in traces.all().iter().enumerate() {
        for &instance in traces.instances_of(trace) {
            for &(number, known) in &asked[instance as usize] {
                met[number].add(match known {
                    Known::Always(by) => by,
                    Known::ByTime => {
                        let instance = traces.instance(instance);
                        questions[number].at(traces, &instance, trace.profile.timestamp)
                    }
                });
                touched.push(number);
            }
        }
        for number in touched.drain(..) {
            // It may have been touched several times, and is taken once.
            let met = std::mem::take(&mut met[number]).served();
            if met != Served::Unknown {
                served[number][place] = met;
            }
        }
    }
    served
}

/// What a deployment replaces; see [`previous_versions`].
pub(super) fn previous_version(traces: &Traces<'_>, service: NameNumber, deployment: &Deployment) -> String {
    let previous = previous_versions(traces, &[(service, deployment)]);
    previous.into_iter().next().unwrap_or_default()
}

/// What each deployment replaces: as it was declared, else the version of its service that served most before it began.
pub(super) fn previous_versions(
    traces: &Traces<'_>,
    deployments: &[(NameNumber, &Deployment)],
) -> Vec<String> {
    let mut previous: Vec<String> = deployments
        .iter()
        .map(|(_, deployment)| deployment.previous_version.clone().unwrap_or_default())
        .collect();
    let mut asked: Vec<usize> = (0..deployments.len())
        .filter(|&number| deployments[number].1.previous_version.is_none())
        .collect();
    asked.sort_by_key(|&number| deployments[number].1.start_ts);
    let mut counts = vec![0u64; traces.table.instances().len()];
    let mut left = traces.all().iter().peekable();
    for number in asked {
        let (service, deployment) = deployments[number];
        let start = deployment.start_ts.saturating_mul(1000);
        while let Some(trace) = left.next_if(|trace| trace.profile.timestamp < start) {
            for &instance in traces.instances_of(trace) {
                counts[instance as usize] += 1;
            }
        }
        previous[number] = most_served(traces, service, &deployment.version, &counts);
    }
    previous
}

/// The version of a service that instances served most, by how often each served, other than `new`.
fn most_served(traces: &Traces<'_>, service: NameNumber, new: &str, counts: &[u64]) -> String {
    let instances = traces.table.instances().iter().zip(counts);
    let served = instances.filter(|(instance, count)| {
        let version = traces.table.name(instance.version);
        instance.service == service && **count > 0 && !version.is_empty() && version != new
    });
    let mut served: Vec<(NameNumber, u64)> = served
        .map(|(instance, &count)| (instance.version, count))
        .collect();
    served.sort_unstable();
    let versions = served.chunk_by(|one, next| one.0 == next.0).map(|same| {
        let count: u64 = same.iter().map(|(_, count)| count).sum();
        (count, std::cmp::Reverse(traces.table.name(same[0].0)))
    });
    let most = versions.max();
    most.map(|(_, version)| version.0.to_owned()).unwrap_or_default()
}
