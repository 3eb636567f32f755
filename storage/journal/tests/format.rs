//! The bytes that `FORMAT.md` shows, read and written, and bytes that somebody forged.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use storage_journal::{Disk, Journal, JournalConfig, JournalError, LossyDisk, Position, Recovery};

const RUN: u64 = 1 << 40;
const SALT: u64 = 0x0807_0605_0403_0201;
const LOG: &str = "journal/0000000000000001.log";

type Records = Vec<(u64, String)>;

fn open(disk: &LossyDisk) -> Result<(Journal, Recovery, Records), JournalError> {
    let mut records = Records::new();
    let replay = &mut |position: Position, bytes| {
        records.push((position.as_u64(), String::from_utf8(bytes).unwrap()));
        Ok(())
    };
    let (journal, recovery) = Journal::open(Arc::new(disk.clone()), JournalConfig::default(), replay)?;
    Ok((journal, recovery, records))
}

/// The bytes of a block of the document: lines of an offset and bytes, in hexadecimal, up to two spaces.
fn example(block: usize) -> Vec<u8> {
    let document = include_str!("../FORMAT.md");
    let block = document.split("```").nth(2 * block + 1).unwrap();
    let mut bytes = Vec::new();
    for line in block.lines().skip(1).filter(|line| !line.is_empty()) {
        let mut columns = line.split("  ");
        let offset = usize::from_str_radix(columns.next().unwrap(), 16).unwrap();
        assert!(offset >= bytes.len(), "{line}");
        bytes.resize(offset, 0);
        let column = columns.next().unwrap();
        bytes.extend(
            column
                .split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap()),
        );
    }
    bytes
}

fn disk_with(log: &[u8], checkpoint: &[u8]) -> LossyDisk {
    let disk = LossyDisk::new();
    disk.create_directory("journal").unwrap();
    for (name, bytes) in [(LOG, log), ("journal/checkpoint", checkpoint)] {
        disk.create(name).unwrap().write_all_at(bytes, 0).unwrap();
    }
    disk
}

fn read(disk: &LossyDisk, name: &str, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    disk.open(name).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// A slot of a journal whose checkpoint was never set.
fn no_checkpoint() -> Vec<u8> {
    let mut bytes = b"TRHCKPT\n\x01".to_vec();
    bytes.resize(40, 0);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes.resize(1024, 0);
    bytes
}

fn record(salt: u64, length: u32, payload: &[u8], position: u64, durable: u64) -> Vec<u8> {
    let mut bytes = [length.to_le_bytes(), crc32c::crc32c(payload).to_le_bytes()].concat();
    bytes.extend(position.to_le_bytes());
    bytes.extend(durable.to_le_bytes());
    bytes.extend(crc32c::crc32c(&[&salt.to_le_bytes()[..], &bytes].concat()).to_le_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

#[test]
fn the_example_is_read() {
    let (_journal, recovery, records) = open(&disk_with(&example(0), &no_checkpoint())).unwrap();
    assert_eq!(
        records,
        [(RUN, "spans".to_owned()), (RUN + 40, "more spans".to_owned())]
    );
    assert_eq!(
        recovery,
        Recovery {
            records: 2,
            bytes: 80,
            files: 1,
            torn_tail: None
        }
    );

    let mut checkpoint = example(1);
    checkpoint.resize(1024, 0);
    let disk = disk_with(&example(0), &checkpoint);
    let (journal, _, records) = open(&disk).unwrap();
    assert_eq!(records, [(RUN + 40, "more spans".to_owned())]);
    assert_eq!(journal.end().as_u64(), 2 * RUN);
    journal.append(Vec::new()).unwrap().wait().unwrap();
    assert_eq!(
        read(&disk, "journal/0000000000000002.log", 40)[32..],
        (RUN + 80).to_le_bytes()
    );
}

#[test]
fn the_example_is_what_is_written_but_for_the_salt() {
    let disk = LossyDisk::new();
    let (journal, ..) = open(&disk).unwrap();
    journal.append(b"spans".to_vec()).unwrap().wait().unwrap();
    let second = journal.append(b"more spans".to_vec()).unwrap();
    let position = second.position();
    second.wait().unwrap();

    let expected = example(0);
    let mut written = read(&disk, LOG, expected.len() + 28);
    assert_eq!(written[..512], written[512..1024]);
    assert_eq!(written.split_off(expected.len()), [0; 28]);
    // The salt, and the checksums that it is part of.
    for range in [24..32, 40..44, 536..544, 552..556, 1048..1052, 1088..1092] {
        written[range.clone()].copy_from_slice(&expected[range]);
    }
    assert_eq!(written, expected);

    journal
        .set_checkpoint(Position::from_u64(position.as_u64() - 40))
        .unwrap();
    journal.set_checkpoint(position).unwrap();
    let slots = read(&disk, "journal/checkpoint", 1024);
    let expected = example(1);
    assert!(slots.chunks(512).any(|slot| slot[..44] == expected[..]));
}

#[test]
fn forged_records_are_cut_whatever_they_claim() {
    let payload = b"forged";
    let forged = [
        (
            "it reaches beyond the file",
            record(SALT, u32::MAX, payload, RUN + 80, 0),
        ),
        (
            "it reaches beyond the file",
            record(SALT, 7000, payload, RUN + 80, 0),
        ),
        (
            "its payload does not check",
            record(SALT, 5, payload, RUN + 80, 0),
        ),
        (
            "its header does not check",
            record(SALT + 1, 6, payload, RUN + 80, 0),
        ),
        ("its header does not check", record(SALT, 6, payload, u64::MAX, 0)),
        (
            "its header does not check",
            record(SALT, 6, payload, (1 << 62) + 1, 0),
        ),
        (
            "its header does not check",
            record(SALT, 6, payload, RUN + 80, RUN + 81),
        ),
        (
            "its position is out of order",
            record(SALT, 6, payload, RUN + 79, 0),
        ),
    ];
    for (reason, forged) in forged {
        let mut log = example(0);
        log.extend(forged);
        log.resize(8000, 0);
        let (_journal, recovery, records) = open(&disk_with(&log, &no_checkpoint())).unwrap();
        assert_eq!(records.len(), 2, "{reason}");
        let torn = recovery.torn_tail.unwrap();
        assert!(
            torn.contains("cut at offset 1104") && torn.contains(reason),
            "{torn}"
        );
    }
}

#[test]
fn what_a_former_use_of_the_file_left_is_neither_replayed_nor_taken_for_damage() {
    let mut log = example(0);
    log.extend([0; 32]);
    log.extend(record(SALT + 1, 6, b"former", RUN + 112, RUN + 112).repeat(20));
    let (_journal, recovery, records) = open(&disk_with(&log, &no_checkpoint())).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(recovery.torn_tail, None);
}

#[test]
fn every_file_has_a_salt_of_its_own() {
    let disk = LossyDisk::new();
    let mut salts = Vec::new();
    for file in 1..=3 {
        let (journal, ..) = open(&disk).unwrap();
        journal
            .append(b"a file is begun".to_vec())
            .unwrap()
            .wait()
            .unwrap();
        salts.push(read(&disk, &format!("journal/{file:016}.log"), 32)[24..].to_vec());
    }
    assert!(
        salts[0] != salts[1] && salts[1] != salts[2] && salts[0] != salts[2],
        "{salts:?}"
    );
}

#[test]
fn a_later_record_tells_damage_from_a_torn_tail() {
    for (durable, damaged) in [(RUN + 80, false), (RUN + 88, true)] {
        let mut log = example(0);
        log.extend([0; 64]);
        log.extend(record(SALT, 5, b"later", RUN + 144, durable));
        match open(&disk_with(&log, &no_checkpoint())) {
            Ok((_, recovery, records)) => {
                assert!(!damaged);
                assert_eq!((records.len(), recovery.torn_tail.is_some()), (2, true));
            }
            Err(error) => {
                assert!(damaged, "{error}");
                assert!(
                    matches!(error, JournalError::Corrupt { offset: 1104, .. }),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn another_version_is_refused() {
    let mut log = example(0);
    log[8] = 2;
    let checksum = crc32c::crc32c(&log[..40]);
    log[40..44].copy_from_slice(&checksum.to_le_bytes());
    let error = open(&disk_with(&log, &no_checkpoint())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{LOG} is damaged at offset 8: its format version 2 is not known")
    );
}

#[test]
fn any_bytes_are_opened_or_refused_without_a_panic() {
    // A multiplicative generator: only variety counts.
    let mut state = 1_u64;
    let mut opened = 0;
    for _ in 0..300 {
        let mut log = example(0);
        log.resize(4096, 0);
        let mut checkpoint = example(1);
        checkpoint.resize(1024, 0);
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 33) as usize % (log.len() + checkpoint.len());
            match at.checked_sub(log.len()) {
                Some(at) => checkpoint[at] = (state >> 24) as u8,
                None => log[at] = (state >> 24) as u8,
            }
        }
        if let Ok((_, _, records)) = open(&disk_with(&log, &checkpoint)) {
            assert!(
                records
                    .iter()
                    .all(|record| record.1 == "spans" || record.1 == "more spans"),
                "{records:?}"
            );
            opened += 1;
        }
    }
    assert!(opened > 100, "{opened}");
}
