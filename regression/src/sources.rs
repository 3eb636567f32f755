//! What the analysis is asked with: where deployments, times and traces come from.

use std::fmt;
use std::sync::Arc;

use storage::{DeploymentStore, LatencySource, SpanSource};

/// Tells the time, epoch milliseconds.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Everything that answers depend on.
#[derive(Clone)]
pub struct Sources {
    /// Deployments, kept reports and objectives.
    pub deployments: Arc<dyn DeploymentStore>,
    /// Times of operations, and profiles of traces.
    pub latency: Arc<dyn LatencySource>,
    /// Traces themselves: to show two side by side, and for populations that a search describes.
    pub spans: Arc<dyn SpanSource>,
    /// What windows without an end go by.
    pub now: Clock,
}

impl Sources {
    /// All of them from one store.
    pub fn of<S>(store: &Arc<S>, now: Clock) -> Self
    where
        S: DeploymentStore + LatencySource + SpanSource + 'static,
    {
        Self {
            deployments: Arc::clone(store) as _,
            latency: Arc::clone(store) as _,
            spans: Arc::clone(store) as _,
            now,
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
