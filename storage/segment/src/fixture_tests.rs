//! What is counted in the frozen segments, links and sketches, is what the definition says of their spans.

use std::collections::BTreeMap;
use std::path::Path;

use model::Span;
use storage_journal::{Disk, LossyDisk, RealDisk};

use crate::manifest::Manifest;
use crate::rollup_tests::{Links, defined, keyed};
use crate::testing::Machine;
use crate::view::sort_distinct;

#[path = "../tests/support/fixture_spans.rs"]
mod fixture_spans;

use fixture_spans::{NAMES, has_words, rounds_of};

/// As the fixtures were written.
const VERSION_TAGS: [&str; 2] = ["service.version", "version"];

/// A store that has the files of a fixture; it is only read.
fn machine_of(name: &str) -> Machine {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("testdata/v1")
        .join(name);
    let machine = Machine::new(crate::config::Limits::default());
    let (from, to): (RealDisk, &LossyDisk) = (RealDisk::new(folder).unwrap(), &machine.disk);
    to.create_directory("segments").unwrap();
    for (file, length) in from.list("").unwrap() {
        let mut bytes = vec![0; length as usize];
        from.open(&file).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        let name = if file.ends_with(".segment") {
            format!("segments/{file}")
        } else {
            file
        };
        to.create(&name).unwrap().write_all_at(&bytes, 0).unwrap();
    }
    machine
}

#[test]
fn links_and_sketches_of_frozen_segments_are_those_of_their_spans() {
    for name in NAMES {
        let machine = machine_of(name);
        let view = machine.open().view();
        let rounds = rounds_of(name);
        assert_eq!(view.segments.len(), rounds.len(), "{name}");
        for (number, spans) in (1..).zip(rounds) {
            let segment = view.segment(number).unwrap();
            let mut traces: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
            for span in spans {
                traces.entry(span.trace_id.low()).or_default().push(span);
            }
            traces.values_mut().for_each(sort_distinct);
            let traces: Vec<Vec<Span>> = traces.into_values().collect();
            let context = format!("{name}, {}", Manifest::file_name(number));
            let (links, sketches) = defined(&traces, &VERSION_TAGS.map(str::to_owned));
            let mut found = Links::new();
            for minute in segment.links().unwrap() {
                for link in minute.links.iter() {
                    let key = (minute.minute, link.parent.clone(), link.child.clone());
                    assert!(
                        found.insert(key, (link.calls, link.errors)).is_none(),
                        "{context}"
                    );
                }
            }
            assert_eq!(found, links, "{context}");
            assert_eq!(keyed(segment.sketches().unwrap().to_vec()), sketches, "{context}");
            assert!(!sketches.is_empty(), "{context}");
            let sections = segment.sections();
            let text = sections.iter().find(|section| section.0 == "text").unwrap();
            assert_eq!(text.1 > 0, has_words(name), "{context}");
        }
    }
}
