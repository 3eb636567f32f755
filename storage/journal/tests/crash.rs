//! The machine stops at every operation of a scenario, in many ways: what was acknowledged is there, once, in
//! order, and nothing else is.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use storage_journal::{Journal, JournalConfig, JournalError, LossyDisk, Position, Recovery, SyncPolicy};

type Records = Vec<(Position, Vec<u8>)>;

/// What the scenario did before the disk stopped.
#[derive(Debug, Default)]
struct Witness {
    /// Everything appended, in order.
    appended: Records,
    /// Positions acknowledged.
    acknowledged: Vec<Position>,
    /// The last checkpoint that was set, and the last that was tried.
    checkpoint: Position,
    checkpoint_tried: Position,
    record_number: u32,
}

impl Witness {
    /// Appends records as one group, as far as the writer lets it be one, and waits for them.
    fn append(&mut self, journal: &Journal, lengths: &[usize]) -> Result<(), JournalError> {
        let mut group = Vec::new();
        for &length in lengths {
            self.record_number += 1;
            let mut record = self.record_number.to_le_bytes().to_vec();
            record.resize(length.max(4), self.record_number as u8);
            let pending = journal.append(record.clone())?;
            self.appended.push((pending.position(), record));
            group.push(pending);
        }
        for pending in group {
            let position = pending.position();
            pending.wait()?;
            self.acknowledged.push(position);
        }
        Ok(())
    }

    fn set_checkpoint(&mut self, journal: &Journal, position: Position) -> Result<(), JournalError> {
        self.checkpoint_tried = position;
        journal.set_checkpoint(position)?;
        self.checkpoint = position;
        Ok(())
    }

    /// What was replayed is a run of what was appended that leaves out nothing it should not.
    fn check(&self, replayed: &Records, keeps_acknowledged: bool) {
        let first = replayed.first().map_or(self.checkpoint_tried, |record| record.0);
        let start = self.appended.partition_point(|record| record.0 < first);
        let expected = self.appended[start..].iter().take(replayed.len());
        assert!(
            replayed.iter().eq(expected),
            "{replayed:?}\nis not a run of\n{:?}",
            self.appended
        );
        assert!(
            replayed.is_empty() || first >= self.checkpoint,
            "{first} lies before {}",
            self.checkpoint
        );
        let skipped = self.appended[..start]
            .iter()
            .filter(|record| record.0 >= self.checkpoint_tried);
        assert_eq!(skipped.count(), 0, "records after the checkpoint are missing");
        if keeps_acknowledged {
            let last = self.acknowledged.last().copied().unwrap_or_default();
            let replayed_last = replayed.last().map_or(Position::START, |record| record.0);
            assert!(
                last < self.checkpoint_tried || last <= replayed_last,
                "{last} was acknowledged and is lost"
            );
        }
    }
}

fn config(sync: SyncPolicy) -> JournalConfig {
    JournalConfig {
        file_bytes: 3000,
        bytes_max: 64 << 10,
        record_bytes_max: 4000,
        sync,
        ..JournalConfig::default()
    }
}

fn open(disk: &LossyDisk, sync: SyncPolicy) -> Result<(Journal, Recovery, Records), JournalError> {
    let mut records = Records::new();
    let (journal, recovery) = Journal::open(Arc::new(disk.clone()), config(sync), &mut |position, bytes| {
        records.push((position, bytes));
        Ok(())
    })?;
    Ok((journal, recovery, records))
}

/// Three runs with groups, rotation, recycling, a record larger than a file, and checkpoints.
fn scenario(disk: &LossyDisk, sync: SyncPolicy, witness: &mut Witness) -> Result<(), JournalError> {
    let (journal, ..) = open(disk, sync)?;
    witness.append(&journal, &[10])?;
    witness.append(&journal, &[700, 1, 0, 900])?;
    for _ in 0..4 {
        witness.append(&journal, &[600, 333, 8])?;
    }
    let middle = witness.appended[witness.appended.len() / 2].0;
    witness.set_checkpoint(&journal, middle)?;
    witness.append(&journal, &[1000, 1000, 1000])?;
    journal.close()?;

    let (journal, _, replayed) = open(disk, sync)?;
    witness.check(&replayed, true);
    witness.append(&journal, &[3500, 20])?;
    witness.set_checkpoint(&journal, journal.end())?;
    for _ in 0..4 {
        witness.append(&journal, &[900, 800])?;
    }
    drop(journal);

    let (journal, ..) = open(disk, sync)?;
    let late = witness.appended[witness.appended.len() - 2].0;
    witness.set_checkpoint(&journal, late)?;
    for _ in 0..4 {
        witness.append(&journal, &[1200, 50])?;
    }
    journal.close()
}

/// Opens what is left, checks it, goes on with it, and checks that what was found then is still found.
fn examine(disk: &LossyDisk, sync: SyncPolicy, witness: &Witness, keeps_acknowledged: bool) {
    let (journal, recovery, replayed) = open(disk, sync).unwrap();
    witness.check(&replayed, keeps_acknowledged);
    assert_eq!(recovery.records, replayed.len() as u64);
    let mut later = Witness {
        record_number: 1 << 20,
        checkpoint_tried: journal.checkpoint(),
        ..Witness::default()
    };
    later.appended.clone_from(&replayed);
    later.append(&journal, &[5, 900]).unwrap();
    later.append(&journal, &[1500]).unwrap();
    let new = later.appended[replayed.len()].0;
    assert!(
        witness.appended.iter().all(|record| record.0 < new),
        "{new} was used before"
    );
    let after = disk.crash(if sync == SyncPolicy::Always { 0 } else { 3 });
    drop(journal);
    let (_journal, _, again) = open(&after, sync).unwrap();
    later.check(&again, sync == SyncPolicy::Always);
    assert!(again.len() >= replayed.len(), "what was replayed once is lost");
}

/// Stops the scenario at each of its operations; returns how many there are.
fn stop_at_every_operation(sync: SyncPolicy, keeps_acknowledged: bool) -> u64 {
    for stop in 0.. {
        let disk = LossyDisk::new();
        disk.fail_after(stop);
        let mut witness = Witness::default();
        let result = scenario(&disk, sync, &mut witness);
        for seed in 0..12 {
            // Also the choices among the survivors differ from stop to stop.
            let seed = if seed == 0 { 0 } else { seed + stop * 100 };
            examine(&disk.crash(seed), sync, &witness, keeps_acknowledged);
        }
        if disk.operations() <= stop {
            assert_eq!(result, Ok(()));
            return stop;
        }
    }
    unreachable!("the scenario ends")
}

#[test]
fn what_was_acknowledged_survives_a_crash_at_every_operation() {
    let operations = stop_at_every_operation(SyncPolicy::Always, true);
    assert!(operations > 100, "{operations}");
}

#[test]
fn without_syncs_a_crash_leaves_a_run_of_what_was_appended() {
    let operations = stop_at_every_operation(SyncPolicy::Os, false);
    assert!(operations > 50, "{operations}");
}

#[test]
fn what_was_before_a_checkpoint_or_a_rotation_is_synced_under_every_policy() {
    let disk = LossyDisk::new();
    let mut witness = Witness::default();
    let (journal, ..) = open(&disk, SyncPolicy::Os).unwrap();
    witness.append(&journal, &[500, 500]).unwrap();
    assert_eq!(open(&disk.crash(0), SyncPolicy::Os).unwrap().2, []);
    journal.set_checkpoint(witness.appended[1].0).unwrap();
    assert_eq!(
        open(&disk.crash(0), SyncPolicy::Os).unwrap().2,
        witness.appended[1..2]
    );
    witness.append(&journal, &[500]).unwrap();
    assert_eq!(
        open(&disk.crash(0), SyncPolicy::Os).unwrap().2,
        witness.appended[1..2]
    );
    witness.append(&journal, &[900]).unwrap();
    assert_eq!(
        open(&disk.crash(0), SyncPolicy::Os).unwrap().2,
        witness.appended[1..3]
    );
}

#[test]
fn what_was_replayed_once_is_durable() {
    let disk = LossyDisk::new();
    let mut witness = Witness::default();
    let (journal, ..) = open(&disk, SyncPolicy::Os).unwrap();
    witness.append(&journal, &[500, 500]).unwrap();
    // The process is killed: it cannot sync any more, but the operating system still has what it wrote.
    disk.fail_after(0);
    drop(journal);
    disk.heal();
    assert_eq!(open(&disk.crash(0), SyncPolicy::Os).unwrap().2, []);
    let (_journal, _, replayed) = open(&disk, SyncPolicy::Os).unwrap();
    assert_eq!(replayed, witness.appended);
    assert_eq!(open(&disk.crash(0), SyncPolicy::Os).unwrap().2, replayed);
}

#[test]
fn an_interval_is_an_upper_bound_of_what_is_lost() {
    let disk = LossyDisk::new();
    let sync = SyncPolicy::Interval(std::time::Duration::from_millis(5));
    let (journal, ..) = open(&disk, sync).unwrap();
    journal.append(vec![1; 100]).unwrap().wait().unwrap();
    let begin = std::time::Instant::now();
    while open(&disk.crash(0), sync).unwrap().2.is_empty() {
        assert!(
            begin.elapsed().as_secs() < 20,
            "the record was not synced in the background"
        );
        std::thread::yield_now();
    }
    assert_eq!(journal.stats().records, 1);
}
