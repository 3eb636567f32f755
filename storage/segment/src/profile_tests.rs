//! Profiles are read as they were written, whatever they say, and bytes that nobody wrote are errors.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use model::{Call, CallPlace, CallSums, Callee, Entry, Kind, ProfileTable, TimeCut, TraceId, TraceProfile};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::profile_codes::ProfileFrame;
use crate::profiles::{ProfilesBuilder, ProfilesDirectory, TRACES_PER_PAGE};

const OPERATIONS: u32 = 12;
const INSTANCES: u32 = 9;

fn table() -> ProfileTable {
    let mut table = ProfileTable::new(1000);
    for number in 1..OPERATIONS {
        let service = ["a", "b", "c"][number as usize % 3];
        table.operation(
            service,
            &number.to_string(),
            Kind::from_number(u64::from(number % 5)),
        );
    }
    for number in 1..INSTANCES {
        let service = ["a", "b", "c"][number as usize % 3];
        table.instance(
            service,
            ["", "2"][number as usize % 2],
            Default::default(),
            number as u16,
        );
    }
    table
}

fn any_micros() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..5000u64, 1 => Just(0), 1 => any::<u64>(), 1 => u64::MAX - 3..=u64::MAX]
}

/// What is said of a call, and whose it is: that of the operation of a row before, or nobody's.
fn any_row() -> impl Strategy<Value = (CallSums, Option<usize>)> {
    let place = (0..OPERATIONS, 0..3u8, 0..OPERATIONS, 0..INSTANCES, 0..INSTANCES);
    let counts = (1..=u32::MAX, 0..3u32, 0..3u32, 0..3u32);
    let micros = (any_micros(), any_micros(), any_micros(), any_micros());
    let row = (place, counts, micros, prop::option::weighted(0.9, any::<usize>()));
    row.prop_map(|(place, counts, micros, caller)| {
        let (operation, callee_kind, callee, instance, caller_instance) = place;
        let callee = match callee_kind {
            0 => Callee::None,
            1 => Callee::Instrumented(callee),
            _ => Callee::Uninstrumented(callee),
        };
        let call = Call {
            caller: None,
            operation,
            callee,
        };
        let sums = CallSums {
            place: CallPlace {
                call,
                instance,
                caller_instance,
            },
            calls: counts.0,
            failed: counts.1,
            failed_first: counts.2,
            retries: counts.3,
            path_micros: micros.0,
            self_micros: micros.1,
            duration_micros: micros.2,
            overlap_micros: micros.3,
        };
        (sums, caller)
    })
}

fn any_profile() -> impl Strategy<Value = TraceProfile> {
    let rows = prop::collection::vec(any_row(), 1..20);
    let trace = (
        prop_oneof![Just(0), any::<u64>()],
        1..=u64::MAX,
        any::<u64>(),
        any::<bool>(),
    );
    let rest = (
        any::<bool>(),
        any::<bool>(),
        any_micros(),
        any_micros(),
        any::<usize>(),
    );
    (rows, trace, rest).prop_map(
        |(rows, (high, low, timestamp, brave), (timed, failed, reported, cut, entry))| {
            let mut calls = BTreeMap::new();
            let mut operations = Vec::new();
            for (mut sums, caller) in rows {
                let caller = caller.filter(|_| !operations.is_empty());
                sums.place.call.caller = caller.map(|caller| operations[caller % operations.len()]);
                operations.push(sums.place.call.operation);
                calls.insert(sums.place, sums);
            }
            let calls: Vec<CallSums> = calls.into_values().collect();
            let path = calls.iter().map(|sums| sums.path_micros);
            let duration = path.fold(0, u64::wrapping_add);
            let second = (timestamp / 1_000_000) & u64::from(u32::MAX);
            let high = if brave { second << 32 | high & 0xffff } else { high };
            TraceProfile {
                trace_id: TraceId::new(high, low).unwrap(),
                timestamp,
                entry: Entry {
                    operation: operations[entry % operations.len()],
                    duration: timed.then_some(duration),
                    failed,
                },
                cut: TimeCut {
                    reported_micros: reported,
                    cut_micros: cut,
                },
                calls,
            }
        },
    )
}

/// The pages of a section, the last one with its directory.
fn written(profiles: &[TraceProfile]) -> Vec<Vec<u8>> {
    let mut builder = ProfilesBuilder::default();
    builder.table.absorb(&table());
    profiles.iter().for_each(|profile| builder.add(profile));
    let (directory, mut pages) = builder.into_pages();
    assert_eq!(pages.len(), profiles.len().div_ceil(TRACES_PER_PAGE as usize));
    pages.push(directory);
    pages
}

fn read(
    pages: &[Vec<u8>],
    profiles: &[TraceProfile],
) -> Result<Vec<TraceProfile>, storage_record::bytes::Malformed> {
    let (last, pages) = pages.split_last().unwrap();
    let directory = ProfilesDirectory::read(last)?.expect("this version");
    let mut found = Vec::new();
    for (number, (page, profiles)) in (0..).zip(pages.iter().zip(profiles.chunks(TRACES_PER_PAGE as usize))) {
        let frames = profiles.iter().map(|profile| ProfileFrame {
            low: profile.trace_id.low(),
            timestamp: profile.timestamp,
        });
        let frames: Vec<_> = frames.collect();
        directory.visit(number, page, &frames, |profile| {
            let mut profile = profile.clone();
            profile.calls.sort_unstable_by_key(|sums| sums.place);
            found.push(profile);
        })?;
    }
    Ok(found)
}

proptest! {
    #[test]
    fn profiles_are_read_as_written(profiles in prop::collection::vec(any_profile(), 1..12)) {
        let pages = written(&profiles);
        prop_assert_eq!(read(&pages, &profiles).unwrap(), profiles);
    }

    #[test]
    fn damaged_bytes_are_errors_or_other_profiles(
        profiles in prop::collection::vec(any_profile(), 1..6),
        damage in prop::collection::vec((any::<usize>(), any::<usize>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<usize>()),
    ) {
        let mut pages = written(&profiles);
        for (page, at, byte) in damage {
            let page = page % pages.len();
            let at = at % pages[page].len();
            pages[page][at] = byte;
        }
        if let Some(cut) = cut {
            let page = &mut pages[0];
            page.truncate(cut % page.len());
        }
        let directory = ProfilesDirectory::read(&pages[1]);
        if matches!(directory, Ok(Some(_))) {
            // No panic, and no more profiles than were asked for.
            if let Ok(found) = read(&pages, &profiles) {
                prop_assert_eq!(found.len(), profiles.len());
            }
        }
    }
}

#[test]
fn many_traces_take_several_pages() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut one = || any_profile().new_tree(&mut runner).unwrap().current();
    let some: Vec<_> = (0..50).map(|_| one()).collect();
    let profiles: Vec<_> = some
        .iter()
        .cycle()
        .take(3 * TRACES_PER_PAGE as usize + 5)
        .cloned()
        .collect();
    let pages = written(&profiles);
    assert_eq!(pages.len(), 5);
    assert!(read(&pages, &profiles).unwrap() == profiles);
}

#[test]
fn a_section_of_another_version_is_not_read() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let profile = any_profile().new_tree(&mut runner).unwrap().current();
    let pages = written(&[profile]);
    let mut last = pages[1].clone();
    last[0] += 1;
    assert!(ProfilesDirectory::read(&last).unwrap().is_none());
}
