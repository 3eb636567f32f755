//! Spans and stores for this package's tests.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Annotation, Endpoint, IpAddresses, Kind, Span, SpanBatch, SpanId, TraceId};
use proptest::prelude::*;
use storage::StoreOptions;
use storage_journal::LossyDisk;
use storage_record::{Numbering, RecordReader};

use crate::config::{Limits, Retention, SegmentConfig};
use crate::head::{Arrival, Generation};
use crate::store::Store;
use crate::view::Reading;

/// A computer on which a store runs without maintenance, and that may lose power.
pub(crate) struct Machine {
    pub(crate) disk: LossyDisk,
    /// Epoch milliseconds.
    pub(crate) clock: Arc<AtomicU64>,
    limits: Limits,
    runtime: tokio::runtime::Runtime,
}

impl Machine {
    pub(crate) fn new(limits: Limits) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self {
            disk: LossyDisk::new(),
            clock: Arc::new(AtomicU64::new(1_600_000_000_000)),
            limits,
            runtime,
        }
    }

    pub(crate) fn open(&self) -> Store {
        let clock = self.clock.clone();
        let config = SegmentConfig {
            directory: PathBuf::new(),
            options: StoreOptions::default(),
            sync: storage_journal::SyncPolicy::Always,
            journal_bytes_max: 1 << 30,
            head_bytes_max: 1 << 30,
            retention: Retention::default(),
            now: Arc::new(move || clock.load(Ordering::SeqCst)),
        };
        Store::open(Arc::new(self.disk.clone()), config, self.limits)
            .unwrap()
            .0
    }

    /// Loses power and starts again.
    pub(crate) fn crash(self) -> Self {
        Self {
            disk: self.disk.crash(0),
            ..self
        }
    }

    pub(crate) fn accept(&self, store: &Store, batch: &SpanBatch) {
        self.runtime.block_on(store.accept(batch)).unwrap();
    }
}

pub(crate) fn batch_of(spans: &[Span]) -> SpanBatch {
    let mut batch = SpanBatch::new();
    spans.iter().for_each(|span| batch.push_span(span));
    batch
}

/// Adds the spans of a batch as a store does.
pub(crate) fn insert_batch(
    generation: &Generation,
    batch: &SpanBatch,
    arrival: Arrival,
    autocomplete_keys: &[String],
) {
    let numbering = Numbering::of(batch);
    let open = generation.open_slots(batch, &numbering);
    let record = storage_record::encode_numbered(batch, &numbering, &open);
    let mut reader = RecordReader::default();
    let spans = reader.read(&record).unwrap();
    generation.insert(spans, arrival, autocomplete_keys).unwrap();
}

/// What a store answers for a trace, by its low identifier.
pub(crate) fn spans_of(store: &Store, low: u64) -> Vec<Span> {
    let view = store.view();
    let spans = Reading::new(&view, store.limits.trace_spans_max).spans_of(low);
    spans.unwrap()
}

/// A client span of `trace`, told apart by `id`; `timestamp` in microseconds.
pub(crate) fn span(trace: u64, id: u64, timestamp: u64) -> Span {
    Span {
        trace_id: TraceId::new(0, trace).expect("tests number traces from 1"),
        parent_id: None,
        id: SpanId::new(id),
        kind: Some(Kind::Client),
        name: Some("get /cart".into()),
        timestamp: Some(timestamp),
        duration: Some(1000),
        local_endpoint: Some(Endpoint {
            service_name: Some("web".into()),
            ..Endpoint::default()
        }),
        remote_endpoint: Some(Endpoint {
            service_name: Some("cart".into()),
            ..Endpoint::default()
        }),
        annotations: vec![Annotation {
            timestamp: timestamp + 1,
            value: "sent".into(),
        }],
        tags: vec![
            ("http.path".into(), "/cart".into()),
            ("instance".into(), "a".into()),
        ],
        debug: false,
        shared: false,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "web", "cart", "http.path", "200", "error", "über"]).prop_map(str::to_owned),
        1 => "[a-zα-ω0-9 ░\"\\\\=]{0,12}",
    ]
}

fn name() -> impl Strategy<Value = Option<String>> {
    prop::option::of(text()).prop_map(|name| {
        name.map(|name| name.to_lowercase())
            .filter(|name| !name.is_empty())
    })
}

fn endpoint() -> impl Strategy<Value = Option<Endpoint>> {
    let ip = (any::<Option<std::net::Ipv4Addr>>(), any::<Option<u64>>()).prop_map(|(v4, v6)| IpAddresses {
        v4,
        v6: v6.map(|low| std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(low))),
    });
    prop::option::of(
        (name(), ip, any::<u16>()).prop_map(|(service_name, ip, port)| Endpoint {
            service_name,
            ip,
            port,
        }),
    )
    .prop_map(|endpoint| endpoint.and_then(Endpoint::into_option))
}

fn time() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![1 => Just(None), 4 => (1u64..10_000_000).prop_map(Some), 1 => (1u64..=i64::MAX as u64).prop_map(Some)]
}

prop_compose! {
    fn arbitrary_span()(
        ids in (0u64..2, 1u64..4, prop::option::of(1u64..6), 0u64..6), kind in 0u64..5, name in name(),
        times in (time(), time()), endpoints in (endpoint(), endpoint()),
        annotations in prop::collection::btree_set((any::<u64>(), text()), 0..4),
        tags in prop::collection::btree_map(text(), text(), 0..6), debug in any::<bool>(), shared in any::<bool>(),
    ) -> Span {
        let (high, low, parent, id) = ids;
        let kind = Kind::from_number(kind);
        Span {
            trace_id: TraceId::new(high, low).expect("low is not zero"),
            parent_id: parent.filter(|&parent| parent != id).map(SpanId::new),
            id: SpanId::new(id),
            kind,
            name,
            timestamp: times.0,
            duration: times.1,
            local_endpoint: endpoints.0,
            remote_endpoint: endpoints.1,
            annotations: annotations.into_iter().map(|(timestamp, value)| Annotation { timestamp, value }).collect(),
            tags: tags.into_iter().collect(),
            debug,
            shared: shared && kind != Some(Kind::Client),
        }
    }
}

/// Normalised spans of a few traces, with few and with many different values.
pub(crate) fn arbitrary_spans(most: usize) -> impl Strategy<Value = Vec<Span>> {
    prop::collection::vec(arbitrary_span(), 1..=most)
}
