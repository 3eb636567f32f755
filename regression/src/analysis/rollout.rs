//! The report of a deployment from what was gathered; and of two populations without one.

use model::{Deployment, NameNumber, OperationNumber, ServingVersions};
use storage::{Completeness, Profiles};

use crate::deployments;
use crate::report::{DeploymentJson, Design, LeftOut, Report};
use crate::statistics::Arms;

use super::assemble::{Subject, assemble, without_comparison};
use super::controls::Deployed;
use super::design::{Designs, choose};
use super::gather::Gathered;
use super::judgement::Case;
use super::load::Load;
use super::options::Options;
use super::population::{Chosen, Facts, count_left_out, find_facts, find_switch, is_answered, mark_cold};
use super::separation::{Other, choose_all};
use super::serving::{Served, Serving, Versions, find_served, previous_version, previous_versions};
use super::side::Side;
use super::silence::Silence;
use super::study::Study;
use super::surroundings::{self, Scene};
use super::traces::Traces;

pub(super) fn report(gathered: &Gathered, deployment: &Deployment, options: &Options) -> Report {
    let traces = Traces::of(&[&gathered.before, &gathered.since]);
    let mut report = judge(&traces, gathered, deployment, options);
    let json = serde_json::to_value(deployments::DeploymentJson::of(deployment));
    report.deployment = json
        .ok()
        .and_then(|json| json.as_object().cloned())
        .map(DeploymentJson);
    report
}

fn judge(traces: &Traces<'_>, gathered: &Gathered, deployment: &Deployment, options: &Options) -> Report {
    let start = deployment.start_ts.saturating_mul(1000);
    let service = number_of(traces, &deployment.service_name);
    let history = named_history(gathered, deployment);
    let serving = ServingVersions::of(&history);
    let previous = previous_version(traces, service, deployment);
    let versions = Versions {
        baseline: &previous,
        candidate: &deployment.version,
    };
    let mut facts = find_facts(traces, service, &serving, versions);
    mark_cold(traces, &mut facts, deployment, options.warm_up_ms * 1000);
    let switch = find_switch(traces, &facts, deployment, options);
    let left_out = left_out(traces, gathered, &facts, start);
    let is_open = is_open(deployment, gathered.now, options);
    let silence = is_open
        .then(|| Silence::find(traces, &facts, gathered.until, options))
        .flatten()
        .map(|silence| silence.tell(&deployment.service_name, &deployment.version));
    let subject = |chosen: Option<&Chosen>| Subject {
        versions: Arms {
            baseline: Some(previous.as_str()).filter(|version| !version.is_empty()),
            candidate: Some(deployment.version.as_str()),
        },
        windows: chosen.map_or([(0, 0); 2], |chosen| chosen.windows),
        left_out: left_out.clone(),
        completeness: completeness(&[&gathered.before, &gathered.since]),
        goes_on: switch.end.is_none() && deployment.rolled_back_ts.is_none(),
        is_open,
        silence: silence.clone(),
    };
    let deployed = gathered.others.iter();
    let deployed: Vec<NameNumber> = deployed
        .map(|other| number_of(traces, &other.service_name))
        .collect();
    let scene = Scene {
        traces,
        facts: &facts,
        service,
        others: &deployed,
        start,
        weights: [&gathered.before, &gathered.since].map(weight),
    };
    let Some(Designs { first, second }) = choose(traces, &facts, (switch, gathered.until), options) else {
        let mut report = without_comparison(subject(None), too_few(&facts, options));
        surroundings::add(&mut report.findings, scene.findings());
        return report;
    };
    let others = others(traces, gathered);
    let deployed = |traces: &Traces<'_>, operation: OperationNumber| {
        who_deployed(traces.operation(operation).service, service, &others)
    };
    let rate = options.false_discovery_rate;
    let study = Study::of(traces, &facts, &first, Some(service), rate, deployed);
    let second = second.map(|second| Study::of(traces, &facts, &second, Some(service), rate, deployed));
    let all = (!others.is_empty()).then(|| choose_all(traces, &facts, &first));
    let around = all.map(|all| Study::of(traces, &facts, &all, Some(service), rate, |_, _| Deployed::Judged));
    let load = Load::of(traces, &first, &scene.weights);
    let case = Case {
        study: &study,
        load: &load,
        others: &others,
        around: around.as_ref(),
        second: second.as_ref(),
    };
    let mut report = assemble(&study, Some(&case), subject(Some(&first)), options);
    surroundings::add(&mut report.findings, scene.findings());
    report
}

fn who_deployed(service: NameNumber, judged: NameNumber, others: &[Other]) -> Deployed {
    if service == judged {
        Deployed::Judged
    } else if others.iter().any(|other| other.service == service) {
        Deployed::Other(service)
    } else {
        Deployed::No
    }
}

/// Whether it is still observed, so that more data can be waited for.
fn is_open(deployment: &Deployment, now: u64, options: &Options) -> bool {
    let ends = deployment.end_ts.unwrap_or(now);
    now < ends.saturating_add(options.monitor_ms) && deployment.rolled_back_ts.is_none()
}

/// What is in no comparison, and how much of the reported time could not be true.
fn left_out(traces: &Traces<'_>, gathered: &Gathered, facts: &[Facts], start: u64) -> LeftOut {
    let mut left_out = count_left_out(traces, facts, start);
    left_out.not_sampled = [&gathered.before, &gathered.since]
        .iter()
        .map(|answer| answer.matched - answer.profiles.len() as u64)
        .sum();
    left_out.cut_micros = traces
        .all()
        .iter()
        .map(|trace| trace.profile.cut.cut_micros)
        .fold(0, u64::saturating_add);
    left_out
}

pub(super) fn compare(baseline: &Profiles, candidate: &Profiles, options: &Options) -> Report {
    let traces = Traces::of(&[baseline, candidate]);
    let sides = [Side::Baseline, Side::Candidate];
    let facts: Vec<Facts> = traces
        .all()
        .iter()
        .map(|trace| {
            let first = traces.instances_of(trace).first();
            Facts {
                served: Served::By(sides[trace.part]),
                instance: first.copied().unwrap_or(0),
                is_warm: true,
                is_answered: is_answered(&traces, trace, None),
            }
        })
        .collect();
    let mut chosen = Chosen {
        design: Design::BeforeAfter,
        traces: Vec::new(),
        windows: [(u64::MAX, 0); 2],
        not_comparable: 0,
        is_small: false,
    };
    for (number, trace) in traces.all().iter().enumerate() {
        chosen.add(number, trace.profile.timestamp, sides[trace.part]);
    }
    let subject = Subject::of_populations(chosen.windows.to_vec(), &[baseline, candidate]);
    if !chosen.is_enough(&traces, options.min_traces) {
        return without_comparison(subject, too_few(&facts, options));
    }
    let rate = options.false_discovery_rate;
    let study = Study::of(&traces, &facts, &chosen, None, rate, |_, _| Deployed::Judged);
    assemble(&study, None, subject, options)
}

impl Subject<'_> {
    /// Of populations that no deployment made.
    fn of_populations(windows: Vec<(u64, u64)>, answers: &[&Profiles]) -> Self {
        Self {
            versions: Arms::default(),
            windows: [0, 1].map(|side| windows.get(side).copied().unwrap_or((0, 0))),
            left_out: LeftOut::default(),
            completeness: completeness(answers),
            goes_on: false,
            is_open: false,
            silence: None,
        }
    }
}

/// The deployments of the service; the one that is judged as it was given.
fn named_history(gathered: &Gathered, deployment: &Deployment) -> Vec<Deployment> {
    let others = gathered.history.iter().filter(|other| other.id != deployment.id);
    let mut history: Vec<Deployment> = others.map(|other| Deployment::clone(other)).collect();
    history.push(Deployment {
        // What has no name can still be told from what has.
        previous_version: Some(deployment.previous_version.clone().unwrap_or_default()),
        ..deployment.clone()
    });
    history
}

fn number_of(traces: &Traces<'_>, service: &str) -> NameNumber {
    let names = traces.table.names().iter();
    names
        .clone()
        .position(|name| name == service)
        .map_or(NameNumber::MAX, |number| number as NameNumber)
}

/// What others deployed, and who served each trace by it.
fn others(traces: &Traces<'_>, gathered: &Gathered) -> Vec<Other> {
    let deployments: Vec<(NameNumber, &Deployment)> = gathered
        .others
        .iter()
        .map(|deployment| (number_of(traces, &deployment.service_name), &**deployment))
        .collect();
    let previous = previous_versions(traces, &deployments);
    let serving: Vec<ServingVersions<'_>> = deployments
        .iter()
        .map(|(_, deployment)| ServingVersions::of([*deployment]))
        .collect();
    let questions = deployments.iter().zip(&previous).zip(&serving);
    let questions: Vec<Serving<'_>> = questions
        .map(|(((service, deployment), previous), serving)| Serving {
            service: *service,
            serving,
            versions: Versions {
                baseline: previous,
                candidate: &deployment.version,
            },
        })
        .collect();
    let served = find_served(traces, &questions);
    deployments
        .iter()
        .zip(served)
        .map(|((service, deployment), served)| Other {
            service: *service,
            id: deployment.id.clone(),
            served,
        })
        .collect()
}

/// How many traces one of the sample stands for.
fn weight(answer: &Profiles) -> f64 {
    answer.matched as f64 / answer.profiles.len().max(1) as f64
}

fn completeness(answers: &[&Profiles]) -> String {
    let reasons = answers.iter().filter_map(|answer| match &answer.completeness {
        Completeness::Complete => None,
        Completeness::Partial(reason) => Some(reason.clone()),
    });
    let mut reasons: Vec<String> = reasons.collect();
    reasons.dedup();
    if reasons.is_empty() {
        "complete".to_owned()
    } else {
        reasons.join("; ")
    }
}

fn too_few(facts: &[Facts], options: &Options) -> String {
    let count = |wanted: Side| {
        let served = facts.iter().filter(|facts| facts.served == Served::By(wanted));
        served.count()
    };
    format!(
        "the previous version served {} traces and this one {}; each needs {} of an entry operation or {} of several, \
         in the same minutes or before and after the rollout",
        count(Side::Baseline),
        count(Side::Candidate),
        options.min_traces,
        2 * options.min_traces
    )
}
