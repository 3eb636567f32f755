//! The thread that seals, joins and drops, one after the other, while spans arrive and queries run.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use storage::StorageError;

use crate::seal::{Quiet, seal};
use crate::store::Store;
use crate::{compact, retention};

/// How often it looks whether there is something to do: the head grows by a few megabytes meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long it waits after a failure; a full disk does not get better by trying at once.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

enum Request {
    /// Seal everything now and answer.
    SealAll(Sender<Result<(), StorageError>>),
    Stop,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Maintenance {
    requests: Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Maintenance {
    pub(crate) fn start(store: Arc<Store>) -> std::io::Result<Self> {
        let (requests, receiver) = channel();
        let thread = thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || run(&store, &receiver))?;
        Ok(Self {
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

    /// Finishes what is going on and ends the thread.
    pub(crate) fn stop(&self) {
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, requests: &Receiver<Request>) {
    let mut not_before = Instant::now();
    loop {
        match requests.recv_timeout(LOOK_EVERY) {
            Ok(Request::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Request::SealAll(answer)) => {
                // Who asked may be gone.
                let _ = answer.send(seal_all(store));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() < not_before => {}
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = look(store) {
                    tracing::error!(%error, "maintenance of the segment store failed and is tried again");
                    not_before = Instant::now() + AFTER_FAILURE;
                }
            }
        }
    }
}

fn seal_all(store: &Store) -> Result<(), StorageError> {
    store.freeze();
    for frozen in store.view().frozen.clone() {
        seal(store, &frozen, Quiet::Everything)?;
    }
    while compact::compact(store)? {}
    retention::retain(store).map(|_| ())
}

/// Does what is due.
fn look(store: &Store) -> Result<(), StorageError> {
    if let Some(quiet) = due(store) {
        store.freeze();
        for frozen in store.view().frozen.clone() {
            seal(store, &frozen, quiet)?;
        }
    } else {
        for frozen in store.view().frozen.clone() {
            // Left from a failure.
            seal(store, &frozen, Quiet::For(store.limits.quiet_ms))?;
        }
    }
    let calm = store.view().active.bytes() < store.config.head_bytes_max / 4;
    if calm {
        compact::compact(store)?;
    }
    retention::retain(store)?;
    Ok(())
}

/// Whether the active generation is to be sealed, and what counts as still arriving then.
fn due(store: &Store) -> Option<Quiet> {
    let active = store.view().active.clone();
    if active.spans() == 0 {
        return None;
    }
    let age = (store.config.now)().saturating_sub(active.since);
    let journal = store.journal.stats().bytes;
    if active.bytes() >= store.config.head_bytes_max / 2 || journal >= store.config.journal_bytes_max / 2 {
        // Under load a generation lives for seconds; a quarter of that is long for a trace to be quiet.
        Some(Quiet::For(store.limits.quiet_ms.min(age / 4)))
    } else if age >= store.limits.generation_age_max_ms {
        Some(Quiet::For(store.limits.quiet_ms))
    } else {
        None
    }
}
