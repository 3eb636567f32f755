//! Who calls whom, counted live over the traces of a window (`zipkin.md` 4.5, 5.6).

use model::{DependencyLink, Sketch};
use schemars::JsonSchema;
use serde::Serialize;
use storage::Completeness;

use crate::Query;
use crate::answer::{Answer, Failure};
use crate::params::{self, Params};

/// A link as Zipkin writes it: errors are named only where there are any.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DependencyLink")]
pub(crate) struct LinkJson<'a> {
    /// Who calls.
    parent: &'a str,
    /// Who is called.
    child: &'a str,
    call_count: u64,
    /// Absent where none failed.
    #[serde(skip_serializing_if = "is_zero")]
    error_count: u64,
    /// How long calls took, microseconds: of the newest traces, of those of them that are timed. Only where it was
    /// asked for.
    #[serde(flatten)]
    latency: Option<LinkLatency>,
}

/// How long the calls of a link took, microseconds.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LinkLatency {
    /// Half of the calls took at most so long.
    p50: u64,
    p95: u64,
    p99: u64,
    /// How many calls that is of.
    timed_count: u64,
}

impl LinkLatency {
    fn of(sketch: &Sketch) -> Option<Self> {
        Some(Self {
            p50: sketch.quantile(0.5)?,
            p95: sketch.quantile(0.95)?,
            p99: sketch.quantile(0.99)?,
            timed_count: sketch.count(),
        })
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl<'a> From<&'a DependencyLink> for LinkJson<'a> {
    fn from(link: &'a DependencyLink) -> Self {
        Self {
            parent: &link.parent,
            child: &link.child,
            call_count: link.call_count,
            error_count: link.error_count,
            latency: None,
        }
    }
}

impl Query {
    /// `/dependencies`; answers whether or not search is disabled.
    pub(crate) async fn dependencies(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let query = params::dependency_query(params, &self.config)?;
        let with_latency = params::flag(params, "latency")?;
        let found = self.source.dependencies(query).await?;
        let mut links: Vec<LinkJson<'_>> = found.links.iter().map(LinkJson::from).collect();
        if !with_latency {
            return Ok(Answer::json(&links).with_completeness(found.completeness));
        }
        let (latencies, of_latencies) = self.link_latencies(query).await?;
        for link in &mut links {
            link.latency = latencies.get(link.parent, link.child).and_then(LinkLatency::of);
        }
        let completeness = match found.completeness {
            Completeness::Complete => of_latencies,
            partial => partial,
        };
        Ok(Answer::json(&links).with_completeness(completeness))
    }
}
