//! The doctor finds every changed byte, mends what can be mended, loses nothing that can be read, and says what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use model::{Endpoint, Span, SpanBatch, SpanId, TraceId};
use storage::{Completeness, SpanSink, SpanSource};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{Doctor, Report, SegmentStore};

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

const TRACES: u64 = 9;

type Files = BTreeMap<String, Vec<u8>>;

fn span(trace: u64, id: u64) -> Span {
    Span {
        trace_id: TraceId::new(1, trace).expect("traces are numbered from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: Some(model::Kind::Server),
        name: Some(format!("get-{}", trace % 3)),
        timestamp: Some(1_600_000_000_000_000 + trace * 1000),
        duration: Some(id),
        local_endpoint: Some(Endpoint {
            service_name: Some("cart".to_owned()),
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("id".to_owned(), format!("{trace}-{id}"))],
        debug: false,
        shared: false,
    }
}

/// Three segments, the last with spans of a trace that the first has, and spans in the journal only.
static STORED: LazyLock<(Files, Vec<Span>)> = LazyLock::new(|| {
    let (runtime, disk) = (runtime(), LossyDisk::new());
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("an empty disk");
    let mut all = Vec::new();
    let rounds = [(1..4, true), (4..7, true), (1..2, true), (7..TRACES + 1, false)];
    for (id, (traces, sealed)) in (1..).zip(rounds) {
        for trace in traces {
            let mut batch = SpanBatch::new();
            batch.push_span(&span(trace, id));
            runtime.block_on(store.accept(&batch)).expect("room");
            all.push(span(trace, id));
        }
        if sealed {
            store.seal_all().expect("a segment");
        }
    }
    runtime.block_on(store.close()).expect("a journal");
    all.sort();
    (files_of(&disk), all)
});

fn files_of(disk: &LossyDisk) -> Files {
    let mut files = Files::new();
    for directory in ["", "segments", "journal"] {
        for (name, length) in disk.list(directory).expect("a directory") {
            let name = if directory.is_empty() {
                name
            } else {
                format!("{directory}/{name}")
            };
            // Zeros that only take room.
            if name == "manifest.json.room" {
                continue;
            }
            let mut bytes = vec![0; length as usize];
            let file = disk.open(&name).expect("a file");
            file.read_exact_at(&mut bytes, 0).expect("its bytes");
            // The rest of the journal's file, allocated in advance, is zeros.
            let zeros = bytes.iter().rev().take_while(|&&byte| byte == 0).count();
            if name.ends_with(".log") {
                bytes.truncate(bytes.len() - zeros + 64);
            }
            files.insert(name, bytes);
        }
    }
    files
}

fn disk_of(files: &Files) -> LossyDisk {
    let disk = LossyDisk::new();
    for directory in ["segments", "journal"] {
        disk.create_directory(directory).expect("a directory");
    }
    for (name, bytes) in files {
        let file = disk.create(name).expect("a file");
        file.write_all_at(bytes, 0).expect("room");
        file.sync().expect("a disk");
    }
    for directory in ["", "segments", "journal"] {
        disk.sync_directory(directory).expect("a disk");
    }
    disk
}

fn with_change(name: &str, at: usize) -> Files {
    let mut files = STORED.0.clone();
    files.get_mut(name).expect("a file")[at] ^= 1 << (at % 8);
    files
}

fn doctor(disk: &LossyDisk) -> Doctor<'static> {
    Doctor::on(Arc::new(disk.clone()), config(), |_| {})
}

fn examine(disk: &LossyDisk) -> Report {
    let before = disk.operations();
    let report = doctor(disk).examine().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(disk.operations(), before, "nothing is written");
    report
}

/// What a store answers, all of it.
fn found(disk: &LossyDisk) -> Vec<Span> {
    let runtime = runtime();
    let store =
        SegmentStore::open_on(Arc::new(disk.clone()), config()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(store.completeness(), Completeness::Complete);
    assert_eq!(store.opened().set_aside, [""; 0]);
    let mut spans: Vec<Span> = (1..=TRACES)
        .flat_map(|trace| {
            let trace_id = TraceId::new(1, trace).expect("not zero");
            runtime.block_on(store.trace(trace_id)).expect("a trace")
        })
        .collect();
    store.verify().expect("every byte as it was written");
    spans.sort();
    spans
}

#[test]
fn a_whole_store_is_told_as_it_is() {
    let disk = disk_of(&STORED.0);
    let report = examine(&disk);
    assert!(
        report.is_whole() && report.findings.is_empty(),
        "{:?}",
        report.findings
    );
    assert_eq!(report.segments.len(), 3);
    let traces: Vec<u64> = report.segments.iter().map(|segment| segment.traces).collect();
    assert_eq!(traces, [3, 3, 1]);
    for segment in &report.segments {
        assert_eq!(segment.bytes, STORED.0[&segment.file].len() as u64);
        let names: Vec<_> = segment.sections.iter().map(|section| section.name).collect();
        assert!(names.contains(&"spans") && names.contains(&"terms"), "{names:?}");
    }
    // Spans of the last seal are let go of; those of the round after it wait.
    assert_eq!((report.journal.spans, report.journal.records), (3, 3));
    let repaired = doctor(&disk).repair().expect("nothing to do");
    assert_eq!(repaired.repairs, [""; 0]);
    assert_eq!(found(&disk), STORED.1);
    assert!(
        examine(&LossyDisk::new()).findings.is_empty(),
        "an empty store is whole"
    );
}

#[test]
fn every_changed_byte_is_told_by_the_name_of_its_file() {
    for (name, bytes) in &STORED.0 {
        // Behind its last record a log file has zeros that only take room.
        let meaningful = if name.ends_with(".log") {
            bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |last| last + 1)
        } else {
            bytes.len()
        };
        for at in 0..meaningful {
            let report = examine(&disk_of(&with_change(name, at)));
            let told = report.findings.iter().find(|finding| finding.file == *name);
            assert!(told.is_some(), "{name} at {at}: {:?}", report.findings);
            let harmless = report.is_whole();
            assert!(
                !harmless || !name.starts_with("segments/"),
                "{name} at {at}: {told:?}"
            );
        }
    }
}

/// Mends it; nothing is lost but what it says is.
fn check_repair(damaged: &Files, context: &str) -> Report {
    let disk = disk_of(damaged);
    let before = examine(&disk);
    let report = doctor(&disk)
        .repair()
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(report.is_whole(), "{context}: {:?}", report.findings);
    let spans = found(&disk);
    assert!(
        spans.iter().all(|span| STORED.1.contains(span)),
        "{context}: invented"
    );
    let lost = STORED.1.len() - spans.len();
    let told = report.repairs.iter().any(|repair| repair.contains("lost"));
    assert!(lost == 0 || told, "{context}: {lost} lost: {:?}", report.repairs);
    assert_eq!(
        before.is_whole(),
        report.repairs.is_empty(),
        "{context}: {:?}",
        report.repairs
    );
    // What was there before is kept.
    let after = files_of(&disk);
    for finding in before.findings.iter().filter(|finding| !finding.harmless) {
        let kept = after.contains_key(&format!("{}.damaged", finding.file));
        assert!(
            kept || !damaged.contains_key(&finding.file),
            "{context}: {finding:?}"
        );
    }
    for seed in 0..2 {
        assert_eq!(found(&disk.crash(seed)), spans, "{context}: it is durable");
    }
    report
}

#[test]
fn damaged_segments_are_written_again_from_what_can_be_read() {
    let name = "segments/0000000001.segment";
    let (mut nothing_lost, mut something_lost) = (0, 0);
    for at in (0..STORED.0[name].len()).step_by(5) {
        let report = check_repair(&with_change(name, at), &format!("{name} at {at}"));
        assert!(report.repairs[0].starts_with(name), "{:?}", report.repairs);
        if report.repairs[0].contains("all 3 traces are there") {
            nothing_lost += 1;
        } else {
            something_lost += 1;
        }
    }
    assert!(
        nothing_lost > 10 && something_lost > 10,
        "{nothing_lost} and {something_lost}"
    );
    let mut files = STORED.0.clone();
    files.remove(name);
    assert!(check_repair(&files, "a missing file").repairs[0].contains("is lost"));
}

#[test]
fn a_manifest_is_made_again_and_names_nothing_twice() {
    let mut missing = STORED.0.clone();
    missing.remove("manifest.json");
    assert!(check_repair(&missing, "missing").repairs[0].contains("made again from 3 segments"));
    let damaged = with_change("manifest.json", 60);
    assert!(check_repair(&damaged, "damaged").repairs[0].contains("made again from 3 segments"));
    // The segments were joined, and the machine stopped before the files of the old ones were removed.
    let disk = disk_of(&STORED.0);
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("a store");
    store.seal_all().expect("a segment");
    assert_eq!(store.stats().compactions, 1);
    runtime().block_on(store.close()).expect("a journal");
    drop(store);
    let mut joined = files_of(&disk);
    for (name, bytes) in &STORED.0 {
        if name.starts_with("segments/") {
            joined.insert(name.clone(), bytes.clone());
        }
    }
    joined.remove("manifest.json");
    let report = check_repair(&joined, "joined");
    assert!(
        report
            .repairs
            .iter()
            .any(|repair| repair.contains("made again from 1 segments")),
        "{:?}",
        report.repairs
    );
    assert_eq!(report.segments.len(), 1);
}

#[test]
fn a_damaged_journal_gives_back_its_whole_records() {
    let name = "journal/0000000000000001.log";
    let mut repaired = 0;
    for at in (0..STORED.0[name].len()).step_by(7) {
        let files = with_change(name, at);
        if examine(&disk_of(&files)).is_whole() {
            continue;
        }
        let report = check_repair(&files, &format!("{name} at {at}"));
        assert!(
            report.repairs[0].contains("are in segments now"),
            "{:?}",
            report.repairs
        );
        let there: u64 = report.segments.iter().map(|segment| segment.spans).sum();
        assert!(there >= 9, "{at}: {there}");
        repaired += 1;
    }
    assert!(repaired > 20, "{repaired}");
}

#[test]
fn a_repair_that_is_interrupted_is_done_again() {
    let mut files = with_change("segments/0000000001.segment", 200);
    files.remove("manifest.json");
    let journal = files.get_mut("journal/0000000000000001.log").expect("a file");
    journal[1024 + 30] ^= 1;
    let whole = disk_of(&files);
    let before = whole.operations();
    doctor(&whole).repair().expect("a repair");
    let operations = whole.operations() - before;
    assert!(operations > 15, "{operations}");
    let expected = found(&whole);
    for stop in 0..operations {
        let disk = disk_of(&files);
        disk.fail_after(stop);
        assert!(doctor(&disk).repair().is_err(), "stopped after {stop}");
        for seed in 0..4 {
            let disk = disk.crash(seed);
            let report = doctor(&disk)
                .repair()
                .unwrap_or_else(|error| panic!("{stop}: {error}"));
            assert!(
                report.is_whole(),
                "stopped after {stop}, seed {seed}: {:?}",
                report.findings
            );
            assert_eq!(found(&disk), expected, "stopped after {stop}, seed {seed}");
        }
    }
}
