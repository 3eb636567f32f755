//! Budgets of objectives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Deployment;
use regression::{Settings, Sources, slo_states};
use serde_json::{Value, json};
use storage::{Completeness, DeploymentStore, Put};

use crate::service::{Damaged, MINUTE, NOW, Service, Told};

async fn with_objective(objective: &Value) -> Service {
    let service = Service::new();
    let put = service.ask("PUT", "/api/v2/slos/cart", objective).await;
    assert_eq!(put.status, 201, "{}", put.body);
    service
}

fn availability() -> Value {
    json!({"serviceName": "shop", "indicator": "availability", "objective": 0.9, "windowDays": 7})
}

/// A request a second in the last so many minutes, of which `tag` makes some fail.
fn requests(minutes: u64, tag: impl Fn(u64, Told) -> Told) -> Vec<Told> {
    let start = NOW - minutes * MINUTE;
    (0..minutes * 60)
        .map(|index| tag(index, Told::request(index + 1, start + index * 1_000, 100_000)))
        .collect()
}

async fn budget(service: &Service) -> Value {
    let path = format!("/api/v2/slos/cart/budget?endTs={}", NOW - 1);
    service.get_whole(&path).await
}

#[tokio::test]
async fn what_failed_spends_the_budget_and_fires_alerts() {
    let service = with_objective(&availability()).await;
    // Every second request of the last five minutes of an hour failed.
    let fail = |index, span: Told| match index {
        3_300.. if index % 2 == 0 => span.tagged("error", "boom"),
        _ => span,
    };
    service.keep(requests(60, fail)).await;
    let budget = budget(&service).await;
    assert_eq!(
        (&budget["valid"], &budget["good"], &budget["bad"]),
        (&json!(3_600), &json!(3_450), &json!(150))
    );
    assert_eq!(
        (&budget["countedBy"], &budget["side"]),
        (&json!("http_status"), &json!("server"))
    );
    assert_eq!(budget["endTs"], NOW);
    assert_eq!(budget["startTs"], NOW - 7 * 86_400_000);
    let close = |value: &Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-9;
    assert!(close(&budget["sli"], 1.0 - 150.0 / 3_600.0), "{budget}");
    assert!(close(&budget["budgetRequests"], 360.0), "{budget}");
    assert!(close(&budget["budgetRemaining"], 1.0 - 150.0 / 360.0), "{budget}");
    let rates = budget["burnRates"].as_array().unwrap();
    assert_eq!(
        (&rates[0]["window"], &rates[0]["bad"]),
        (&json!(5 * MINUTE), &json!(150))
    );
    assert!(close(&rates[0]["burnRate"], 5.0), "{budget}");
    assert!(close(&rates[2]["burnRate"], 150.0 / 360.0), "{budget}");
    let firing = |budget: &Value| -> Vec<bool> {
        let alerts = budget["alerts"].as_array().unwrap();
        alerts
            .iter()
            .map(|alert| alert["firing"].as_bool().unwrap())
            .collect()
    };
    assert_eq!(
        firing(&budget),
        [false; 4],
        "the hour as a whole was not that bad"
    );
}

#[tokio::test]
async fn a_status_judges_before_the_error_tag() {
    let service = with_objective(&availability()).await;
    let tag = |index, span: Told| match index {
        0..10 => span.tagged("error", "404").tagged("http.status_code", "404"),
        10..13 => span.tagged("http.response.status_code", "503"),
        13..17 => span.tagged("error", "").tagged("http.status_code", "500"),
        17..22 => span.tagged("error", ""),
        _ => span.tagged("http.status_code", "200"),
    };
    service.keep(requests(10, tag)).await;
    let budget = budget(&service).await;
    assert_eq!(
        (&budget["valid"], &budget["bad"]),
        (&json!(600), &json!(3 + 4 + 5))
    );
    assert_eq!(budget["countedBy"], "http_status");
}

#[tokio::test]
async fn of_too_many_failures_the_newest_tell_the_share_of_the_rest() {
    let service = with_objective(&availability()).await;
    // Each minute forty were not found and ten failed: more traces than are read.
    let tag = |index, span: Told| match index % 60 {
        0..40 => span.tagged("error", "404").tagged("http.status_code", "404"),
        40..50 => span.tagged("error", "500").tagged("http.status_code", "500"),
        _ => span,
    };
    service.keep(requests(40, tag)).await;
    let budget = budget(&service).await;
    assert_eq!(budget["countedBy"], "http_status_sampled");
    assert_eq!((&budget["valid"], &budget["bad"]), (&json!(2_400), &json!(400)));
}

#[tokio::test]
async fn latency_counts_what_was_slower_than_the_threshold() {
    let objective = json!({"serviceName": "shop", "spanName": "get /cart", "indicator": "latency", "thresholdMs": 100,
        "objective": 0.5, "windowDays": 1});
    let service = with_objective(&objective).await;
    let slow = |index, span: Told| Told {
        // At the threshold, and beyond its bucket.
        duration: if index % 4 == 0 { 101_000 } else { 100_000 },
        name: if index < 60 { "other" } else { span.name },
        ..span
    };
    service.keep(requests(10, slow)).await;
    let budget = budget(&service).await;
    assert_eq!((&budget["valid"], &budget["bad"]), (&json!(540), &json!(135)));
    assert_eq!(
        (&budget["countedBy"], &budget["budgetRemaining"]),
        (&json!("duration"), &json!(0.5))
    );
}

#[tokio::test]
async fn without_requests_nothing_is_said_and_nobody_is_alarmed() {
    let service = with_objective(&availability()).await;
    let budget = budget(&service).await;
    assert_eq!((&budget["valid"], budget.get("sli")), (&json!(0), None));
    assert_eq!(budget.get("budgetRemaining"), None);
    assert!(
        budget["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|alert| alert["firing"] == false)
    );
    let absent = service.get("/api/v2/slos/nothing/budget").await;
    assert_eq!(absent.error(), (404, "there is no objective \"nothing\""));
}

/// A deployment of version 2 that went live ten minutes before now, and was taken back five minutes later.
async fn deployment(service: &Service) -> Arc<Deployment> {
    let declared = Deployment {
        service_name: "shop".to_owned(),
        version: "2".to_owned(),
        start_ts: NOW - 10 * MINUTE,
        rolled_back_ts: Some(NOW - 5 * MINUTE - 1),
        ..Deployment::default()
    };
    match service.store.put_deployment(declared).await.unwrap() {
        Put::Added(deployment) => deployment,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_report_has_the_objectives_of_its_service_and_what_the_deployment_spent() {
    let service = with_objective(&availability()).await;
    let elsewhere =
        json!({"serviceName": "other", "indicator": "availability", "objective": 0.9, "windowDays": 7});
    service.ask("PUT", "/api/v2/slos/other", &elsewhere).await;
    // One of sixty fails before, and of version 2, which serves every second request, one of four. An instance that
    // was forgotten still serves it later.
    let tag = |index, span: Told| {
        let is_forgotten = index == 3_450;
        let is_new = (3_000..3_300).contains(&index) && index % 2 == 0 || is_forgotten;
        let span = span.tagged("version", if is_new { "2" } else { "1" });
        match index {
            _ if is_new && (index % 8 == 0 || is_forgotten) => span.tagged("error", ""),
            _ if !is_new && index % 60 == 1 => span.tagged("error", ""),
            _ => span,
        }
    };
    service.keep(requests(60, tag)).await;
    let deployment = deployment(&service).await;
    let (states, completeness) = slo_states(&service.sources, &deployment, NOW - 1).await.unwrap();
    assert_eq!(completeness, Completeness::Complete);
    assert_eq!(states.len(), 1);
    let state = &states[0];
    assert_eq!((state.name.as_str(), state.objective), ("cart", 0.9));
    // Of 3,600 requests 360 may fail; 61 did, and 38 of the 150 of version 2 while it was live.
    let close = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-9;
    assert!(close(state.budget_remaining, 1.0 - 99.0 / 360.0), "{state:?}");
    assert!(close(state.burn_rate, 99.0 / 360.0), "{state:?}");
    let usual = 150.0 * 50.0 / 3_000.0;
    assert!(
        close(state.spent_by_deployment, (38.0 - usual) / 360.0),
        "{state:?}"
    );
    assert!(!state.fast_burn);

    let path = format!("/api/v2/deployments/{}/report?endTs={}", deployment.id, NOW - 1);
    let report = service.get(&path).await.body;
    assert_eq!(report["slo"], json!(states), "{report}");
}

#[tokio::test]
async fn a_store_is_asked_for_a_budget_once_however_long_its_window_is() {
    let mut year = availability();
    year["windowDays"] = json!(366);
    let service = with_objective(&year).await;
    let fail = |index, span: Told| {
        let span = span.tagged("version", if index < 3_000 { "1" } else { "2" });
        if index % 30 == 0 {
            span.tagged("error", "")
        } else {
            span
        }
    };
    service.keep(requests(60, fail)).await;
    let deployment = deployment(&service).await;
    let damaged = Damaged::over(&service.store);
    let sources = Sources {
        latency: Arc::clone(&damaged) as _,
        ..service.sources.clone()
    };
    let asked = || {
        (
            damaged.minutes.swap(0, Ordering::Relaxed),
            damaged.windows.swap(0, Ordering::Relaxed),
        )
    };
    let (states, _) = slo_states(&sources, &deployment, NOW - 1).await.unwrap();
    assert_eq!(asked(), (0, 2), "of all, and of the version");
    let expected = slo_states(&service.sources, &deployment, NOW - 1).await.unwrap();
    assert_eq!(states, expected.0);
    let again = Service::over(Arc::clone(&service.store), sources, Settings::default());
    let budget = again.get("/api/v2/slos/cart/budget").await;
    assert_eq!((asked(), &budget.body["bad"]), ((0, 1), &json!(120)));
}

#[tokio::test]
async fn a_report_whose_objectives_are_of_a_part_of_the_requests_says_so_and_is_not_kept() {
    let service = with_objective(&availability()).await;
    let tag = |index: u64, span: Told| {
        let span = span.tagged("version", if index < 120 * 60 { "1" } else { "2" });
        Told {
            duration: 100_000 + index * 7_919 % 20_011,
            ..span
        }
    };
    service.keep(requests(240, tag)).await;
    let finished = Deployment {
        service_name: "shop".to_owned(),
        version: "2".to_owned(),
        start_ts: NOW - 120 * MINUTE,
        end_ts: Some(NOW - 118 * MINUTE),
        ..Deployment::default()
    };
    let Put::Added(deployment) = service.store.put_deployment(finished).await.unwrap() else {
        panic!("there is none yet");
    };
    let sources = Sources {
        latency: Damaged::over(&service.store) as _,
        ..service.sources.clone()
    };
    let damaged = Service::over(Arc::clone(&service.store), sources, Settings::default());
    let path = format!("/api/v2/deployments/{}/report", deployment.id);
    let gate = "/api/v2/gate?serviceName=shop&version=2&requireBudget=true";
    let partial = damaged.get(&path).await;
    assert_eq!(
        partial.body["verdict"], "unchanged",
        "{}",
        partial.body["missing"]
    );
    assert_eq!(partial.body["completeness"], "sums are lost");
    let told = Some("partial; reason=\"sums are lost\"");
    assert_eq!(partial.completeness.as_deref(), told);
    assert_eq!(damaged.get(gate).await.completeness.as_deref(), told);
    assert_eq!(service.store.report(&deployment.id).await.unwrap(), None);
    service.get_whole(&path).await;
    assert!(service.store.report(&deployment.id).await.unwrap().is_some());
    // The report is whole, and yet what the budget is now is not.
    assert_eq!(damaged.get(gate).await.completeness.as_deref(), told);
}
