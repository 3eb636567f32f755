//! A reader gives back what was appended, in order and once, while the journal goes on: across files, checkpoints,
//! openings, crashes and damage.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use proptest::prelude::*;
use storage_journal::{
    Disk, Journal, JournalConfig, JournalError, LossyDisk, Position, Reader, Record, SyncPolicy,
};

fn config(file_bytes: u64) -> JournalConfig {
    JournalConfig {
        file_bytes,
        ..JournalConfig::default()
    }
}

fn open(disk: &LossyDisk, config: &JournalConfig) -> (Journal, Vec<Record>) {
    let mut records = Vec::new();
    let (journal, _) = Journal::open(
        Arc::new(disk.clone()),
        config.clone(),
        &mut |position, payload| {
            records.push(Record { position, payload });
            Ok(())
        },
    )
    .unwrap();
    (journal, records)
}

fn append(journal: &Journal, payload: Vec<u8>) -> Result<Record, JournalError> {
    let pending = journal.append(payload.clone())?;
    let position = pending.position();
    pending.wait()?;
    Ok(Record { position, payload })
}

fn rest(reader: &mut Reader) -> Vec<Record> {
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    /// Appends while the disk is full: some are refused, and leave gaps between positions.
    AppendToFullDisk(Vec<usize>),
    Read(usize),
    /// Sets the checkpoint at what was read, or, overtaking the reader, at the end or within a record.
    Checkpoint(Overtaking),
    Reopen,
    Crash(u64),
}

#[derive(Clone, Copy, Debug)]
enum Overtaking {
    No,
    Everything,
    PartOfARecord,
}

fn step() -> impl Strategy<Value = Step> {
    let lengths = || prop::collection::vec(prop_oneof![0..40_usize, 0..3000_usize], 1..8);
    let overtaking = prop::sample::select(vec![
        Overtaking::No,
        Overtaking::No,
        Overtaking::Everything,
        Overtaking::PartOfARecord,
    ]);
    prop_oneof![
        6 => lengths().prop_map(Step::Append),
        1 => lengths().prop_map(Step::AppendToFullDisk),
        6 => (0..12_usize).prop_map(Step::Read),
        2 => overtaking.prop_map(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => any::<u64>().prop_map(Step::Crash),
    ]
}

/// Takes the steps; `model` is what the reader has still to give.
fn live(steps: Vec<Step>, config: &JournalConfig) -> Result<(), TestCaseError> {
    let mut disk = LossyDisk::new();
    let (mut journal, _) = open(&disk, config);
    let mut reader = journal.reader();
    let mut model: Vec<Record> = Vec::new();
    for step in steps {
        match step {
            Step::Append(lengths) => {
                let records = lengths
                    .into_iter()
                    .map(|length| append(&journal, vec![length as u8; length]));
                model.extend(records.map(Result::unwrap));
            }
            Step::AppendToFullDisk(lengths) => {
                disk.fill_up(0);
                let records = lengths
                    .into_iter()
                    .map(|length| append(&journal, vec![length as u8; length]));
                model.extend(records.flatten());
                disk.heal();
            }
            Step::Read(count) => {
                for expected in model.drain(..count.min(model.len())) {
                    prop_assert_eq!(reader.next().unwrap(), Some(expected));
                }
                if model.is_empty() {
                    prop_assert_eq!(reader.next().unwrap(), None);
                }
            }
            Step::Checkpoint(overtaking) => {
                let position = match (overtaking, model.first()) {
                    (Overtaking::No, _) => reader.position(),
                    (Overtaking::PartOfARecord, Some(first)) => {
                        Position::from_u64(first.position.as_u64() + 8)
                    }
                    _ => journal.end(),
                };
                journal.set_checkpoint(position).unwrap();
                model.retain(|record| record.position >= position);
            }
            Step::Reopen | Step::Crash(_) => {
                if let Step::Crash(seed) = step {
                    disk = disk.crash(seed);
                }
                drop(journal);
                (journal, model) = open(&disk, config);
                reader = journal.reader();
            }
        }
    }
    prop_assert_eq!(rest(&mut reader), model);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_gives_every_record_once_and_in_order(
        steps in prop::collection::vec(step(), 1..40),
        file_bytes in 0..9000_u64,
    ) {
        live(steps, &config(file_bytes))?;
    }
}

/// Appends when there is room: another thread makes it.
fn append_when_there_is_room(journal: &Journal, payload: &[u8]) {
    let begin = Instant::now();
    while let Err(error) = append(journal, payload.to_vec()) {
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        assert!(begin.elapsed().as_secs() < 10, "nobody makes room");
        std::thread::yield_now();
    }
}

#[test]
fn a_reader_keeps_up_with_the_writer_while_files_are_recycled() {
    let disk = LossyDisk::new();
    let (journal, _) = open(
        &disk,
        &JournalConfig {
            bytes_max: 16 << 10,
            ..config(4096)
        },
    );
    let record = |number: u32| number.to_le_bytes().repeat(1 + number as usize % 90);
    let read = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reader = journal.reader();
            let mut read = Vec::new();
            let begin = Instant::now();
            while read.len() < 4000 {
                assert!(begin.elapsed().as_secs() < 30, "records are missing");
                match reader.next().unwrap() {
                    Some(record) => read.push(record.payload),
                    None => journal.set_checkpoint(reader.position()).unwrap(),
                }
                if read.len() % 16 == 0 {
                    journal.set_checkpoint(reader.position()).unwrap();
                }
            }
            read
        });
        (0..4000).for_each(|number| append_when_there_is_room(&journal, &record(number)));
        reading.join().unwrap()
    });
    assert!(
        read.into_iter().eq((0..4000).map(record)),
        "records are missing, twice or out of order"
    );
    let files = journal.stats().files;
    assert!(
        files < 20,
        "{files} files: they are not recycled, so nothing was tried"
    );
}

/// One that does not set the checkpoint may be overtaken at any moment.
#[test]
fn a_reader_that_is_overtaken_goes_on_at_the_checkpoint() {
    let disk = LossyDisk::new();
    let (journal, _) = open(&disk, &config(2048));
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut reader = journal.reader();
            let mut last = Position::START;
            loop {
                let last_round = done.load(Ordering::Acquire);
                while let Some(record) = reader.next().unwrap() {
                    assert!(record.position > last, "{} after {last}", record.position);
                    assert!(record.payload.iter().all(|&byte| byte == record.payload[0]));
                    last = record.position;
                }
                if last_round {
                    return last;
                }
            }
        });
        let mut position = Position::START;
        for number in 0..3000_u32 {
            position = append(&journal, vec![number as u8; 500]).unwrap().position;
            journal.set_checkpoint(position).unwrap();
        }
        done.store(true, Ordering::Release);
        (reading.join().unwrap(), position)
    });
    assert_eq!(last.0, last.1, "the last record is read in any case");
}

#[test]
fn nothing_is_read_before_it_is_durable() {
    let disk = LossyDisk::new();
    let (journal, _) = open(&disk, &config(4096));
    let first = append(&journal, vec![1; 100]).unwrap();
    disk.fail_after(1);
    // It is written, and the sync that would make it durable fails.
    append(&journal, vec![2; 100]).unwrap_err();
    let mut reader = journal.reader();
    assert_eq!(rest(&mut reader), [first]);
}

#[test]
fn what_is_only_written_is_read_where_that_counts_as_durable() {
    let disk = LossyDisk::new();
    let sync = SyncPolicy::Os;
    let (journal, _) = open(&disk, &JournalConfig { sync, ..config(4096) });
    let records: Vec<_> = (0..20)
        .map(|number| append(&journal, vec![number; 700]).unwrap())
        .collect();
    assert_eq!(rest(&mut journal.reader()), records);
}

#[test]
fn a_record_longer_than_a_chunk_and_a_file_is_read() {
    let disk = LossyDisk::new();
    let (journal, _) = open(&disk, &config(4096));
    let records: Vec<_> = [10, 3 << 20, 0, 20]
        .into_iter()
        .map(|length| append(&journal, vec![7; length]).unwrap())
        .collect();
    assert_eq!(rest(&mut journal.reader()), records);
}

/// Ten records in files of four, and a disk on which they lie.
fn ten_records() -> (LossyDisk, Journal, Vec<Record>) {
    let disk = LossyDisk::new();
    let (journal, _) = open(&disk, &config(2048));
    let records = (0..10)
        .map(|number| append(&journal, vec![number; 200]).unwrap())
        .collect();
    (disk, journal, records)
}

fn damage(disk: &LossyDisk, file: u64, offset: u64) {
    let file = disk.open(&format!("journal/{file:016}.log")).unwrap();
    file.write_all_at(&[0xff], offset).unwrap();
}

const FRAME_BYTES: u64 = 232;

#[test]
fn damage_is_told_and_skipped_on_request() {
    // The second record of the first file: its header, its payload. The last of a file. A whole file by its header.
    let cases: [(u64, &[u64], std::ops::Range<usize>); 4] = [
        (1, &[1024 + FRAME_BYTES + 9], 1..2),
        (1, &[1024 + FRAME_BYTES + 100], 1..2),
        (1, &[1024 + 3 * FRAME_BYTES + 9], 3..4),
        (2, &[20, 512 + 20], 4..8),
    ];
    for (file, offsets, lost) in cases {
        let (disk, journal, mut records) = ten_records();
        for &offset in offsets {
            damage(&disk, file, offset);
        }
        let mut reader = journal.reader();
        for record in &records[..lost.start] {
            assert_eq!(reader.next().unwrap().as_ref(), Some(record));
        }
        for _ in 0..2 {
            let error = reader.next().unwrap_err();
            let name = format!("journal/{file:016}.log");
            assert!(
                matches!(&error, JournalError::Corrupt { file, .. } if *file == name),
                "{lost:?}: {error}"
            );
        }
        assert_eq!(
            reader.skip_damaged().unwrap(),
            records[lost.end].position,
            "{lost:?}"
        );
        records.drain(..lost.end);
        assert_eq!(rest(&mut reader), records, "{lost:?}");
    }
}

#[test]
fn damage_to_the_last_record_leaves_those_to_come() {
    let (disk, journal, _) = ten_records();
    let mut reader = journal.reader();
    damage(&disk, 3, 1024 + FRAME_BYTES + 50);
    (0..9).for_each(|_| drop(reader.next().unwrap().unwrap()));
    reader.next().unwrap_err();
    assert_eq!(reader.skip_damaged().unwrap(), journal.end());
    assert_eq!(reader.next().unwrap(), None);
    let more = append(&journal, vec![10; 200]).unwrap();
    assert_eq!(rest(&mut reader), [more]);
}

#[test]
fn a_missing_file_is_unavailable_and_tried_again() {
    let (disk, journal, records) = ten_records();
    let mut reader = journal.reader();
    let (name, aside) = (format!("journal/{:016}.log", 2), "journal/aside");
    disk.rename(&name, aside).unwrap();
    for record in &records[..4] {
        assert_eq!(reader.next().unwrap().as_ref(), Some(record));
    }
    let error = reader.next().unwrap_err();
    assert!(matches!(error, JournalError::Unavailable(_)), "{error}");
    disk.rename(aside, &name).unwrap();
    assert_eq!(rest(&mut reader), records[4..]);
}
