//! What was written wrongly bears the right checksum: only searching finds it.

use std::sync::Arc;

use storage_journal::Disk;

use super::{Doctor, Report};
use crate::config::Limits;
use crate::format::{Footer, Run, Section};
use crate::manifest::Manifest;
use crate::seal::{Quiet, seal};
use crate::testing::{Machine, batch_of, span, spans_of};

/// A store of one segment.
fn sealed() -> Machine {
    sealed_with("alpha")
}

/// The same with a word in a tag of every span.
fn sealed_with(word: &str) -> Machine {
    let machine = Machine::new(Limits::default());
    let store = machine.open();
    for trace in 1..40 {
        let mut span = span(trace, 1, 1_600_000_000_000_000 + trace * 1000);
        span.tags.push(("number".to_owned(), trace.to_string()));
        span.tags.push(("word".to_owned(), format!("{word} {trace}")));
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

/// Puts the last pages of the text index of another store's segment in the place of so many of this one's.
fn take_text(machine: &Machine, other: &Machine, pages: impl Fn(Run) -> u32) {
    let (name, temporary) = (Manifest::file_name(1), Manifest::temporary_name(1));
    let file = |machine: &Machine| machine.disk.open(&name).unwrap();
    let footer = |machine: &Machine| Footer::read(file(machine).as_ref(), &name).unwrap();
    let (mut mine, theirs) = (footer(machine), footer(other));
    // Pages from one number to another, as they are in the file.
    let read = |machine: &Machine, footer: &Footer, (from, to): (usize, usize)| {
        let end = |page: usize| footer.pages[page - 1].end();
        let start = if from == 0 { 0 } else { end(from) };
        let mut bytes = vec![0; (end(to) - start) as usize];
        file(machine).read_exact_at(&mut bytes, start).unwrap();
        bytes
    };
    let replaced = |footer: &Footer| {
        let text = footer.section(Section::Text);
        let end = text.first + text.count;
        ((end - pages(text)) as usize, end as usize)
    };
    let (old, new) = (replaced(&mine), replaced(&theirs));
    let mut bytes = read(machine, &mine, (0, old.0));
    bytes.extend(read(other, &theirs, new));
    bytes.extend(read(machine, &mine, (old.1, mine.pages.len())));
    mine.pages
        .splice(old.0..old.1, theirs.pages[new.0..new.1].iter().copied());
    let (text, profiles) = (mine.section(Section::Text), mine.section(Section::Profiles));
    assert_eq!(profiles.first as usize, old.1, "what comes after the text");
    let text_end = (old.0 + new.1 - new.0) as u32;
    let count = text_end - text.first;
    mine.set_section(Section::Text, Run { count, ..text });
    let first = text_end;
    mine.set_section(Section::Profiles, Run { first, ..profiles });
    bytes.extend(mine.to_bytes());
    let changed = machine.disk.create(&temporary).unwrap();
    changed.write_all_at(&bytes, 0).unwrap();
    changed.sync().unwrap();
    machine.disk.rename(&temporary, &name).unwrap();
}

#[test]
fn a_text_index_that_cannot_be_opened_is_told() {
    let letter = |number: u32| char::from(b'a' + (number % 26) as u8);
    let words = (0..5000).map(|number| [letter(number), letter(number / 26), letter(number / 676), ' ']);
    let (machine, other) = (sealed(), sealed_with(&words.flatten().collect::<String>()));
    // Its last page, which says where the files of the index are.
    take_text(&machine, &other, |_| 1);
    check(&machine, "text");
}

#[test]
fn a_text_index_that_does_not_agree_with_the_spans_is_told() {
    let (machine, other) = (sealed_with("alpha"), sealed_with("omega"));
    take_text(&machine, &other, |text| text.count);
    check(&machine, "is not found by a word of its texts");
}
