//! What was written wrongly bears the right checksum: only searching finds it.

use std::sync::Arc;

use storage_journal::Disk;

use super::{Doctor, Report};
use crate::config::Limits;
use crate::format::Footer;
use crate::manifest::Manifest;
use crate::seal::{Quiet, seal};
use crate::testing::{Machine, batch_of, span, spans_of};

/// A store of one segment.
fn sealed() -> Machine {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    for trace in 1..40 {
        let mut span = span(trace, 1, 1_600_000_000_000_000 + trace * 1000);
        span.tags.push(("number".to_owned(), trace.to_string()));
        span.tags.sort();
        machine.accept(&store, &batch_of(&[span]));
    }
    let frozen = store.freeze();
    seal(&store, &frozen, Quiet::Everything).unwrap();
    drop(store);
    machine
}

/// Replaces the footer of the segment, checksum and all.
fn rewrite(machine: &Machine, change: impl FnOnce(&mut Footer)) {
    let name = Manifest::file_name(1);
    let file = machine.disk.open(&name).unwrap();
    let mut footer = Footer::read(file.as_ref(), &name).unwrap();
    let length = file.len().unwrap();
    let before = footer.to_bytes().len();
    change(&mut footer);
    let bytes = footer.to_bytes();
    assert_eq!(bytes.len(), before, "the manifest knows how long it is");
    file.write_all_at(&bytes, length - bytes.len() as u64).unwrap();
    file.sync().unwrap();
}

fn doctor(machine: &Machine) -> Doctor<'static> {
    let config = machine.open().config.clone();
    Doctor::on(Arc::new(machine.disk.clone()), config, |_| {})
}

fn check(machine: &Machine, told: &str) {
    let report: Report = doctor(machine).examine().unwrap();
    let found = report
        .findings
        .iter()
        .any(|finding| finding.what.contains(told) && !finding.harmless);
    assert!(found, "{told}: {:?}", report.findings);
    let repaired = doctor(machine).repair().unwrap();
    assert!(repaired.is_whole(), "{:?}", repaired.findings);
    assert!(
        repaired.repairs[0].contains("all 39 traces are there"),
        "{:?}",
        repaired.repairs
    );
    let store = machine.open();
    assert!((1..40).all(|trace| spans_of(&store, trace).len() == 1));
}

#[test]
fn a_trace_that_its_identifier_does_not_find_is_told() {
    let machine = sealed();
    assert!(doctor(&machine).examine().unwrap().findings.is_empty());
    rewrite(&machine, |footer| footer.first_ids[0] += 1 << 40);
    check(&machine, "0000000000000001, is not found by its identifier");
}

#[test]
fn a_trace_that_no_search_finds_is_told() {
    let machine = sealed();
    rewrite(&machine, |footer| footer.first_terms[0] += 1 << 40);
    check(&machine, "is not found by service, name and tag");
}

#[test]
fn a_footer_that_counts_otherwise_is_told() {
    let machine = sealed();
    rewrite(&machine, |footer| footer.summary.spans += 1);
    check(&machine, "it has 39 spans; its footer says 40");
}
