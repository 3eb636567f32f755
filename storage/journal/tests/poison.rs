//! A sync that failed is never taken back by one that succeeds: not in the same run, and not by starting again while
//! the operating system still shows what it could not write.

use std::sync::Arc;

use storage_journal::{Disk, DiskFile, Journal, JournalConfig, JournalError, LossyDisk, Position};

type Records = Vec<(Position, Vec<u8>)>;

fn try_open(disk: &LossyDisk) -> Result<(Journal, Records), JournalError> {
    let mut records = Records::new();
    let config = JournalConfig {
        file_bytes: 4096,
        ..JournalConfig::default()
    };
    let (journal, recovery) = Journal::open(Arc::new(disk.clone()), config, &mut |position, bytes| {
        records.push((position, bytes));
        Ok(())
    })?;
    assert_eq!(recovery.records, records.len() as u64);
    Ok((journal, records))
}

/// Appends one by one and waits; what was acknowledged goes to `kept`.
fn append(journal: &Journal, numbers: std::ops::Range<u8>, kept: &mut Records) -> Result<(), JournalError> {
    for number in numbers {
        let record = vec![number; 700];
        let pending = journal.append(record.clone())?;
        let position = pending.position();
        pending.wait()?;
        kept.push((position, record));
    }
    Ok(())
}

/// Whatever survives of the rest, what was acknowledged does, in its order.
fn check(disk: &LossyDisk, kept: &Records, context: &str) {
    for seed in 0..40 {
        let found = match try_open(&disk.crash(seed)) {
            Ok((_, found)) => found,
            Err(error) => panic!("{context}, seed {seed}: {error}"),
        };
        let acknowledged: Vec<_> = found.iter().filter(|record| kept.contains(record)).collect();
        assert!(acknowledged.into_iter().eq(kept), "{context}, seed {seed}: lost");
        let positions: Vec<_> = found.iter().map(|record| record.0).collect();
        assert!(
            positions.is_sorted_by(|a, b| a < b),
            "{context}, seed {seed}: {positions:?}"
        );
    }
}

#[test]
fn what_a_failed_sync_left_does_not_pass_for_durable_after_a_restart() {
    for acknowledged in 0..12 {
        let disk = LossyDisk::new();
        let mut kept = Records::new();
        let (journal, _) = try_open(&disk).unwrap();
        append(&journal, 0..acknowledged, &mut kept).unwrap();
        disk.fail_syncs_of("journal/");
        let refused = append(&journal, 100..101, &mut kept);
        assert!(matches!(refused, Err(JournalError::Poisoned(_))), "{refused:?}");
        let why = journal.health().unwrap_err().to_string();
        assert!(why.contains("journal") && why.contains("os error 5"), "{why}");
        disk.heal();
        let refused = append(&journal, 101..102, &mut kept);
        assert!(matches!(refused, Err(JournalError::Poisoned(_))), "{refused:?}");
        drop(journal);
        check(&disk, &kept, &format!("after {acknowledged} records"));

        // Only the process starts again: it reads what the kernel says it has.
        let (journal, found) = try_open(&disk).unwrap();
        let mut kept: Records = found;
        append(&journal, 102..110, &mut kept).unwrap();
        check(
            &disk,
            &kept,
            &format!("after {acknowledged} records and a restart"),
        );
    }
}

#[test]
fn a_disk_that_still_cannot_sync_opens_no_journal() {
    let disk = LossyDisk::new();
    let mut kept = Records::new();
    let (journal, _) = try_open(&disk).unwrap();
    append(&journal, 0..2, &mut kept).unwrap();
    disk.fail_syncs();
    drop(journal);
    assert!(matches!(try_open(&disk), Err(JournalError::Unavailable(_))));
    disk.heal();
    assert_eq!(try_open(&disk).unwrap().1, kept);
}

#[test]
fn a_directory_or_a_checkpoint_that_cannot_be_synced_costs_nothing() {
    for failing in ["journal/", "journal/checkpoint", "journal/0000000000000002", "/"] {
        for before in 0..12 {
            let disk = LossyDisk::new();
            let mut kept = Records::new();
            let (journal, _) = try_open(&disk).unwrap();
            append(&journal, 0..before, &mut kept).unwrap();
            disk.fail_syncs_of(failing);
            let _refused = append(&journal, 20..25, &mut kept);
            let _failed = journal.set_checkpoint(kept.first().map_or(journal.end(), |first| first.0));
            disk.heal();
            let _refused = append(&journal, 30..35, &mut kept);
            drop(journal);
            let context = format!("{failing} after {before} records");
            check(&disk, &kept, &context);
            let (journal, found) = try_open(&disk).unwrap();
            let mut kept = found;
            append(&journal, 40..45, &mut kept).unwrap();
            check(&disk, &kept, &format!("{context}, restarted"));
        }
    }
}

#[test]
fn a_process_killed_anywhere_and_started_again_has_everything_after_a_loss_of_power() {
    let operations = {
        let disk = LossyDisk::new();
        let (journal, _) = try_open(&disk).unwrap();
        append(&journal, 0..12, &mut Records::new()).unwrap();
        drop(journal);
        disk.operations()
    };
    assert!(operations > 40, "{operations}");
    for stop in 0..operations {
        let disk = LossyDisk::new();
        let mut kept = Records::new();
        disk.fail_after(stop);
        if let Ok((journal, _)) = try_open(&disk) {
            let _killed = append(&journal, 0..12, &mut kept);
        }
        disk.heal();
        let (journal, found) = try_open(&disk).unwrap();
        assert!(
            kept.iter().all(|record| found.contains(record)),
            "stopped after {stop}"
        );
        let mut kept = found;
        append(&journal, 20..24, &mut kept).unwrap();
        check(&disk, &kept, &format!("killed after {stop} operations"));
    }
}

#[test]
fn what_is_known_to_be_durable_is_not_written_again() {
    let disk = LossyDisk::new();
    let (journal, _) = try_open(&disk).unwrap();
    append(&journal, 0..3, &mut Records::new()).unwrap();
    journal.close().unwrap();
    let before = disk.operations();
    drop(try_open(&disk).unwrap());
    // A slot of the checkpoint, its sync, syncs of two directories and of the last file, and the directory's making.
    assert_eq!(disk.operations() - before, 6);
    let file: Box<dyn DiskFile> = disk.open("journal/checkpoint").unwrap();
    assert_eq!(file.len().unwrap(), 1024);
}
