//! Starts that must not happen, and what they say.

use crate::process::{Server, run_to_end};

#[test]
fn all_mistakes_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let settings = [
        ("QUERY_PORT", "http"),
        ("QUERY_TIMEOUT", "eventually"),
        ("STORAGE_TYPE", "cassandra"),
        ("PULSAR_SERVICE_URL", "pulsar://pulsar:6650"),
    ];
    let (status, said) = run_to_end(directory.path(), &settings, &["--listen", "here"]);
    assert_eq!(status.code(), Some(2), "{said}");
    for part in [
        "QUERY_PORT=http",
        "QUERY_TIMEOUT=eventually",
        "STORAGE_TYPE=cassandra: is no storage: Cassandra is cassandra3",
        "PULSAR_SERVICE_URL: ",
        "--listen here",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    assert!(!directory.path().join("store").exists(), "nothing was started");
}

#[test]
fn an_unknown_flag_is_wrong_use_and_help_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let (status, said) = run_to_end(directory.path(), &[], &["--no-such-thing", "1"]);
    assert_eq!(status.code(), Some(2));
    assert!(said.contains("--no-such-thing"), "{said}");
    let (status, said) = run_to_end(directory.path(), &[], &["--help"]);
    assert_eq!(status.code(), Some(0));
    assert!(
        said.contains("--query-port") && said.contains("[QUERY_PORT, default 9411]"),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let server = Server::start(&[]);
    let port = server.address.port().to_string();
    let directory = tempfile::tempdir().unwrap();
    let settings = [("STORAGE_TYPE", "mem"), ("QUERY_PORT", port.as_str())];
    let (status, said) = run_to_end(directory.path(), &settings, &[]);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
}

#[test]
fn what_has_no_effect_is_one_warning() {
    let mut server = Server::start(&[("JAVA_OPTS", "-Xmx1g"), ("EUREKA_HOSTNAME", "zipkin")]);
    server.terminate();
    server.wait();
    let complaints = server.complaints();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains("JAVA_OPTS, EUREKA_HOSTNAME"),
        "{complaints:?}"
    );
}
