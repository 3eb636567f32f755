//! Reports against the memory store: what is kept, what is made, what lists show.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::poll_immediate;
use serde_json::{Value, json};
use storage::DeploymentStore;

use crate::asking::{Api, NOW};
use crate::report::{
    Cause, Decision, Exemplars, Finding, FindingKind, LeftOut, Omitted, Operation, Population, Report,
    Verdict,
};

const HOUR: u64 = 3_600_000;

/// One without anything found.
pub(crate) fn report(verdict: Verdict) -> Report {
    Report {
        deployment: None,
        verdict,
        decision: Decision::Continue,
        score: None,
        kayenta_score: None,
        confidence: None,
        design: None,
        missing: None,
        baseline: Population::default(),
        candidate: Population::default(),
        findings: Vec::new(),
        change: Vec::new(),
        power: None,
        checks: Vec::new(),
        operations: Vec::new(),
        slo: Vec::new(),
        left_out: LeftOut::default(),
        omitted: Omitted::default(),
        completeness: "complete".to_owned(),
    }
}

/// One that began and ended long ago.
fn declaration(version: &str) -> Value {
    json!({"serviceName": "cart", "version": version, "startTs": NOW - 9 * HOUR, "endTs": NOW - 8 * HOUR})
}

pub(crate) fn finding(summary: &str, contribution: i64, caused_by_deployment: bool) -> Finding {
    Finding {
        kind: FindingKind::Latency,
        origin: Operation::default(),
        cause: Cause::SelfTime,
        callee: None,
        entry: Operation::default(),
        contribution,
        contribution_low: contribution,
        contribution_high: contribution,
        contribution_ratio: None,
        error_rate_change: None,
        summary: summary.to_owned(),
        victims: Vec::new(),
        exemplars: Exemplars::default(),
        p_value: 0.001,
        caused_by_deployment,
        explanation: None,
        deployment_id: None,
        instance: None,
    }
}

impl Api {
    /// Keeps a report of a deployment that is declared with it.
    pub(crate) async fn keep(&self, declaration: &Value, mut report: Report) -> (String, Vec<u8>) {
        let id = self.declare(declaration).await;
        let deployment = self.store.deployment(&id).await.unwrap().unwrap();
        report.deployment = Some(super::describe(&deployment));
        let bytes = serde_json::to_vec(&report).unwrap();
        assert!(self.store.put_report(&id, bytes.clone()).await.unwrap());
        (id, bytes)
    }
}

#[tokio::test]
async fn a_kept_report_is_answered_byte_for_byte_until_its_deployment_changes() {
    let api = Api::new();
    let mut kept = report(Verdict::Regressed);
    kept.score = Some(62.5);
    let (id, bytes) = api.keep(&declaration("2.0"), kept).await;
    let path = format!("/api/v2/deployments/{id}");
    let answer = api.get(&format!("{path}/report")).await;
    assert_eq!((answer.status, &answer.body), (200, &bytes));
    let earlier = api.get(&format!("{path}/report?endTs={}", NOW - HOUR)).await;
    assert_eq!((earlier.status, earlier.body == bytes), (200, false));
    let shown = api.get(&path).await.json();
    assert_eq!(
        (&shown["verdict"], &shown["score"]),
        (&json!("regressed"), &json!(62.5))
    );
    let listed = api.get("/api/v2/deployments?serviceName=cart").await.json();
    assert_eq!(listed, json!([shown]));

    api.ask("PATCH", &path, &json!({"metadata": {"seen": "yes"}}))
        .await;
    assert_eq!(api.get(&format!("{path}/report")).await.body, bytes);
    assert_eq!(api.get(&path).await.json()["score"], 62.5);
    api.ask("PATCH", &path, &json!({"rolledBackTs": NOW - 8 * HOUR}))
        .await;
    assert_eq!(api.get(&path).await.json()["score"], Value::Null);
    let anew = api.get(&format!("{path}/report")).await;
    assert_eq!(anew.json()["deployment"]["rolledBackTs"], NOW - 8 * HOUR);
    // What was kept says more than a report without data, but of another time.
    assert_eq!(api.store.report(&id).await.unwrap(), Some(bytes));
    assert_eq!(api.get("/api/v2/deployments/nobody/report").await.status, 404);
}

#[tokio::test]
async fn lists_analyse_nothing_and_remember_what_was_analysed() {
    let api = Api::new();
    let id = api.declare(&declaration("2.0")).await;
    let path = format!("/api/v2/deployments/{id}");
    assert_eq!(api.get(&path).await.json()["verdict"], Value::Null);
    assert_eq!(api.get(&format!("{path}/report")).await.status, 200);
    let listed = api.get("/api/v2/deployments").await.json();
    assert_eq!(listed[0]["verdict"], "insufficient_data");
    api.ask(
        "PATCH",
        &path,
        &json!({"instances": [{"ip": "10.0.0.1", "switchTs": NOW - 9 * HOUR}]}),
    )
    .await;
    assert_eq!(api.get(&path).await.json()["verdict"], Value::Null);
}

#[tokio::test]
async fn regressions_of_a_window_come_worst_first_with_their_deployments() {
    let api = Api::new();
    let with = |score, findings| Report {
        score: Some(score),
        findings,
        ..report(Verdict::Regressed)
    };
    let bad = with(
        40.0,
        vec![finding("slow", 5_000, true), finding("elsewhere", 9_000, false)],
    );
    let (bad, _) = api.keep(&declaration("2.0"), bad).await;
    let mut other = declaration("3.0");
    other["environment"] = json!("staging");
    let worse = with(
        20.0,
        vec![finding("slower", 7_000, true), finding("better", -1_000, true)],
    );
    let (worse, _) = api.keep(&other, worse).await;
    let ask = async |query: &str| {
        let answer = api.get(&format!("/api/v2/regressions?{query}")).await;
        assert_eq!(answer.completeness.as_deref(), Some("complete"));
        let found = answer.json();
        let found = found.as_array().unwrap().iter();
        let brief = |found: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&found["summary"]), text(&found["deployment"]["id"]))
        };
        found.map(brief).collect::<Vec<_>>()
    };
    let of = |summary: &str, id: &String| (summary.to_owned(), id.clone());
    let all = [
        of("slower", &worse),
        of("slow", &bad),
        of("elsewhere", &bad),
        of("better", &worse),
    ];
    assert_eq!(ask("").await, all);
    assert_eq!(ask("limit=1").await, all[..1]);
    assert_eq!(
        ask("environment=prod").await,
        [of("slow", &bad), of("elsewhere", &bad)]
    );
    assert_eq!(ask(&format!("endTs={}", NOW - 10 * HOUR)).await, []);
}

#[tokio::test]
async fn searches_that_are_wrong_are_told_by_side_and_parameter() {
    let api = Api::new();
    for (query, told) in [
        ("baselineQuery=serviceName%3Da", "candidateQuery: is required"),
        (
            "baselineQuery=limit%3D0&candidateQuery=serviceName%3Da",
            "baselineQuery: limit: has to be a whole number from 1 to 20000, and is \"0\"",
        ),
        (
            "baselineQuery=serviceName%3Da&candidateQuery=minDuration%3D5%26maxDuration%3D4",
            "candidateQuery: maxDuration < minDuration",
        ),
    ] {
        let answer = api.get(&format!("/api/v2/compare?{query}")).await;
        assert_eq!((answer.status, answer.json()), (400, json!({"error": told})));
    }
}

#[tokio::test]
async fn reports_of_finished_deployments_are_made_though_nobody_asks_unless_they_are_kept() {
    let api = Api::new();
    api.keep(&declaration("2.0"), report(Verdict::Unchanged)).await;
    let mut other = declaration("7");
    other["serviceName"] = json!("pricing");
    other["endTs"] = json!(NOW - HOUR / 2);
    let other = api.declare(&other).await;
    assert_eq!(api.reports.unkept().await, Ok(vec![]), "it is still observed");
    api.now.store(NOW + HOUR, Ordering::Relaxed);
    let unkept = api.reports.unkept().await.unwrap();
    let ids: Vec<&str> = unkept.iter().map(|deployment| deployment.id.as_str()).collect();
    assert_eq!(ids, [other]);
    assert_eq!(api.reports.keep_unasked(&unkept[0]).await, Ok(()));
    assert_eq!(api.reports.unkept().await, Ok(vec![]));
    let listed = api.get("/api/v2/deployments?serviceName=cart").await.json();
    assert_eq!(listed[0]["verdict"], "unchanged");
}

#[tokio::test]
async fn who_asks_about_another_moment_does_not_change_what_lists_show() {
    let api = Api::new();
    let id = api.declare(&declaration("2.0")).await;
    let path = format!("/api/v2/deployments/{id}");
    for end_ts in [NOW - 8 * HOUR, NOW + 1_000 * HOUR] {
        let answer = api.get(&format!("{path}/report?endTs={end_ts}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(api.get(&path).await.json()["verdict"], Value::Null, "{end_ts}");
    }
}

#[tokio::test]
async fn a_kept_report_that_cannot_be_read_fails_nobody() {
    let api = Api::new();
    let id = api.declare(&declaration("2.0")).await;
    let deployment = api.store.deployment(&id).await.unwrap().unwrap();
    // As another release may have kept it.
    let lacking =
        json!({"deployment": super::describe(&deployment), "verdict": "regressed", "decision": "rollback"});
    let lacking = serde_json::to_vec(&lacking).unwrap();
    assert!(api.store.put_report(&id, lacking.clone()).await.unwrap());
    assert_eq!(
        api.get(&format!("/api/v2/deployments/{id}/report")).await.body,
        lacking
    );
    let regressions = api.get("/api/v2/regressions").await;
    assert_eq!((regressions.status, regressions.json()), (200, json!([])));
    let gate = api.get("/api/v2/gate?serviceName=cart&version=2.0").await;
    assert_eq!((gate.status, &gate.json()["decision"]), (200, &json!("wait")));
}

#[tokio::test]
async fn what_is_of_a_part_of_the_spans_is_not_kept() {
    let api = Api::new();
    let id = api.declare(&declaration("2.0")).await;
    let deployment = api.store.deployment(&id).await.unwrap().unwrap();
    let mut partial = report(Verdict::Regressed);
    partial.completeness = "partial; reason=\"a segment is set aside\"".to_owned();
    api.reports.keep(&deployment, Arc::new(partial)).await.unwrap();
    assert_eq!(api.store.report(&id).await.unwrap(), None);
    api.reports
        .keep(&deployment, Arc::new(report(Verdict::Regressed)))
        .await
        .unwrap();
    assert!(api.store.report(&id).await.unwrap().is_some());
}

#[test]
fn kept_reports_are_read_away_from_the_threads_that_serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for path in [
            "/api/v2/deployments",
            "/api/v2/deployments/ID",
            "/api/v2/deployments/ID/report",
            "/api/v2/gate?serviceName=cart&version=2.0",
        ] {
            let api = Api::new();
            let (id, _) = api.keep(&declaration("2.0"), report(Verdict::Regressed)).await;
            let (release, held) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || held.recv());
            let path = path.replace("ID", &id);
            let mut asked = pin!(api.get(&path));
            for _ in 0..100 {
                assert!(poll_immediate(&mut asked).await.is_none(), "{path}");
                tokio::task::yield_now().await;
            }
            release.send(()).unwrap();
            busy.await.unwrap().unwrap();
            assert_eq!(asked.await.status, 200, "{path}");
        }
    });
}

#[tokio::test]
async fn who_asks_about_more_deployments_than_are_looked_at_is_told() {
    let api = Api::new();
    for number in 0..=100 {
        let mut declared = declaration("2.0");
        declared["serviceName"] = json!(format!("cart-{number}"));
        let (_, _) = api.keep(&declared, report(Verdict::Unchanged)).await;
        let told = api.get("/api/v2/regressions").await.completeness.unwrap();
        assert_eq!(told == "complete", number < 100, "{number}: {told}");
    }
}
