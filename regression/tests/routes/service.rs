//! The rollout API over a store in memory, at a time that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use model::{EndpointDraft, Kind, SpanBatch, SpanDraft, SpanId, TraceId};
use regression::watch::Events;
use regression::{Reports, Settings, Sources};
use serde_json::Value;
use storage::{
    BoxFuture, Completeness, Latencies, LatencyQuery, LatencySource, ProfileQuery, Profiles, Result,
    SpanSink, WindowLatencies, WindowQuery,
};
use storage_memory::{MemoryConfig, MemoryStore};
use tower::ServiceExt;

/// What time it is, epoch milliseconds: the beginning of a minute, of an hour, of a day.
pub(crate) const NOW: u64 = 20_000 * 86_400_000;
/// Milliseconds.
pub(crate) const MINUTE: u64 = 60_000;

/// A span as tests tell it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) trace: u64,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) service: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Option<Kind>,
    /// Epoch milliseconds.
    pub(crate) at: u64,
    /// Microseconds.
    pub(crate) duration: u64,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
}

impl Told {
    /// A request that `shop` answers, of a trace of its own.
    pub(crate) fn request(trace: u64, at: u64, duration: u64) -> Self {
        Self {
            trace,
            id: 1,
            parent: 0,
            service: "shop",
            name: "get /cart",
            kind: Some(Kind::Server),
            at,
            duration,
            tags: Vec::new(),
        }
    }

    pub(crate) fn tagged(mut self, key: &'static str, value: &'static str) -> Self {
        self.tags.push((key, value));
        self
    }
}

/// A store that lost some of its sums, though all of its profiles are there. It counts how often it is asked for sums.
pub(crate) struct Damaged {
    store: Arc<MemoryStore>,
    /// By minute.
    pub(crate) minutes: AtomicUsize,
    /// Of windows.
    pub(crate) windows: AtomicUsize,
}

impl Damaged {
    /// What its answers are told to be.
    pub(crate) const TOLD: &str = "partial; reason=\"sums are lost\"";

    pub(crate) fn over(store: &Arc<MemoryStore>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            minutes: AtomicUsize::new(0),
            windows: AtomicUsize::new(0),
        })
    }
}

fn lost() -> Completeness {
    Completeness::Partial("sums are lost".to_owned())
}

impl LatencySource for Damaged {
    fn latencies<'a>(&'a self, query: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(async move {
            self.minutes.fetch_add(1, Ordering::Relaxed);
            let mut latencies = self.store.latencies(query).await?;
            latencies.completeness = lost();
            Ok(latencies)
        })
    }

    fn windows<'a>(&'a self, query: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(async move {
            self.windows.fetch_add(1, Ordering::Relaxed);
            let mut windows = self.store.windows(query).await?;
            windows.completeness = lost();
            Ok(windows)
        })
    }

    fn profiles<'a>(&'a self, query: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        self.store.profiles(query)
    }
}

/// The API and what it answers from.
pub(crate) struct Service {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) sources: Sources,
    router: Router,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) completeness: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// Of a question that is wrong.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap())
    }
}

impl Service {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let sources = Sources::of(&store, Arc::new(|| NOW));
        Self::over(store, sources, Settings::default())
    }

    /// One that asks other sources than the store.
    pub(crate) fn over(store: Arc<MemoryStore>, sources: Sources, settings: Settings) -> Self {
        let reports = Arc::new(Reports::new(sources.clone(), settings));
        let router = regression::http::router(reports, Events::none());
        Self {
            store,
            sources,
            router,
        }
    }

    pub(crate) async fn keep(&self, spans: impl IntoIterator<Item = Told>) {
        let mut batch = SpanBatch::new();
        for told in spans {
            for (key, value) in &told.tags {
                let (key, value) = (batch.add_text(key), batch.add_text(value));
                batch.push_tag(key, value);
            }
            let service_name = batch.add_text(told.service);
            let draft = SpanDraft {
                trace_id: TraceId::new(0, told.trace),
                id: Some(SpanId::new(told.id)),
                parent_id: Some(SpanId::new(told.parent)),
                kind: told.kind,
                name: batch.add_text(told.name),
                timestamp: (told.at * 1_000) as i64,
                duration: told.duration as i64,
                local_endpoint: EndpointDraft {
                    service_name,
                    ..EndpointDraft::default()
                },
                ..SpanDraft::default()
            };
            batch.finish(&draft).unwrap();
        }
        self.store.accept(&batch).await.unwrap();
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = Request::builder().method(method).uri(path).body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let completeness = parts.headers.get("tracehound-completeness");
        Answer {
            status: parts.status.as_u16(),
            completeness: completeness.map(|value| value.to_str().unwrap().to_owned()),
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null).await
    }

    /// An answer that is whole.
    pub(crate) async fn get_whole(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK.as_u16(), "{path}: {}", answer.body);
        assert_eq!(answer.completeness.as_deref(), Some("complete"), "{path}");
        answer.body
    }
}
