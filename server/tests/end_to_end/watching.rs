//! What is told of a rollout while it goes on: to a listener, to a webhook, and in metrics.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::process::Server;

/// How long anything may take: generous, the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: u64 = 60_000;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// Somebody who listens to events.
struct Listener {
    lines: BufReader<TcpStream>,
}

#[derive(Debug)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

impl Listener {
    fn open(server: &Server, path: &str, headers: &str) -> (u16, Self) {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The answer of HTTP/1.0 has no chunks: what comes is the events as they are.
        write!(stream, "GET {path} HTTP/1.0\r\nhost: test\r\n{headers}\r\n").unwrap();
        let mut listener = Self {
            lines: BufReader::new(stream),
        };
        let head = listener.block("\r\n").unwrap();
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        (status, listener)
    }

    /// Lines until an empty one; `None` at the end.
    fn block(&mut self, end: &str) -> Option<Vec<String>> {
        let mut block = Vec::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if line == end {
                return Some(block);
            }
            block.push(line.trim_end().to_owned());
        }
    }

    /// The next event; `None` where the server has ended the stream.
    fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block("\n")?;
            let field = |name: &str| block.iter().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(name), Some(data)) = (field("id: "), field("event: "), field("data: ")) {
                return Some(Event {
                    id: id.to_owned(),
                    name: name.to_owned(),
                    data: serde_json::from_str(data).unwrap(),
                });
            }
        }
    }

    fn wait_for(&mut self, name: &str) -> Event {
        std::iter::from_fn(|| self.next())
            .find(|event| event.name == name)
            .unwrap_or_else(|| panic!("the events ended before {name}"))
    }
}

fn declare(server: &Server, id: &str, start_ts: u64) {
    let body = json!({"id": id, "serviceName": "cart", "version": "2.0", "previousVersion": "1.0",
                      "environment": "prod", "startTs": start_ts});
    let answer = server.ask(
        "POST",
        "/api/v2/deployments",
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    );
    assert_eq!(answer.status, 201, "{}", answer.text());
}

fn roll_back(server: &Server, id: &str) {
    let body = json!({"rolledBackTs": now()}).to_string();
    let headers = [("content-type", "application/json")];
    let path = format!("/api/v2/deployments/{id}");
    let answer = server.ask("PATCH", &path, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Requests of both versions in the same minutes, on three instances each; the new version takes 40 ms longer.
fn requests(from: u64, to: u64) -> Value {
    const A_SIDE: u64 = 600;
    let request = |number: u64| {
        let (is_new, turn) = (number % 2, number / 2);
        let noise = (turn * 7_919) % 4_000;
        json!({
            "traceId": format!("{:016x}", number + 1), "id": format!("{:016x}", number + 1),
            "name": "get /cart", "kind": "SERVER", "timestamp": (from + (to - from) * turn / A_SIDE) * 1_000,
            "duration": 20_000 + noise + 40_000 * is_new,
            "localEndpoint": {"serviceName": "cart", "ipv4": format!("10.0.{is_new}.{}", turn % 3)},
            "tags": {"service.version": if is_new == 1 { "2.0" } else { "1.0" },
                     "deployment.environment": "prod"},
        })
    };
    (0..2 * A_SIDE).map(request).collect()
}

#[test]
fn a_rollout_that_makes_things_slower_is_told_while_it_goes_on() {
    let server = Server::start(&[]);
    let path = "/api/v2/deployments/events?serviceName=cart";
    let (status, mut listener) = Listener::open(&server, path, "");
    assert_eq!(status, 200);
    let start_ts = now() - 20 * MINUTE;
    declare(&server, "run-412", start_ts);
    let began = listener.next().unwrap();
    assert_eq!(
        (began.name.as_str(), &began.data["deploymentId"]),
        ("deployment_began", &json!("run-412"))
    );
    assert_eq!(began.data["verdict"], "insufficient_data");
    let spans = requests(start_ts, now() - 1_000).to_string();
    assert_eq!(server.post(spans).status, 202);
    let changed = listener.wait_for("verdict_changed");
    assert_eq!(changed.data["verdict"], "regressed", "{}", changed.data);
    assert_eq!(changed.data["previous"]["verdict"], "insufficient_data");
    let finding = listener.wait_for("new_finding").data["finding"].clone();
    assert_eq!(finding["origin"]["serviceName"], "cart");
    let contribution = finding["contribution"].as_i64().unwrap();
    assert!((38_000..42_000).contains(&contribution), "{finding}");

    let metrics = server.get("/prometheus").text();
    let labels = "service=\"cart\",version=\"2.0\",environment=\"prod\"";
    for line in [
        format!("tracehound_deployment_verdict{{{labels},verdict=\"regressed\"}} 1.0"),
        format!("tracehound_deployment_effect_microseconds{{{labels}}} {contribution}.0"),
        "tracehound_watch_deployments 1.0".to_owned(),
        "tracehound_event_listeners 1.0".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in:\n{metrics}");
    }
    // The report that anybody gets is the one that was told of.
    let report = server.get("/api/v2/deployments/run-412/report").json();
    for field in ["verdict", "decision", "score"] {
        assert_eq!(report[field], changed.data[field], "{field}");
    }

    roll_back(&server, "run-412");
    listener.wait_for("deployment_rolled_back");
    // Somebody who was away meanwhile hears what it missed.
    let (_, mut back) = Listener::open(&server, path, &format!("last-event-id: {}\r\n", began.id));
    let again = back.wait_for("verdict_changed");
    assert_eq!((again.id, again.data), (changed.id, changed.data));
    assert_eq!(server.complaints(), [""; 0]);
}

#[test]
fn listeners_are_bounded_and_a_stop_does_not_wait_for_them() {
    let mut server = Server::start(&[("EVENT_LISTENERS_MAX", "1")]);
    let path = "/zipkin/api/v2/deployments/events";
    let (status, mut listener) = Listener::open(&server, path, "");
    assert_eq!(status, 200);
    let refused = server.get(path);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    let begin = Instant::now();
    server.terminate();
    assert!(listener.next().is_none(), "the events end");
    assert!(server.wait().success());
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    let complaints = server.complaints();
    assert_eq!(complaints.len(), 1, "of the one that was refused: {complaints:?}");
}

#[test]
fn nobody_is_told_where_nothing_is_watched() {
    let server = Server::start(&[("WATCH_ENABLED", "false")]);
    let answer = server.get("/api/v2/deployments/events");
    assert_eq!(answer.status, 503);
    assert!(!server.get("/prometheus").text().contains("tracehound_watch"));
}

/// A POST as a webhook receives it.
#[derive(Debug)]
struct Post {
    head: String,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Answers each POST with the next of these statuses, and passes it on.
fn receive(statuses: &'static [&'static str]) -> (String, Receiver<Post>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for status in statuses {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                stream.read_line(&mut head).unwrap();
            }
            let mut post = Post {
                head,
                body: String::new(),
            };
            let length: u64 = post.header("content-length").unwrap().parse().unwrap();
            stream
                .by_ref()
                .take(length)
                .read_to_string(&mut post.body)
                .unwrap();
            write!(stream.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
            sender.send(post).unwrap();
        }
    });
    (address, receiver)
}

#[test]
fn a_webhook_is_told_signed_and_again_where_it_failed() {
    let (address, posts) = receive(&["500 Broken", "204 Fine", "302 Found\r\nlocation: /elsewhere"]);
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "whsec\n").unwrap();
    let url = format!("http://{address}/hooks/t0ken?x=1");
    let mut server = Server::start(&[
        ("WEBHOOK_URLS", url.as_str()),
        ("WEBHOOK_SECRET_FILE", secret.to_str().unwrap()),
    ]);
    declare(&server, "run-1", now());
    let next = || posts.recv_timeout(PATIENCE).unwrap();
    let (failed, taken) = (next(), next());
    assert!(
        taken.head.starts_with("POST /hooks/t0ken?x=1 HTTP/1.1\r\n"),
        "{}",
        taken.head
    );
    assert_eq!(
        (taken.header("host"), &taken.body),
        (Some(address.as_str()), &failed.body)
    );
    assert_eq!(taken.header("content-type"), Some("application/json"));
    assert_eq!(taken.header("tracehound-event"), Some("deployment_began"));
    let event: Value = serde_json::from_str(&taken.body).unwrap();
    assert_eq!(event["deploymentId"], "run-1");
    assert_eq!(taken.header("tracehound-event-id"), event["id"].as_str());
    let signature = taken.header("tracehound-signature").unwrap();
    let (seconds, found) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert!(
        now() / 1_000 - seconds.parse::<u64>().unwrap() < 60,
        "{signature}"
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec").unwrap();
    mac.update(format!("{seconds}.{}", taken.body).as_bytes());
    let expected: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(found, expected);

    // A redirect is not followed, and not tried again.
    roll_back(&server, "run-1");
    assert_eq!(next().header("tracehound-event"), Some("deployment_rolled_back"));
    let complaint = server.wait_for_log("an event is not delivered to a webhook");
    assert_eq!(complaint["why"], "it answered 302", "{complaint}");
    let metrics = server.get("/prometheus").text();
    for (outcome, count) in [("delivered", 1), ("refused", 1), ("given_up", 0)] {
        let line = format!(
            "tracehound_webhook_deliveries_total{{target=\"1:{address}\",outcome=\"{outcome}\"}} {count}.0"
        );
        assert!(metrics.contains(&line), "{line} is not in:\n{metrics}");
    }
    let log = server.complaints().join("\n");
    assert!(!log.contains("t0ken") && !log.contains("whsec"), "{log}");
}
