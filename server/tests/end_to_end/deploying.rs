//! Deployments and objectives over HTTP and by the command line, against the real server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Answer, Connection};
use crate::process::{Server, run_to_end};

const START: u64 = 1_732_100_000_000;

fn ask(server: &Server, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    server.ask(
        method,
        path,
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

fn declare(server: &Server, body: &Value) -> Answer {
    ask(server, "POST", "/api/v2/deployments", body)
}

fn list(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.get(&format!("/api/v2/deployments?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().as_array().unwrap().clone()
}

fn whole() -> Value {
    json!({
        "serviceName": "Checkout", "version": "2.3.1", "previousVersion": "2.3.0", "environment": "prod",
        "strategy": "rolling", "startTs": START, "endTs": START + 300_000,
        "instances": [{"ip": "10.0.0.7", "port": 8080, "switchTs": START + 60_000}],
        "metadata": {"commit": "9f31c2e", "url": "https://ci.example/412"},
    })
}

/// A span of a version that begins so many milliseconds after [`START`].
fn span(version: &str, millis: u64, ip: &str) -> Value {
    json!({
        "traceId": format!("{:016x}", millis + 1), "id": "1", "name": "get", "timestamp": (START + millis) * 1000,
        "duration": 10, "localEndpoint": {"serviceName": "cart", "ipv4": ip, "port": 80},
        "tags": {"service.version": version},
    })
}

#[test]
fn a_deployment_is_declared_added_to_and_deleted() {
    let server = Server::start(&[]);
    let declared = declare(&server, &whole());
    assert_eq!(declared.status, 201, "{}", declared.text());
    let deployment = declared.json();
    let path = declared.header("location").unwrap().to_owned();
    assert_eq!(
        path,
        format!("/api/v2/deployments/{}", deployment["id"].as_str().unwrap())
    );
    let mut expected = whole();
    expected["serviceName"] = json!("checkout");
    expected["id"] = deployment["id"].clone();
    expected["inferred"] = json!(false);
    expected["rollback"] = json!(false);
    assert_eq!(deployment, expected);
    let again = declare(&server, &whole());
    assert_eq!((again.status, again.json()), (200, expected.clone()));
    assert_eq!(server.get(&path).json(), expected);
    assert_eq!(server.get(&format!("/zipkin{path}")).json(), expected);
    assert_eq!(
        list(&server, "serviceName=CHECKOUT&environment=prod"),
        [expected.clone()]
    );

    let patch = json!({"rolledBackTs": START + 400_000, "metadata": {"why": "slow"}, "instances": [
        {"ip": "::ffff:10.0.0.8", "switchTs": START + 90_000}
    ]});
    let patched = ask(&server, "PATCH", &path, &patch);
    assert_eq!(patched.status, 200, "{}", patched.text());
    let patched = patched.json();
    assert_eq!(patched["rolledBackTs"], START + 400_000);
    assert_eq!(patched["metadata"]["why"], "slow");
    assert_eq!(
        patched["instances"][1],
        json!({"ip": "10.0.0.8", "switchTs": START + 90_000})
    );

    for (method, status) in [("DELETE", 204), ("DELETE", 404), ("GET", 404), ("PATCH", 404)] {
        let body = if method == "PATCH" { json!({}) } else { Value::Null };
        assert_eq!(ask(&server, method, &path, &body).status, status, "{method}");
    }
    assert_eq!(list(&server, ""), [json!(null); 0]);
    assert_eq!(server.complaints(), [""; 0]);
}

/// A declaration with another value of a field.
fn with(field: &str, value: Value) -> Value {
    let mut body = whole();
    body[field] = value;
    body
}

/// None of these is taken; each is told so.
fn assert_refused(wrong: &[(Value, &str)]) {
    let server = Server::start(&[]);
    for (body, told) in wrong {
        let answer = declare(&server, body);
        assert_eq!(
            (answer.status, answer.json()),
            (400, json!({"error": told})),
            "{body}"
        );
    }
    assert_eq!(list(&server, ""), [json!(null); 0]);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn wrong_texts_are_told_with_their_place() {
    assert_refused(&[
        (json!([]), "the body: has to be an object, and is a list"),
        (with("serviceName", Value::Null), "serviceName: is required"),
        (
            with("version", json!(2.3)),
            "version: has to be a string, and is 2.3",
        ),
        (with("version", json!("")), "version: is empty"),
        (
            with("version", json!("2\n3")),
            "version: character 2 is a control character",
        ),
        (
            with("environment", json!("x".repeat(257))),
            "environment: has 257 bytes, more than 256",
        ),
        (
            with("strategy", json!("yolo")),
            "strategy: \"yolo\" is none of rolling, canary, blue_green, recreate",
        ),
        (
            with("id", json!("a/b")),
            "id: \"a/b\" may have letters, digits and - . _ ~ : only",
        ),
        (
            with("id", json!("events")),
            "id: \"events\" is not free to be used",
        ),
        (
            with("endTS", json!(1)),
            "endTS: there is no such field here; there are id, serviceName, version, previousVersion, environment, \
             strategy, startTs, endTs, instances, metadata",
        ),
    ]);
}

#[test]
fn wrong_moments_and_lists_are_told_with_their_place() {
    assert_refused(&[
        (
            with("startTs", json!(START / 1000)),
            "startTs: 1732100000 is not epoch milliseconds, but perhaps seconds",
        ),
        (
            with("endTs", json!(START * 1000)),
            "endTs: 1732100000000000 is not epoch milliseconds, but perhaps microseconds",
        ),
        (
            with("startTs", json!(-1)),
            "startTs: has to be a whole number from 0 to 18446744073709551615, and is -1",
        ),
        (
            with("endTs", json!(START - 1)),
            "endTs: 1732099999999 is before startTs, which is 1732100000000",
        ),
        (
            with("instances", json!({})),
            "instances: has to be a list, and is an object",
        ),
        (
            with(
                "instances",
                json!([{"ip": "10.0.0.7", "switchTs": START}, {"ip": "ten"}]),
            ),
            "instances[1].switchTs: is required",
        ),
        (
            with("instances", json!([{"ip": "ten", "switchTs": START}])),
            "instances[0].ip: \"ten\" is no IP address",
        ),
        (
            with(
                "instances",
                json!([{"ip": "10.0.0.7", "port": 65536, "switchTs": START}]),
            ),
            "instances[0].port: has to be a whole number from 1 to 65535, and is 65536",
        ),
        (
            with("metadata", json!({"a": 1})),
            "metadata.a: has to be a string, and is 1",
        ),
        (
            with("metadata", json!({"a": "x".repeat(70_000)})),
            "metadata: keys and values have 70001 bytes, more than 65536",
        ),
    ]);
}

#[test]
fn hostile_bodies_and_parameters_are_told_what_is_wrong() {
    let server = Server::start(&[]);
    for body in [
        "",
        "{",
        "\"",
        "nul",
        "{\"serviceName\": \"a\"} x",
        &"[".repeat(100_000),
        "\u{0}",
    ] {
        let answer = server.ask("POST", "/api/v2/deployments", &[], body.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with("the body is not JSON: "), "{error}");
    }
    for (query, told) in [
        (
            "limit=0",
            "limit: has to be a whole number from 1 to 1000, and is \"0\"",
        ),
        (
            "endTs=x",
            "endTs: has to be a whole number from 1 to 9223372036854775807, and is \"x\"",
        ),
        ("serviceName=%ff", "serviceName: is not UTF-8"),
    ] {
        let answer = server.get(&format!("/api/v2/deployments?{query}"));
        assert_eq!((answer.status, answer.json()), (400, json!({"error": told})));
    }
    let nobody = ask(
        &server,
        "PATCH",
        "/api/v2/deployments/nobody",
        &json!({"version": "3"}),
    );
    assert_eq!(nobody.status, 400, "version cannot be changed");
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn what_contradicts_is_refused_and_what_is_too_large_too() {
    let server = Server::start(&[]);
    let mut named = whole();
    named["id"] = json!("run-412");
    assert_eq!(declare(&server, &named).status, 201);
    named["version"] = json!("2.4.0");
    let answer = declare(&server, &named);
    let told = "version: \"2.4.0\" contradicts \"2.3.1\" of deployment \"run-412\"";
    assert_eq!((answer.status, answer.json()), (409, json!({"error": told})));
    let path = "/api/v2/deployments/run-412";
    let answer = ask(&server, "PATCH", path, &json!({"endTs": START + 1}));
    let told = "endTs: 1732100000001 contradicts 1732100300000 of deployment \"run-412\"";
    assert_eq!((answer.status, answer.json()), (409, json!({"error": told})));
    let mut connection = server.connect();
    connection.send("POST /api/v2/deployments HTTP/1.1\r\nhost: test\r\ncontent-length: 5000000\r\n\r\n");
    connection.send_in_vain(vec![b' '; 5_000_000]);
    assert_eq!(connection.answer().unwrap().status, 413);
}

#[test]
fn two_declarations_at_once_make_one_deployment() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let body = whole().to_string();
    let connections: Vec<Connection> = (0..16)
        .map(|_| {
            let mut connection = server.connect();
            connection.request("POST", "/api/v2/deployments", &[], body.as_bytes());
            connection
        })
        .collect();
    let mut statuses: Vec<u16> = connections
        .into_iter()
        .map(|mut connection| connection.answer().unwrap().status)
        .collect();
    statuses.sort_unstable();
    assert_eq!((statuses[15], &statuses[..15]), (201, &[200; 15][..]));
    assert_eq!(list(&server, "").len(), 1);
}

#[test]
fn spans_tell_deployments_and_a_restart_forgets_none() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [("ENVIRONMENT_TAGS", "stage")];
    let server = Server::start_in(directory.path(), &settings);
    let mut old = span("1.0", 0, "10.0.0.1");
    old["tags"]["stage"] = json!("prod");
    let mut new = span("1.1", 90_000, "10.0.0.2");
    new["tags"]["stage"] = json!("prod");
    for span in [&old, &new] {
        assert_eq!(server.post(json!([span]).to_string()).status, 202);
    }
    let inferred = list(&server, "serviceName=cart");
    assert_eq!(inferred.len(), 1);
    let expected = json!({
        "id": inferred[0]["id"], "serviceName": "cart", "version": "1.1", "previousVersion": "1.0",
        "environment": "prod", "startTs": START + 90_000, "inferred": true, "rollback": false,
        "instances": [{"ip": "10.0.0.2", "port": 80, "switchTs": START + 90_000}],
    });
    assert_eq!(inferred[0], expected);
    let declared = json!({"serviceName": "cart", "version": "1.1", "startTs": START + 80_000});
    let declared = declare(&server, &declared);
    assert_eq!(declared.status, 201);
    let of_inferred = format!("/api/v2/deployments/{}", inferred[0]["id"].as_str().unwrap());
    let before = list(&server, "");
    assert_eq!(before.len(), 1);
    server.kill();
    let server = Server::start_in(directory.path(), &settings);
    assert_eq!(list(&server, ""), before);
    assert_eq!(server.get(&of_inferred).json(), declared.json());
    for span in [&new, &old] {
        assert_eq!(server.post(json!([span]).to_string()).status, 202);
    }
    assert_eq!(list(&server, ""), before);
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn objectives_are_put_listed_and_deleted() {
    let server = Server::start(&[]);
    let body = json!({"serviceName": "Checkout", "indicator": "latency", "thresholdMs": 250, "objective": 0.9995, "windowDays": 28});
    let path = "/api/v2/slos/checkout%20latency";
    let mut expected = body.clone();
    expected["name"] = json!("checkout latency");
    expected["serviceName"] = json!("checkout");
    let put = ask(&server, "PUT", path, &body);
    assert_eq!((put.status, put.json()), (201, expected.clone()));
    assert_eq!(ask(&server, "PUT", path, &body).status, 200);
    assert_eq!(server.get(path).json(), expected);
    assert_eq!(server.get("/api/v2/slos").json(), json!([expected]));
    for (field, value, told) in [
        (
            "objective",
            json!(1),
            "objective: has to be above 0 and below 1, and is 1",
        ),
        (
            "indicator",
            json!("speed"),
            "indicator: \"speed\" is none of availability, latency",
        ),
        ("thresholdMs", Value::Null, "thresholdMs: is required for latency"),
        (
            "name",
            json!("other"),
            "name: \"other\" is not the name in the path, \"checkout latency\"",
        ),
        (
            "windowDays",
            json!(0),
            "windowDays: has to be a whole number from 1 to 366, and is 0",
        ),
    ] {
        let mut wrong = body.clone();
        wrong[field] = value;
        let answer = ask(&server, "PUT", path, &wrong);
        assert_eq!((answer.status, answer.json()), (400, json!({"error": told})));
    }
    assert_eq!(ask(&server, "DELETE", path, &Value::Null).status, 204);
    assert_eq!(ask(&server, "DELETE", path, &Value::Null).status, 404);
    assert_eq!(server.get(path).status, 404);
}

fn deploy(directory: &Path, server: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["deploy", "--server", server];
    all.extend(arguments);
    let (status, said) = run_to_end(directory, &[], &all);
    (status.code(), said)
}

#[test]
fn a_pipeline_declares_by_the_command_line() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let address = format!("http://{}", server.address);
    let told = |arguments: &[&str]| deploy(directory.path(), &address, arguments);
    let run = ["--service", "Cart", "--version", "2.0", "--id", "run-412"];
    let start = START.to_string();
    let first = [
        &run[..],
        &[
            "--start",
            &start,
            "--environment",
            "prod",
            "--metadata",
            "commit=9f31c2e",
        ],
    ]
    .concat();
    let (status, said) = told(&first);
    assert_eq!((status, said.trim()), (Some(0), "declared run-412: cart 2.0"));
    let end = (START + 5000).to_string();
    let instance = format!("[::1]:80@{}", START + 2000);
    let more = [
        &run[..],
        &["--end", &end, "--instance", &instance, "--output", "json"],
    ]
    .concat();
    let (status, said) = told(&more);
    assert_eq!(status, Some(0), "{said}");
    let deployment: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(deployment["endTs"], START + 5000);
    assert_eq!(
        deployment["instances"],
        json!([{"ip": "::1", "port": 80, "switchTs": START + 2000}])
    );
    assert_eq!(deployment["metadata"], json!({"commit": "9f31c2e"}));
    let (status, said) = told(&["--service", "cart", "--version", "3.0", "--id", "run-412"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("contradicts"), "{said}");
    let (status, said) = told(&["--service", "cart"]);
    assert_eq!(status, Some(2), "{said}");
    let (status, _) = deploy(directory.path(), "http://127.0.0.1:1", &run);
    assert_eq!(status, Some(4));
    assert_eq!(list(&server, "").len(), 1);
}

/// Lets nobody in: answers so many requests with 401, and then tells their heads.
fn locked(requests: usize) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let refuse = move |_| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let refusal = b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).unwrap();
        head
    };
    (
        address,
        std::thread::spawn(move || (0..requests).map(refuse).collect()),
    )
}

#[test]
fn commands_send_a_token_and_never_show_it() {
    let directory = tempfile::tempdir().unwrap();
    let (address, heads) = locked(4);
    let about = ["--server", &address, "--service", "cart", "--version", "2"];
    let run = |command: &[&str], token: Option<&str>| {
        let settings: Vec<_> = token
            .map(|token| ("TRACEHOUND_TOKEN", token))
            .into_iter()
            .collect();
        let (status, said) = run_to_end(directory.path(), &settings, &[command, &about].concat());
        assert!(!said.contains("s3cr"), "{said}");
        status.code()
    };
    assert_eq!(run(&["deploy"], Some("s3cret")), Some(1));
    assert_eq!(run(&["gate"], Some("s3cret")), Some(2));
    assert_eq!(run(&["deploy", "--token", "s3cret"], None), Some(1));
    assert_eq!(run(&["deploy"], None), Some(1));
    let sent = "authorization: Bearer s3cret\r\n";
    let heads = heads.join().unwrap();
    assert_eq!(
        heads.iter().map(|head| head.contains(sent)).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    for command in ["deploy", "gate"] {
        assert_eq!(run(&[command], Some("s3cr\u{1}et")), Some(2));
        assert_eq!(run(&[command, "--token", "s3cr\net"], None), Some(2));
    }
}
