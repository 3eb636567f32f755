//! What a journal promises its owner while nothing goes wrong.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use storage_journal::{
    Journal, JournalConfig, JournalError, LossyDisk, Position, RealDisk, Recovery, SyncPolicy,
};

type Records = Vec<(Position, Vec<u8>)>;

fn small_files() -> JournalConfig {
    JournalConfig {
        file_bytes: 4096,
        bytes_max: 64 << 10,
        record_bytes_max: 2048,
        ..JournalConfig::default()
    }
}

fn open(disk: &LossyDisk, config: &JournalConfig) -> (Journal, Recovery, Records) {
    let mut records = Records::new();
    let (journal, recovery) =
        Journal::open(Arc::new(disk.clone()), config.clone(), &mut |position, bytes| {
            records.push((position, bytes));
            Ok(())
        })
        .unwrap();
    (journal, recovery, records)
}

#[test]
fn records_come_back_in_order_on_a_real_disk() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::new(root.path().to_owned()).unwrap());
    let mut expected = Records::new();
    for run in 0..3_u8 {
        let mut replayed = Records::new();
        let (journal, recovery) = Journal::open(disk.clone(), small_files(), &mut |position, bytes| {
            replayed.push((position, bytes));
            Ok(())
        })
        .unwrap();
        assert_eq!(replayed, expected);
        assert_eq!(recovery.torn_tail, None);
        assert_eq!(recovery.records, expected.len() as u64);
        for length in 0..40 {
            let record = vec![run; length * 7];
            let pending = journal.append(record.clone()).unwrap();
            expected.push((pending.position(), record));
            pending.wait().unwrap();
        }
        journal.close().unwrap();
    }
    assert!(expected.is_sorted_by_key(|record| record.0));
}

#[test]
fn a_checkpoint_ends_the_replay_of_what_lies_before_it() {
    let disk = LossyDisk::new();
    let config = small_files();
    let (journal, ..) = open(&disk, &config);
    let pending: Vec<_> = (0..100_u8)
        .map(|byte| journal.append(vec![byte; 200]).unwrap())
        .collect();
    let middle = pending[60].position();
    journal.set_checkpoint(middle).unwrap();
    journal.set_checkpoint(pending[10].position()).unwrap();
    assert_eq!(journal.checkpoint(), middle, "a checkpoint never moves back");
    assert_eq!(journal.stats().bytes, 40 * 232);
    let end = journal.end();
    let beyond = Position::from_u64(end.as_u64() + 1);
    assert_eq!(
        journal.set_checkpoint(beyond),
        Err(JournalError::BeyondEnd {
            position: beyond,
            end
        })
    );
    journal.close().unwrap();

    let (journal, recovery, records) = open(&disk, &config);
    assert_eq!(
        records.iter().map(|record| record.1[0]).collect::<Vec<_>>(),
        (60..100).collect::<Vec<_>>()
    );
    assert_eq!(records[0].0, middle);
    assert_eq!((recovery.records, recovery.bytes), (40, 40 * 232));
    assert_eq!(journal.stats().bytes, 40 * 232);
    assert_eq!(journal.checkpoint(), middle);
    assert!(journal.end() > records[39].0);
}

#[test]
fn every_policy_keeps_what_was_closed() {
    for sync in ["always", "interval:1", "interval:60000", "os"] {
        let disk = LossyDisk::new();
        let config = JournalConfig {
            sync: sync.parse::<SyncPolicy>().unwrap(),
            ..small_files()
        };
        let (journal, ..) = open(&disk, &config);
        for byte in 0..50 {
            journal.append(vec![byte; 300]).unwrap().wait().unwrap();
        }
        journal.close().unwrap();
        let (_journal, _, records) = open(&disk.crash(0), &config);
        assert_eq!(records.len(), 50, "{sync}");
    }
}
