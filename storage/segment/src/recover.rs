//! Start-up: what the journal holds from its checkpoint on goes back into the head, and tells again which versions
//! served.
//!
//! Records stand alone, so they are read by several threads. Some of their spans may be in segments already,
//! where the process stopped between writing a segment and moving the checkpoint, or where a trace was carried
//! over; storing a span twice is harmless.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use parking_lot::Mutex;
use storage::StorageError;
use storage_journal::{Disk, Journal, JournalError, Position, Recovery};

use crate::config::{Limits, SegmentConfig};
use crate::deployments::Deployments;
use crate::head::{Arrival, Generation, Held};
use crate::store::{journal_config, refusal};
use storage_record::RecordReader;
use storage_record::bytes::Malformed;

/// Records are handed to a thread so many bytes at a time: one by one, threads would spend their time waking each
/// other.
const CHUNK_BYTES: usize = 512 << 10;
/// Chunks that wait for a thread: enough to keep all busy, and bounded.
const QUEUE_CHUNKS_MAX: usize = 4;

type Chunk = Vec<(Position, Vec<u8>)>;

/// Opens the journal and inserts its records into `active`.
pub(crate) fn open_journal(
    disk: &Arc<dyn Disk>,
    config: &SegmentConfig,
    limits: &Limits,
    active: &Generation,
    deployments: &Deployments,
) -> Result<(Journal, Recovery), StorageError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    let failure = Mutex::new(None);
    let opened = thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Chunk>(QUEUE_CHUNKS_MAX);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..threads {
            let receiver = receiver.clone();
            let failure = &failure;
            scope.spawn(move || insert_chunks(&receiver, config, (active, deployments), failure));
        }
        let mut chunks = Chunks {
            sender,
            filling: Vec::new(),
            bytes: 0,
        };
        let mut replay = |position, record| chunks.add(position, record);
        let opened =
            Journal::open(disk.clone(), journal_config(config, limits), &mut replay).map_err(refusal)?;
        chunks
            .send()
            .map_err(|error| refusal(JournalError::Unavailable(error.to_string())))?;
        Ok(opened)
    });
    match failure.into_inner() {
        Some(error) => Err(error),
        None => opened,
    }
}

/// Gathers records into chunks.
struct Chunks {
    sender: SyncSender<Chunk>,
    filling: Chunk,
    bytes: usize,
}

impl Chunks {
    fn add(&mut self, position: Position, record: Vec<u8>) -> io::Result<()> {
        self.bytes += record.len();
        self.filling.push((position, record));
        if self.bytes >= CHUNK_BYTES {
            self.send()
        } else {
            Ok(())
        }
    }

    fn send(&mut self) -> io::Result<()> {
        self.bytes = 0;
        self.sender
            .send(std::mem::take(&mut self.filling))
            .map_err(|_| io::Error::other("the threads that insert records are gone"))
    }
}

fn insert_chunks(
    receiver: &Mutex<Receiver<Chunk>>,
    config: &SegmentConfig,
    (active, deployments): (&Generation, &Deployments),
    failure: &Mutex<Option<StorageError>>,
) {
    let (mut reader, mut held) = (RecordReader::default(), Held::default());
    loop {
        let Ok(chunk) = receiver.lock().recv() else {
            return active.add_held(&mut held);
        };
        for (position, bytes) in chunk {
            let mut insert = |record: Vec<u8>| {
                let record = storage_record::renew(record)?;
                let (now_ms, keys) = ((config.now)(), &config.options.autocomplete_keys);
                let inserted = reader.read(&record).and_then(|spans| {
                    deployments.note(spans, &config.options, now_ms)?;
                    active.insert_held(spans, Arrival::at(now_ms, position), keys, &mut held)
                });
                // Also where a row could not be read: runs before it are held, and their rows are here.
                held.keep(record);
                inserted
            };
            let inserted: Result<(), Malformed> = insert(bytes);
            if held.is_full() {
                active.add_held(&mut held);
            }
            if let Err(error) = inserted {
                // Its checksum was right: it was written by something else than this version of the server.
                let error = StorageError::Corrupt(format!("journal record at {position}: {error}"));
                failure.lock().get_or_insert(error);
            }
        }
    }
}
