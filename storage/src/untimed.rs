//! What pages of traces without a timestamp have in common in all stores ([`SpanSource::untimed`](crate::SpanSource)).

use std::collections::BTreeMap;

use model::{Span, TraceId};

/// Takes the traces of such a page among all spans whose trace identifiers share their low half: those without a
/// timestamp that come after a trace, in their order. One at most where identifiers are not compared in full.
pub fn untimed_after(spans: Vec<Span>, strict: bool, after: Option<TraceId>) -> Vec<Vec<Span>> {
    let mut traces: BTreeMap<u64, Vec<Span>> = BTreeMap::new();
    for span in spans {
        let high = if strict { span.trace_id.high() } else { 0 };
        traces.entry(high).or_default().push(span);
    }
    let comes_after = |trace: &Vec<Span>| {
        let place = |trace_id: TraceId| (trace_id.low(), if strict { trace_id.high() } else { 0 });
        after.is_none_or(|after| place(trace[0].trace_id) > place(after))
    };
    let is_untimed = |trace: &Vec<Span>| model::trace_timestamp(trace).is_none();
    traces
        .into_values()
        .filter(|trace| comes_after(trace) && is_untimed(trace))
        .collect()
}
