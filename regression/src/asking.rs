//! For tests: the rollout API over a memory store, asked as a client asks it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::BodyExt;
use model::{EndpointDraft, Kind, SpanBatch, SpanDraft, SpanId, TraceId};
use serde_json::Value;
use storage::SpanSink;
use storage_memory::{MemoryConfig, MemoryStore};
use tower::ServiceExt;

use crate::watch::{EventLimits, Events};
use crate::{Reports, Settings, Sources};

/// What tests take for now unless they say otherwise, epoch milliseconds.
pub(crate) const NOW: u64 = 1_732_200_000_000;

/// An API of its own.
pub(crate) struct Api {
    pub(crate) reports: Arc<Reports>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) now: Arc<AtomicU64>,
    pub(crate) events: Events,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) completeness: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Api {
    pub(crate) fn new() -> Self {
        let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let sources = Sources::of(&store, Arc::new(move || clock.load(Ordering::Relaxed)));
        let reports = Arc::new(Reports::new(sources, Settings::default()));
        let events = Events::new(NOW, EventLimits::default());
        Self {
            reports,
            store,
            now,
            events,
        }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = http::Request::builder().method(method).uri(path);
        let router = crate::http::tests::router(Arc::clone(&self.reports), self.events.clone());
        let answered = router.oneshot(request.body(body).unwrap()).await.unwrap();
        let (head, body) = answered.into_parts();
        let completeness = head.headers.get("tracehound-completeness");
        Answer {
            status: head.status.as_u16(),
            completeness: completeness.map(|value| value.to_str().unwrap().to_owned()),
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null).await
    }

    /// Keeps a trace of one span of the service `cart`.
    pub(crate) async fn keep_trace(&self, id: u64, is_failed: bool) {
        let mut batch = SpanBatch::new();
        if is_failed {
            let (key, value) = (batch.add_text("error"), batch.add_text("true"));
            batch.push_tag(key, value);
        }
        let draft = SpanDraft {
            trace_id: TraceId::new(0, id),
            id: Some(SpanId::new(id)),
            kind: Some(Kind::Server),
            name: batch.add_text("get"),
            timestamp: (NOW * 1_000) as i64,
            duration: 1_000,
            local_endpoint: EndpointDraft {
                service_name: batch.add_text("cart"),
                ..EndpointDraft::default()
            },
            ..SpanDraft::default()
        };
        batch.finish(&draft).unwrap();
        self.store.accept(&batch).await.unwrap();
    }

    /// Declares a deployment, and answers its identifier.
    pub(crate) async fn declare(&self, deployment: &Value) -> String {
        let declared = self.ask("POST", "/api/v2/deployments", deployment).await;
        assert_eq!(declared.status, 201, "{}", declared.json());
        declared.json()["id"].as_str().unwrap().to_owned()
    }
}
