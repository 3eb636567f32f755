//! Deployments, reports and objectives, gone with the process as spans are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use model::{Deployment, Slo, SpanBatch};
use parking_lot::RwLock;
use storage::{
    BoxFuture, DeploymentPatch, DeploymentQuery, DeploymentStore, Gathering, History, PatchPlan, Patched,
    Put, PutPlan, Register, Result, StorageError, StoreOptions,
};

use crate::MemoryStore;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Deployments {
    kept: RwLock<Kept>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Kept {
    register: Register,
    reports: HashMap<String, Vec<u8>>,
}

impl Default for Deployments {
    fn default() -> Self {
        Self {
            kept: RwLock::default(),
            since: Instant::now(),
        }
    }
}

impl Deployments {
    /// Looks for versions that nobody has seen before.
    pub(crate) fn note(&self, batch: &SpanBatch, options: &StoreOptions) {
        let now_ms = self.since.elapsed().as_millis() as u64;
        let gathering = {
            let kept = self.kept.read();
            Gathering::of(batch, options, |service, environment, version| {
                kept.register.interest(service, environment, version, now_ms)
            })
        };
        let mut sightings = gathering.sightings().peekable();
        if sightings.peek().is_some() {
            let mut kept = self.kept.write();
            sightings.for_each(|sighting| {
                kept.register.sight(sighting, now_ms);
            });
        }
    }
}

impl Kept {
    /// Takes a deployment as it was planned; gives it as it is shown.
    fn apply(&mut self, deployment: Deployment) -> Result<Arc<Deployment>> {
        let id = deployment.id.clone();
        for gone in self.register.apply(deployment) {
            self.reports.remove(&gone);
        }
        let shown = self.register.get(&id).cloned();
        shown.ok_or_else(|| StorageError::Overloaded(format!("deployment \"{id}\" had to go at once")))
    }
}

fn ready<'a, T: Send + 'a>(value: Result<T>) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(value))
}

impl DeploymentStore for MemoryStore {
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>> {
        let mut kept = self.deployments.kept.write();
        let put = match kept.register.plan_put(deployment) {
            Ok(PutPlan::Add(deployment)) => kept.apply(*deployment).map(Put::Added),
            Ok(PutPlan::Present(present)) => Ok(Put::Present(present)),
            Ok(PutPlan::Contradicts(what)) => Ok(Put::Contradicts(what)),
            Err(error) => Err(error),
        };
        ready(put)
    }

    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>> {
        let mut kept = self.deployments.kept.write();
        let patched = match kept.register.plan_patch(id, patch) {
            Ok(PatchPlan::Replace(deployment)) => kept.apply(*deployment).map(Patched::Done),
            Ok(PatchPlan::Absent) => Ok(Patched::Absent),
            Ok(PatchPlan::Contradicts(what)) => Ok(Patched::Contradicts(what)),
            Err(error) => Err(error),
        };
        ready(patched)
    }

    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>> {
        ready(Ok(self.deployments.kept.read().register.get(id).cloned()))
    }

    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>> {
        ready(Ok(self.deployments.kept.read().register.list(query)))
    }

    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>> {
        ready(Ok(self.deployments.kept.read().register.history(service_name)))
    }

    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        let mut kept = self.deployments.kept.write();
        let deletion = kept.register.plan_delete(id);
        if let Some(deletion) = &deletion {
            kept.register.forget(deletion);
            kept.reports.remove(&deletion.id);
        }
        ready(Ok(deletion.is_some()))
    }

    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>> {
        let mut kept = self.deployments.kept.write();
        if let Err(error) = kept.register.check_report(&report) {
            return ready(Err(error));
        }
        let Some(id) = kept.register.get(id).map(|deployment| deployment.id.clone()) else {
            return ready(Ok(false));
        };
        kept.reports.insert(id, report);
        ready(Ok(true))
    }

    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let kept = self.deployments.kept.read();
        let deployment = kept.register.get(id);
        let report = deployment.and_then(|deployment| kept.reports.get(&deployment.id));
        ready(Ok(report.cloned()))
    }

    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>> {
        let mut kept = self.deployments.kept.write();
        let checked = kept.register.check_slo(&slo);
        ready(checked.map(|()| kept.register.apply_slo(slo)))
    }

    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>> {
        ready(Ok(self
            .deployments
            .kept
            .read()
            .register
            .slos()
            .get(name)
            .cloned()))
    }

    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>> {
        let kept = self.deployments.kept.read();
        ready(Ok(kept.register.slos().values().cloned().collect()))
    }

    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        ready(Ok(self.deployments.kept.write().register.forget_slo(name)))
    }
}
