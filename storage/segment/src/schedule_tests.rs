//! Random schedules of everything that happens to a store, on a disk that fails, fills up, tears and loses, against a
//! model: no acknowledged span is ever missing, none is there twice, none is invented; spans that were refused may be
//! there after a restart, their batch whole or not at all.
//!
//! A schedule is decided by its seed, which a failure prints with the steps that led to it. To run more of them, or
//! one again, change [`SCHEDULES`] and [`FIRST_SEED`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::Span;
use parking_lot::Mutex;
use storage::{Completeness, StorageError, TraceQueryBuilder};
use storage_journal::{Disk, LossyDisk, SyncPolicy};
use tokio::runtime::Runtime;

use crate::compact::compact;
use crate::config::{Limits, Retention, SegmentConfig};
use crate::manifest::DIRECTORY;
use crate::retention::{retain, to_drop};
use crate::seal::{Quiet, seal};
use crate::search;
use crate::store::Store;
use crate::testing::{batch_of, span};
use crate::view::{Reading, View};

const SCHEDULES: u64 = 2000;
const FIRST_SEED: u64 = 1;
const STEPS: usize = 30;
const TRACES: u64 = 5;
/// Epoch milliseconds.
const START: u64 = 1_600_000_000_000;
const AGE_MAX: Duration = Duration::from_secs(4 * 3600);

/// Repeatable choices (xorshift).
struct Choice(u64);

impl Choice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// What the store must say.
#[derive(Default)]
struct Model {
    /// There, each once.
    acknowledged: BTreeSet<Span>,
    /// Refused batches: after a restart all of one's spans are there, or none.
    refused: Vec<Vec<Span>>,
    /// Dropped by retention, but perhaps not from the journal.
    dropped: BTreeSet<Span>,
}

impl Model {
    /// Takes what a store has after it was opened for what it must have from now on.
    ///
    /// Gives how many refused batches turn out to be there.
    fn adopt(&mut self, found: &[Span]) -> u64 {
        let distinct: BTreeSet<Span> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "a span is there twice");
        let lost: Vec<_> = self.acknowledged.difference(&distinct).collect();
        assert!(lost.is_empty(), "acknowledged spans are lost: {lost:?}");
        let mut rest: BTreeSet<Span> = distinct.difference(&self.acknowledged).cloned().collect();
        let mut kept = 0;
        for batch in &self.refused {
            let there = batch.iter().filter(|span| rest.contains(span)).count();
            assert!(
                there == 0 || there == batch.len(),
                "{there} of {} spans of a refused batch are there",
                batch.len()
            );
            kept += u64::from(there > 0);
        }
        self.refused.iter().flatten().for_each(|span| {
            rest.remove(span);
        });
        assert!(rest.is_subset(&self.dropped), "spans that nobody sent: {rest:?}");
        self.refused.clear();
        self.acknowledged = distinct;
        kept
    }

    /// What a running store answers, `whole` or with a part missing.
    fn check(&self, found: &[Span], whole: bool) {
        let distinct: BTreeSet<Span> = found.iter().cloned().collect();
        assert_eq!(distinct.len(), found.len(), "a span is there twice");
        let lost: Vec<_> = self.acknowledged.difference(&distinct).collect();
        assert!(
            !whole || lost.is_empty(),
            "acknowledged spans are missing: {lost:?}"
        );
        let invented: Vec<_> = distinct.difference(&self.acknowledged).collect();
        let is_known = |span: &&&Span| self.dropped.contains(**span);
        assert!(
            invented.iter().all(|span| is_known(&span)),
            "spans that nobody sent: {invented:?}"
        );
    }
}

/// How often what is worth a test happened.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    poisoned: u64,
    sealed: u64,
    not_sealed: u64,
    joined: u64,
    dropped: u64,
    partial: u64,
    kept_though_refused: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.refused += other.refused;
        self.poisoned += other.poisoned;
        self.sealed += other.sealed;
        self.not_sealed += other.not_sealed;
        self.joined += other.joined;
        self.dropped += other.dropped;
        self.partial += other.partial;
        self.kept_though_refused += other.kept_though_refused;
    }

    /// The least of them.
    fn least(&self) -> u64 {
        let work = self
            .sealed
            .min(self.not_sealed)
            .min(self.joined)
            .min(self.dropped);
        let trouble = self.refused.min(self.poisoned).min(self.partial);
        work.min(trouble).min(self.kept_though_refused)
    }
}

/// One schedule while it runs.
struct Schedule {
    seed: u64,
    choice: Choice,
    disk: LossyDisk,
    clock: Arc<AtomicU64>,
    runtime: Runtime,
    model: Model,
    next_id: u64,
    steps: Vec<String>,
    tally: Tally,
}

impl Drop for Schedule {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}:\n  {}", self.seed, self.steps.join("\n  "));
        }
    }
}

/// How a run of the process ends.
#[derive(Debug)]
enum End {
    Closed,
    Killed,
    PowerLost,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            choice: Choice::new(seed),
            disk: LossyDisk::new(),
            clock: Arc::new(AtomicU64::new(START)),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            model: Model::default(),
            next_id: 1,
            steps: Vec::new(),
            tally: Tally::default(),
        }
    }

    fn try_open(&self) -> Result<Store, StorageError> {
        let clock = self.clock.clone();
        let config = SegmentConfig {
            directory: std::path::PathBuf::new(),
            options: storage::StoreOptions::default(),
            sync: SyncPolicy::Always,
            journal_bytes_max: 1 << 30,
            head_bytes_max: 1 << 30,
            retention: Retention {
                age_max: Some(AGE_MAX),
                bytes_max: None,
            },
            now: Arc::new(move || clock.load(Ordering::SeqCst)),
        };
        let limits = Limits {
            page_cache_bytes_max: 1 << 20,
            shape_cache_bytes_max: 1 << 20,
            part_spans_max: if self.seed.is_multiple_of(3) { 6 } else { 500 },
            compaction_segments_min: 2,
            journal_file_bytes: 8 << 10,
            ..Limits::default()
        };
        Ok(Store::open(Arc::new(self.disk.clone()), config, limits)?.0)
    }

    /// Opens the store, at first perhaps on a disk that fails.
    fn open(&mut self) -> Store {
        if self.choice.one_in(3) {
            let fault = self.fail();
            let opened = self.try_open();
            self.steps
                .push(format!("open with {fault}: {:?}", opened.as_ref().err()));
            if let Err(error) = &opened {
                assert!(
                    !matches!(error, StorageError::Corrupt(_)),
                    "a disk that fails is not damaged: {error}"
                );
            }
            self.end(opened.ok());
        }
        let store = self
            .try_open()
            .unwrap_or_else(|error| panic!("the store does not open: {error}"));
        assert!(store.view().set_aside.is_empty(), "{:?}", store.view().set_aside);
        let found = spans(&store.view()).unwrap();
        self.steps.push(format!("open: {} spans", found.len()));
        self.tally.kept_though_refused += self.model.adopt(&found);
        store
    }

    /// Breaks the disk for the next step.
    fn fail(&mut self) -> String {
        match self.choice.below(5) {
            0 => {
                let (seed, one_in) = (self.choice.number(), 1 + self.choice.below(20) as usize);
                self.disk.fail_by_chance(seed, one_in);
                format!("one in {one_in} operations failing")
            }
            1 => {
                let operations = self.choice.below(14);
                self.disk.fail_after(operations);
                format!("a disk that stops after {operations} operations")
            }
            2 => {
                let room = self.choice.below(6000);
                self.disk.fill_up(used_bytes(&self.disk) + room);
                format!("room for {room} bytes")
            }
            3 => {
                let names = ["journal/", "journal/checkpoint", "segments/", "manifest", "/", ""];
                let name = names[self.choice.below(names.len() as u64) as usize];
                self.disk.fail_syncs_of(name);
                format!("failing syncs of {name:?}")
            }
            _ => {
                let names = ["segments/", "manifest", "journal/", ""];
                let name = names[self.choice.below(names.len() as u64) as usize];
                self.disk.fail_reads_of(name);
                format!("failing reads of {name:?}")
            }
        }
    }

    /// Ends a run, in one way or another.
    fn end(&mut self, store: Option<Store>) {
        let end = match self.choice.below(4) {
            0 => End::Closed,
            1 => End::Killed,
            _ => End::PowerLost,
        };
        match end {
            End::Closed => self.disk.heal(),
            // What is not on disk yet stays in the memory of the operating system.
            End::Killed => self.disk.fail_after(0),
            End::PowerLost => {
                let seed = if self.choice.one_in(3) {
                    0
                } else {
                    self.choice.number()
                };
                let after = self.disk.crash(seed);
                self.disk.fail_after(0);
                drop(std::mem::replace(&mut self.disk, after));
            }
        }
        drop(store);
        self.disk.heal();
        self.steps.push(format!("{end:?}"));
    }

    fn run(&mut self) {
        let mut store = self.open();
        for _ in 0..STEPS {
            let minutes = if self.choice.one_in(6) {
                self.choice.below(180)
            } else {
                self.choice.below(4)
            };
            self.clock.fetch_add(minutes * 60_000, Ordering::SeqCst);
            if self.choice.one_in(8) {
                self.end(Some(store));
                store = self.open();
                continue;
            }
            let retained = self.choice.one_in(12);
            if retained {
                self.expect_retention(&store);
            }
            let fault = self.choice.one_in(4).then(|| self.fail());
            let done = if retained {
                let dropped = retain(&store);
                self.tally.dropped += *dropped.as_ref().unwrap_or(&0) as u64;
                format!("retain: {dropped:?}")
            } else {
                self.step(&store)
            };
            self.steps
                .push(format!("{done}, {}", fault.as_deref().unwrap_or("no fault")));
            if fault.is_none() {
                self.check_health(&store);
            } else if self.choice.one_in(2) {
                self.end(Some(store));
                store = self.open();
            } else {
                self.disk.heal();
            }
        }
        self.end(Some(store));
        self.open();
    }

    fn step(&mut self, store: &Store) -> String {
        match self.choice.below(10) {
            0..5 => self.accept(store),
            5 | 6 => {
                let quiet = if self.choice.one_in(3) {
                    Quiet::For(600_000)
                } else {
                    Quiet::Everything
                };
                if store.view().active.spans() > 0 {
                    store.freeze();
                }
                let frozen = store.view().frozen.clone();
                let sealed = frozen.iter().try_for_each(|frozen| seal(store, frozen, quiet));
                let counted = if sealed.is_ok() {
                    &mut self.tally.sealed
                } else {
                    &mut self.tally.not_sealed
                };
                *counted += frozen.len() as u64;
                format!("seal {quiet:?}: {sealed:?}")
            }
            7 => {
                let joined = compact(store, |_, _| false);
                self.tally.joined += u64::from(joined == Ok(true));
                format!("compact: {joined:?}")
            }
            _ => self.ask(store),
        }
    }

    fn accept(&mut self, store: &Store) -> String {
        let count = 1 + self.choice.below(6);
        let mut spans = Vec::new();
        for _ in 0..count {
            spans.push(self.span());
        }
        let fresh = spans.clone();
        if self.choice.one_in(3) {
            // What was sent twice is there once.
            spans.extend(self.model.acknowledged.iter().take(2).cloned());
        }
        let accepted = self.runtime.block_on(store.accept(&batch_of(&spans)));
        match &accepted {
            Ok(()) => {
                spans.iter().for_each(|span| {
                    self.model.dropped.remove(span);
                });
                self.model.acknowledged.extend(spans);
            }
            Err(StorageError::Unavailable(_)) => {
                self.tally.refused += 1;
                self.model.refused.push(fresh);
            }
            Err(error) => panic!("{error}"),
        }
        format!("accept {count}: {accepted:?}")
    }

    fn span(&mut self) -> Span {
        let id = self.next_id;
        self.next_id += 1;
        let mut span = span(self.choice.below(TRACES) + 1, id, (START + id) * 1000);
        let value = "x".repeat(self.choice.below(60) as usize * self.choice.below(30) as usize);
        span.tags.push(("value".to_owned(), format!("{id}{value}")));
        span.tags.sort();
        span
    }

    /// A store that runs says what is wrong, or answers whole; a search says the same as the traces.
    fn ask(&mut self, store: &Store) -> String {
        let view = store.view();
        let mut reading = Reading::new(&view, u64::MAX);
        let mut found = Vec::new();
        for low in 1..=TRACES {
            match reading.spans_of(low) {
                Ok(spans) => found.extend(spans),
                Err(error) => return format!("ask: {error}"),
            }
        }
        self.model
            .check(&found, reading.completeness() == Completeness::Complete);
        let query = TraceQueryBuilder {
            service_name: Some("web".to_owned()),
            end_ts: (START + self.next_id) as i64 + 1,
            lookback: self.next_id as i64 + 10,
            limit: 100,
            ..Default::default()
        };
        let searched = search::search(
            &mut reading,
            &query.build().unwrap(),
            true,
            &AtomicBool::new(false),
        );
        let completeness = match searched {
            Ok(searched) => {
                let whole = searched.completeness == Completeness::Complete;
                self.tally.partial += u64::from(!whole);
                self.model.check(&searched.traces.concat(), whole);
                format!("{:?}", searched.completeness)
            }
            Err(error) => error.to_string(),
        };
        store.set_aside(reading.into_damaged());
        format!("ask: {} spans, {completeness}", found.len())
    }

    /// Once its journal does not know what is on disk, a store takes nothing and says why.
    fn check_health(&mut self, store: &Store) {
        let Err(why) = store.journal.health() else { return };
        self.tally.poisoned += 1;
        assert!(why.to_string().contains("does not know what is on disk"), "{why}");
        let spans = [self.span()];
        assert!(self.runtime.block_on(store.accept(&batch_of(&spans))).is_err());
    }

    /// What retention is about to drop need not be there any more.
    fn expect_retention(&mut self, store: &Store) {
        let drop = to_drop(
            store.manifest(),
            store.config.retention,
            self.clock.load(Ordering::SeqCst),
        );
        let after = store.view().with_segments(&drop, Vec::new());
        let kept: BTreeSet<Span> = spans(&after).unwrap().into_iter().collect();
        // What was set aside may be dropped, too.
        let dropped: Vec<Span> = self.model.acknowledged.difference(&kept).cloned().collect();
        dropped.iter().for_each(|span| {
            self.model.acknowledged.remove(span);
        });
        self.model.dropped.extend(dropped);
    }
}

fn spans(view: &View) -> Result<Vec<Span>, StorageError> {
    let mut reading = Reading::new(view, u64::MAX);
    let mut found = Vec::new();
    for low in 1..=TRACES {
        found.extend(reading.spans_of(low)?);
    }
    assert!(reading.is_undamaged(), "{:?}", reading.completeness());
    Ok(found)
}

fn used_bytes(disk: &LossyDisk) -> u64 {
    let files = ["", DIRECTORY, "journal"].map(|directory| disk.list(directory).unwrap());
    files.iter().flatten().map(|(_, bytes)| bytes).sum()
}

#[test]
fn no_schedule_loses_repeats_or_invents_a_span() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let tally = &tally;
            scope.spawn(move || {
                let seeds = FIRST_SEED..FIRST_SEED + SCHEDULES;
                for seed in seeds.filter(|seed| seed % threads == thread) {
                    let mut schedule = Schedule::new(seed);
                    schedule.run();
                    tally.lock().add(&schedule.tally);
                }
            });
        }
    });
    let tally = tally.into_inner();
    assert!(
        tally.least() > SCHEDULES / 100,
        "the schedules do too little: {tally:?}"
    );
    println!("{tally:?}");
}
