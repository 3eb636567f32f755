//! Which deployment made it slow, asked of the real server: simulated rollouts whose truth is known are posted, their
//! deployments declared, and the reports fetched.

use benches::rollouts::{Culprit, Posting, Purpose, Scenario, Seed, cases};
use model::Span;
use serde_json::Value;

use crate::grpc_client::{connect, report as report_spans};
use crate::moving::seal;
use crate::process::Server;

/// Enough for what is large, and few enough for a server that is not optimised.
const TRACES_MAX: u64 = 1_000;
/// Spans of a request.
const BATCH_SPANS: usize = 500;

/// A kind of fault for each cause.
const CAUSES: [&str; 8] = [
    "fault/self_time-proportional",
    "fault/more_calls",
    "fault/new_call",
    "fault/retries",
    "fault/serialized_calls",
    "fault/slower_callee",
    "fault/queueing-caller",
    "fault/errors-slow",
];
/// Of these seeds the fault doubles something, or fails one request in five.
const LARGE: [u64; 5] = [4, 9, 14, 19, 24];
/// What each version has to serve before it can be expected that anything is found.
const REQUESTS_MIN: u64 = 200;

/// A scenario for each confounder, in which nobody is to blame.
const CONFOUNDERS: [&str; 16] = [
    "innocent/a_a",
    "innocent/load_increase",
    "innocent/load_spike",
    "innocent/load_slope",
    "innocent/mix_shift",
    "innocent/degrading_callee",
    "innocent/cold_start",
    "innocent/bad_host_new",
    "innocent/bad_host_old",
    "innocent/cache_flush",
    "innocent/drift",
    "innocent/clock_skew",
    "innocent/lost_spans",
    "innocent/late_spans",
    "innocent/decoys",
    "innocent/flapping",
];

fn scenario(name: &str, number: u64) -> Scenario {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name).unwrap();
    let seed = Seed {
        purpose: Purpose::Tune,
        number,
    };
    case.scenario_of(seed, TRACES_MAX).unwrap()
}

/// The first with a large fault and enough requests of either version: a canary of one request in a hundred has none.
fn large(name: &str) -> (&str, u64) {
    let has_enough = |number: &u64| {
        let scenario = scenario(name, *number);
        let guilty = scenario.truth.culprits[0].deployment;
        scenario.deployments[guilty].requests_a_side() >= REQUESTS_MIN
    };
    let found = LARGE.into_iter().find(has_enough);
    (
        name,
        found.unwrap_or_else(|| panic!("{name} has too few requests for every seed")),
    )
}

/// Identifiers of the deployments of a scenario, declared or inferred.
fn identifiers(server: &Server, scenario: &Scenario) -> Vec<String> {
    let listed = server.get("/api/v2/deployments?limit=1000").json();
    let deployments = scenario.deployments.iter().map(|deployment| {
        let mut listed = listed.as_array().unwrap().iter();
        let found = listed.find(|listed| {
            listed["serviceName"] == deployment.service_name && listed["version"] == deployment.version
        });
        let found = found.unwrap_or_else(|| panic!("{scenario}: {deployment:?} is not known"));
        found["id"].as_str().unwrap().to_owned()
    });
    deployments.collect()
}

/// The report of a deployment at the moment of the question, as it was answered.
fn report(server: &Server, id: &str, scenario: &Scenario) -> String {
    let end_ts = scenario.asked / 1_000;
    let answer = server.get(&format!("/api/v2/deployments/{id}/report?endTs={end_ts}"));
    assert_eq!(answer.status, 200, "{scenario}: {}", answer.text());
    answer.text()
}

/// Posts a scenario to a server of its own and fetches the report of each deployment.
fn reports(scenario: &Scenario) -> Vec<Value> {
    let server = Server::start(&[]);
    let posted = Posting::new(scenario).send(server.address).unwrap();
    assert_eq!(posted.spans, scenario.spans());
    let ids = identifiers(&server, scenario);
    for (known, declared) in ids.iter().zip(&posted.deployments) {
        assert!(declared.as_ref().is_none_or(|declared| declared == known));
    }
    let reports = ids.iter().map(|id| report(&server, id, scenario));
    let reports = reports.map(|report| serde_json::from_str(&report).unwrap());
    let reports = reports.collect();
    assert_eq!(server.complaints(), [""; 0], "{scenario}");
    reports
}

/// Findings that a report holds its deployment responsible for.
fn blamed(report: &Value) -> Vec<&Value> {
    let findings = report["findings"].as_array().unwrap().iter();
    let worse = |finding: &&Value| {
        finding["causedByDeployment"] == true
            && (finding["kind"] == "errors" || finding["contribution"].as_i64().unwrap() > 0)
    };
    findings.filter(worse).collect()
}

/// Judges several scenarios at once, and fails with what is wrong about all of them.
#[track_caller]
fn assert_each(scenarios: &[(&str, u64)], wrong: impl Fn(&Scenario, &[Value]) -> Option<String> + Sync) {
    let judge = |scenarios: &[(&str, u64)]| -> Vec<String> {
        let judged = scenarios.iter().filter_map(|&(name, number)| {
            let scenario = scenario(name, number);
            let wrong = wrong(&scenario, &reports(&scenario))?;
            Some(format!("{scenario}: {wrong}"))
        });
        judged.collect()
    };
    let (one, other) = scenarios.split_at(scenarios.len() / 2);
    let wrong = std::thread::scope(|scope| {
        let one = scope.spawn(|| judge(one));
        let other = judge(other);
        [one.join().unwrap(), other].concat()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_cause_is_found_where_it_began() {
    assert_each(&CAUSES.map(large), |scenario, reports| {
        let culprit: &Culprit = &scenario.truth.culprits[0];
        let report = &reports[culprit.deployment];
        let innocent = (0..reports.len()).filter(|&number| number != culprit.deployment);
        if let Some(other) = innocent
            .map(|number| &reports[number])
            .find(|other| !blamed(other).is_empty())
        {
            return Some(format!("an innocent deployment is blamed: {other:#}"));
        }
        // A fault may begin in several operations at once; each of them is true.
        let is_right = blamed(report).first().is_some_and(|first| {
            scenario.truth.culprits.iter().any(|culprit| {
                let origin = culprit.origin.as_ref().unwrap();
                first["origin"]["serviceName"] == origin.service_name
                    && first["origin"]["spanName"] == origin.span_name
                    && first["cause"] == culprit.cause.unwrap().name()
            })
        });
        let is_right = is_right && report["verdict"] == "regressed" && report["decision"] == "rollback";
        (!is_right).then(|| format!("{culprit:#?}, and the report is {report:#}"))
    });
}

#[test]
fn no_confounder_is_blamed_on_a_deployment() {
    assert_each(&CONFOUNDERS.map(|name| (name, 2)), |_, reports| {
        let blaming = reports
            .iter()
            .find(|report| report["decision"] == "rollback" || !blamed(report).is_empty());
        blaming.map(|report| format!("blamed: {report:#}"))
    });
}

/// In the order that somebody's hash decides.
fn shuffled(scenario: &Scenario) -> Vec<Span> {
    let mut spans: Vec<Span> = scenario.traces.iter().flatten().cloned().collect();
    spans.sort_by_key(|span| span.id.value().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    spans
}

/// Declares the deployments of a scenario to a server that has seen no spans, as it is known in the end.
fn declare(server: &Server, scenario: &Scenario) {
    let empty = Scenario {
        traces: Vec::new(),
        ..scenario.clone()
    };
    Posting::new(&empty).send(server.address).unwrap();
}

#[tokio::test]
async fn the_same_spans_give_the_same_report_by_every_way_in_and_wherever_they_are_stored() {
    let (name, number) = large("fault/more_calls");
    let scenario = scenario(name, number);
    let guilty = scenario.truth.culprits[0].deployment;
    let ask = |server: &Server| {
        let ids = identifiers(server, &scenario);
        ids.iter()
            .map(|id| report(server, id, &scenario))
            .collect::<Vec<String>>()
    };

    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start_in(directory.path(), &[]);
    Posting::new(&scenario).send(server.address).unwrap();
    let expected = ask(&server);
    assert!(expected[guilty].contains("\"regressed\""), "{}", expected[guilty]);

    server.terminate();
    server.wait();
    let mut server = Server::start_in(directory.path(), &[]);
    assert_eq!(ask(&server), expected, "after a restart");
    server.terminate();
    server.wait();
    seal(&directory.path().join("store"));
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(ask(&server), expected, "from a segment");

    // A head so small that many segments are sealed, and joined, while spans arrive.
    let other = tempfile::tempdir().unwrap();
    // Everything is in many segments here, unoptimised: how long that takes is not what is asked.
    let small = [("STORAGE_HEAD_BYTES_MAX", "256KiB"), ("QUERY_TIMEOUT", "60s")];
    let server = Server::start_in(other.path(), &small);
    declare(&server, &scenario);
    let channel = connect(&server).await;
    for spans in shuffled(&scenario).chunks(BATCH_SPANS) {
        let message = proto::encode(proto::Format::Proto3, spans);
        // Refused while more waits to be sealed than the head may hold: told so, a sender comes again.
        while let Err(status) = report_spans(&channel, message.clone()).await {
            assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    assert_eq!(ask(&server), expected, "in another order over gRPC");
}
