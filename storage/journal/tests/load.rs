//! Many callers at once: one sync for all who wait, order, bounds, and nobody left waiting.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use storage_journal::{Disk, DiskFile, Journal, JournalConfig, JournalError, LossyDisk, Position, Recovery};

/// A disk whose syncs wait while a gate is held, or panic on demand.
#[derive(Clone, Debug, Default)]
struct GatedDisk {
    disk: LossyDisk,
    gate: Arc<Mutex<bool>>,
}

#[derive(Debug)]
struct GatedFile {
    file: Box<dyn DiskFile>,
    gate: Arc<Mutex<bool>>,
}

impl GatedDisk {
    fn gated(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(GatedFile {
            file,
            gate: Arc::clone(&self.gate),
        })
    }
}

impl Disk for GatedDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.gated(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.gated(self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self, directory: &str) -> io::Result<Vec<(String, u64)>> {
        self.disk.list(directory)
    }

    fn sync_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.sync_directory(directory)
    }

    fn create_directory(&self, directory: &str) -> io::Result<()> {
        self.disk.create_directory(directory)
    }
}

impl DiskFile for GatedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        let panics = *self.gate.lock();
        assert!(!panics, "this panic is part of the test");
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

fn open(disk: &GatedDisk, config: &JournalConfig) -> (Journal, Recovery, Vec<(Position, Vec<u8>)>) {
    let mut records = Vec::new();
    let (journal, recovery) =
        Journal::open(Arc::new(disk.clone()), config.clone(), &mut |position, bytes| {
            records.push((position, bytes));
            Ok(())
        })
        .unwrap();
    (journal, recovery, records)
}

/// An open journal with one record, and the writer stuck in the sync of a second one.
fn stuck<'a>(disk: &'a GatedDisk, config: &JournalConfig) -> (Journal, MutexGuard<'a, bool>) {
    let (journal, ..) = open(disk, config);
    journal.append(vec![0; 10]).unwrap().wait().unwrap();
    let gate = disk.gate.lock();
    let operations = disk.disk.operations();
    drop(journal.append(vec![0; 10]).unwrap());
    // The write is an operation; the sync that follows it waits at the gate.
    while disk.disk.operations() == operations {
        std::thread::yield_now();
    }
    (journal, gate)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_all_who_wait() {
    let disk = GatedDisk::default();
    let (journal, gate) = stuck(&disk, &JournalConfig::default());
    let syncs = journal.stats().syncs;
    let waiting: Vec<_> = (0..64_u8)
        .map(|number| tokio::spawn(journal.append(vec![number; 1000]).unwrap().durable()))
        .collect();
    // Blocks this thread on purpose: the gate is held, and the other worker polls those who wait.
    std::thread::sleep(Duration::from_millis(20));
    assert!(
        waiting.iter().all(|waiting| !waiting.is_finished()),
        "acknowledged without a sync"
    );
    drop(gate);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Ok(()));
    }
    assert_eq!(
        journal.stats().syncs,
        syncs + 2,
        "the stuck one, and one for all 64"
    );
    assert_eq!(journal.stats().records, 66);
}

#[test]
fn bounds_refuse_and_name_themselves() {
    let disk = GatedDisk::default();
    let config = JournalConfig {
        record_bytes_max: 1000,
        queue_bytes_max: 4000,
        bytes_max: 10_000,
        ..JournalConfig::default()
    };
    let (journal, gate) = stuck(&disk, &config);
    assert_eq!(
        journal.append(vec![1; 1001]).unwrap_err(),
        JournalError::TooLarge {
            bytes: 1001,
            bytes_max: 1000
        }
    );
    let pending: Vec<_> = (0..3).map(|_| journal.append(vec![1; 1000]).unwrap()).collect();
    let full = journal.append(vec![1; 1000]).unwrap_err();
    assert_eq!(
        full,
        JournalError::Full {
            what: "journal queue",
            bytes: 40 + 4 * 1032,
            bytes_max: 4000
        }
    );
    drop(gate);
    pending.into_iter().for_each(|pending| pending.wait().unwrap());

    let mut last = journal.end();
    let full = loop {
        match journal.append(vec![2; 1000]) {
            Ok(pending) => {
                last = pending.position();
                pending.wait().unwrap();
            }
            Err(error) => break error,
        }
    };
    assert_eq!(
        full,
        JournalError::Full {
            what: "journal",
            bytes: 80 + 10 * 1032,
            bytes_max: 10_000
        }
    );
    assert_eq!(journal.stats().refused, 3);
    journal.set_checkpoint(last).unwrap();
    assert_eq!(journal.stats().bytes, 1032);
    journal.append(vec![3; 1000]).unwrap().wait().unwrap();
}

#[test]
fn files_are_recycled_not_added() {
    let disk = GatedDisk::default();
    let config = JournalConfig {
        file_bytes: 8192,
        bytes_max: 20_000,
        ..JournalConfig::default()
    };
    let (journal, ..) = open(&disk, &config);
    for number in 0..500_u32 {
        let pending = journal.append(number.to_le_bytes().repeat(200)).unwrap();
        let position = pending.position();
        pending.wait().unwrap();
        if number % 10 == 9 {
            journal.set_checkpoint(position).unwrap();
        }
    }
    assert!(journal.stats().files <= 4, "{:?}", journal.stats());
    let files = disk.list("journal").unwrap();
    let logs: Vec<_> = files.iter().filter(|file| file.0.ends_with(".log")).collect();
    assert_eq!(logs.len() as u64, journal.stats().files);
    assert!(logs.iter().all(|file| file.1 == 8192), "{logs:?}");
    drop(journal);
    let (_journal, recovery, records) = open(&disk, &config);
    assert_eq!(
        recovery.torn_tail, None,
        "what a recycled file held before is no torn tail"
    );
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].1, 499_u32.to_le_bytes().repeat(200));
}

#[test]
fn eight_threads_append_a_thousand_records_each() {
    let disk = GatedDisk::default();
    let config = JournalConfig {
        file_bytes: 32 << 10,
        ..JournalConfig::default()
    };
    let (journal, ..) = open(&disk, &config);
    let mut positions = HashMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u32)
            .map(|thread| {
                let journal = &journal;
                scope.spawn(move || {
                    let append = |number: u32| {
                        let record = [thread.to_le_bytes(), number.to_le_bytes()].concat();
                        let pending = journal.append(record.clone()).unwrap();
                        let position = pending.position();
                        if number.is_multiple_of(10) {
                            pending.wait().unwrap();
                        }
                        (position, record)
                    };
                    (0..1000).map(append).collect::<Vec<_>>()
                })
            })
            .collect();
        for thread in threads {
            let appended = thread.join().unwrap();
            assert!(
                appended.is_sorted_by_key(|record| record.0),
                "positions are in the order of calls"
            );
            positions.extend(appended);
        }
    });
    assert_eq!(positions.len(), 8000);
    journal.close().unwrap();
    let (_journal, _, records) = open(&disk, &config);
    assert_eq!(records.len(), 8000);
    assert!(records.is_sorted_by_key(|record| record.0));
    assert!(
        records
            .iter()
            .all(|(position, record)| positions.get(position) == Some(record))
    );
}

#[test]
fn nobody_waits_forever_for_a_writer_that_panicked() {
    let disk = GatedDisk::default();
    let (journal, mut gate) = stuck(&disk, &JournalConfig::default());
    let pending = journal.append(vec![1]).unwrap();
    *gate = true;
    drop(gate);
    let died = JournalError::Poisoned("the writer thread died".to_owned());
    assert_eq!(pending.wait(), Err(died.clone()));
    assert_eq!(journal.close(), Err(died.clone()));
    assert_eq!(journal.append(vec![2]).unwrap_err(), died);
}

#[test]
fn a_closed_journal_refuses() {
    let (journal, ..) = open(&GatedDisk::default(), &JournalConfig::default());
    let pending = journal.append(vec![1]).unwrap();
    journal.close().unwrap();
    assert_eq!(pending.wait(), Ok(()), "closing drains the queue");
    assert_eq!(journal.append(vec![2]).unwrap_err(), JournalError::Closed);
    assert_eq!(journal.set_checkpoint(journal.end()), Err(JournalError::Closed));
    assert_eq!(journal.close(), Ok(()));
}
