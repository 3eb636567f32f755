//! Questions that take too long.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use regression::{Settings, Sources};
use serde_json::json;
use storage::{
    BoxFuture, Latencies, LatencyQuery, LatencySource, ProfileQuery, Profiles, Result, WindowLatencies,
    WindowQuery,
};
use storage_memory::{MemoryConfig, MemoryStore};

use crate::service::{NOW, Service};

/// A store that never answers.
struct Stuck;

impl LatencySource for Stuck {
    fn latencies<'a>(&'a self, _: &'a LatencyQuery) -> BoxFuture<'a, Result<Latencies>> {
        Box::pin(pending())
    }

    fn windows<'a>(&'a self, _: &'a WindowQuery) -> BoxFuture<'a, Result<WindowLatencies>> {
        Box::pin(pending())
    }

    fn profiles<'a>(&'a self, _: &'a ProfileQuery) -> BoxFuture<'a, Result<Profiles>> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn whoever_asks_a_store_that_does_not_answer_is_told_in_time() {
    let store = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let sources = Sources {
        latency: Arc::new(Stuck),
        ..Sources::of(&store, Arc::new(|| NOW))
    };
    let settings = Settings {
        timeout: Duration::from_millis(50),
        ..Settings::default()
    };
    let service = Service::over(store, sources, settings);
    let objective =
        json!({"serviceName": "shop", "indicator": "availability", "objective": 0.9, "windowDays": 1});
    service.ask("PUT", "/api/v2/slos/cart", &objective).await;
    for path in ["latency?serviceName=shop", "operations", "slos/cart/budget"] {
        let answer = service.get(&format!("/api/v2/{path}")).await;
        let (status, told) = answer.error();
        assert_eq!(status, 503, "{path}: {told}");
        assert!(told.contains("took longer than 50 ms"), "{path}: {told}");
    }
}
