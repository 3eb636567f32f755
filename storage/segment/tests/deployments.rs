//! Deployments on a disk that stops, loses, damages and fills up: what was acknowledged is there, and what is damaged
//! is named and costs nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Deployment, Endpoint, Indicator, Slo, Span, SpanBatch, SpanId, TraceId};
use storage::{
    DeploymentLimits, DeploymentPatch, DeploymentQuery, DeploymentStore, Patched, Put, SpanSink, StorageError,
};
use storage_journal::{Disk, LossyDisk};
use storage_segment::{Doctor, SegmentStore};
use tokio::runtime::Runtime;

mod support;
#[path = "support/synced.rs"]
mod synced;

use synced::{config, runtime};

const START: u64 = 1_600_000_000_000;

fn open(disk: &LossyDisk) -> Result<Arc<SegmentStore>, StorageError> {
    SegmentStore::open_on(Arc::new(disk.clone()), config())
}

fn deployment(id: &str, version: &str, start: u64) -> Deployment {
    Deployment {
        id: id.to_owned(),
        service_name: "cart".to_owned(),
        version: version.to_owned(),
        start_ts: START + start,
        ..Deployment::default()
    }
}

fn slo(name: &str) -> Slo {
    Slo {
        name: name.to_owned(),
        service_name: "cart".to_owned(),
        span_name: None,
        indicator: Indicator::Availability,
        objective: 0.99,
        window_days: 28,
    }
}

fn batch_of(version: &str, millis: u64) -> SpanBatch {
    let mut batch = SpanBatch::new();
    batch.push_span(&Span {
        trace_id: TraceId::new(1, millis + 1).expect("not zero"),
        parent_id: None,
        id: SpanId::new(1),
        kind: None,
        name: Some("get".to_owned()),
        timestamp: Some((START + millis) * 1000),
        duration: Some(10),
        local_endpoint: Some(Endpoint {
            service_name: Some("web".to_owned()),
            ..Endpoint::default()
        }),
        remote_endpoint: None,
        annotations: Vec::new(),
        tags: vec![("version".to_owned(), version.to_owned())],
        debug: false,
        shared: false,
    });
    batch
}

fn everything() -> DeploymentQuery {
    DeploymentQuery {
        limit: 1000,
        ..DeploymentQuery::default()
    }
}

fn ids(runtime: &Runtime, store: &SegmentStore) -> BTreeSet<String> {
    let listed = runtime
        .block_on(store.deployments(&everything()))
        .expect("a list");
    listed.iter().map(|one| one.id.clone()).collect()
}

/// The bytes of every file in the directory of deployments.
fn files(disk: &LossyDisk) -> BTreeMap<String, Vec<u8>> {
    let list = disk.list("deployments").expect("a list");
    let files = list.into_iter().map(|(name, bytes)| {
        let name = format!("deployments/{name}");
        let mut content = vec![0; bytes as usize];
        let file = disk.open(&name).expect("a file");
        file.read_exact_at(&mut content, 0).expect("its bytes");
        (name, content)
    });
    files.collect()
}

fn write(disk: &LossyDisk, name: &str, content: &[u8]) {
    let file = disk.create(name).expect("a file");
    file.write_all_at(content, 0).expect("room");
}

/// What was acknowledged, step by step; a step that failed may or may not have happened.
#[derive(Debug, Default)]
struct Acknowledged {
    put: bool,
    ended: bool,
    report: bool,
    second: bool,
    /// It was asked for; `Some(true)` once that was acknowledged.
    second_deleted: Option<bool>,
    slo: bool,
    first_seen: bool,
    second_seen: bool,
}

fn scenario(runtime: &Runtime, disk: &LossyDisk) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let Ok(store) = open(disk) else {
        return acknowledged;
    };
    let put = |deployment| runtime.block_on(store.put_deployment(deployment)).is_ok();
    acknowledged.put = put(deployment("a", "1", 0));
    let ended = DeploymentPatch {
        end_ts: Some(START + 500),
        ..DeploymentPatch::default()
    };
    acknowledged.ended = matches!(
        runtime.block_on(store.patch_deployment("a", ended)),
        Ok(Patched::Done(_))
    );
    acknowledged.report = runtime.block_on(store.put_report("a", b"report".to_vec())) == Ok(true);
    acknowledged.second = put(deployment("b", "2", 1000));
    acknowledged.slo = runtime.block_on(store.put_slo(slo("s"))).is_ok();
    acknowledged.first_seen = runtime.block_on(store.accept(&batch_of("1", 0))).is_ok();
    acknowledged.second_seen = runtime.block_on(store.accept(&batch_of("2", 1000))).is_ok();
    // It fails when the disk does.
    let _sealed_or_not = store.seal_all();
    if acknowledged.second {
        acknowledged.second_deleted = Some(runtime.block_on(store.delete_deployment("b")) == Ok(true));
    }
    acknowledged
}

fn check(runtime: &Runtime, disk: &LossyDisk, acknowledged: &Acknowledged, context: &str) {
    let store = open(disk).unwrap_or_else(|error| panic!("{context}: cannot be opened: {error}"));
    assert_eq!(store.opened().deployments_set_aside, [""; 0], "{context}");
    let get = |id: &str| runtime.block_on(store.deployment(id)).expect("an answer");
    let first = get("a");
    assert!(first.is_some() || !acknowledged.put, "{context}: lost");
    let ended = first.is_some_and(|first| first.end_ts.is_some());
    assert!(ended || !acknowledged.ended, "{context}: what was added is lost");
    let report = runtime.block_on(store.report("a")).expect("an answer");
    match report {
        Some(report) => assert_eq!(report, b"report", "{context}"),
        None => assert!(!acknowledged.report, "{context}: the report is lost"),
    }
    match acknowledged.second_deleted {
        Some(true) => assert_eq!(get("b"), None, "{context}: it came back"),
        None => assert!(get("b").is_some() || !acknowledged.second, "{context}: lost"),
        // Either.
        Some(false) => {}
    }
    let slos = runtime.block_on(store.slos()).expect("an answer");
    assert!(
        slos == [slo("s")] || !acknowledged.slo && slos.is_empty(),
        "{context}"
    );
    if acknowledged.first_seen && acknowledged.second_seen {
        let inferred = runtime.block_on(store.history("web")).expect("an answer");
        let starts: Vec<_> = inferred.iter().map(|one| one.start_ts).collect();
        assert_eq!(starts, [START + 1000], "{context}: what spans told is lost");
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_machine_stops() {
    let runtime = runtime();
    let whole = LossyDisk::new();
    let acknowledged = scenario(&runtime, &whole);
    assert!(
        acknowledged.ended && acknowledged.report && acknowledged.slo && acknowledged.second_seen,
        "{acknowledged:?}"
    );
    assert_eq!(acknowledged.second_deleted, Some(true));
    check(&runtime, &whole.crash(0), &acknowledged, "no fault");
    let operations = whole.operations();
    assert!(
        operations > 40,
        "only {operations} operations: the scenario does too little"
    );
    for stop in 0..operations {
        let disk = LossyDisk::new();
        disk.fail_after(stop);
        let acknowledged = scenario(&runtime, &disk);
        for seed in 0..4 {
            let context = format!("stopped after {stop} operations, seed {seed}");
            check(&runtime, &disk.crash(seed), &acknowledged, &context);
        }
    }
}

/// Three deployments, a report, an objective and versions, in files.
fn stored(runtime: &Runtime) -> LossyDisk {
    let disk = LossyDisk::new();
    let store = open(&disk).expect("an empty disk");
    for (id, start) in [("a", 0), ("b", 1000), ("c", 2000)] {
        let put = runtime.block_on(store.put_deployment(deployment(id, id, start)));
        assert!(matches!(put, Ok(Put::Added(_))), "{put:?}");
    }
    runtime
        .block_on(store.put_report("a", b"report".to_vec()))
        .expect("room");
    runtime.block_on(store.put_slo(slo("s"))).expect("room");
    for (version, millis) in [("1", 0), ("2", 1000), ("3", 2000)] {
        runtime
            .block_on(store.accept(&batch_of(version, millis)))
            .expect("room");
    }
    store.seal_all().expect("room");
    disk
}

#[test]
fn a_damaged_record_is_named_and_the_rest_keeps_working() {
    let runtime = runtime();
    let whole = stored(&runtime);
    let (name, content) = files(&whole)
        .into_iter()
        .find(|(_, content)| content.windows(8).any(|text| text == b"\"id\":\"b\""))
        .expect("the record of b");
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1 << (at % 8);
        let disk = whole.crash(0);
        write(&disk, &name, &damaged);
        let store = open(&disk).expect("a store");
        let set_aside = &store.opened().deployments_set_aside;
        assert_eq!(set_aside.len(), 1, "byte {at}: {set_aside:?}");
        assert_eq!(store.stats().deployments_set_aside, 1, "byte {at}");
        assert!(set_aside[0].starts_with(&name), "byte {at}: {set_aside:?}");
        let left = ids(&runtime, &store);
        assert!(
            left.contains("a") && left.contains("c") && !left.contains("b"),
            "byte {at}"
        );
        // Its file is not written over: somebody may want to look at it.
        let put = runtime.block_on(store.put_deployment(deployment("d", "d", 3000)));
        assert!(matches!(put, Ok(Put::Added(_))), "{put:?}");
        assert_eq!(files(&disk)[&name], damaged, "byte {at}");
    }
}

#[test]
fn a_damaged_line_costs_one_version() {
    let runtime = runtime();
    let whole = stored(&runtime);
    let name = "deployments/versions";
    let content = files(&whole).remove(name).expect("versions");
    let lines = content.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, 3);
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1;
        let disk = whole.crash(0);
        write(&disk, name, &damaged);
        let store = open(&disk).expect("a store");
        let set_aside = &store.opened().deployments_set_aside;
        assert!(
            !set_aside.is_empty() && set_aside[0].starts_with(name),
            "byte {at}"
        );
        let known = runtime.block_on(store.history("web")).expect("an answer").len();
        // A line's end that is damaged costs the two lines it was between.
        let least = if content[at] == b'\n' { 0 } else { 1 };
        assert!(known >= least, "byte {at}: {known} known");
        assert_eq!(files(&disk)["deployments/versions.damaged"], damaged, "byte {at}");
    }
}

#[test]
fn versions_beyond_the_bound_are_counted() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let store = open(&disk).expect("an empty disk");
    let most = DeploymentLimits::default().new_versions_an_hour_max as u64;
    let accept = |number: u64| {
        let batch = batch_of(&format!("build-{number}"), number);
        runtime.block_on(store.accept(&batch)).expect("room");
    };
    (0..most).for_each(accept);
    assert_eq!(store.stats().versions_left_out, 0);
    (most..most + 3).for_each(accept);
    accept(0);
    assert_eq!(store.stats().versions_left_out, 3);
    assert_eq!(store.stats().deployments_set_aside, 0);
}

#[test]
fn no_identifier_finds_its_way_to_the_file_system() {
    let runtime = runtime();
    let disk = LossyDisk::new();
    let store = open(&disk).expect("an empty disk");
    let hostile = [
        "../../etc/passwd",
        "/tmp/x",
        "a/b",
        "nul\0",
        "CON",
        "..",
        "\n{}",
        "\u{202e}",
    ];
    for (number, id) in hostile.into_iter().enumerate() {
        let put = runtime.block_on(store.put_deployment(deployment(id, id, number as u64)));
        assert!(matches!(put, Ok(Put::Added(_))), "{id:?}: {put:?}");
        runtime
            .block_on(store.put_report(id, b"{}".to_vec()))
            .expect("room");
        runtime.block_on(store.put_slo(slo(id))).expect("room");
    }
    for name in files(&disk).keys() {
        let name = name.strip_prefix("deployments/").expect("one level");
        let stem = name.strip_suffix(".record").expect(name);
        assert!(
            stem.len() == 10 && stem.bytes().all(|byte| byte.is_ascii_digit()),
            "{name}"
        );
    }
    drop(store);
    let store = open(&disk.crash(0)).expect("a store");
    assert_eq!(ids(&runtime, &store), hostile.map(str::to_owned).into());
    for id in hostile {
        let report = runtime.block_on(store.report(id)).expect("an answer");
        assert_eq!(report.as_deref(), Some(&b"{}"[..]), "{id:?}");
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let runtime = runtime();
    let disk = stored(&runtime);
    let store = open(&disk).expect("a store");
    let before = ids(&runtime, &store);
    let taken: usize = files(&disk).values().map(Vec::len).sum();
    disk.fill_up(taken as u64);
    let refused = runtime.block_on(store.put_deployment(deployment("d", "d", 3000)));
    assert!(
        matches!(refused, Err(StorageError::Unavailable(_))),
        "{refused:?}"
    );
    assert_eq!(ids(&runtime, &store), before);
    disk.heal();
    let put = runtime.block_on(store.put_deployment(deployment("d", "d", 3000)));
    assert!(matches!(put, Ok(Put::Added(_))), "{put:?}");
    drop(store);
    let store = open(&disk.crash(0)).expect("a store");
    assert_eq!(ids(&runtime, &store).len(), before.len() + 1);
}

#[test]
fn the_doctor_finds_what_is_damaged_and_puts_it_aside() {
    let runtime = runtime();
    let disk = stored(&runtime).crash(0);
    let mut doctor = Doctor::on(Arc::new(disk.clone()), config(), |_| {});
    let report = doctor.examine().expect("a report");
    assert!(report.is_whole(), "{:?}", report.findings);
    let mut damaged = Vec::new();
    for (name, mut content) in files(&disk) {
        if name.ends_with("versions") || content.windows(6).any(|text| text == b"report") {
            let last = content.len() - 2;
            content[last] ^= 1;
            write(&disk, &name, &content);
            damaged.push(name);
        }
    }
    assert_eq!(damaged.len(), 2);
    let report = doctor.examine().expect("a report");
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| finding.file.clone())
        .collect();
    assert_eq!(found, damaged);
    assert!(!report.is_whole());
    let report = doctor.repair().expect("repaired");
    assert!(report.is_whole(), "{:?}", report.findings);
    assert_eq!(report.repairs.len(), 2, "{:?}", report.repairs);
    let store = open(&disk).expect("a store");
    assert_eq!(store.opened().deployments_set_aside, [""; 0]);
    assert!(ids(&runtime, &store).contains("a"));
    assert_eq!(
        runtime.block_on(store.report("a")),
        Ok(None),
        "its report was damaged"
    );
}
