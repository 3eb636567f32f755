//! Findings, figures and a decision, put together to the report.

use model::OperationNumber;

use crate::report::{
    Cause, Decision, EntryChange, Finding, FindingKind, LeftOut, Omitted, Population, Power, Report, Verdict,
    Victim,
};
use crate::statistics::{Arms, NormalMixture};

use super::bounds::VICTIMS_MAX;
use super::cause::{Sizes, Suspect, find_suspects};
use super::change::{Shifted, shifted};
use super::contributions;
use super::exemplars::exemplars;
use super::judgement::{Case, Judged};
use super::names::{instance_text, operation_json};
use super::operations::{operations, spans};
use super::options::Options;
use super::power::power;
use super::score::{Standing, decide, score};
use super::side::Side;
use super::study::Study;
use super::summary::summary;
use super::surroundings;

/// What a report is about, beside the comparison.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    /// Names of the versions, where they have names.
    pub(super) versions: Arms<Option<&'a str>>,
    /// Microseconds, of either side.
    pub(super) windows: [(u64, u64); 2],
    pub(super) left_out: LeftOut,
    pub(super) completeness: String,
    /// Whether both versions still serve.
    pub(super) goes_on: bool,
    /// Whether more data can be waited for.
    pub(super) is_open: bool,
    /// That the candidate no longer answers, in words.
    pub(super) silence: Option<String>,
}

/// A suspect and its judgement.
struct JudgedSuspect {
    suspect: Suspect,
    judged: Judged,
}

/// The report of a comparison. Without a case nobody is asked whether a deployment did it.
pub(super) fn assemble(
    study: &Study<'_>,
    case: Option<&Case<'_>>,
    subject: Subject<'_>,
    options: &Options,
) -> Report {
    let sizes = Sizes { study, options };
    let (cases, beyond) = judge_all(study, case, &sizes);
    let is_guilty = |case: &&JudgedSuspect| case.judged.explanation.is_none() && case.suspect.is_regression;
    let guilty: Vec<&Suspect> = cases.iter().filter(is_guilty).map(|case| &case.suspect).collect();
    let scored = score(study, &sizes, &guilty);
    let power = power(study, &sizes);
    let verdict = match verdict(&cases, scored.score, power.as_ref(), &sizes) {
        // What it answered while it did is not how it is now.
        Verdict::Unchanged | Verdict::Improved if subject.silence.is_some() => Verdict::InsufficientData,
        verdict => verdict,
    };
    let is_sure = |suspect: &&Suspect| is_certain(study, suspect, subject.goes_on, options);
    let standing = Standing {
        verdict,
        score: scored.score,
        is_certain: guilty.iter().any(is_sure),
        is_open: subject.is_open,
    };
    let changes = shifted(study);
    let all = cases
        .iter()
        .map(|case| finding(study, case, &changes, &subject, options));
    let mut findings: Vec<Finding> = all.collect();
    let change = entry_changes(study, &changes, &cases);
    let confidence = confidence(verdict, &guilty, &cases, options);
    let missing = missing(verdict, study, power.as_ref(), subject.silence.as_deref());
    let population = |side| population(study, &subject, side);
    let (baseline, candidate) = (population(Side::Baseline), population(Side::Candidate));
    findings.extend(surroundings::paths::mix_shift(study, &sizes));
    let mut left_out = subject.left_out;
    left_out.not_comparable += study.comparison.not_comparable;
    let (operations, operations_beyond) = operations(study, &sizes);
    Report {
        deployment: None,
        verdict,
        decision: decide(standing, options.marginal_score, options.min_score),
        score: scored.score.filter(|_| verdict != Verdict::InsufficientData),
        kayenta_score: scored.kayenta_score,
        confidence,
        design: Some(study.comparison.design),
        missing,
        baseline,
        candidate,
        findings,
        change,
        power,
        checks: scored.checks,
        operations,
        slo: Vec::new(),
        left_out,
        omitted: Omitted {
            findings: beyond,
            operations: operations_beyond,
            ..Omitted::default()
        },
        completeness: subject.completeness,
    }
}

/// Everything that changed with what explains it, worst first, and how much of that there is no room for.
fn judge_all(study: &Study<'_>, case: Option<&Case<'_>>, sizes: &Sizes<'_>) -> (Vec<JudgedSuspect>, u64) {
    let mut cases: Vec<JudgedSuspect> = find_suspects(study, sizes.options)
        .into_iter()
        .map(|suspect| {
            let judged = case.map_or(Judged::GUILTY, |case| case.judge(&suspect, sizes));
            JudgedSuspect { suspect, judged }
        })
        .collect();
    let in_order = |a: &JudgedSuspect, b: &JudgedSuspect| {
        let by_rank = rank(study, b).total_cmp(&rank(study, a));
        by_rank.then(a.suspect.member.cmp(&b.suspect.member))
    };
    cases.sort_by(in_order);
    let beyond = cases.len().saturating_sub(sizes.options.findings_max) as u64;
    cases.truncate(sizes.options.findings_max);
    let mut suspects: Vec<&mut Suspect> = cases.iter_mut().map(|case| &mut case.suspect).collect();
    contributions::settle(study, &mut suspects);
    cases.retain(|case| sizes.surely_moves_an_entry(&case.suspect));
    cases.sort_by(in_order);
    (cases, beyond)
}

/// What findings did to every entry operation: a finding names the one that it did the most to, and has its part in
/// the others too.
fn entry_changes(study: &Study<'_>, changes: &[Shifted], cases: &[JudgedSuspect]) -> Vec<EntryChange> {
    let mut explained = vec![0i64; study.comparison.entries.len()];
    let contributions = cases.iter().flat_map(|case| &case.suspect.contributions);
    for contribution in contributions {
        let sum = &mut explained[contribution.entry as usize];
        *sum = sum.saturating_add(contribution.micros.round() as i64);
    }
    let of_entry = |shifted: &Shifted| shifted.report(study, explained[shifted.entry as usize]);
    changes.iter().map(of_entry).collect()
}

fn population(study: &Study<'_>, subject: &Subject<'_>, side: Side) -> Population {
    let (from, to) = subject.windows[side as usize];
    let all = study.comparison.all.iter();
    Population {
        version: side.of(&subject.versions).map(str::to_owned),
        start_ts: if from > to { 0 } else { from / 1000 },
        end_ts: if from > to { 0 } else { to / 1000 },
        traces: all.filter(|compared| compared.side == side).count() as u64,
        spans: spans(study, side),
    }
}

/// What comes first: regressions of the deployment, then what others did, then improvements; the worst first.
fn rank(study: &Study<'_>, case: &JudgedSuspect) -> f64 {
    /// A request that fails is worse than one that takes so many times as long.
    const FAILURE: f64 = 4.0;
    let suspect = &case.suspect;
    let severity = match suspect.cause {
        Cause::Errors => {
            let evidence = study.evidence[suspect.member].as_ref();
            FAILURE * evidence.map_or(0.0, |found| found.change.estimate.abs())
        }
        _ => {
            let worst = suspect.contributions.first();
            worst.map_or(0.0, |worst| {
                worst.micros.abs() / study.entry_mean(worst.entry).max(1.0)
            })
        }
    };
    let severity = severity.min(1e6);
    match (case.judged.explanation.is_none(), suspect.is_regression) {
        (true, true) => 3e6 + severity,
        (false, true) => 2e6 + severity,
        (true, false) => 1e6 + severity,
        (false, false) => severity,
    }
}

fn verdict(cases: &[JudgedSuspect], score: Option<f64>, power: Option<&Power>, sizes: &Sizes<'_>) -> Verdict {
    let own = || cases.iter().filter(|case| case.judged.explanation.is_none());
    if own().any(|case| case.suspect.is_regression) {
        return Verdict::Regressed;
    }
    if own().any(|case| !case.suspect.is_regression) {
        return Verdict::Improved;
    }
    let smallest = power.and_then(|power| power.smallest_relative);
    let is_seen = smallest.is_some_and(|smallest| {
        smallest <= sizes.min_relative().max(sizes.options.min_relative_before_after)
    });
    if score.is_some() && is_seen && !sizes.study.comparison.is_small {
        Verdict::Unchanged
    } else {
        Verdict::InsufficientData
    }
}

/// A rollout that goes on is looked at again and again: only what holds at every look is certain. What a handful of
/// requests show is told, and waits for more.
fn is_certain(study: &Study<'_>, suspect: &Suspect, goes_on: bool, options: &Options) -> bool {
    if study.comparison.is_small {
        return false;
    }
    if !goes_on {
        return true;
    }
    let Some(mixture) = NormalMixture::new(options.sequence_alpha, options.sequence_samples) else {
        return false;
    };
    let Some(evidence) = &study.evidence[suspect.member] else {
        return false;
    };
    let observed = study.observed(suspect.member);
    if suspect.cause == Cause::Errors {
        let process = observed.followed_failures();
        // What comes in bursts says less.
        let evidence = process.log_e_value() / evidence.design_effect.factor();
        return process.excess() > 0.0 && evidence >= -options.sequence_alpha.ln();
    }
    let strata = observed.followed();
    let look = mixture.look(&strata, evidence.design_effect);
    look.is_some_and(|look| !look.difference.contains(0.0))
}

fn finding(
    study: &Study<'_>,
    case: &JudgedSuspect,
    changes: &[Shifted],
    subject: &Subject<'_>,
    options: &Options,
) -> Finding {
    let JudgedSuspect { suspect, judged } = case;
    let worst = suspect.contributions.first();
    let entry = worst.map_or(suspect.origin, |worst| worst.entry);
    let micros = worst.map_or(0.0, |worst| worst.micros);
    let evidence = study.evidence[suspect.member].as_ref();
    let is_error = suspect.cause == Cause::Errors;
    let error = worst.and_then(|worst| worst.error).unwrap_or(micros.abs());
    let contribution = micros.round() as i64;
    let within = changes
        .iter()
        .find(|shifted| shifted.entry == entry)
        .map(|shifted| shifted.within);
    Finding {
        kind: if is_error {
            FindingKind::Errors
        } else {
            FindingKind::Latency
        },
        origin: operation_json(study.traces, suspect.origin),
        cause: suspect.cause,
        callee: suspect.callee.map(|callee| operation_json(study.traces, callee)),
        entry: operation_json(study.traces, entry),
        contribution,
        contribution_low: (micros - error).floor() as i64,
        contribution_high: (micros + error).ceil() as i64,
        contribution_ratio: within
            .filter(|&within| within != 0 && !is_error)
            .map(|within| micros / within as f64),
        error_rate_change: evidence.filter(|_| is_error).map(|found| found.change.estimate),
        summary: summary(study, suspect, judged, subject.versions.candidate),
        victims: victims(study, suspect, changes, options),
        exemplars: exemplars(study, suspect.member, entry, options.exemplars_max),
        p_value: suspect.p_value,
        caused_by_deployment: judged.explanation.is_none(),
        explanation: judged.explanation,
        deployment_id: judged.deployment_id.clone(),
        instance: judged
            .instance
            .map(|instance| instance_text(study.traces, instance)),
    }
}

/// Entry operations that suffer from it enough, worst first; of many, the worst.
fn victims(study: &Study<'_>, suspect: &Suspect, changes: &[Shifted], options: &Options) -> Vec<Victim> {
    let suffers = |entry: OperationNumber, micros: f64| {
        micros >= options.min_entry_micros || micros >= options.min_entry_relative * study.entry_mean(entry)
    };
    let suffering = suspect.contributions.iter().filter(|found| match suspect.cause {
        Cause::Errors => found.total > 0.0,
        _ => suffers(found.entry, found.micros),
    });
    suffering
        .take(VICTIMS_MAX)
        .map(|found| Victim {
            operation: operation_json(study.traces, found.entry),
            change: changes
                .iter()
                .find(|shifted| shifted.entry == found.entry)
                .map_or(0, |shifted| shifted.within),
        })
        .collect()
}

fn confidence(
    verdict: Verdict,
    guilty: &[&Suspect],
    cases: &[JudgedSuspect],
    options: &Options,
) -> Option<f64> {
    let surest = |p_values: &mut dyn Iterator<Item = f64>| p_values.fold(1.0, f64::min);
    match verdict {
        Verdict::Regressed => Some(1.0 - surest(&mut guilty.iter().map(|suspect| suspect.p_value))),
        Verdict::Improved => Some(1.0 - surest(&mut cases.iter().map(|case| case.suspect.p_value))),
        Verdict::Unchanged => Some(options.power),
        Verdict::InsufficientData => None,
    }
}

fn missing(
    verdict: Verdict,
    study: &Study<'_>,
    power: Option<&Power>,
    silence: Option<&str>,
) -> Option<String> {
    if verdict != Verdict::InsufficientData {
        return None;
    }
    if let Some(silence) = silence {
        return Some(silence.to_owned());
    }
    let compared = study.comparison.compared_traces();
    let seen = format!(
        "{} requests before and {} after can be compared",
        compared.baseline, compared.candidate
    );
    Some(match power.and_then(|power| power.requests_missing) {
        Some(more) if more > 0 => format!("{seen}; {more} more a side are needed"),
        _ => seen,
    })
}

/// The report where nothing can be compared.
pub(super) fn without_comparison(subject: Subject<'_>, missing: String) -> Report {
    let population = |side: Side| Population {
        version: side.of(&subject.versions).map(str::to_owned),
        ..Population::default()
    };
    Report {
        deployment: None,
        verdict: Verdict::InsufficientData,
        decision: if subject.is_open {
            Decision::Wait
        } else {
            Decision::Continue
        },
        score: None,
        kayenta_score: None,
        confidence: None,
        design: None,
        missing: Some(subject.silence.unwrap_or(missing)),
        baseline: population(Side::Baseline),
        candidate: population(Side::Candidate),
        findings: Vec::new(),
        change: Vec::new(),
        power: None,
        checks: Vec::new(),
        operations: Vec::new(),
        slo: Vec::new(),
        left_out: subject.left_out,
        omitted: Omitted::default(),
        completeness: subject.completeness,
    }
}
