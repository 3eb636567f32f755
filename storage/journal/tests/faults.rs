//! Disks that are full, fail in a write or a sync, or change what was written.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use storage_journal::{Disk, Journal, JournalConfig, JournalError, LossyDisk, Position, Recovery};

type Records = Vec<(Position, Vec<u8>)>;

fn config() -> JournalConfig {
    JournalConfig {
        file_bytes: 8192,
        bytes_max: 1 << 20,
        ..JournalConfig::default()
    }
}

fn try_open(disk: &LossyDisk) -> Result<(Journal, Recovery, Records), JournalError> {
    let mut records = Records::new();
    let (journal, recovery) = Journal::open(Arc::new(disk.clone()), config(), &mut |position, bytes| {
        records.push((position, bytes));
        Ok(())
    })?;
    Ok((journal, recovery, records))
}

fn open(disk: &LossyDisk) -> (Journal, Recovery, Records) {
    try_open(disk).unwrap()
}

/// Appends and waits; keeps what was acknowledged.
fn append(journal: &Journal, record: Vec<u8>, kept: &mut Records) -> Result<(), JournalError> {
    let pending = journal.append(record.clone())?;
    let position = pending.position();
    pending.wait()?;
    kept.push((position, record));
    Ok(())
}

#[test]
fn a_full_disk_refuses_and_the_journal_goes_on_when_there_is_space() {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk);
    let mut kept = Records::new();
    let mut refused = 0_u64;
    for capacity_bytes in [0, 5000, 30_000, 30_001, 60_000] {
        disk.fill_up(capacity_bytes);
        for number in 0..60_u32 {
            match append(&journal, number.to_le_bytes().repeat(150), &mut kept) {
                Ok(()) => {}
                Err(JournalError::Unavailable(why)) => {
                    assert!(why.contains("journal/00"), "{why}");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
            let (_journal, recovery, replayed) = open(&disk.crash(u64::from(number)));
            assert_eq!(replayed, kept);
            assert_eq!(recovery.torn_tail, None);
        }
    }
    assert!(
        kept.len() > 60 && refused > 60,
        "{} kept, {refused} refused",
        kept.len()
    );
    assert_eq!(journal.stats().refused, refused);
    assert_eq!(
        journal.stats().bytes,
        kept.len() as u64 * 632,
        "what was refused takes no space"
    );

    disk.heal();
    append(&journal, vec![7; 2000], &mut kept).unwrap();
    journal.set_checkpoint(kept[3].0).unwrap();
    journal.close().unwrap();
    assert_eq!(open(&disk).2, kept[3..]);
}

#[test]
fn a_checkpoint_can_be_set_on_a_full_disk() {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk);
    let mut kept = Records::new();
    append(&journal, vec![1; 100], &mut kept).unwrap();
    disk.fill_up(0);
    journal.set_checkpoint(journal.end()).unwrap();
    assert_eq!(open(&disk.crash(0)).2, []);
}

#[test]
fn the_last_bytes_of_a_disk_are_used() {
    let disk = LossyDisk::new();
    let replay = &mut |_, _| Ok(());
    let (journal, _) = Journal::open(Arc::new(disk.clone()), JournalConfig::default(), replay).unwrap();
    // The checkpoint file, the header of a log file, and two records of the three with what ends them.
    disk.fill_up(1024 + 1024 + 2 * 128 + 32);
    let mut kept = Records::new();
    append(&journal, vec![1; 100], &mut kept).unwrap();
    append(&journal, vec![2; 100], &mut kept).unwrap();
    let refused = append(&journal, vec![3; 100], &mut kept);
    assert!(
        matches!(refused, Err(JournalError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(open(&disk.crash(0)).2, kept);
}

#[test]
fn a_torn_checkpoint_is_the_old_one_or_the_new_one() {
    for torn in 0..64 {
        let disk = LossyDisk::new();
        let (journal, ..) = open(&disk);
        let mut kept = Records::new();
        for number in 0..4 {
            append(&journal, vec![number; 10], &mut kept).unwrap();
        }
        for index in 1..3 {
            journal.set_checkpoint(kept[index].0).unwrap();
            disk.tear_next_write(torn);
            let failed = journal.set_checkpoint(kept[index + 1].0);
            assert!(matches!(failed, Err(JournalError::Unavailable(_))), "{failed:?}");
            assert_eq!(journal.checkpoint(), kept[index].0);
            // Seeds differ in what of the torn write survives.
            for seed in 0..8 {
                let (_, _, replayed) = open(&disk.crash(seed));
                assert!(
                    replayed == kept[index..] || replayed == kept[index + 1..],
                    "{torn} bytes, seed {seed}"
                );
            }
        }
        journal.set_checkpoint(kept[3].0).unwrap();
        assert_eq!(open(&disk.crash(0)).2, kept[3..]);
    }
}

#[test]
fn a_journal_opens_on_a_full_disk() {
    let disk = LossyDisk::new();
    let mut kept = Records::new();
    append(&open(&disk).0, vec![1; 100], &mut kept).unwrap();
    disk.fill_up(0);
    let (journal, _, replayed) = open(&disk);
    assert_eq!(replayed, kept);
    let refused = append(&journal, vec![2; 100], &mut kept);
    assert!(
        matches!(refused, Err(JournalError::Unavailable(_))),
        "{refused:?}"
    );
}

#[test]
fn a_write_that_fails_in_the_middle_leaves_nothing() {
    // Every length of what is left of three records, the first of which may be whole.
    for torn in (0..3 * 128 + 32).step_by(4) {
        let disk = LossyDisk::new();
        let (journal, ..) = open(&disk);
        let mut kept = Records::new();
        append(&journal, vec![1; 100], &mut kept).unwrap();
        disk.tear_next_write(torn);
        let mut fate = Vec::new();
        for number in 2..5 {
            fate.push((number, journal.append(vec![number; 100]).unwrap()));
        }
        let mut refused = 0;
        for (number, pending) in fate {
            let position = pending.position();
            match pending.wait() {
                Ok(()) => kept.push((position, vec![number; 100])),
                Err(JournalError::Unavailable(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(
            refused > 0 || torn >= 128 + 32,
            "the write of {torn} bytes failed"
        );
        for seed in 0..4 {
            assert_eq!(open(&disk.crash(seed)).2, kept, "after {torn} bytes, seed {seed}");
        }
        disk.heal();
        append(&journal, vec![9; 100], &mut kept).unwrap();
        drop(journal);
        assert_eq!(open(&disk).2, kept, "after {torn} bytes");
    }
}

#[test]
fn a_failed_sync_poisons() {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk);
    let mut kept = Records::new();
    append(&journal, vec![1; 100], &mut kept).unwrap();
    disk.fail_syncs();
    let poisoned = |result| matches!(result, Err(JournalError::Poisoned(_)));
    assert!(poisoned(append(&journal, vec![2; 100], &mut kept)));
    disk.heal();
    assert!(
        poisoned(append(&journal, vec![3; 100], &mut kept)),
        "a later success would prove nothing"
    );
    assert!(poisoned(journal.set_checkpoint(journal.end())));
    assert!(poisoned(journal.close()));

    let (journal, _, replayed) = open(&disk.crash(0));
    assert_eq!(replayed, kept);
    append(&journal, vec![4; 100], &mut kept).unwrap();
}

#[test]
fn errors_of_the_disk_while_opening_are_unavailable() {
    let disk = LossyDisk::new();
    disk.fail_after(0);
    assert!(matches!(try_open(&disk), Err(JournalError::Unavailable(_))));
    disk.heal();
    let (journal, ..) = open(&disk);
    append(&journal, vec![1], &mut Records::new()).unwrap();
    journal.close().unwrap();
    let refusing = &mut |_, _| Err(std::io::Error::other("no room for spans"));
    let result = Journal::open(Arc::new(disk.clone()), config(), refusing);
    assert!(matches!(result, Err(JournalError::Unavailable(why)) if why.contains("no room for spans")));
}

const FILE: &str = "journal/0000000000000001.log";

fn change(disk: &LossyDisk, name: &str, offset: u64, length: usize, new: impl Fn(u8) -> u8) {
    let file = disk.open(name).unwrap();
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).unwrap();
    bytes.iter_mut().for_each(|byte| *byte = new(*byte));
    file.write_all_at(&bytes, offset).unwrap();
}

/// Ten records, each a group of its own, of 64 bytes in the file; the machine then stops or closes properly.
fn ten_records(close: bool) -> (LossyDisk, Records) {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk);
    let mut kept = Records::new();
    for number in 0..10 {
        append(&journal, vec![number; 36], &mut kept).unwrap();
    }
    let stopped = disk.crash(0);
    drop(journal);
    (if close { disk } else { stopped }, kept)
}

#[test]
fn damage_before_the_tail_is_an_error_that_says_where() {
    for close in [false, true] {
        let (intact, kept) = ten_records(close);
        for byte in 0..640_u64 {
            let disk = intact.crash(u64::MAX);
            change(&disk, FILE, 1024 + byte, 1, |byte| byte ^ 0x10);
            let record = byte / 64;
            match try_open(&disk) {
                Err(JournalError::Corrupt { file, offset, reason }) => {
                    assert_eq!((file.as_str(), offset), (FILE, 1024 + record * 64), "{reason}");
                    assert!(record < 9 || close);
                }
                Ok((_, recovery, replayed)) => {
                    assert!(record == 9 && !close, "byte {byte}");
                    assert_eq!(replayed, kept[..9]);
                    let torn = recovery.torn_tail.unwrap();
                    assert!(
                        torn.contains(FILE) && torn.contains("cut at offset 1600"),
                        "{torn}"
                    );
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn zeros_where_records_were_are_an_error_too() {
    let (disk, _) = ten_records(false);
    change(&disk, FILE, 1024 + 3 * 64, 64, |_| 0);
    let error = try_open(&disk).unwrap_err();
    assert!(
        matches!(error, JournalError::Corrupt { offset: 1216, .. }),
        "{error}"
    );
}

#[test]
fn damage_in_a_file_before_the_last_is_an_error_even_at_its_end() {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk);
    let mut kept = Records::new();
    for number in 0..4 {
        append(&journal, vec![number; 5000], &mut kept).unwrap();
    }
    journal.close().unwrap();
    change(&disk, FILE, 1024, 28, |_| 0);
    let error = try_open(&disk).unwrap_err();
    assert!(
        matches!(&error, JournalError::Corrupt { file, offset: 1024, .. } if file == FILE),
        "{error}"
    );
}

fn file(number: u64) -> String {
    format!("journal/{number:016}.log")
}

#[test]
fn missing_and_foreign_files_are_named() {
    let fresh = || {
        let disk = LossyDisk::new();
        let (journal, ..) = open(&disk);
        let mut kept = Records::new();
        for number in 0..4 {
            append(&journal, vec![number; 5000], &mut kept).unwrap();
        }
        journal.close().unwrap();
        disk
    };
    type Damage = fn(&LossyDisk);
    let damage: [(&str, Damage); 6] = [
        ("0000000000000003.log is damaged", |disk| {
            disk.remove(&file(2)).unwrap()
        }),
        ("files before it are missing", |disk| {
            disk.remove(&file(1)).unwrap()
        }),
        ("durable at the checkpoint", |disk| disk.remove(&file(4)).unwrap()),
        ("checkpoint is damaged", |disk| {
            disk.remove("journal/checkpoint").unwrap()
        }),
        ("neither slot is whole", |disk| {
            change(disk, "journal/checkpoint", 0, 1024, |_| 7)
        }),
        ("neither copy of its header", |disk| {
            change(disk, &file(2), 0, 1024, |_| 7)
        }),
    ];
    for (expected, damage) in damage {
        let disk = fresh();
        damage(&disk);
        let error = try_open(&disk).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let disk = fresh();
    (1..=4).for_each(|number| disk.remove(&file(number)).unwrap());
    assert!(
        try_open(&disk)
            .unwrap_err()
            .to_string()
            .contains("all log files are missing")
    );

    let disk = fresh();
    change(&disk, &file(2), 0, 512, |_| 7);
    disk.create("journal/lost+found").unwrap();
    assert_eq!(
        open(&disk).2.len(),
        4,
        "one copy of a header is enough, and other files are none of ours"
    );
}
