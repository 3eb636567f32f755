//! Where deployments, what they were found to have done, and service-level objectives are kept.
//!
//! [`DeploymentStore`] is the seam. What a backend answers is decided in one place, [`Register`], which every backend
//! that keeps them itself holds in memory: `register.rs` takes and changes declared deployments, `seen.rs` remembers
//! which versions spans have borne, `resolve.rs` makes of both the deployments of a service as they are shown. A backend
//! with a table that servers share implements [`RecordTable`] and has the rest (`records.rs`, `recorded.rs`).

mod declaration;
pub mod record;
mod recorded;
mod records;
mod register;
mod resolve;
mod seen;
#[cfg(test)]
mod tests;

pub use records::{Changes, KnownRecords, Record, RecordBody, RecordKind, RecordTable, note_versions};
pub use register::{Deletion, PatchPlan, PutPlan, Register};
pub use seen::{Gathering, Interest, SeenVersion, Sighting};

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Deployment, Slo, SwitchedInstance};

use crate::{BoxFuture, Result};

/// Keeps deployments, reports of finished ones, and objectives. What is acknowledged MUST be as durable as the store
/// promises its spans to be; a durable store MUST sync it before. Bounds are [`DeploymentLimits`].
pub trait DeploymentStore: Send + Sync {
    /// Declares a deployment. An empty `id` asks for one, which MUST be the same for the same service, version,
    /// environment and start. Declared again, nothing MUST change.
    ///
    /// Beyond a bound the oldest deployments go; one that would be the oldest is refused with
    /// [`crate::StorageError::Invalid`].
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>>;

    /// Adds to a deployment, declared or inferred.
    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>>;

    /// A deployment by its identifier; also by that of an inferred one that it absorbed.
    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>>;

    /// The newest deployments that a query asks for, newest first; of the same start, by identifier.
    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>>;

    /// All deployments of a service, oldest first: what [`model::ServingVersions`] is made from.
    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>>;

    /// Forgets a deployment, its report, and the inferred ones that it absorbed; these MUST not be inferred again.
    /// False where there is none.
    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// Keeps the report of a deployment, in the place of the one before; it goes with its deployment. False where
    /// there is no such deployment.
    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>>;

    /// The report that is kept of a deployment, byte for byte.
    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;

    /// Keeps an objective, in the place of the one of the same name before; true where there was none.
    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>>;

    /// An objective by its name.
    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>>;

    /// All objectives, by name.
    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>>;

    /// Forgets an objective; false where there is none.
    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>>;
}

/// The deployments of a service, oldest first.
pub type History = Arc<[Arc<Deployment>]>;

/// What became of a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Added(Arc<Deployment>),
    /// It was there, and is as it was.
    Present(Arc<Deployment>),
    /// It says something else than what is there; what, in words.
    Contradicts(String),
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// The deployment as it is now.
    Done(Arc<Deployment>),
    /// There is no such deployment.
    Absent,
    /// It says something else than what is there; what, in words.
    Contradicts(String),
}

/// What may be added to a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentPatch {
    /// See [`Deployment::end_ts`].
    pub end_ts: Option<u64>,
    /// See [`Deployment::rolled_back_ts`].
    pub rolled_back_ts: Option<u64>,
    /// Instances to add.
    pub instances: Vec<SwitchedInstance>,
    /// Entries to add; one of the same key is replaced.
    pub metadata: BTreeMap<String, String>,
}

/// Which deployments are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentQuery {
    /// Those of this service.
    pub service_name: Option<String>,
    /// Those of this environment, or of none that was told.
    pub environment: Option<String>,
    /// Those that began at this moment or before, epoch milliseconds.
    pub end_ts: Option<u64>,
    /// Those that began at most so many milliseconds before `end_ts`.
    pub lookback: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploymentLimits {
    /// Declared deployments, each some kilobytes; beyond it the oldest go.
    pub deployments_max: usize,
    /// Declared deployments of one service: what is compared whenever one of them changes.
    pub service_deployments_max: usize,
    /// Instances of a deployment.
    pub instances_max: usize,
    /// Entries of a deployment's metadata.
    pub metadata_entries_max: usize,
    /// Bytes of all keys and values of a deployment's metadata.
    pub metadata_bytes_max: usize,
    /// Bytes of a report.
    pub report_bytes_max: usize,
    /// Objectives.
    pub slos_max: usize,
    /// Versions seen of all services; spans of further ones make no deployment.
    pub versions_max: usize,
    /// Versions seen of a service in an environment; beyond it the oldest is forgotten.
    pub service_versions_max: usize,
    /// Versions of a service in an environment that may be new within an hour: a tag that is different for every
    /// request tells no version.
    pub new_versions_an_hour_max: usize,
}

impl Default for DeploymentLimits {
    fn default() -> Self {
        Self {
            deployments_max: 10_000,
            service_deployments_max: 1_000,
            instances_max: 10_000,
            metadata_entries_max: 64,
            metadata_bytes_max: 64 << 10,
            report_bytes_max: 8 << 20,
            slos_max: 1_000,
            versions_max: 50_000,
            service_versions_max: 500,
            new_versions_an_hour_max: 100,
        }
    }
}
