//! Instances against a tracing server that only collects: what is on the wire, and what each fault does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::fault::Fault;
use crate::testing::collector;

/// Requests of a run, and who make them at one time.
const REQUESTS: u64 = 48;
const USERS: u64 = 4;

/// What the spans of requests for `/stock` say: shares, and the shortest times, which others on the machine move least.
#[derive(Debug)]
struct Observed {
    price_calls: f64,
    level_calls: f64,
    /// Of the requests, the share whose calls do not overlap.
    serialised: f64,
    price_ms: f64,
    level_ms: f64,
    own_ms: f64,
    failed: f64,
    refused: f64,
}

fn surroundings(tracing_server: SocketAddr) -> Surroundings {
    Surroundings {
        directory: Arc::new(Directory::default()),
        delivery: Arc::new(Delivery::default()),
        tracing_server,
        clock: Clock::start(),
        seed: 7,
    }
}

async fn observe(fault: Fault) -> Observed {
    let (tracing_server, spans) = collector().await;
    let surroundings = surroundings(tracing_server);
    let mut running = Vec::new();
    for service in [Service::Pricing, Service::Warehouse, Service::Inventory] {
        let instance = start(service, "2", fault.operations(service), &surroundings)
            .await
            .unwrap();
        surroundings.directory.add(service, instance.address);
        running.push(instance);
    }
    let inventory = running[2].address;
    let client = Client::new();
    let ask = async |times: u64| {
        for _ in 0..times {
            let answer = client.send(inventory, Method::GET, "/stock", HeaderMap::new(), Bytes::new());
            answer.await.unwrap();
        }
    };
    join_all((0..USERS).map(|_| ask(REQUESTS / USERS))).await;
    for instance in running {
        instance.stop().await;
    }
    assert_eq!(surroundings.delivery.lost.load(Ordering::Relaxed), 0);
    let spans = spans.lock();
    summed_up(&spans)
}

fn summed_up(spans: &[Value]) -> Observed {
    let mut traces: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for span in spans {
        traces
            .entry(span["traceId"].as_str().unwrap())
            .or_default()
            .push(span);
    }
    assert_eq!(traces.len() as u64, REQUESTS);
    let of = |kind: &str, name: &str| -> Vec<&Value> {
        let is_one = |span: &&Value| span["kind"] == kind && span["name"] == name;
        spans.iter().filter(is_one).collect()
    };
    let share = |count: usize| count as f64 / REQUESTS as f64;
    let is_serialised = |trace: &&Vec<&Value>| {
        let mut calls: Vec<(u64, u64)> = trace
            .iter()
            .filter(|span| span["kind"] == "CLIENT")
            .map(|span| interval(span))
            .collect();
        calls.sort_unstable();
        calls.windows(2).all(|pair| pair[1].0 >= pair[0].1)
    };
    let own = traces.values().map(|trace| {
        let is_server = |span: &&&Value| span["name"] == "get /stock";
        let server = interval(trace.iter().find(is_server).unwrap());
        let calls = trace.iter().filter(|span| span["kind"] == "CLIENT");
        let calls: Vec<(u64, u64)> = calls.map(|span| interval(span)).collect();
        let first = calls.iter().map(|call| call.0).min().unwrap_or(server.1);
        let last = calls.iter().map(|call| call.1).max().unwrap_or(server.1);
        (first - server.0) + (server.1 - last)
    });
    let millis = |name: &str| {
        shortest(
            of("SERVER", name)
                .iter()
                .map(|span| span["duration"].as_u64().unwrap()),
        )
    };
    let has_status = |status: &'static str| move |span: &&&Value| span["tags"]["http.status_code"] == status;
    Observed {
        price_calls: share(of("CLIENT", "get /price").len()),
        level_calls: share(of("CLIENT", "get /level").len()),
        serialised: share(traces.values().filter(is_serialised).count()),
        price_ms: millis("get /price"),
        level_ms: millis("get /level"),
        own_ms: shortest(own),
        failed: share(
            of("SERVER", "get /stock")
                .iter()
                .filter(has_status("500"))
                .count(),
        ),
        refused: share(
            of("CLIENT", "get /level")
                .iter()
                .filter(has_status("503"))
                .count(),
        ),
    }
}

fn interval(span: &Value) -> (u64, u64) {
    let from = span["timestamp"].as_u64().unwrap();
    (from, from + span["duration"].as_u64().unwrap())
}

/// Milliseconds.
fn shortest(micros: impl Iterator<Item = u64>) -> f64 {
    micros.min().unwrap() as f64 / 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_does_what_it_says_and_nothing_else() {
    let usual = observe(Fault::None).await;
    assert!(usual.serialised < 0.2, "{usual:?}");
    assert_eq!((usual.price_calls, usual.level_calls), (1.0, 1.0));
    for fault in Fault::ALL {
        let seen = observe(fault).await;
        let is_longer = |now: f64, before: f64| now > 1.4 * before;
        let told = [
            (Fault::Serialised, seen.serialised > 0.9),
            (Fault::MoreCalls, seen.price_calls > 2.5),
            (Fault::HeavierCalls, is_longer(seen.price_ms, usual.price_ms)),
            (Fault::SelfTime, is_longer(seen.own_ms, usual.own_ms)),
            (Fault::SlowCallee, is_longer(seen.level_ms, usual.level_ms)),
            (Fault::Errors, seen.failed > 0.0),
            (Fault::Retries, seen.refused > 0.3 && seen.level_calls > 1.3),
        ];
        let changed: Vec<Fault> = told
            .into_iter()
            .filter(|told| told.1)
            .map(|told| told.0)
            .collect();
        let expected: Vec<Fault> = Some(fault)
            .filter(|fault| *fault != Fault::None)
            .into_iter()
            .collect();
        assert_eq!(changed, expected, "{seen:?} and usually {usual:?}");
    }
}

#[tokio::test]
async fn both_sides_of_a_call_are_one_span_and_say_who_they_are() {
    let (tracing_server, spans) = collector().await;
    let surroundings = surroundings(tracing_server);
    let mut running = Vec::new();
    for service in [Service::Bank, Service::Payments] {
        let instance = start(service, "3", service.operations(), &surroundings)
            .await
            .unwrap();
        surroundings.directory.add(service, instance.address);
        running.push(instance);
    }
    let (bank, payments) = (running[0].address, running[1].address);
    let headers = Context {
        trace_id: 10,
        span_id: 11,
        parent_id: None,
        is_sampled: true,
    };
    let headers = headers.write(crate::b3::Style::Several);
    let answer = Client::new()
        .send(payments, Method::POST, "/charge", headers, Bytes::new())
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    for instance in running {
        instance.stop().await;
    }
    let spans = spans.lock();
    let side = |kind: &str, service: &str| {
        let is_one = |span: &&Value| span["kind"] == kind && span["localEndpoint"]["serviceName"] == service;
        spans.iter().find(is_one).unwrap()
    };
    let (charge, client, server) = (
        side("SERVER", "payments"),
        side("CLIENT", "payments"),
        side("SERVER", "bank"),
    );
    assert_eq!(spans.len(), 3);
    assert_eq!(
        (&charge["id"], &charge["shared"]),
        (&"000000000000000b".into(), &true.into())
    );
    assert_eq!(
        (&client["parentId"], &client["shared"]),
        (&charge["id"], &Value::Null)
    );
    assert_eq!(
        (&server["id"], &server["parentId"], &server["shared"]),
        (&client["id"], &client["parentId"], &true.into())
    );
    assert_eq!(client["remoteEndpoint"]["port"], bank.port());
    assert_eq!(server["localEndpoint"]["port"], bank.port());
    assert_eq!(server["localEndpoint"]["ipv4"], "127.0.0.1");
    assert_eq!(server["tags"]["version"], "3");
    assert!(
        spans
            .iter()
            .all(|span| span["traceId"] == "0000000000000000000000000000000a"),
        "{spans:?}"
    );
}

#[tokio::test]
async fn what_is_not_sampled_is_not_recorded() {
    let (tracing_server, spans) = collector().await;
    let surroundings = surroundings(tracing_server);
    let bank = start(Service::Bank, "1", Service::Bank.operations(), &surroundings)
        .await
        .unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("b3", http::HeaderValue::from_static("a-b-0"));
    let answer = Client::new()
        .send(bank.address, Method::POST, "/authorise", headers, Bytes::new())
        .await;
    assert_eq!(answer.unwrap().status, StatusCode::OK);
    bank.stop().await;
    assert_eq!(spans.lock().len(), 0);
}
