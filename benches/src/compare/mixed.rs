//! Half of what a storage takes, and questions at a rate of their own meanwhile.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Options;
use super::limit::{load, pace};
use super::subject::{Cost, Subject};
use crate::load::{Connection, Requests};
use crate::store::ask::{Asked, Asking};
use crate::store::questions::{Kind, Question, Questions};
use crate::store::source::Source;
use crate::workload::Random;

/// Questions a second.
const RATE: f64 = 20.0;
/// At most so many at one time: what comes later waits, and that counts.
const ASKERS: usize = 8;
const QUESTIONS: usize = 50;
/// The others are asked in turns; this one now and then, as people open its page, since over some storages it reads
/// every trace.
const RARE: Kind = Kind::Dependencies;
/// Questions until that comes again.
const RARE_EVERY: usize = 100;
const LOOK_EVERY: Duration = Duration::from_millis(2);
const DRAIN_MAX: Duration = Duration::from_secs(600);

/// What came of both.
#[derive(Debug, Serialize)]
pub(super) struct Mixed {
    pub(super) seconds: f64,
    pub(super) offered: f64,
    pub(super) accepted: f64,
    pub(super) post_ms_p50: f64,
    pub(super) post_ms_p99: f64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
    /// Spans that waited for a storage elsewhere when it ended.
    pub(super) waiting: u64,
    /// Threads' worth of processor.
    pub(super) processors: Cost,
    /// By kind, from when they were due; a kind without an answer in all that time is not among them.
    pub(super) asked: Vec<Asked>,
}

/// Offers and asks.
///
/// # Errors
/// Where there is no answer at all.
pub(super) fn measure(
    subject: &Subject,
    source: &mut Source,
    limit: f64,
    options: &Options,
) -> anyhow::Result<Mixed> {
    let after_us = source.truth.end_us + 60_000_000;
    let requests = Requests::prepare(source.beyond(options.prepared_spans as u64), after_us)?;
    let questions = questions(source, options)?;
    let offered = limit / 2.0;
    let mut load = load(subject, options);
    load.pace = pace(offered);
    load.duration = Duration::from_secs_f64(60.0 * options.minutes);
    let before = subject.used()?;
    let done = AtomicBool::new(false);
    let (outcome, asked) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(subject.server.address(), &questions, &done));
        let outcome = load.run(&requests);
        done.store(true, Ordering::Relaxed);
        (outcome, asking.join().expect("who asks reports errors"))
    });
    let (outcome, asked) = (outcome?, asked?);
    let waiting = subject.waiting()?;
    let processors = subject.used()?.since(&before, outcome.elapsed.as_secs_f64());
    anyhow::ensure!(
        subject.drain(DRAIN_MAX)?,
        "the storage does not take what was accepted"
    );
    let ms = |quantile: f64| outcome.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
    Ok(Mixed {
        seconds: outcome.elapsed.as_secs_f64(),
        offered,
        accepted: outcome.spans_per_second(),
        post_ms_p50: ms(0.5),
        post_ms_p99: ms(0.99),
        refused: outcome.refused,
        failed: outcome.failed,
        first_failure: outcome.first_failure.clone(),
        waiting,
        processors,
        asked,
    })
}

/// Of all kinds in turns, none of which what arrives meanwhile makes wrong.
fn questions(source: &Source, options: &Options) -> anyhow::Result<Vec<(Kind, Question)>> {
    let mut drawn = Questions {
        truth: &source.truth,
        random: Random::new(options.common.seed ^ u64::MAX),
    };
    let mut draw = |kind| -> anyhow::Result<_> {
        let mut questions = drawn.draw(kind, QUESTIONS)?;
        for question in &mut questions {
            question.expected.allow_more();
        }
        Ok(questions
            .into_iter()
            .map(move |question| (kind, question))
            .cycle())
    };
    let mut rare = draw(RARE)?;
    let mut others = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|&kind| kind != RARE) {
        others.push(draw(kind)?);
    }
    let kinds = others.len();
    let turns = (0..QUESTIONS * kinds).filter_map(|turn| match turn % RARE_EVERY {
        0 => rare.next(),
        _ => others[turn % kinds].next(),
    });
    Ok(turns.collect())
}

/// Asks each when it is due until it is told to end, from several connections. How long it took counts from when it was
/// due: a slow answer keeps nobody from asking.
fn ask(address: SocketAddr, questions: &[(Kind, Question)], done: &AtomicBool) -> anyhow::Result<Vec<Asked>> {
    let asking = Kind::ALL.map(|kind| Mutex::new(Asking::new(kind)));
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    let ask = || -> anyhow::Result<()> {
        let mut connection = Connection::open(address)?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = begin + Duration::from_secs_f64(number as f64 / RATE);
            while Instant::now() < due && !done.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_EVERY.min(due.saturating_duration_since(Instant::now())));
            }
            if done.load(Ordering::Relaxed) {
                return Ok(());
            }
            let (kind, question) = &questions[number % questions.len()];
            let answer = connection.get(&question.path)?;
            let of_kind = &asking[*kind as usize];
            let mut of_kind = of_kind.lock().expect("nobody panics with it");
            of_kind.take(question, &answer, due.elapsed());
        }
    };
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..ASKERS).map(|_| scope.spawn(ask)).collect();
        askers
            .into_iter()
            .try_for_each(|asker| asker.join().expect("who asks reports errors"))
    })?;
    asking
        .into_iter()
        .map(|asking| asking.into_inner().expect("nobody panics with it"))
        .filter(|asking| !asking.is_empty())
        .map(|asking| asking.finish(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::store::questions::Expected;

    const STALL: Duration = Duration::from_millis(400);

    /// Answers with nothing; the first question of each connection after a while.
    fn serve() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    let mut is_first = true;
                    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
                        if std::mem::take(&mut is_first) {
                            std::thread::sleep(STALL);
                        }
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
                        stream.write_all(answer).unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn questions_are_asked_when_they_are_due_and_what_stalls_counts() {
        let question = |number: usize| Question {
            path: format!("/{number}"),
            expected: Expected::Texts(if number == 3 {
                vec!["a".to_owned()]
            } else {
                Vec::new()
            }),
        };
        let numbered = Kind::ALL.into_iter().enumerate();
        let questions: Vec<_> = numbered.map(|(number, kind)| (kind, question(number))).collect();
        let done = AtomicBool::new(false);
        let address = serve();
        let asked = std::thread::scope(|scope| {
            let asking = scope.spawn(|| ask(address, &questions, &done));
            std::thread::sleep(Duration::from_millis(1_500));
            done.store(true, Ordering::Relaxed);
            asking.join().unwrap().unwrap()
        });
        let count: usize = asked.iter().map(|asked| asked.questions).sum();
        assert!((25..=31).contains(&count), "{count} of 30 that were due");
        assert_eq!(asked.len(), Kind::ALL.len());
        for (number, asked) in asked.iter().enumerate() {
            // Each connection's first one stalls; the next of a kind comes when it is due.
            assert!(asked.max_ms >= 390.0 && asked.max_ms < 700.0, "{asked:?}");
            assert!(asked.p50_ms < 100.0, "{asked:?}");
            assert_eq!(asked.wrong > 0, number == 3, "{asked:?}");
        }
    }
}
