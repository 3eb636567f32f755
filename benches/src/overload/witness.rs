//! Whether the machine was there: on one that others use, a processor is taken away for a tenth of a second now and
//! then, and whoever waits for an answer cannot tell that from a server that stalls.
//!
//! A thread a processor sleeps for a few milliseconds again and again. It has a real-time priority, so whatever the
//! server and the generator do it is woken in time, unless the processor itself is away. How much too late it wakes is
//! how long that was.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SLEEP: Duration = Duration::from_millis(5);
/// Less than this is what waking takes.
const LATE_MIN: Duration = Duration::from_millis(5);

/// Watches processors until it is dropped.
#[derive(Debug)]
pub(super) struct Witness {
    stop: Arc<AtomicBool>,
    /// Microseconds that each was away so far: the server's processors, and last the generator's.
    away_us: Arc<[AtomicU64]>,
    threads: Vec<JoinHandle<()>>,
}

/// How long each processor was away up to a moment.
#[derive(Clone, Debug)]
pub(super) struct Seen(Vec<u64>);

impl Witness {
    /// Watches this many processors. `None` where threads may not have a real-time priority: then nobody knows.
    pub(super) fn start(processors: usize) -> Option<Self> {
        let mut witness = Self {
            stop: Arc::default(),
            away_us: (0..processors).map(|_| AtomicU64::new(0)).collect(),
            threads: Vec::new(),
        };
        for processor in 0..processors {
            let (stop, away_us) = (Arc::clone(&witness.stop), Arc::clone(&witness.away_us));
            let (tell, told) = mpsc::channel();
            witness.threads.push(std::thread::spawn(move || {
                let may_watch = come_first_on(processor);
                // Nobody asks any more where another one may not.
                let _ = tell.send(may_watch);
                if may_watch {
                    watch(&stop, &away_us[processor]);
                }
            }));
            if !told.recv().is_ok_and(|may_watch| may_watch) {
                return None;
            }
        }
        Some(witness)
    }

    /// What was seen up to now.
    pub(super) fn seen(&self) -> Seen {
        let away_us = self.away_us.iter().map(|away| away.load(Ordering::Relaxed));
        Seen(away_us.collect())
    }
}

impl Seen {
    /// By how many milliseconds answers may be late because processors were away since `before`: the one of the
    /// server's that was away longest, and the generator's.
    pub(super) fn away_ms_since(&self, before: &Self) -> f64 {
        let mut away_us: Vec<u64> = self
            .0
            .iter()
            .zip(&before.0)
            .map(|(after, before)| after.saturating_sub(*before))
            .collect();
        let generator = away_us.pop().unwrap_or_default();
        let server = away_us.into_iter().max().unwrap_or_default();
        (server + generator) as f64 / 1_000.0
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Moves the calling thread to a processor, before all others there. Whether that was allowed.
fn come_first_on(processor: usize) -> bool {
    let own = std::fs::read_link("/proc/thread-self").ok();
    let Some(thread) = own.as_deref().and_then(|link| link.file_name()?.to_str()) else {
        return false;
    };
    let processor = processor.to_string();
    let run = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        ran.is_ok_and(|status| status.success())
    };
    run("taskset", &["--cpu-list", "--pid", &processor, thread])
        && run("chrt", &["--fifo", "--pid", "50", thread])
}

fn watch(stop: &AtomicBool, away_us: &AtomicU64) {
    let mut asleep = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SLEEP);
        let woken = Instant::now();
        let late = (woken - asleep).saturating_sub(SLEEP);
        if late >= LATE_MIN {
            away_us.fetch_add(late.as_micros() as u64, Ordering::Relaxed);
        }
        asleep = woken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_servers_worst_processor_and_the_generators_miss_adds_up() {
        let (before, after) = (Seen(vec![1_000, 5_000, 0]), Seen(vec![21_000, 35_500, 4_000]));
        assert_eq!(after.away_ms_since(&before), 34.5);
        assert_eq!(before.away_ms_since(&before), 0.0);
        assert_eq!(Seen(vec![7_000]).away_ms_since(&Seen(vec![2_000])), 5.0);
        assert_eq!(Seen(vec![]).away_ms_since(&Seen(vec![])), 0.0);
    }

    #[test]
    fn a_processor_that_is_there_is_not_missed_for_longer_than_was_watched() {
        // Without the right to it there is nothing to see.
        let Some(witness) = Witness::start(1) else { return };
        let (before, begin) = (witness.seen(), Instant::now());
        std::thread::sleep(Duration::from_millis(50));
        let away_ms = witness.seen().away_ms_since(&before);
        assert!(away_ms <= begin.elapsed().as_secs_f64() * 1_000.0, "{away_ms}");
    }
}
