//! Scenarios are what they say: the same for the same seed, true to their truth, and told apart by the analyses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use model::{CriticalPath, Kind, Span, SpanTree, Timeline};

use super::evaluate::{chosen, evaluate};
use super::*;

const ROUNDING_MICROS: f64 = 2.0;

fn case(name: &str) -> Case {
    cases().into_iter().find(|case| case.name == name).unwrap()
}

fn seed(number: u64) -> Seed {
    Seed {
        purpose: Purpose::Tune,
        number,
    }
}

/// Enough to see what a scenario is like; tests are not optimised.
const FEW: u64 = 250;

fn small(name: &str, number: u64) -> Scenario {
    case(name).scenario_of(seed(number), FEW).unwrap()
}

fn tree_of(trace: &[Span]) -> (SpanTree, Timeline) {
    let tree = SpanTree::build(trace);
    let timeline = Timeline::build(trace, &tree);
    (tree, timeline)
}

/// The mean duration of a trace's entry, and how many there are, by the version of a service that served it.
fn entry_means(scenario: &Scenario, service: &str, entry: &Operation) -> [(f64, u64); 2] {
    let deployment = &scenario.deployments[0];
    let mut sums = [(0.0, 0); 2];
    for trace in &scenario.traces {
        let served: BTreeSet<&str> = trace
            .iter()
            .filter(|span| span.local_service_name() == Some(service))
            .filter_map(|span| {
                span.tag("service.version")
                    .or(span.tag("version"))
                    .or(span.tag("app.version"))
            })
            .collect();
        let side = match served.into_iter().collect::<Vec<_>>()[..] {
            [only] => usize::from(only == deployment.version),
            _ => continue,
        };
        let root = &trace[tree_of(trace).1.entry().unwrap()];
        if root.name.as_deref() == Some(&entry.span_name) {
            sums[side].0 += root.duration.unwrap() as f64;
            sums[side].1 += 1;
        }
    }
    sums.map(|(sum, count)| (sum / f64::from(count.max(1)), u64::from(count as u32)))
}

/// A command line of `rollouts` alone.
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

#[test]
fn seeds_are_as_many_as_asked_for_from_the_first_that_is_asked_for() {
    let options = |first_seed, seeds| {
        let numbers = [first_seed, seeds].map(|number: u64| number.to_string());
        let words = ["rollouts", "--first-seed", &numbers[0], "--seeds", &numbers[1]];
        <Line as clap::Parser>::try_parse_from(words)
            .unwrap()
            .options
            .seeds()
    };
    assert_eq!(options(0, 3), 0..3);
    assert_eq!(options(27, 1), 27..28);
    assert_eq!(options(u64::MAX, 2), u64::MAX..u64::MAX);
}

#[test]
fn the_same_seed_gives_the_same_spans_and_another_gives_others() {
    let case = case("hard/clock_skew");
    let (first, again, other) = (
        case.scenario_of(seed(3), FEW).unwrap(),
        case.scenario_of(seed(3), FEW).unwrap(),
        case.scenario_of(seed(4), FEW).unwrap(),
    );
    assert_eq!(first.traces, again.traces);
    assert_ne!(first.traces, other.traces);
    let report = Seed {
        purpose: Purpose::Report,
        number: 3,
    };
    assert_ne!(case.scenario_of(report, FEW).unwrap().traces, first.traces);
}

#[test]
fn every_case_makes_a_scenario_whose_labels_and_truth_agree() {
    for case in cases() {
        let scenario = case.scenario_of(seed(2), FEW).unwrap();
        let truth = &scenario.truth;
        assert!(!scenario.traces.is_empty(), "{scenario}");
        assert_eq!(
            scenario.labels.decoys + 1,
            scenario.deployments.len(),
            "{scenario}"
        );
        let services: BTreeSet<&str> = scenario
            .deployments
            .iter()
            .map(|found| found.service_name.as_str())
            .collect();
        assert_eq!(
            services.len(),
            scenario.deployments.len(),
            "{scenario}: a service is deployed once"
        );
        for culprit in &truth.culprits {
            assert_eq!(
                culprit.origin_service,
                scenario.deployments[culprit.deployment].service_name
            );
        }
        match case.name.split_once('/').unwrap() {
            ("innocent", _) => assert!(scenario.is_innocent(), "{scenario}"),
            (_, "improved") => assert_eq!(truth.verdict(0), Verdict::Improved),
            (_, "other_guilty") => assert_eq!(truth.guilty(), [1]),
            (_, "two_culprits") => assert_eq!(truth.guilty(), [0, 1]),
            (_, "compensated") => {
                assert_eq!((truth.guilty(), truth.verdict(1)), (vec![0], Verdict::Improved))
            }
            _ => assert_eq!(truth.guilty(), [0], "{scenario}"),
        }
    }
}

#[test]
fn what_the_truth_says_is_what_the_traces_show() {
    // Half of the requests to each version at the same time: their means differ by what the fault adds, and by luck.
    for number in 0..2 {
        let scenario = case("power/100%-1000").scenario(seed(number)).unwrap();
        let culprit = &scenario.truth.culprits[0];
        assert!((culprit.size - 1.0).abs() < 1e-9);
        let worst = culprit.worst().unwrap();
        let [(old, _), (new, requests)] = entry_means(&scenario, &culprit.origin_service, &worst.entry);
        assert_eq!(requests, worst.requests);
        assert!(
            (new - worst.mean_without - worst.micros).abs() < ROUNDING_MICROS,
            "{scenario}"
        );
        let told = new - old;
        assert!(
            (told / worst.micros - 1.0).abs() < 0.35,
            "{scenario}: {told} for {}",
            worst.micros
        );
    }
}

#[test]
fn every_cause_leaves_its_mark_on_the_spans() {
    for kind in FaultKind::FAULTS {
        // The largest size of a turn; several, for a small canary may not meet a tail.
        let scenarios = [4, 9, 14].map(|number| small(&format!("fault/{}", kind.name()), number));
        let contributions = || {
            let culprits = scenarios.iter().flat_map(|scenario| &scenario.truth.culprits);
            culprits.flat_map(|culprit| &culprit.contributions)
        };
        let most = contributions().map(|found| found.micros).fold(0.0, f64::max);
        let least = contributions().map(|found| found.micros).fold(0.0, f64::min);
        let failed = contributions().map(|found| found.failed).fold(0.0, f64::max);
        match kind {
            FaultKind::ErrorsSlow => assert!(failed > 0.01 && most == 0.0 && least == 0.0),
            // What fails at once is over sooner.
            FaultKind::ErrorsFast => assert!(failed > 0.01 && least < 0.0, "{failed} {least}"),
            _ => assert!(most > 1_000.0, "{}: {most}", kind.name()),
        }
    }
}

#[test]
fn spans_are_those_of_instrumentation() {
    let mut shared = 0;
    let mut local = 0;
    for (number, name) in [
        "innocent/a_a",
        "fault/more_calls",
        "fault/retries",
        "innocent/rolled_back",
    ]
    .iter()
    .enumerate()
    {
        let scenario = small(name, number as u64);
        for trace in &scenario.traces {
            let (tree, timeline) = tree_of(trace);
            let path = CriticalPath::of(&timeline).unwrap();
            let root = &trace[tree.root().unwrap()];
            assert_eq!(path.duration(), root.duration.unwrap());
            assert_eq!((root.kind, root.parent_id), (Some(Kind::Server), None));
            let ids: BTreeMap<_, usize> = trace.iter().fold(BTreeMap::new(), |mut ids, span| {
                *ids.entry((span.id, span.shared)).or_default() += 1;
                ids
            });
            assert!(ids.values().all(|count| *count == 1), "{scenario}");
            for span in trace {
                assert!(span.tags.is_sorted() && span.duration != Some(0));
                assert!(!(span.shared && span.kind == Some(Kind::Client)));
                shared += u32::from(span.shared);
                local += u32::from(span.kind.is_none());
            }
        }
    }
    assert!(shared > 0 && local > 0);
}

#[test]
fn what_comes_late_is_not_there_and_what_is_lost_never_is() {
    let scenario = small("innocent/late_spans", 1);
    assert!(!scenario.late.is_empty());
    assert!(scenario.late.iter().all(|(arrival, _)| *arrival > scenario.asked));
    let lost = small("innocent/lost_spans", 1);
    let headless = lost
        .traces
        .iter()
        .filter(|trace| SpanTree::build(trace).root().is_none());
    assert!(headless.count() > 0);
}

#[test]
fn an_earlier_question_sees_less() {
    let scenario = small("innocent/a_a", 5);
    let start = scenario.deployments[0].start;
    let earlier = scenario.asked_at(start - 1);
    assert!(earlier.traces.len() < scenario.traces.len() && !earlier.traces.is_empty());
    assert_eq!(earlier.deployments[0].end, None);
    assert!(
        earlier
            .traces
            .iter()
            .flatten()
            .all(|span| span.timestamp.unwrap() < start)
    );
}

/// An analysis that says nothing, and one that says what is true.
#[derive(Debug)]
struct Oracle {
    is_mute: bool,
}

impl Analysis for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn judge(&mut self, scenario: &Scenario) -> Judgement {
        if self.is_mute {
            return Judgement::unknown(scenario);
        }
        let truth = &scenario.truth;
        let finding = |culprit: &Culprit| {
            let worst = culprit.worst().unwrap();
            Finding {
                deployment: culprit.deployment,
                origin: culprit.origin.clone().unwrap(),
                callee: culprit.callee.clone(),
                cause: culprit.cause.unwrap(),
                entry: Some(worst.entry.clone()),
                contribution: worst.micros,
                contribution_low: worst.micros - 1.0,
                contribution_high: worst.micros + 1.0,
                caused_by_deployment: true,
                explanation: None,
            }
        };
        let judged = |number| Judged {
            verdict: truth.verdict(number),
            decision: if truth.is_guilty(number) {
                Decision::Rollback
            } else {
                Decision::Continue
            },
            score: Some(if truth.is_guilty(number) { 0.0 } else { 100.0 }),
        };
        let mut mattering: Vec<&Culprit> = truth
            .culprits
            .iter()
            .filter(|culprit| culprit.matters())
            .collect();
        mattering.sort_by(|a, b| b.worst().unwrap().micros.total_cmp(&a.worst().unwrap().micros));
        Judgement {
            deployments: (0..scenario.deployments.len()).map(judged).collect(),
            findings: mattering.into_iter().map(finding).collect(),
        }
    }
}

#[test]
fn who_knows_the_truth_is_always_right_and_who_is_silent_is_never_wrong() {
    let cases: Vec<Case> = [
        "fault/self_time-constant",
        "fault/retries",
        "innocent/a_a",
        "hard/two_culprits",
        "power/10%-1000",
    ]
    .map(case)
    .into();
    let oracles = [
        Contender {
            short_name: "oracle",
            make: || Box::new(Oracle { is_mute: false }),
        },
        Contender {
            short_name: "mute",
            make: || Box::new(Oracle { is_mute: true }),
        },
    ];
    let tallies = evaluate(&cases, 0..3, Purpose::Tune, &oracles).unwrap().tallies;
    let rate = |tally: &Tally, measure| tally.measures.get(&measure).and_then(|count| count.rate());
    let [(_, oracle), (_, mute)] = &tallies[..] else {
        panic!("two analyses")
    };
    for measure in [
        Measure::Service,
        Measure::Operation,
        Measure::Cause,
        Measure::Power,
        Measure::Contribution,
        Measure::BothCulprits,
    ] {
        assert_eq!(rate(oracle, measure), Some(1.0), "{measure:?}");
        if measure != Measure::Contribution {
            assert_eq!(rate(mute, measure), Some(0.0), "{measure:?}");
        }
    }
    for tally in [oracle, mute] {
        assert_eq!(rate(tally, Measure::FalseAlarm), Some(0.0));
    }
    assert_eq!(
        oracle.measures[&Measure::Service].trials,
        mute.measures[&Measure::Service].trials
    );
}

#[test]
fn other_tools_see_a_large_fault_and_blame_where_nothing_happened_too() {
    let cases: Vec<Case> = ["power/100%-1000", "innocent/mix_shift"].map(case).into();
    let others = chosen(&["sentry", "coroot", "lightstep", "kayenta"].map(str::to_owned)).unwrap();
    let tallies = evaluate(&cases, 0..3, Purpose::Tune, &others).unwrap().tallies;
    for (name, tally) in &tallies {
        assert_eq!(tally.judged, 6, "{name}");
    }
    let blamed: u64 = tallies
        .iter()
        .map(|(_, tally)| tally.measures[&Measure::FalseAlarm].hits)
        .sum();
    assert!(
        blamed > 0,
        "a shift of the mix of requests looks like a slowdown to who does not look at requests"
    );
    let found = |name: &str| {
        let (_, tally) = tallies.iter().find(|(found, _)| found.contains(name)).unwrap();
        tally.power[&100][&1_000].rate().unwrap()
    };
    assert!(found("Kayenta") > 0.5);
}

#[test]
fn counts_do_not_depend_on_threads() {
    let cases: Vec<Case> = ["innocent/few_requests", "hard/few_requests"].map(case).into();
    let count = || {
        let tallies = evaluate(
            &cases,
            0..3,
            Purpose::Tune,
            &chosen(&["kayenta".to_owned()]).unwrap(),
        )
        .unwrap()
        .tallies;
        tallies[0].1.measures.clone()
    };
    assert_eq!(count(), count());
}

/// Answers every request as the API does, and tells what came: method and path, and the body.
fn listen(
    requests: usize,
) -> (
    SocketAddr,
    std::thread::JoinHandle<Vec<(String, serde_json::Value)>>,
) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        let mut seen = Vec::new();
        while seen.len() < requests {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                break;
            }
            let mut length = 0;
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                if header == "\r\n" {
                    break;
                }
                if let Some(value) = header.strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, answer) = match line.split(' ').collect::<Vec<_>>()[..2] {
                ["POST", "/api/v2/spans"] => (202, ""),
                ["POST", "/api/v2/deployments"] => (201, "{\"id\":\"d1\"}"),
                _ => (200, "{}"),
            };
            write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .unwrap();
            seen.push((
                line.trim_end_matches(" HTTP/1.1\r\n").to_owned(),
                serde_json::from_slice(&body).unwrap(),
            ));
        }
        seen
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn a_scenario_is_posted_in_the_order_in_which_it_happened() {
    let scenario = (0..40)
        .map(|number| small("innocent/a_a", number))
        .find(|scenario| scenario.labels.knowledge == Knowledge::Instances)
        .unwrap();
    let asked = scenario.asked + 7_000_123;
    let (address, seen) = listen(usize::MAX);
    let posted = Posting::new(&scenario).asked_at(asked).send(address).unwrap();
    let seen = seen.join().unwrap();
    assert_eq!(posted.spans, scenario.spans());
    assert_eq!(posted.deployments, [Some("d1".to_owned())]);
    let deployment = &scenario.deployments[0];
    let declared = seen
        .iter()
        .position(|(path, _)| path == "POST /api/v2/deployments")
        .unwrap();
    assert_eq!(seen[declared].1["serviceName"], deployment.service_name);
    assert_eq!(
        seen[declared].1["startTs"],
        (deployment.start + 7_000_000) / 1_000
    );
    let patches: Vec<_> = seen
        .iter()
        .filter(|(path, _)| path == "PATCH /api/v2/deployments/d1")
        .collect();
    assert_eq!(patches.len(), deployment.instances.len() + 1);
    // What ended before a moment was sent before what happened then, and the other way around.
    let ends = |requests: &[(String, serde_json::Value)]| -> Vec<u64> {
        let spans = requests.iter().filter_map(|(_, body)| body.as_array()).flatten();
        spans
            .map(|span| span["timestamp"].as_u64().unwrap() + span["duration"].as_u64().unwrap())
            .collect()
    };
    let start = deployment.start + 7_000_000;
    assert!(ends(&seen[..declared]).iter().all(|end| *end < start));
    assert!(ends(&seen[declared..]).iter().all(|end| *end >= start));
}
