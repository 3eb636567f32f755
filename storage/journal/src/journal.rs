//! The journal as its owner sees it: open, append, checkpoint, close.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::checkpoint::CheckpointFile;
use crate::commit::{self, Queue, Shared};
use crate::config::JournalConfig;
use crate::disk::Disk;
use crate::error::JournalError;
use crate::format::{CheckpointSlot, Position, frame_bytes};
use crate::pending::Pending;
use crate::reader::Reader;
use crate::recover::{self, Recovery};
use crate::write::{Counters, Log, Queued};

/// An open journal. Shared by reference; see the crate's head for what it promises.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    config: JournalConfig,
    /// Locked across I/O, but only by those who set checkpoints.
    checkpoint: Mutex<CheckpointFile>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What a journal did since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Bytes of records from the checkpoint to the end, headers included; bounded by [`JournalConfig::bytes_max`].
    pub bytes: u64,
    /// Log files, those that wait to be recycled included.
    pub files: u64,
    /// Records acknowledged.
    pub records: u64,
    /// Appends refused for any reason.
    pub refused: u64,
    /// Syncs of log files.
    pub syncs: u64,
    /// Time spent in them.
    pub sync_time: Duration,
}

impl Journal {
    /// Opens a journal, or makes a new one, and hands every record from the checkpoint on to `replay`, in order.
    ///
    /// A torn tail, which a crash leaves where nothing was acknowledged, is left out and told in [`Recovery`].
    /// Reading takes bounded memory: a chunk of a file and the largest record. The last records
    /// are written again as they are, where nothing says that they are durable; no log file is made before the first
    /// append, so a journal opens on a full disk.
    ///
    /// # Errors
    /// [`JournalError::Corrupt`] names what is damaged beyond a torn tail; [`JournalError::Unavailable`] if the
    /// disk fails or `replay` does.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: JournalConfig,
        replay: &mut dyn FnMut(Position, Vec<u8>) -> io::Result<()>,
    ) -> Result<(Self, Recovery), JournalError> {
        let (mut checkpoint, recovered) = recover::recover(&*disk, &config.directory, replay)?;
        let slot = begin_run(&mut checkpoint, recovered.found.end)
            .map_err(|error| checkpoint_unavailable(&config, &error))?;
        let mut gaps = recovered.gaps;
        gaps.add(slot.durable.max(slot.position), slot.run);

        let counters = Arc::new(Counters::default());
        counters.checkpoint.store(slot.position, Ordering::Release);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(slot, gaps)),
            wake: Condvar::new(),
            counters: Arc::clone(&counters),
        });
        let log = Log::new(
            Arc::clone(&disk),
            config.directory.clone(),
            config.file_bytes,
            recovered.found,
            counters,
        );
        let (of_thread, policy) = (Arc::clone(&shared), config.sync);
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || commit::run(&of_thread, log, policy))
            .map_err(|error| {
                JournalError::Unavailable(format!("the writer thread cannot be started: {error}"))
            })?;
        let journal = Self {
            shared,
            disk,
            config,
            checkpoint: Mutex::new(checkpoint),
            writer: Mutex::new(Some(writer)),
        };
        Ok((journal, recovered.recovery))
    }

    /// Queues a record. Its position is decided here, in the order of calls. Never waits for I/O.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`], [`JournalError::Full`], [`JournalError::Poisoned`]: nothing was queued.
    pub fn append(&self, record: Vec<u8>) -> Result<Pending, JournalError> {
        let pending = self.enqueue(record);
        if pending.is_err() {
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        pending
    }

    fn enqueue(&self, payload: Vec<u8>) -> Result<Pending, JournalError> {
        if payload.len() as u64 > u64::from(self.config.record_bytes_max) {
            let (bytes, bytes_max) = (payload.len() as u64, self.config.record_bytes_max);
            return Err(JournalError::TooLarge { bytes, bytes_max });
        }
        let frame = frame_bytes(payload.len());
        let checksum = crc32c::crc32c(&payload);
        let full = |what, bytes, bytes_max| match bytes > bytes_max {
            true => Err(JournalError::Full {
                what,
                bytes,
                bytes_max,
            }),
            false => Ok(()),
        };

        let mut queue = self.shared.queue.lock();
        queue.check_open()?;
        full("journal", queue.live_bytes() + frame, self.config.bytes_max)?;
        full("journal queue", queue.bytes + frame, self.config.queue_bytes_max)?;
        let position = queue.end;
        queue.end += frame;
        queue.bytes += frame;
        queue.records.push(Queued {
            position,
            checksum,
            payload,
        });
        let group = Arc::clone(&queue.group);
        drop(queue);
        self.shared.wake.notify_one();
        Ok(Pending { position, group })
    }

    /// Reads records back, from the checkpoint on, as they become durable.
    pub fn reader(&self) -> Reader {
        Reader::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.disk),
            self.config.directory.clone(),
        )
    }

    /// Position the next record will get.
    pub fn end(&self) -> Position {
        Position(self.shared.queue.lock().end)
    }

    /// Says that everything before a position is no longer needed: durable when this returns. The files that
    /// lie wholly before it will be recycled. A position before the current checkpoint changes nothing.
    ///
    /// Blocks on I/O: syncs what was appended before the position, if it is not, and the checkpoint itself.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`]: the checkpoint is where it was, or (if the disk did not say so) already at
    /// the position; [`JournalError::Poisoned`], [`JournalError::BeyondEnd`].
    pub fn set_checkpoint(&self, position: Position) -> Result<(), JournalError> {
        let mut file = self.checkpoint.lock();
        if position.0 <= file.current().position {
            return Ok(());
        }
        let durable = self.sync_before(position)?;
        let slot = CheckpointSlot {
            position: position.0,
            durable,
            ..file.current()
        };
        file.set(slot)
            .map_err(|error| checkpoint_unavailable(&self.config, &error))?;
        let mut queue = self.shared.queue.lock();
        queue.checkpoint = position.0;
        queue.gaps.forget_before(position.0);
        drop(queue);
        self.shared
            .counters
            .checkpoint
            .store(position.0, Ordering::Release);
        Ok(())
    }

    /// Makes every record before a position durable or refused; returns the end of the last durable one.
    fn sync_before(&self, position: Position) -> Result<u64, JournalError> {
        let mut queue = self.shared.queue.lock();
        if position.0 > queue.end {
            return Err(JournalError::BeyondEnd {
                position,
                end: Position(queue.end),
            });
        }
        queue.check_open()?;
        if position.0 <= queue.synced {
            return Ok(queue.synced);
        }
        queue.sync_wanted = true;
        let group = Arc::clone(&queue.group);
        drop(queue);
        self.shared.wake.notify_one();
        // A record that the disk refuses is no concern of the checkpoint's.
        group.wait();
        let queue = self.shared.queue.lock();
        queue.check_open()?;
        Ok(queue.synced)
    }

    /// Everything before is no longer needed, durably.
    pub fn checkpoint(&self) -> Position {
        Position(self.shared.counters.checkpoint.load(Ordering::Acquire))
    }

    /// What it did and holds.
    pub fn stats(&self) -> JournalStats {
        let counters = &self.shared.counters;
        JournalStats {
            bytes: self.shared.queue.lock().live_bytes(),
            files: counters.files.load(Ordering::Relaxed),
            records: counters.records.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            sync_time: Duration::from_nanos(counters.sync_nanoseconds.load(Ordering::Relaxed)),
        }
    }

    /// Whether it takes records.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] or [`JournalError::Closed`] if it never will again.
    pub fn health(&self) -> Result<(), JournalError> {
        self.shared.queue.lock().check_open()
    }

    /// Writes and syncs what is queued, and ends the writer thread; later appends are refused. Dropping does the
    /// same and tells nobody.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] if it is unknown what is on disk.
    pub fn close(&self) -> Result<(), JournalError> {
        self.shut_down();
        match &self.shared.queue.lock().poisoned {
            Some(why) => Err(JournalError::Poisoned(why.clone())),
            None => Ok(()),
        }
    }

    fn shut_down(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.lock().take() {
            // A writer that panicked has poisoned the journal on its way out.
            let _ = writer.join();
            self.leave_witness();
        }
    }

    /// Notes in the checkpoint file where the records end: until a later record is there to say so, damage to
    /// the last ones would pass for a torn tail.
    fn leave_witness(&self) {
        let (durable, poisoned) = {
            let queue = self.shared.queue.lock();
            (queue.synced, queue.poisoned.is_some())
        };
        let mut file = self.checkpoint.lock();
        let slot = CheckpointSlot {
            durable,
            ..file.current()
        };
        if poisoned || slot == file.current() {
            return;
        }
        if let Err(error) = file.set(slot) {
            tracing::warn!(%error, "the journal closed without noting its end; nothing is lost");
        }
    }
}

/// Notes where the records end and which positions this run will use, before it uses any.
fn begin_run(checkpoint: &mut CheckpointFile, end: u64) -> io::Result<CheckpointSlot> {
    let last = checkpoint.current();
    let reached = end.max(last.position).max(last.run);
    let run = Position::next_run(reached).ok_or_else(|| io::Error::other("all positions are used up"))?;
    let slot = CheckpointSlot {
        durable: end,
        run: run.0,
        ..last
    };
    checkpoint.set(slot)?;
    Ok(slot)
}

fn checkpoint_unavailable(config: &JournalConfig, error: &io::Error) -> JournalError {
    JournalError::Unavailable(format!("{}/checkpoint: {error}", config.directory))
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shut_down();
    }
}
