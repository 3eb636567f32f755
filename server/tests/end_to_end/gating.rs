//! Reports and the gate, over HTTP and by the command line, against the real server.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Server, run_to_end};

const START: u64 = 1_732_100_000_000;

fn gate(directory: &Path, server: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["gate", "--server", server, "--output", "json"];
    all.extend(arguments);
    let (status, said) = run_to_end(directory, &[], &all);
    (status.code(), said)
}

/// Requests of a version, one a second, each of so many microseconds or some more.
fn requests(version: &str, from: u64, count: u64, duration: u64) -> Value {
    let request = |index: u64| {
        json!({
            "traceId": format!("{:016x}", from + index * 1_000), "id": "1", "name": "get /cart", "kind": "SERVER",
            "timestamp": (from + index * 1_000) * 1_000, "duration": duration + index * 7_919 % (duration / 10),
            "localEndpoint": {"serviceName": "cart", "ipv4": "10.0.0.1", "port": 80},
            "tags": {"service.version": version},
        })
    };
    (0..count).map(request).collect()
}

/// Two versions, one after the other, each for half an hour.
fn roll_out(server: &Server, factor: u64) -> String {
    let switch = START + 2_000_000;
    for spans in [
        requests("1.0", START, 1_800, 20_000),
        requests("2.0", switch, 1_800, 20_000 * factor),
    ] {
        assert_eq!(server.post(spans.to_string()).status, 202);
    }
    let declared = json!({"serviceName": "cart", "version": "2.0", "previousVersion": "1.0", "startTs": switch - 1_000,
        "endTs": switch});
    let headers = [("content-type", "application/json")];
    let declared = server.ask(
        "POST",
        "/api/v2/deployments",
        &headers,
        declared.to_string().as_bytes(),
    );
    assert_eq!(declared.status, 201, "{}", declared.text());
    declared.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_slow_version_is_rolled_back_and_its_report_outlives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_in(directory.path(), &[]);
    let id = roll_out(&server, 3);
    let path = format!("/api/v2/deployments/{id}/report");
    let report = server.get(&path);
    assert_eq!(report.json()["verdict"], "regressed", "{}", report.text());
    let address = format!("http://{}", server.address);
    let arguments = ["--service", "cart", "--version", "2.0", "--monitor", "30s"];
    let (status, said) = gate(directory.path(), &address, &arguments);
    assert_eq!(status, Some(1), "{said}");
    assert_eq!(
        server.get("/api/v2/gate?serviceName=cart&version=2.0").json()["decision"],
        "rollback"
    );
    let worst = server.get("/api/v2/regressions?endTs=1732110000000").json();
    assert_eq!(worst[0]["deployment"]["id"], id);
    server.kill();
    let server = Server::start_in(directory.path(), &[]);
    assert_eq!(server.get(&path).body, report.body);
    assert_eq!(
        server.get("/api/v2/deployments").json()[0]["verdict"],
        "regressed"
    );
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn a_version_as_fast_as_before_goes_on() {
    let server = Server::start(&[]);
    roll_out(&server, 1);
    let directory = tempfile::tempdir().unwrap();
    let address = format!("http://{}", server.address);
    let arguments = ["--service", "cart", "--version", "2.0", "--monitor", "30s"];
    let (status, said) = gate(directory.path(), &address, &arguments);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("\"decision\":\"continue\""), "{said}");
}

#[test]
fn what_counts_as_a_change_is_a_setting_of_the_server() {
    let server = Server::start(&[("ANALYSIS_MIN_CHANGE_MS", "60000")]);
    let id = roll_out(&server, 3);
    let report = server.get(&format!("/api/v2/deployments/{id}/report")).json();
    assert_ne!(report["verdict"], "regressed", "{report}");
    assert_eq!(report["candidate"]["version"], "2.0", "{report}");
}

#[test]
fn a_pipeline_is_told_when_there_is_no_data_no_server_or_no_sense() {
    let server = Server::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let address = format!("http://{}", server.address);
    let told = |arguments: &[&str]| gate(directory.path(), &address, arguments);
    let (status, said) = told(&["--service", "cart", "--version", "9", "--monitor", "500ms"]);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("\"decision\":\"wait\""), "{said}");
    for wrong in [
        &["--service", "cart"][..],
        &["--service", "cart", "--version", "9", "--min-score", "101"],
        &["--service", "cart", "--version", "9", "--monitor", "60"],
    ] {
        assert_eq!(told(wrong).0, Some(2), "{wrong:?}");
    }
    let (status, said) = gate(
        directory.path(),
        "http://127.0.0.1:1",
        &["--service", "cart", "--version", "9"],
    );
    assert_eq!(status, Some(4), "{said}");
}
