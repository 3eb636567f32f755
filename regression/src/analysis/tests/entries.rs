//! Of which entry operations the own time of an operation is asked apart.

use super::super::family::{What, family};
use super::super::traces::Traces;
use super::shop::{MINUTE_MS, Request, START, Shop, UNTIL};

const ENTRIES: [&str; 10] = [
    "get /0", "get /1", "get /2", "get /3", "get /4", "get /5", "get /6", "get /7", "get /8", "get /9",
];

/// Entry operations that own times are asked for, in order, of which the traces are as many as told.
fn asked_of(traces: &[usize]) -> Vec<&'static str> {
    let mut shop = Shop::new();
    let entries = ENTRIES.iter().zip(traces);
    let requests = entries.flat_map(|(&entry, &traces)| std::iter::repeat_n(entry, traces));
    for (number, entry) in requests.enumerate() {
        let at = START + number as u64 * 100;
        let request = Request::at(at, "2.0", 10);
        shop.add(Request { entry, ..request });
    }
    let profiles = shop.profiles(START - MINUTE_MS, UNTIL);
    let traces = Traces::of(&[&profiles]);
    let service = traces.table.names().iter().position(|name| *name == "cart");
    let members = family(&traces, service.map(|number| number as u32));
    let asked = members.iter().filter_map(|member| match member.what {
        What::OwnTimeFor { entry, .. } => traces
            .table
            .names()
            .get(traces.operation(entry).span_name as usize),
        _ => None,
    });
    let mut asked: Vec<&str> = asked
        .filter_map(|name| ENTRIES.into_iter().find(|entry| name == *entry))
        .collect();
    asked.sort_unstable();
    asked
}

#[test]
fn one_entry_operation_is_all_of_them() {
    assert_eq!(asked_of(&[100]), [""; 0]);
    assert_eq!(asked_of(&[100, 100]), ENTRIES[..2]);
}

#[test]
fn entry_operations_of_a_few_traces_are_not_asked() {
    assert_eq!(asked_of(&[16, 16]), ENTRIES[..2]);
    assert_eq!(asked_of(&[16, 15]), [""; 0]);
}

#[test]
fn of_many_entry_operations_those_with_most_traces_are_asked() {
    assert_eq!(asked_of(&[20, 21, 22, 23, 24, 25, 26, 27, 28, 29]), ENTRIES[2..]);
}
