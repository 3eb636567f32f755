//! Holds the generator to its counts and its clock, against a server that does as it is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::*;
use crate::workload::{EPOCH_US, Workload};

const SPANS: usize = 5;
const STALL: Duration = Duration::from_millis(300);

fn requests() -> Requests {
    Requests::prepare(Workload::reference(1).batches(SPANS).take(50), EPOCH_US).unwrap()
}

/// Answers each request with what `answer` says of its number on its connection.
fn serve(answer: fn(usize) -> &'static str) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || converse(stream, answer));
        }
    });
    address
}

fn converse(mut stream: TcpStream, answer: fn(usize) -> &'static str) {
    let mut received = Vec::new();
    let mut bytes = vec![0; 64 << 10];
    for number in 0.. {
        let whole = loop {
            let text = String::from_utf8_lossy(&received);
            let announced = text.split_once("\r\n\r\n").map(|(head, _)| {
                let length = head.split("content-length: ").nth(1).unwrap();
                head.len() + 4 + length.lines().next().unwrap().parse::<usize>().unwrap()
            });
            match announced {
                Some(length) if received.len() >= length => break length,
                _ => match stream.read(&mut bytes) {
                    Ok(read) if read > 0 => received.extend_from_slice(&bytes[..read]),
                    _ => return,
                },
            }
        };
        received.drain(..whole);
        if stream.write_all(answer(number).as_bytes()).is_err() {
            return;
        }
    }
}

fn accept(_: usize) -> &'static str {
    "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"
}

fn refuse_the_second(number: usize) -> &'static str {
    match number {
        1 => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull",
        2 => "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        _ => accept(number),
    }
}

fn stall_at_first(number: usize) -> &'static str {
    if number == 0 {
        std::thread::sleep(STALL);
    }
    accept(number)
}

fn load(address: SocketAddr, connections: usize, pace: Pace, requests_max: u64) -> Load {
    Load {
        address,
        connections,
        pace,
        duration: Duration::from_secs(20),
        requests_max,
    }
}

#[test]
fn every_request_is_counted_once_and_numbers_go_on() {
    let (requests, address) = (requests(), serve(accept));
    let first = load(address, 4, Pace::Closed, 120).run(&requests).unwrap();
    assert_eq!((first.first, first.sent, first.accepted), (0, 120, 120));
    assert_eq!(first.accepted_spans, 120 * SPANS as u64);
    assert_eq!(first.latency_us.len(), 120);
    assert!(first.spans_per_second() > 0.0);
    let second = load(address, 4, Pace::Closed, 7).run(&requests).unwrap();
    assert_eq!((second.first, second.sent), (120, 7));
    assert!(second.was_accepted(126) && !second.was_accepted(127) && !second.was_accepted(119));
}

#[test]
fn refusals_and_failures_are_told_apart_by_number() {
    let outcome = load(serve(refuse_the_second), 1, Pace::Closed, 5)
        .run(&requests())
        .unwrap();
    assert_eq!((outcome.accepted, outcome.refused, outcome.failed), (3, 1, 1));
    assert_eq!(outcome.not_accepted, [1, 2]);
    assert_eq!(outcome.first_failure.as_deref(), Some("503 full"));
    assert!(!outcome.was_accepted(1) && outcome.was_accepted(3));
}

#[test]
fn an_open_loop_keeps_its_rate_and_charges_a_stall_to_all_that_were_due() {
    let pace = Pace::Open { rate: 100.0 };
    let outcome = load(serve(stall_at_first), 1, pace, 60).run(&requests()).unwrap();
    // 60 requests at 100 a second are 0.59 s apart, first to last.
    assert!(
        outcome.elapsed >= Duration::from_millis(590),
        "{:?}",
        outcome.elapsed
    );
    let over = |us: u64| outcome.latency_us.count_between(us, LATENCY_MAX_US);
    // Of a stall of 300 ms, the requests due in its first 200 ms waited for at least 100 ms.
    assert!(over(100_000) >= 19, "{} waited for 100 ms", over(100_000));
    assert_eq!(outcome.accepted, 60);
}

#[test]
fn nobody_there_is_an_error_that_says_where() {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let error = load(free, 1, Pace::Closed, 1).run(&requests()).unwrap_err();
    assert!(error.to_string().contains(&free.to_string()));
}
