//! What is known by service: its traces in time, and the names on its spans.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use model::Span;

use crate::time_index::{Place, TimeIndex};

/// The services of one shard, by name.
#[derive(Debug, Default)]
pub(crate) struct Services {
    by_name: HashMap<String, Service>,
}

/// Names are counted in spans, so that they vanish with the last span that bears them.
#[derive(Debug, Default)]
struct Service {
    spans: usize,
    by_time: TimeIndex,
    span_names: HashMap<String, usize>,
    remote_names: HashMap<String, usize>,
}

impl Services {
    /// Counts the names on a span that was added.
    pub(crate) fn count(&mut self, span: &Span) {
        let Some(name) = span.local_service_name() else {
            return;
        };
        let service = self.by_name.entry_ref(name).or_default();
        service.spans += 1;
        if let Some(name) = &span.name {
            *service.span_names.entry_ref(name.as_str()).or_default() += 1;
        }
        if let Some(name) = span.remote_service_name() {
            *service.remote_names.entry_ref(name).or_default() += 1;
        }
    }

    /// Enters a trace at a place, for the service of one of its spans.
    pub(crate) fn enter(&mut self, span: &Span, place: Place, low: u64) {
        if let Some(service) = span
            .local_service_name()
            .and_then(|name| self.by_name.get_mut(name))
        {
            service.by_time.insert(place, low);
        }
    }

    /// Undoes [`Services::count`] and [`Services::enter`] for a span of an evicted trace.
    pub(crate) fn remove(&mut self, span: &Span, places: &[Place], low: u64) {
        let Some(name) = span.local_service_name() else {
            return;
        };
        let Some(service) = self.by_name.get_mut(name) else {
            return;
        };
        service.spans -= 1;
        if service.spans == 0 {
            self.by_name.remove(name);
            return;
        }
        for place in places {
            service.by_time.remove(*place, low);
        }
        if let Some(name) = &span.name {
            discount(&mut service.span_names, name);
        }
        if let Some(name) = span.remote_service_name() {
            discount(&mut service.remote_names, name);
        }
    }

    /// When the traces of a service happened.
    pub(crate) fn by_time(&self, service_name: &str) -> Option<&TimeIndex> {
        self.by_name.get(service_name).map(|service| &service.by_time)
    }

    pub(crate) fn collect_names(&self, names: &mut BTreeSet<String>) {
        collect(self.by_name.keys(), names);
    }

    pub(crate) fn collect_span_names(&self, service_name: &str, names: &mut BTreeSet<String>) {
        if let Some(service) = self.by_name.get(service_name) {
            collect(service.span_names.keys(), names);
        }
    }

    pub(crate) fn collect_remote_names(&self, service_name: &str, names: &mut BTreeSet<String>) {
        if let Some(service) = self.by_name.get(service_name) {
            collect(service.remote_names.keys(), names);
        }
    }
}

fn discount(counts: &mut HashMap<String, usize>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}

fn collect<'a>(from: impl Iterator<Item = &'a String>, names: &mut BTreeSet<String>) {
    for name in from {
        if !names.contains(name) {
            names.insert(name.clone());
        }
    }
}
