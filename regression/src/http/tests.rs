//! The document against the routes, and answers against the document.

use std::collections::{BTreeMap, BTreeSet};

use axum::routing::get;
use openapi::check::{assert_described, assert_valid};
use serde_json::{Value, json};

use super::*;
use crate::asking::{Api, NOW};
use crate::report::{
    Check, Classification, Design, EntryChange, Exemplars, Explanation, Finding, Omitted, Operation,
    OperationComparison, OperationSide, Power, Report, Shift, Sides, SloState, Verdict, Victim,
};
use crate::reports::tests::{finding, report};

/// The API with its document, as far as that is of it: the server's has the other parts too.
pub(crate) fn router(reports: Arc<Reports>, events: Events) -> Router {
    let answer = async || json(StatusCode::OK, &openapi::document(&endpoints()));
    PREFIXES
        .iter()
        .fold(super::router(reports, events), |router, prefix| {
            router.route(&format!("{prefix}/openapi.json"), get(answer))
        })
}

/// Paths of the document stand for these.
fn example_of(method: &str, path: &str, deployment: &str, execution: &str) -> String {
    match (method, path) {
        ("post", "/canary/{id}") => return "/canary/tracehound?application=cart".to_owned(),
        ("get", "/canary/{id}") => return format!("/canary/{execution}"),
        _ => {}
    }
    let path = path.replace("{id}", deployment).replace("{name}", "cart-latency");
    match path.as_str() {
        "/api/v2/regressions" | "/api/v2/deployments" => path + "?lookback=86400000&environment=prod",
        "/api/v2/compare" => path + "?baselineQuery=serviceName%3Dcart&candidateQuery=serviceName%3Dcart",
        "/api/v2/traces/diff" => path + "?baseline=1&candidate=2",
        "/api/v2/latency" => path + "?serviceName=cart&lookback=3600000&histogram=true",
        "/api/v2/operations" => path + "?serviceName=cart&lookback=3600000",
        "/api/v2/gate" => path + "?serviceName=cart&version=2.0&minScore=90",
        _ => path,
    }
}

/// A body that each operation takes.
fn body_of(method: &str, path: &str) -> Value {
    match (method, path) {
        ("post", "/api/v2/deployments") => {
            json!({"serviceName": "cart", "version": "3.0", "startTs": NOW - 60_000, "instances": [
                {"ip": "10.0.0.7", "port": 8080, "switchTs": NOW - 50_000}
            ]})
        }
        ("patch", _) => json!({"endTs": NOW - 1_000, "metadata": {"commit": "9f31c2e"}}),
        ("put", _) => {
            json!({"serviceName": "cart", "indicator": "latency", "thresholdMs": 250, "objective": 0.99, "windowDays": 28})
        }
        ("post", "/canary/{id}") => json!({"scopes": {"default": {"experimentScope": {"scope": "2.0"}}}}),
        ("post", "/judge") => {
            json!({"metricSetPairList": [{"name": "p95", "values": {"control": [1], "experiment": [2]}}]})
        }
        ("post", "/api/v2/gate/webhook") => {
            json!({"name": "cart", "namespace": "shop", "phase": "Progressing"})
        }
        _ => Value::Null,
    }
}

/// Operations of the document: path, method, and what it says; what deletes comes last.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    let order = |method: &str| {
        ["put", "post", "patch", "get", "delete"]
            .iter()
            .position(|known| *known == method)
    };
    operations.sort_by_key(|(path, method, _)| (order(method), path.clone()));
    operations
}

fn declared_as(version: &str) -> Value {
    json!({"serviceName": "cart", "version": version, "environment": "prod", "startTs": NOW - 600_000})
}

fn operation() -> Operation {
    Operation {
        service_name: "cart".to_owned(),
        span_name: "get".to_owned(),
        span_kind: Some("SERVER".to_owned()),
    }
}

/// A finding in which nothing is absent that may be there.
fn filled_finding() -> Finding {
    Finding {
        callee: Some(operation()),
        contribution_ratio: Some(0.9),
        error_rate_change: Some(0.1),
        victims: vec![Victim {
            operation: operation(),
            change: 9_000,
        }],
        exemplars: Exemplars {
            baseline: vec!["1".to_owned()],
            candidate: vec!["2".to_owned()],
        },
        explanation: Some(Explanation::OtherDeployment),
        deployment_id: Some("other".to_owned()),
        instance: Some("10.0.0.1".to_owned()),
        ..finding("slower", 9_000, true)
    }
}

/// A report in which nothing is absent that may be there.
fn filled() -> Report {
    let side = OperationSide {
        histogram: vec![(1_000, 17)],
        ..OperationSide::default()
    };
    let zero = Shift {
        estimate: 0,
        low: 0,
        high: 0,
        relative: 0.0,
        relative_low: 0.0,
        relative_high: 0.0,
    };
    Report {
        score: Some(40.0),
        kayenta_score: Some(50.0),
        confidence: Some(0.99),
        design: Some(Design::Concurrent),
        missing: Some("nothing".to_owned()),
        findings: vec![filled_finding()],
        change: vec![EntryChange {
            entry: operation(),
            requests: Sides::default(),
            total: 9_000,
            within: 9_000,
            mix_shift: 0,
            explained: 9_000,
            remainder: 0,
        }],
        power: Some(Power {
            smallest_relative: Some(0.01),
            requests_missing: Some(0),
        }),
        checks: vec![Check {
            group: "latency".to_owned(),
            name: "get".to_owned(),
            weight: 100.0,
            grade: Some(0.4),
            critical: false,
            reason: Some("slower".to_owned()),
        }],
        operations: vec![OperationComparison {
            operation: operation(),
            baseline: side.clone(),
            candidate: side,
            shift: Some(zero),
            p_value: Some(0.5),
            effect_size: Some(0.5),
            classification: Classification::Pass,
        }],
        slo: vec![SloState {
            name: "cart-latency".to_owned(),
            objective: 0.99,
            budget_remaining: Some(0.5),
            burn_rate: Some(1.0),
            spent_by_deployment: Some(0.1),
            fast_burn: false,
        }],
        omitted: Omitted {
            findings: 1,
            ..Omitted::default()
        },
        ..report(Verdict::Regressed)
    }
}

/// Answers that go by what somebody declared, and so leave out no span.
const TOLD: [&str; 5] = [
    "/api/v2/deployments",
    "/api/v2/deployments/{id}",
    "/api/v2/slos",
    "/api/v2/slos/{name}",
    "/canaryConfig",
];

#[tokio::test]
async fn every_operation_of_the_document_answers_as_it_says() {
    let api = Api::new();
    let declared = declared_as("2.0");
    let id = api.declare(&declared).await;
    let (judged, _) = api.keep(&declared_as("2.5"), filled()).await;
    api.keep_trace(1, false).await;
    api.keep_trace(2, false).await;
    let document = api.get("/api/v2/openapi.json").await.json();
    let begun = api
        .ask("POST", "/canary/tracehound?application=cart", &json!({}))
        .await
        .json();
    let execution = begun["canaryExecutionId"].as_str().unwrap();
    let operations = operations(&document);
    for (path, method, operation) in &operations {
        // An answer that does not end is held to the document where it is read.
        if operation["responses"]["200"]["content"]["text/event-stream"].is_object() {
            continue;
        }
        // What is changed has no report that is still of it.
        let deployment = if method == "get" { &judged } else { &id };
        let (example, body) = (
            example_of(method, path, deployment, execution),
            body_of(method, path),
        );
        let asked = format!("{method} {example}");
        if let Some(described) = operation.get("requestBody") {
            assert_valid(
                &document,
                &described["content"]["application/json"]["schema"],
                &body,
                &asked,
            );
        }
        let answer = api.ask(&method.to_uppercase(), &example, &body).await;
        let is_from_spans = !TOLD.contains(&path.as_str());
        if method == "get" && answer.status == 200 {
            assert_eq!(answer.completeness.is_some(), is_from_spans, "{asked}");
        }
        assert_described(&document, operation, answer.status, &answer.json(), &asked);
    }
    assert!(operations.len() >= 22, "{} operations", operations.len());
}

#[tokio::test]
async fn what_the_document_requires_is_required_and_what_it_bounds_is_bounded() {
    let api = Api::new();
    let document = api.get("/zipkin/api/v2/openapi.json").await.json();
    let mut checked = 0;
    for (path, method, operation) in operations(&document) {
        for parameter in operation["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            let wrong = match &parameter["schema"] {
                _ if parameter["in"] == "path" => continue,
                schema if schema["maximum"].is_number() => "-1".to_owned(),
                schema if schema["enum"].is_array() => "nothing-of-it".to_owned(),
                schema => "a".repeat(schema["maxLength"].as_u64().unwrap() as usize + 1),
            };
            let example = example_of(&method, &path, "nobody", "none");
            let example = example.split('?').next().unwrap();
            let (verb, body) = (method.to_uppercase(), body_of(&method, &path));
            let answer = api.ask(&verb, &format!("{example}?{name}={wrong}"), &body).await;
            assert_eq!(answer.status, 400, "{method} {path} with {name}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(
                error.starts_with(&format!("{name}: ")),
                "{method} {path}: {error}"
            );
            if parameter["required"] == true {
                let error = api.ask(&verb, example, &body).await.json()["error"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                assert!(error.ends_with(": is required"), "{path}: {error}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked} parameters");
}

#[tokio::test]
async fn refusals_are_described_by_the_routes_that_refuse() {
    let api = Api::new();
    let id = api.declare(&declared_as("2.0")).await;
    let document = api.get("/api/v2/openapi.json").await.json();
    let too_long = json!("a".repeat(4 << 20));
    let contradiction = json!({"id": id, "serviceName": "other", "version": "2.0", "startTs": NOW});
    let mut refused = BTreeMap::new();
    for (path, method, operation) in operations(&document) {
        let mut bodies = vec![(Value::Null, "nobody"), (body_of(&method, &path), "nobody")];
        if operation.get("requestBody").is_some() {
            bodies.extend([
                (too_long.clone(), &*id),
                (json!([1]), &*id),
                (contradiction.clone(), &*id),
            ]);
        }
        for (body, id) in bodies {
            let example = example_of(&method, &path, id, "nobody").replace("cart-latency", "nothing");
            let asked = format!("{method} {example}");
            if asked.ends_with("/deployments/events") {
                continue;
            }
            let answer = api.ask(&method.to_uppercase(), &example, &body).await;
            if answer.status >= 400 {
                assert_described(&document, &operation, answer.status, &answer.json(), &asked);
                *refused.entry(answer.status).or_insert(0) += 1;
            }
        }
    }
    let statuses: Vec<_> = refused.keys().collect();
    assert_eq!(statuses, [&400, &404, &409, &413, &425], "{refused:?}");
}

/// Names of all fields that a schema describes, down to the last.
fn fields_of(document: &Value, schema: &Value, fields: &mut BTreeSet<String>) {
    match schema {
        Value::Array(schemas) => schemas
            .iter()
            .for_each(|schema| fields_of(document, schema, fields)),
        Value::Object(parts) => {
            for (part, schema) in parts {
                if part == "$ref" {
                    let path = schema.as_str().unwrap().trim_start_matches('#');
                    // What a deployment is has a page of its own.
                    if !path.ends_with("/Deployment") {
                        fields_of(document, document.pointer(path).unwrap(), fields);
                    }
                } else {
                    if part == "properties" {
                        fields.extend(schema.as_object().unwrap().keys().cloned());
                    }
                    fields_of(document, schema, fields);
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_field_of_a_report_is_explained() {
    let document = Api::new().get("/api/v2/openapi.json").await.json();
    let mut fields = BTreeSet::new();
    fields_of(
        &document,
        &json!({"$ref": "#/components/schemas/Report"}),
        &mut fields,
    );
    let page = include_str!("../../../docs/report.md");
    let lacking: Vec<_> = fields
        .iter()
        .filter(|field| !page.contains(&format!("`{field}`")))
        .collect();
    assert_eq!(lacking, [""; 0]);
    assert!(fields.len() > 70, "{fields:?}");
}
