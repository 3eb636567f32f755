//! Who calls whom, counted live over the traces of a window (`zipkin.md` 4.5, 5.6).

use model::DependencyLink;
use schemars::JsonSchema;
use serde::Serialize;

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
        }
    }
}

impl Query {
    /// `/dependencies`; answers whether or not search is disabled.
    pub(crate) async fn dependencies(&self, params: &Params<'_>) -> Result<Answer, Failure> {
        let query = params::dependency_query(params, &self.config)?;
        let found = self.source.dependencies(query).await?;
        let links: Vec<LinkJson<'_>> = found.links.iter().map(LinkJson::from).collect();
        Ok(Answer::json(&links).with_completeness(found.completeness))
    }
}
