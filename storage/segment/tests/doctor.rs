//! The doctor finds every changed byte, mends what can be mended, loses nothing that can be read, and says what it did.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use model::{Endpoint, Span, SpanBatch, SpanId, TraceId};
use storage::{
    Completeness, DependencyQuery, SpanSink, SpanSource, StorageError, TraceQuery, TraceQueryBuilder,
};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{Doctor, Report, SegmentStore};

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

const TRACES: u64 = 9;
const FIRST: &str = "segments/0000000001.segment";

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

/// Bytes of a file that say something: behind its last record a log file has zeros that only take room.
fn meaningful(name: &str, bytes: &[u8]) -> usize {
    if name.ends_with(".log") {
        bytes
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1)
    } else {
        bytes.len()
    }
}

#[test]
fn every_changed_byte_is_told_by_the_name_of_its_file() {
    let check = |name: &str, at: usize| {
        let report = examine(&disk_of(&with_change(name, at)));
        let told = report.findings.iter().find(|finding| finding.file == name);
        assert!(told.is_some(), "{name} at {at}: {:?}", report.findings);
        let harmless = report.is_whole();
        assert!(
            !harmless || !name.starts_with("segments/"),
            "{name} at {at}: {told:?}"
        );
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for (name, bytes) in &STORED.0 {
                    let places = 0..meaningful(name, bytes);
                    places
                        .skip(thread)
                        .step_by(threads)
                        .for_each(|at| check(name, at));
                }
            });
        }
    });
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

/// Every kind of answer, in words.
fn answers(disk: &LossyDisk) -> Vec<String> {
    let runtime = runtime();
    let store = SegmentStore::open_on(Arc::new(disk.clone()), config()).expect("a store");
    let mut answers = Vec::new();
    let mut searches = vec![TraceQuery::builder()];
    for trace in 1..=TRACES {
        searches.push(TraceQueryBuilder {
            annotation_query: Some(format!("id={trace}-1")),
            ..TraceQuery::builder()
        });
        searches.push(TraceQueryBuilder {
            text: Some(format!("{trace}")),
            span_name: Some(format!("get-{}", trace % 3)),
            ..TraceQuery::builder()
        });
    }
    for builder in searches {
        let query = TraceQueryBuilder {
            end_ts: 1_600_000_001_000,
            lookback: 10_000,
            limit: 100,
            ..builder
        };
        let found = runtime.block_on(store.search(&query.build().expect("a query")));
        let found = found.expect("an answer");
        answers.push(format!("{:?} {:?}", found.completeness, found.traces));
    }
    let names = async {
        let services = store.service_names().await?;
        let mut names = vec![services.clone()];
        for service in &services {
            names.push(store.span_names(service).await?);
            names.push(store.remote_service_names(service).await?);
        }
        let all_time = DependencyQuery::new(1_600_000_001_000, 10_000).expect("a window");
        let mut links = store.dependencies(all_time).await?.links;
        links.sort();
        Ok::<_, StorageError>(format!("{names:?} {links:?}"))
    };
    answers.push(runtime.block_on(names).expect("names"));
    answers
}

/// Where the first segment's sections are, by name: found out by damaging every byte. The footer and the magic bytes are
/// those where it cannot be opened.
fn places() -> BTreeMap<String, Vec<usize>> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for at in 0..STORED.0[FIRST].len() {
        let report = examine(&disk_of(&with_change(FIRST, at)));
        let told = report.findings.iter().find(|finding| finding.file == FIRST);
        let told = told.unwrap_or_else(|| panic!("nothing is told of {at}"));
        let section = told.what.split(", in its ").nth(1);
        let section = section.map_or("frame", |told| told.split(['\n', ';']).next().unwrap_or(told));
        places.entry(section.to_owned()).or_default().push(at);
    }
    places
}

#[test]
fn every_section_is_made_again_and_answers_as_before() {
    let whole = answers(&disk_of(&STORED.0));
    let places = places();
    let report = examine(&disk_of(&STORED.0));
    let known = report.segments[0].sections.iter();
    for section in known.filter(|section| section.bytes > 0) {
        let places = &places[section.name];
        assert_eq!(places.len() as u64, section.bytes, "{}", section.name);
        let holds_spans = ["spans", "shapes", "dictionary", "traces"].contains(&section.name);
        for at in [places[0], places[places.len() / 2], places[places.len() - 1]] {
            let context = format!("{} at {at}", section.name);
            let report = check_repair(&with_change(FIRST, at), &context);
            let is_whole = report.repairs[0].contains("all 3 traces are there");
            assert_ne!(is_whole, holds_spans, "{context}: {:?}", report.repairs);
            if is_whole {
                let disk = disk_of(&with_change(FIRST, at));
                doctor(&disk).repair().expect("a repair");
                assert_eq!(answers(&disk), whole, "{context}");
            }
        }
    }
}

#[test]
fn a_footer_is_made_again() {
    let whole = answers(&disk_of(&STORED.0));
    let frame = places().remove("frame").expect("a footer");
    assert!(frame.len() > 100 && frame[..8] == [0, 1, 2, 3, 4, 5, 6, 7]);
    let mut damaged: Vec<(String, Files)> = frame
        .iter()
        .map(|&at| (format!("a byte at {at}"), with_change(FIRST, at)))
        .collect();
    let length = STORED.0[FIRST].len();
    let mut no_tail = STORED.0.clone();
    no_tail.get_mut(FIRST).expect("a file")[length - 16..].fill(0);
    damaged.push(("zeros for a tail".to_owned(), no_tail));
    for cut in [1, 8, 16] {
        let mut shorter = STORED.0.clone();
        shorter.get_mut(FIRST).expect("a file").truncate(length - cut);
        damaged.push((format!("{cut} bytes less"), shorter));
    }
    for (context, files) in damaged {
        let disk = disk_of(&files);
        let report = doctor(&disk).repair().expect("a repair");
        assert!(report.is_whole(), "{context}: {:?}", report.findings);
        let repair = &report.repairs[0];
        assert!(repair.contains("all 3 traces are there"), "{context}: {repair}");
        assert_eq!(answers(&disk), whole, "{context}");
    }
}

#[test]
fn what_a_lost_footer_costs_is_told() {
    let mut files = STORED.0.clone();
    let bytes = files.get_mut(FIRST).expect("a file");
    let length = bytes.len();
    bytes[length - 100..].fill(0);
    let report = check_repair(&files, "no footer");
    let told = format!("all that was sealed into its {length} bytes at ");
    assert!(report.repairs[0].contains(&told), "{:?}", report.repairs);
    assert!(report.repairs[0].contains("kept as segments/0000000001.segment.damaged"));
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
