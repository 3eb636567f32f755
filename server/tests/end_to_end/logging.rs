//! What happens where the log cannot be written.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Connection;

const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Always without room.
fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    // Somebody else may take the port before the server does; nobody does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    drop(listener);
    let child = Command::new(env!("CARGO_BIN_EXE_tracehound"))
        .env_clear()
        .env("LISTEN", "127.0.0.1")
        .env("QUERY_PORT", address.port().to_string())
        .env("STORAGE_TYPE", "mem")
        // So that refusing a message is worth a line.
        .env("RUST_LOG", "debug")
        .stdin(Stdio::null())
        .stdout(full_disk())
        .stderr(full_disk())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    let begin = Instant::now();
    let mut connection = loop {
        if let Some(connection) = Connection::try_open(address) {
            break connection;
        }
        assert_eq!(process.0.try_wait().unwrap(), None, "it does not start");
        assert!(begin.elapsed() < PATIENCE, "it does not listen");
        std::thread::sleep(Duration::from_millis(5));
    };
    let json = [("content-type", "application/json")];
    for (body, status) in [("nonsense", 400), (r#"[{"traceId":"1","id":"2"}]"#, 202)] {
        connection.request("POST", "/api/v2/spans", &json, body.as_bytes());
        assert_eq!(connection.answer().unwrap().status, status);
    }
    assert_eq!(process.0.try_wait().unwrap(), None);
}
