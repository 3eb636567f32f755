//! The store: takes batches, keeps a view, and remembers which journal records it still needs.
//!
//! ```text
//! accept:  ticket (journal position) → journal, durable → active generation → ticket back
//! seal:    freeze the active generation → segment file → manifest → view → checkpoint
//! ```
//!
//! The checkpoint is the least position that a ticket, a generation or a record still to come may need. So a
//! record is let go only when every span of it is in a segment that the manifest names.
//!
//! Locks are taken in this order: `changes`, `gate`, `view`, then those of a generation (`head.rs`). `view` is
//! held for as long as a pointer takes to copy; no lock but `changes` is held while the names of segments are
//! gathered, and none across I/O. `tickets` is held while the journal is asked for its end, `manifest` alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::SpanBatch;
use parking_lot::{Mutex, RwLock};
use storage::{DeploymentLimits, DurationHistogram, StorageError};
use storage_journal::{Disk, Journal, JournalConfig, JournalError, Position, Recovery};

use crate::config::{Limits, SegmentConfig};
use crate::deployments::Deployments;
use crate::head::{Arrival, CarryOver, Generation};
use crate::head_sections::{CountedHead, Counter, KnownSections};
use crate::link_sums::LinkSums;
use crate::manifest::{DIRECTORY, Manifest, NotReplaced};
use crate::pace::wait_for_room;
use crate::page::unreadable;
use crate::reader::{Caches, SegmentReader};
use crate::view::View;
use crate::writer::WriterOptions;
use storage_record::{self as record, Numbering, RecordReader, RecordSpans};

/// Generations that may fill the memory of the head.
pub(crate) const GENERATIONS: u64 = 4;

/// Everything the parts of the store work on.
pub(crate) struct Store {
    pub(crate) config: SegmentConfig,
    pub(crate) limits: Limits,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) journal: Journal,
    pub(crate) caches: Caches,
    pub(crate) deployments: Arc<Deployments>,
    view: RwLock<Arc<View>>,
    /// Held by who makes another view from the one there is.
    changes: Mutex<()>,
    /// Held for reading while spans go into the active generation, for writing while another takes its place.
    gate: RwLock<()>,
    tickets: Mutex<BTreeMap<Position, usize>>,
    /// Only the maintenance thread changes it.
    manifest: Mutex<Manifest>,
    /// Why spans could not be sealed the last time it was tried.
    pub(crate) not_sealed: Mutex<Option<String>>,
    /// Tells maintenance to give up what takes long.
    pub(crate) stopping: AtomicBool,
    pub(crate) counters: Counters,
    link_sums: Mutex<Arc<LinkSums>>,
    /// Questions that come together wait here: the first counts for all.
    known_head: Mutex<KnownSections>,
    /// Whether anybody has asked anything.
    asked: AtomicBool,
    /// From a record's append until it is durable.
    pub(crate) commit_time: Arc<DurationHistogram>,
}

/// What happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sealed_segments: AtomicU64,
    pub(crate) sealed_spans: AtomicU64,
    pub(crate) compactions: AtomicU64,
    pub(crate) dropped_segments: AtomicU64,
    pub(crate) names_left_out: AtomicU64,
    pub(crate) refused_batches: AtomicU64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What opening a store found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the journal gave back.
    pub recovery: Recovery,
    /// Spans that were in the journal only.
    pub replayed_spans: u64,
    /// Segments that can be read.
    pub segments: usize,
    /// Segments that cannot, with the reason.
    pub set_aside: Vec<String>,
    /// Records of deployments that cannot, with the reason.
    pub deployments_set_aside: Vec<String>,
}

impl Store {
    /// Opens the store on a disk: manifest, segments, then the journal from its checkpoint on.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        config: SegmentConfig,
        limits: Limits,
    ) -> Result<(Self, Opened), StorageError> {
        let unavailable = |error: std::io::Error| StorageError::Unavailable(format!("the store: {error}"));
        disk.create_directory(DIRECTORY).map_err(unavailable)?;
        let manifest = Manifest::open(disk.as_ref())?;
        // A run that was killed may have replaced the manifest and not come to make that durable: the files that only
        // the one before names must stay until then.
        disk.sync_directory("").map_err(unavailable)?;
        crate::retention::keep_spare_room(disk.as_ref(), &manifest);
        let orphans = manifest.remove_orphans(disk.as_ref()).map_err(unavailable)?;
        if orphans > 0 {
            tracing::info!(
                orphans,
                "removed segment files that were never finished or have been replaced"
            );
        }
        let caches = Caches::new(&limits);
        let active = Arc::new(Generation::new((config.now)()));
        let view = open_segments(disk.as_ref(), &manifest, &caches, active.clone())?;
        let deployments = Deployments::open(disk.clone(), DeploymentLimits::default())?;
        let (journal, recovery) =
            crate::recover::open_journal(&disk, &config, &limits, &active, &deployments)?;
        let opened = Opened {
            recovery,
            replayed_spans: active.spans(),
            segments: view.segments.len(),
            set_aside: view.set_aside.values().cloned().collect(),
            deployments_set_aside: deployments.set_aside().to_vec(),
        };
        let store = Self {
            config,
            limits,
            disk,
            journal,
            caches,
            deployments: Arc::new(deployments),
            view: RwLock::new(Arc::new(view)),
            changes: Mutex::default(),
            gate: RwLock::default(),
            tickets: Mutex::default(),
            manifest: Mutex::new(manifest),
            not_sealed: Mutex::default(),
            stopping: AtomicBool::new(false),
            counters: Counters::default(),
            link_sums: Mutex::default(),
            known_head: Mutex::default(),
            asked: AtomicBool::new(false),
            commit_time: Arc::default(),
        };
        Ok((store, opened))
    }

    /// What there is at this moment.
    pub(crate) fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// Puts another view in the place of the one there is.
    pub(crate) fn change_view(&self, change: impl FnOnce(&View) -> View) {
        let _changing = self.changes.lock();
        let changed = Arc::new(change(&self.view()));
        let before = std::mem::replace(&mut *self.view.write(), changed);
        // Not under the lock: it may be the last to hold a generation.
        drop(before);
    }

    /// The manifest as it is.
    pub(crate) fn manifest(&self) -> Manifest {
        self.manifest.lock().clone()
    }

    /// Bytes on disk of all segments.
    pub(crate) fn segment_bytes(&self) -> u64 {
        let manifest = self.manifest.lock();
        manifest.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Gives a segment its number. Only the maintenance thread does.
    pub(crate) fn next_segment(&self) -> u64 {
        let mut manifest = self.manifest.lock();
        manifest.next_segment += 1;
        manifest.next_segment - 1
    }

    /// Puts a changed manifest in the place of the one there is. Only the maintenance thread does.
    pub(crate) fn change_manifest(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), NotReplaced> {
        let mut changed = self.manifest();
        change(&mut changed);
        changed.replace(self.disk.as_ref())?;
        *self.manifest.lock() = changed;
        Ok(())
    }

    /// See [`storage::SpanSink::accept`].
    pub(crate) async fn accept(&self, batch: &SpanBatch) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.check_room()?;
        let ticket = self.ticket();
        let numbering = Numbering::of(batch);
        let open = self.view().active.open_slots(batch, &numbering);
        let record = record::encode_numbered(batch, &numbering, &open);
        let begin = Instant::now();
        let pending = self.journal.append(record.clone()).map_err(refusal)?;
        pending.durable().await.map_err(refusal)?;
        self.commit_time.record(begin.elapsed());
        let now_ms = (self.config.now)();
        let (mut reader, options) = (RecordReader::default(), &self.config.options);
        let insert = |spans: RecordSpans<'_>| {
            // As long as the ticket keeps the record: what is noted is written down before the journal lets go of it.
            self.deployments.note(spans, options, now_ms)?;
            let _gate = self.gate.read();
            let active = self.view().active.clone();
            let arrival = Arrival::at(now_ms, ticket.position);
            active.insert(spans, arrival, &options.autocomplete_keys)
        };
        // It was written a moment ago: a failure is a mistake in the coder.
        let inserted = reader.read(&record).and_then(insert);
        inserted.map_err(|error| StorageError::Corrupt(format!("a record as it was written: {error}")))
    }

    /// Bytes of all generations.
    pub(crate) fn head_bytes(&self) -> u64 {
        self.view()
            .generations()
            .map(|generation| generation.bytes())
            .sum()
    }

    /// See [`storage::SpanSink::check_room`]. Counts what it refuses.
    pub(crate) fn check_room(&self) -> Result<Duration, StorageError> {
        let (bytes, most) = (self.head_bytes(), self.config.head_bytes_max);
        if bytes < most {
            return Ok(wait_for_room(bytes, most));
        }
        self.counters.refused_batches.fetch_add(1, Ordering::Relaxed);
        Err(StorageError::Overloaded(format!(
            "{bytes} bytes of spans wait to be sealed, the bound is {most} bytes"
        )))
    }

    /// Takes the position of the next record, which is not let go until the ticket is.
    pub(crate) fn ticket(&self) -> Ticket<'_> {
        let mut tickets = self.tickets.lock();
        let position = self.journal.end();
        *tickets.entry(position).or_default() += 1;
        Ticket {
            store: self,
            position,
        }
    }

    /// A generation's share of the memory, bytes: so little that there is one to seal while others fill, and that room is
    /// made again and again where senders wait for it. Where memory is full nothing is taken until one more is sealed.
    pub(crate) fn generation_bytes_max(&self) -> u64 {
        self.config.head_bytes_max / GENERATIONS
    }

    /// Whether a generation has its share of the memory.
    pub(crate) fn is_full(&self, generation: &Generation) -> bool {
        generation.bytes() >= self.generation_bytes_max()
    }

    /// Freezes the active generation if it is full. Only the maintenance thread does, while it seals another one.
    pub(crate) fn freeze_full(&self) {
        let is_full = self.is_full(&self.view().active);
        if is_full {
            self.freeze();
        }
    }

    /// Freezes the active generation; from now on spans go into another.
    pub(crate) fn freeze(&self) -> Arc<Generation> {
        let _changing = self.changes.lock();
        let _gate = self.gate.write();
        let before = self.view();
        let frozen = before.active.clone();
        let mut changed = (*before).clone();
        changed.active = Arc::new(frozen.next((self.config.now)()));
        changed.frozen.push(frozen.clone());
        *self.view.write() = Arc::new(changed);
        frozen
    }

    /// Puts traces that are still arriving from a frozen generation into the active one. Only the maintenance thread
    /// does, and freezes: the active generation stays the same.
    pub(crate) fn carry_over(&self, frozen: &Generation, traces: impl Iterator<Item = (u64, Arrival)>) {
        let active = self.view().active.clone();
        let mut carry_over = CarryOver::new(frozen, &active, &self.config.options.autocomplete_keys);
        for (low, arrival) in traces {
            carry_over.add(low, arrival);
        }
    }

    /// Lets go of every journal record that nothing in memory needs any more.
    pub(crate) fn move_checkpoint(&self) -> Result<(), StorageError> {
        // In this order: a record that is appended after the first line is beyond `end`; one whose ticket is gone
        // by the second is in a generation by the third.
        let end = self.journal.end();
        let ticket = self.tickets.lock().keys().next().copied();
        let view = self.view();
        let generation = view
            .generations()
            .filter_map(|generation| generation.position())
            .min();
        let needed = [Some(end), ticket, generation]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(end);
        // What spans told of versions must not go with them.
        self.deployments.write_versions()?;
        self.journal.set_checkpoint(needed).map_err(refusal)
    }

    /// Whether spans can be taken and sealed.
    pub(crate) fn health(&self) -> Result<(), StorageError> {
        self.journal.health().map_err(refusal)?;
        match &*self.not_sealed.lock() {
            None => Ok(()),
            Some(why) => Err(StorageError::Unavailable(format!(
                "spans stay in the journal, until it is full, because they cannot be sealed: {why}"
            ))),
        }
    }

    /// What is remembered of links between questions.
    pub(crate) fn link_sums(&self) -> Arc<LinkSums> {
        let mut sums = self.link_sums.lock();
        if sums.is_full() {
            *sums = Arc::default();
        }
        sums.clone()
    }

    /// The head as far as it touches a window, counted.
    pub(crate) fn counted_head(
        &self,
        view: &View,
        window: (u64, u64),
        cancelled: &AtomicBool,
    ) -> Result<CountedHead, StorageError> {
        let options = WriterOptions {
            indexed: false,
            ..self.writer_options()
        };
        let counter = Counter {
            options: &options,
            spans_max: self.limits.trace_spans_max,
            now: (self.config.now)(),
            window,
            cancelled,
        };
        self.known_head.lock().update(view, counter)
    }

    /// Notes that somebody asks: what is kept for questions is worth finding out.
    pub(crate) fn note_question(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn writer_options(&self) -> WriterOptions {
        writer_options(&self.config)
    }

    /// Takes damaged segments out of the view. Their files stay, for `doctor`.
    pub(crate) fn set_aside(&self, damaged: BTreeMap<u64, String>) {
        if damaged.is_empty() {
            return;
        }
        for reason in damaged.values() {
            tracing::error!(
                reason,
                "a segment is damaged and set aside; what it held is missing from answers"
            );
        }
        self.change_view(|view| {
            // A question may have been answered from a view in which it was still there.
            let there = |number: &u64| view.segments.iter().any(|segment| segment.number() == *number);
            let damaged: BTreeMap<_, _> = damaged.into_iter().filter(|entry| there(&entry.0)).collect();
            let numbers: Vec<u64> = damaged.keys().copied().collect();
            let mut changed = view.with_segments(&numbers, Vec::new());
            changed.set_aside.extend(damaged);
            changed
        });
    }
}

/// Holds back the checkpoint while a record is between the journal and the head.
pub(crate) struct Ticket<'s> {
    store: &'s Store,
    position: Position,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut tickets = self.store.tickets.lock();
        if let Some(count) = tickets.get_mut(&self.position) {
            *count -= 1;
            if *count == 0 {
                tickets.remove(&self.position);
            }
        }
    }
}

/// Records that wait for the disk: two of the largest.
const QUEUE_BYTES_MAX: u64 = 256 << 20;

/// How a store's segments are written.
pub(crate) fn writer_options(config: &SegmentConfig) -> WriterOptions {
    WriterOptions {
        indexed: config.options.search_enabled,
        text_indexed: config.options.text_index_enabled,
        autocomplete_keys: config.options.autocomplete_keys.clone().into(),
        version_tags: config.options.version_tags.clone().into(),
    }
}

/// The journal's configuration of a store.
pub(crate) fn journal_config(config: &SegmentConfig, limits: &Limits) -> JournalConfig {
    JournalConfig {
        directory: "journal".to_owned(),
        bytes_max: config.journal_bytes_max,
        record_bytes_max: record::RECORD_BYTES_MAX,
        queue_bytes_max: QUEUE_BYTES_MAX,
        sync: config.sync,
        file_bytes: limits.journal_file_bytes,
    }
}

/// What a refusal of the journal means to who sent the spans.
pub(crate) fn refusal(error: JournalError) -> StorageError {
    match error {
        JournalError::Full { .. } => StorageError::Overloaded(error.to_string()),
        JournalError::TooLarge { .. } => StorageError::Invalid(error.to_string()),
        JournalError::Corrupt { .. } => StorageError::Corrupt(error.to_string()),
        _ => StorageError::Unavailable(error.to_string()),
    }
}

fn open_segments(
    disk: &dyn Disk,
    manifest: &Manifest,
    caches: &Caches,
    active: Arc<Generation>,
) -> Result<View, StorageError> {
    let mut segments = Vec::with_capacity(manifest.segments.len());
    let mut set_aside = BTreeMap::new();
    for segment in &manifest.segments {
        match open_segment(disk, segment.number, caches) {
            Ok(reader) => segments.push(Arc::new(reader)),
            Err(StorageError::Corrupt(reason)) => {
                tracing::error!(
                    reason,
                    "a segment is damaged and set aside; what it held is missing from answers"
                );
                set_aside.insert(segment.number, reason);
            }
            Err(error) => return Err(error),
        }
    }
    let mut empty = View::of(active);
    empty.set_aside = set_aside;
    Ok(empty.with_segments(&[], segments))
}

/// Opens the file of a segment.
pub(crate) fn open_segment(
    disk: &dyn Disk,
    number: u64,
    caches: &Caches,
) -> Result<SegmentReader, StorageError> {
    let name = Manifest::file_name(number);
    let file = disk.open(&name).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => StorageError::Corrupt(format!("{name}: the file is missing")),
        _ => unreadable(&name, &error),
    })?;
    SegmentReader::open(file, &name, number, caches)
}
