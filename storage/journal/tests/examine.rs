//! A journal is looked at without being changed, and of a damaged one every record that is whole is found.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use storage_journal::{Disk, Examination, Journal, JournalConfig, LossyDisk, examine};

/// Two files, nine records of 500 bytes, the first before the checkpoint.
fn written() -> LossyDisk {
    let disk = LossyDisk::new();
    let config = JournalConfig {
        file_bytes: 4096,
        ..JournalConfig::default()
    };
    let (journal, _) = Journal::open(Arc::new(disk.clone()), config, &mut |_, _| Ok(())).unwrap();
    for number in 0..9_u8 {
        let pending = journal.append(vec![number + 1; 497]).unwrap();
        if number == 1 {
            journal.set_checkpoint(pending.position()).unwrap();
        }
        pending.wait().unwrap();
    }
    journal.close().unwrap();
    disk
}

fn look(disk: &LossyDisk) -> (Examination, Vec<u8>) {
    let before = disk.operations();
    let mut numbers = Vec::new();
    let found = examine(disk, "journal", &mut |record| numbers.push(record[0])).unwrap();
    assert_eq!(disk.operations(), before, "nothing is written");
    (found, numbers)
}

fn flip(disk: &LossyDisk, name: &str, offset: u64) {
    let file = disk.open(name).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

#[test]
fn a_whole_journal_is_told_as_it_is() {
    let (found, numbers) = look(&written());
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(found.damage.is_none() && found.harmless.is_empty(), "{found:?}");
    assert_eq!(
        (found.records, found.recovery.records, found.files.len()),
        (8, 8, 3)
    );
    let (none, numbers) = look(&LossyDisk::new());
    assert!(none.files.is_empty() && numbers.is_empty());
}

#[test]
fn every_changed_byte_is_told_and_costs_one_record_at_most() {
    let disk = written();
    for (name, length) in disk.list("journal").unwrap() {
        let name = format!("journal/{name}");
        // Behind the last record there are zeros that nobody reads.
        let length = if name.ends_with("2.log") {
            1024 + 4 * 528
        } else {
            length.min(1024 + 5 * 528)
        };
        for offset in 0..length {
            flip(&disk, &name, offset);
            let (found, numbers) = look(&disk);
            let told = found
                .damage
                .iter()
                .chain(&found.harmless)
                .any(|told| told.to_string().contains(&name));
            let is_first = name.ends_with("1.log") && (1024..1024 + 528).contains(&offset);
            assert!(told || is_first, "{name} at {offset}");
            assert!(numbers.len() + 1 >= 8, "{name} at {offset}: {numbers:?}");
            let whole = found.damage.is_none() && numbers == [2, 3, 4, 5, 6, 7, 8, 9];
            assert!(
                whole || found.damage.is_some() || name.contains("checkpoint"),
                "{name} at {offset}: {numbers:?}"
            );
            flip(&disk, &name, offset);
        }
    }
    assert_eq!(look(&disk).1.len(), 8);
}
