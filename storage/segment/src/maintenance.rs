//! The thread that seals, joins and drops, one after the other, while spans arrive and queries run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use storage::StorageError;

use crate::head::Generation;
use crate::pace::Pace;
use crate::seal::{Quiet, seal};
use crate::store::Store;
use crate::warm::Warming;
use crate::{compact, retention};

/// How often it looks whether there is something to do: the head grows by a few megabytes meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long a task waits after a failure, and twice as long after each further one: a full disk does not get
/// better by trying at once.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// The longest that sealing and retention wait: they are what makes room.
const SOON: Duration = Duration::from_secs(10);
/// The longest that compaction waits: every try reads and writes as much as a segment, and nobody waits for it.
const LATER: Duration = Duration::from_secs(600);

enum Request {
    /// Seal everything now and answer.
    SealAll(Sender<Result<(), StorageError>>),
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Maintenance {
    store: Arc<Store>,
    requests: Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    pub(crate) fn start(store: Arc<Store>) -> std::io::Result<Self> {
        let (requests, receiver) = channel();
        let of_thread = store.clone();
        let thread = thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || run(&of_thread, &receiver))?;
        Ok(Self {
            store,
            requests,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Seals everything that has arrived, waits for it, joins and drops what is to be joined and dropped.
    pub(crate) fn seal_all(&self) -> Result<(), StorageError> {
        let stopped = || StorageError::Unavailable("the store is closed".to_owned());
        let (sender, receiver) = channel();
        self.requests
            .send(Request::SealAll(sender))
            .map_err(|_| stopped())?;
        receiver.recv().map_err(|_| stopped())?
    }

    /// Whether nothing is sealed any more though the store is open: the thread panicked, and said so then.
    pub(crate) fn is_broken(&self) -> bool {
        self.thread.lock().as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Gives up what is going on and ends the thread. Spans that are not sealed are in the journal.
    pub(crate) fn stop(&self) {
        self.store.stopping.store(true, Ordering::Relaxed);
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, requests: &Receiver<Request>) {
    let mut tasks = Tasks::default();
    loop {
        match requests.recv_timeout(LOOK_EVERY) {
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Request::SealAll(answer)) => {
                // Who asked may be gone.
                let _ = answer.send(seal_all(store));
            }
            Err(RecvTimeoutError::Timeout) => tasks.look(store),
        }
    }
}

fn seal_all(store: &Store) -> Result<(), StorageError> {
    if store.view().active.spans() > 0 {
        store.freeze();
    }
    let sealed = seal_frozen(store, Some(Quiet::Everything), || make_room(store));
    let joined = loop {
        match compact::compact(store, |store, _| is_stopping(store)) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let retained = retention::retain(store).map(|_| ());
    // One that failed must not keep the others from making room.
    sealed.and(joined).and(retained)
}

/// Seals, and notes for who asks after the store's health whether that works. What counts as still arriving is by the
/// generation, unless it is told. `after_each` makes room on the disk for what the next one takes there.
fn seal_frozen(store: &Store, quiet: Option<Quiet>, after_each: impl FnMut()) -> Result<(), StorageError> {
    let sealed = seal_all_frozen(store, quiet, after_each);
    // Giving up because the store is being closed is no trouble.
    if !store.stopping.load(Ordering::Relaxed) {
        *store.not_sealed.lock() = sealed.as_ref().err().map(ToString::to_string);
    }
    sealed
}

fn seal_all_frozen(
    store: &Store,
    quiet: Option<Quiet>,
    mut after_each: impl FnMut(),
) -> Result<(), StorageError> {
    for frozen in store.view().frozen.clone() {
        seal(store, &frozen, quiet.unwrap_or_else(|| quiet_of(store, &frozen)))?;
        after_each();
    }
    // Moved already, unless that failed or a batch was given up between the journal and the head.
    store.move_checkpoint()
}

/// What is looked after, each by itself: one that fails must not keep the others from making room.
#[derive(Default)]
struct Tasks {
    sealing: Pause,
    compaction: Pause,
    retention: Pause,
    versions: Pause,
    warming: Warming,
}

impl Tasks {
    /// Does what is due.
    fn look(&mut self, store: &Store) {
        let now = Instant::now();
        if self.sealing.is_over(now) {
            self.sealing
                .note("sealing", SOON, seal_due(store, || make_room(store)));
        }
        if self.compaction.is_over(now) {
            let joined = self.compact(store);
            self.compaction.note("compaction", LATER, joined);
        }
        if self.retention.is_over(now) {
            let retained = retention::retain(store).map(|_| ());
            self.retention.note("retention", SOON, retained);
        }
        if self.versions.is_over(now) {
            let written = store.deployments.write_versions_at_leisure();
            self.versions.note("writing versions", SOON, written);
        }
        // What cannot be read is told by who asks for it.
        let _ = self
            .warming
            .go_on(store, || is_stopping(store) || is_to_be_sealed(store));
    }
}

impl Tasks {
    /// Joins a group of segments at leisure, and seals meanwhile when that is due: the head must not wait.
    fn compact(&mut self, store: &Store) -> Result<(), StorageError> {
        let mut pace = Pace::leisurely(store);
        let sealing = &mut self.sealing;
        let joined = compact::compact(store, |store, joining| {
            pace.keep(store);
            let mut are_dropped = false;
            // After a failure it waits here too: what could not be sealed is still to be sealed.
            if is_to_be_sealed(store) && sealing.is_over(Instant::now()) {
                let make_room = || are_dropped |= retain_beside(store, joining);
                sealing.note("sealing", SOON, seal_due(store, make_room));
            }
            is_stopping(store) || sealing.failures > 0 || are_dropped
        });
        joined.map(|_| ())
    }
}

/// Retention between generations that are sealed one after the other. A failure is told when it is tried by itself.
fn make_room(store: &Store) {
    let _ = retention::retain(store);
}

/// Retention while segments are joined, which takes as long as the disk has to fill beyond its limit: drops others, and
/// tells whether some of them are to be dropped themselves. A failure is told when retention is tried by itself.
fn retain_beside(store: &Store, joining: &[u64]) -> bool {
    retention::retain_beside(store, joining).unwrap_or(true)
}

/// How often a task failed in a row, and until when it waits therefore.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    fn note(&mut self, task: &'static str, longest: Duration, result: Result<(), StorageError>) {
        let Err(error) = result else {
            *self = Self::default();
            return;
        };
        let wait = AFTER_FAILURE
            .saturating_mul(1 << self.failures.min(16))
            .min(longest);
        self.failures += 1;
        self.until = Some(Instant::now() + wait);
        tracing::error!(%error, task, wait_s = wait.as_secs(), "maintenance of the segment store failed and is tried again");
    }
}

fn seal_due(store: &Store, after_each: impl FnMut()) -> Result<(), StorageError> {
    if is_due(store) {
        store.freeze();
    }
    // Some may be left from a failure, or were full while others were sealed.
    seal_frozen(store, None, after_each)
}

/// Whether there is something to seal now.
fn is_to_be_sealed(store: &Store) -> bool {
    is_due(store) || !store.view().frozen.is_empty()
}

/// Whether the active generation is to be sealed.
fn is_due(store: &Store) -> bool {
    let active = store.view().active.clone();
    let is_old = || age(store, &active) >= store.limits.generation_age_max_ms;
    active.spans() > 0 && (is_journal_filling(store) || store.is_full(&active) || is_old())
}

/// What counts as still arriving when a generation is sealed now.
fn quiet_of(store: &Store, generation: &Generation) -> Quiet {
    if is_journal_filling(store) {
        // A trace that is carried over holds its records, and with them all later ones.
        Quiet::Everything
    } else if store.is_full(generation) {
        // Under load a generation lives for seconds; a quarter of that is long for a trace to be quiet.
        Quiet::For(store.limits.quiet_ms.min(age(store, generation) / 4))
    } else {
        Quiet::For(store.limits.quiet_ms)
    }
}

fn is_journal_filling(store: &Store) -> bool {
    store.journal.stats().bytes >= store.config.journal_bytes_max / 2
}

/// Milliseconds.
fn age(store: &Store, generation: &Generation) -> u64 {
    (store.config.now)().saturating_sub(generation.since)
}

fn is_stopping(store: &Store) -> bool {
    store.stopping.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::testing::{Machine, batch_of, span};

    #[test]
    fn a_task_that_keeps_failing_is_tried_less_and_less_often() {
        let failed = || Err(StorageError::Unavailable("no room".to_owned()));
        let mut pause = Pause::default();
        assert!(pause.is_over(Instant::now()));
        for least_s in [4, 9, 19, 39, 59, 59] {
            pause.note("compaction", Duration::from_secs(60), failed());
            let now = Instant::now();
            assert!(!pause.is_over(now + Duration::from_secs(least_s)));
            assert!(pause.is_over(now + Duration::from_secs(60)));
        }
        pause.note("compaction", Duration::from_secs(60), Ok(()));
        assert!(pause.is_over(Instant::now()));
    }

    #[test]
    fn room_is_made_after_each_generation_that_is_sealed() {
        let machine = Machine::new(Limits::default());
        let store = machine.open();
        for trace in 1..=3 {
            machine.accept(&store, &batch_of(&[span(trace, 1, 1_600_000_000_000_000)]));
            store.freeze();
        }
        let mut left = Vec::new();
        let note = || left.push(store.view().frozen.len());
        seal_frozen(&store, Some(Quiet::Everything), note).unwrap();
        assert_eq!(left, [2, 1, 0]);
    }
}
