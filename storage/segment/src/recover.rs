//! Start-up: what the journal holds from its checkpoint on goes back into the head.
//!
//! Records stand alone, so they are read by several threads. Some of their spans may be in segments already,
//! where the process stopped between writing a segment and moving the checkpoint, or where a trace was carried
//! over; storing a span twice is harmless.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use model::SpanBatch;
use parking_lot::Mutex;
use storage::StorageError;
use storage_journal::{Disk, Journal, Position, Recovery};

use crate::config::SegmentConfig;
use crate::head::{Arrival, Generation};
use crate::record;
use crate::store::{journal_config, refusal};

/// Records that wait for a thread: enough to keep all busy, and bounded.
const QUEUE_RECORDS_MAX: usize = 64;

/// Opens the journal and inserts its records into `active`.
pub(crate) fn open_journal(
    disk: &Arc<dyn Disk>,
    config: &SegmentConfig,
    active: &Generation,
) -> Result<(Journal, Recovery), StorageError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let failure = Mutex::new(None);
    let opened = thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<(Position, Vec<u8>)>(QUEUE_RECORDS_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let receiver = receiver.clone();
            let failure = &failure;
            scope.spawn(move || insert_records(&receiver, config, active, failure));
        }
        let mut replay = |position, record| send(&sender, position, record);
        Journal::open(disk.clone(), journal_config(config), &mut replay)
    });
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    opened.map_err(refusal)
}

fn send(sender: &SyncSender<(Position, Vec<u8>)>, position: Position, record: Vec<u8>) -> io::Result<()> {
    sender
        .send((position, record))
        .map_err(|_| io::Error::other("the threads that insert records are gone"))
}

fn insert_records(
    receiver: &Mutex<Receiver<(Position, Vec<u8>)>>,
    config: &SegmentConfig,
    active: &Generation,
    failure: &Mutex<Option<StorageError>>,
) {
    let mut batch = SpanBatch::new();
    loop {
        let Ok((position, bytes)) = receiver.lock().recv() else {
            return;
        };
        batch.clear();
        match record::decode(&bytes, &mut batch) {
            Ok(()) => {
                let arrival = Arrival::at((config.now)(), position);
                active.insert(&batch, arrival, &config.options.autocomplete_keys);
            }
            Err(error) => {
                // Its checksum was right: it was written by something else than this version of the server.
                let error = StorageError::Corrupt(format!("journal record at {position}: {error}"));
                failure.lock().get_or_insert(error);
            }
        }
    }
}
