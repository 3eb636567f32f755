//! One commit of the journal for as many as wait for it, synced to the disk that holds temporary files.

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use storage_journal::{Journal, JournalConfig, RealDisk, SyncPolicy};

/// A batch of 100 spans as the segment store writes it.
const RECORD_BYTES: usize = 8_000;

pub(crate) fn group_commit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal");
    for waiters in [1, 16, 64] {
        let directory = tempfile::tempdir().expect("there is a directory for temporary files");
        let journal = open(directory.path());
        group.throughput(Throughput::Elements(waiters));
        group.bench_function(BenchmarkId::new("group commit", waiters), |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| commit(&journal, waiters)).sum());
        });
    }
    group.finish();
}

fn open(directory: &std::path::Path) -> Journal {
    let disk = RealDisk::new(directory.to_owned()).expect("the directory was just made");
    let config = JournalConfig {
        sync: SyncPolicy::Always,
        ..JournalConfig::default()
    };
    let (journal, _) = Journal::open(Arc::new(disk), config, &mut |_, _| Ok(())).expect("it is empty");
    journal
}

/// How long all of them wait. The room they took is given back outside of that time.
fn commit(journal: &Journal, waiters: u64) -> Duration {
    let records: Vec<Vec<u8>> = (0..waiters).map(|_| vec![7; RECORD_BYTES]).collect();
    let begin = Instant::now();
    let pending: Vec<_> = records
        .into_iter()
        .map(|record| journal.append(record).expect("there is room"))
        .collect();
    for pending in pending {
        pending.wait().expect("the disk works");
    }
    let elapsed = begin.elapsed();
    if journal.stats().bytes > JournalConfig::default().bytes_max / 2 {
        journal.set_checkpoint(journal.end()).expect("the disk works");
    }
    elapsed
}
