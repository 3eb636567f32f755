//! A journal of a gibibyte is replayed in a few mebibytes. Alone in its file, because it measures the process.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use storage_journal::{Disk, DiskFile, Journal, JournalConfig, LossyDisk};

const FILES: u64 = 16;
const FILE_BYTES: u64 = 64 << 20;
const PAYLOAD_BYTES: u64 = (1 << 20) - 28;
const RECORDS_A_FILE: u64 = (FILE_BYTES - 1024 - 32) / (PAYLOAD_BYTES + 28);
const SALT: u64 = 7;

/// Log files that are computed as they are read; everything else is on a small disk.
#[derive(Debug)]
struct ComputedDisk {
    disk: LossyDisk,
    payload: Arc<Vec<u8>>,
    largest_read_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct ComputedFile {
    sequence: u64,
    payload: Arc<Vec<u8>>,
    largest_read_bytes: Arc<AtomicU64>,
}

impl ComputedFile {
    fn base(sequence: u64) -> u64 {
        match sequence {
            1 => 0,
            _ => (1 << 40) + (sequence - 1) * RECORDS_A_FILE * (PAYLOAD_BYTES + 28),
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = b"TRHJRNL\n\x01\0\0\0\0\0\0\0".to_vec();
        for field in [self.sequence, SALT, Self::base(self.sequence)] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
        bytes.resize(512, 0);
        bytes.repeat(2)
    }

    fn record(&self, index: u64) -> Vec<u8> {
        let position = (1 << 40) + ((self.sequence - 1) * RECORDS_A_FILE + index) * (PAYLOAD_BYTES + 28);
        let mut bytes = (PAYLOAD_BYTES as u32).to_le_bytes().to_vec();
        bytes.extend(crc32c::crc32c(&self.payload).to_le_bytes());
        bytes.extend(position.to_le_bytes());
        bytes.extend(0_u64.to_le_bytes());
        let salted = [&SALT.to_le_bytes()[..], &bytes].concat();
        bytes.extend(crc32c::crc32c(&salted).to_le_bytes());
        bytes.extend(&*self.payload);
        bytes
    }
}

impl DiskFile for ComputedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.largest_read_bytes
            .fetch_max(buffer.len() as u64, Ordering::Relaxed);
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            let index = at.saturating_sub(1024) / (PAYLOAD_BYTES + 28);
            let (start, part) = match at {
                0..1024 => (0, self.header()),
                _ if index < RECORDS_A_FILE => (1024 + index * (PAYLOAD_BYTES + 28), self.record(index)),
                _ => (at, vec![0; buffer.len() - filled]),
            };
            let part = &part[(at - start) as usize..];
            let count = part.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&part[..count]);
            filled += count;
        }
        Ok(())
    }

    /// Opening writes the last records again, as they are, and nothing else.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut there = vec![0; bytes.len()];
        self.read_exact_at(&mut there, offset)?;
        if there == bytes {
            Ok(())
        } else {
            Err(io::Error::other("opening changes what was written"))
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(FILE_BYTES)
    }
}

impl Disk for ComputedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let sequence = name
            .strip_prefix("journal/")
            .and_then(|name| name.strip_suffix(".log"));
        let Some(sequence) = sequence.and_then(|digits| digits.parse().ok()) else {
            return self.disk.open(name);
        };
        let (payload, largest_read_bytes) = (Arc::clone(&self.payload), Arc::clone(&self.largest_read_bytes));
        Ok(Box::new(ComputedFile {
            sequence,
            payload,
            largest_read_bytes,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, _: &str) -> io::Result<Vec<(String, u64)>> {
        Ok((1..=FILES)
            .map(|sequence| (format!("{sequence:016}.log"), FILE_BYTES))
            .collect())
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.sync_directory(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.create_directory(directory)
    }
}

/// The most memory the process ever held.
fn resident_bytes_max() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes << 10
}

#[test]
fn a_gibibyte_is_replayed_in_bounded_memory() {
    let disk = LossyDisk::new();
    // Only for its checkpoint file.
    drop(
        Journal::open(Arc::new(disk.clone()), JournalConfig::default(), &mut |_, _| {
            Ok(())
        })
        .unwrap(),
    );
    let largest_read_bytes = Arc::new(AtomicU64::new(0));
    let computed = ComputedDisk {
        disk,
        payload: Arc::new(vec![0xa5; PAYLOAD_BYTES as usize]),
        largest_read_bytes: Arc::clone(&largest_read_bytes),
    };
    let before = resident_bytes_max();
    let mut records = 0;
    let replay = &mut |_, bytes: Vec<u8>| {
        assert_eq!(bytes.len() as u64, PAYLOAD_BYTES);
        records += 1;
        Ok(())
    };
    let (_journal, recovery) = Journal::open(Arc::new(computed), JournalConfig::default(), replay).unwrap();
    assert_eq!(records, FILES * RECORDS_A_FILE);
    assert_eq!((recovery.files as u64, recovery.records), (FILES, records));
    assert!(recovery.bytes > 1000 << 20);
    assert!(largest_read_bytes.load(Ordering::Relaxed) <= 1 << 20);
    let grown = resident_bytes_max() - before;
    assert!(grown < 32 << 20, "memory grew by {grown} bytes");
}
