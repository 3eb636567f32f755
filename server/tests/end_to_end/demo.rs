//! The demo as a user runs it: what is injected is found, nobody is blamed for nothing, and nothing is left behind.

use std::io::{BufRead, BufReader, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::Connection;

/// Ends with the test, also where that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Its temporary files are below `directory`.
fn demo(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracehound"));
    command
        .arg("demo")
        .args(arguments)
        .env_clear()
        .env("TMPDIR", directory)
        .env("STORAGE_PATH", directory.join("theirs"))
        .current_dir(directory)
        .stdin(Stdio::null());
    command
}

/// Others may use the machine during one check, hardly during three.
const CHECKS_MAX: usize = 3;

/// What a check says; its exit status says whether that is what was injected.
fn check(fault: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--check", "--fault", fault, "--seed", "2", "--rate", "80"];
    let output = demo(directory.path(), &arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let json: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}\n{complaints}"));
    let status = output.status.code().unwrap();
    assert!([0, 3].contains(&status), "{said}\n{complaints}");
    assert_eq!(status == 0, json["result"] == "same", "{said}\n{complaints}");
    if !is_of_a_busy_machine(&json) {
        assert_eq!(complaints, "", "{said}");
        let left = directory.path().read_dir().unwrap().count();
        assert_eq!(left, 0, "files are left behind");
        assert_eq!(
            (&json["spansLost"], &json["requestsFailed"]),
            (&0.into(), &0.into()),
            "{said}"
        );
    }
    json
}

/// Whether times mean nothing.
fn is_of_a_busy_machine(said: &Value) -> bool {
    said["requestsLate"].as_f64().unwrap() > 0.05 * said["requests"].as_f64().unwrap()
}

#[test]
fn a_fault_is_found_with_its_origin_and_cause_and_its_neighbour_is_not_blamed() {
    let said = check("serialised");
    if is_of_a_busy_machine(&said) {
        return;
    }
    assert_eq!(said["result"], "same", "{said}");
    let [inventory, payments] = &said["deployments"].as_array().unwrap()[..] else {
        panic!("{said}");
    };
    assert_eq!(
        (
            &inventory["serviceName"],
            &inventory["verdict"],
            &inventory["decision"]
        ),
        (&"inventory".into(), &"regressed".into(), &"rollback".into()),
        "{said}"
    );
    let worst = &inventory["findings"][0];
    assert_eq!(worst["origin"]["spanName"], "get /stock", "{said}");
    assert_eq!(worst["cause"], "serialized_calls", "{said}");
    assert_ne!(payments["decision"], "rollback", "{said}");
}

/// Where times vary too much to say that nothing changed, that is what is to be said, and nobody is blamed either.
#[test]
fn nobody_is_blamed_for_nothing() {
    let mut was_busy = false;
    for _ in 0..CHECKS_MAX {
        let said = check("none");
        assert_eq!(said["injected"], Value::Null, "{said}");
        let deployments = said["deployments"].as_array().unwrap();
        for deployment in deployments {
            assert_ne!(deployment["decision"], "rollback", "{said}");
            assert_ne!(deployment["verdict"], "regressed", "{said}");
        }
        if is_of_a_busy_machine(&said) {
            was_busy = true;
        } else if said["result"] == "same" {
            let found = (&deployments[0]["decision"], &deployments[0]["verdict"]);
            assert_eq!(found, (&"continue".into(), &"unchanged".into()), "{said}");
            return;
        } else {
            assert_eq!(said["result"], "not_enough_data", "{said}");
        }
    }
    assert!(was_busy, "{CHECKS_MAX} checks had not enough data");
}

/// Starts one to watch, and goes on when every service has sent spans.
fn watched(directory: &Path, arguments: &[&str]) -> Running {
    let started = Instant::now();
    let child = demo(directory, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut running = Running(child.unwrap());
    let mut lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("UI  http://localhost:"), "{first}");
    assert!(first.contains("/zipkin/deployments?tour=demo "), "{first}");
    assert!(!first.contains('\u{1b}'), "colours without a terminal: {first}");
    let port = first
        .split([':', '/'])
        .find_map(|part| part.parse::<u16>().ok())
        .unwrap();
    let services = loop {
        let mut connection = Connection::open((Ipv4Addr::LOCALHOST, port).into());
        connection.request("GET", "/api/v2/services", &[], b"");
        let services = connection.answer().unwrap().json().as_array().unwrap().len();
        if services == 8 || started.elapsed() > Duration::from_secs(60) {
            break services;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(services, 8);
    running
}

/// Processes that `parent` started and that are not gone.
fn children(parent: u32) -> Vec<u32> {
    let processes = Path::new("/proc").read_dir().unwrap();
    let numbers = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let is_child = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{parent}"))
    };
    numbers.filter(is_child).collect()
}

#[test]
fn instances_in_processes_of_their_own_do_not_outlive_a_demo_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = watched(directory.path(), &["--port", "0", "--processes"]);
    let instances = children(running.0.id());
    assert_eq!(instances.len(), 14);
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // Who has ended may be listed until somebody asks what with.
    let is_there = |process: &&u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.starts_with("State:") && !line.contains('Z'))
    };
    while let left @ 1.. = instances.iter().filter(is_there).count() {
        assert!(Instant::now() < deadline, "{left} instances go on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_address_comes_first_and_is_soon_useful_and_a_signal_ends_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = watched(directory.path(), &["--port", "0"]);
    let killed = Command::new("kill")
        .args(["-INT", &running.0.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let status = running.0.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let mut complaints = String::new();
    running
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut complaints)
        .unwrap();
    assert_eq!(complaints, "");
    assert_eq!(
        directory.path().read_dir().unwrap().count(),
        0,
        "files are left behind"
    );
}
