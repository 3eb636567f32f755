//! The store behind `storage::DeploymentStore`: what touches the disk runs on the runtime's blocking threads.

use std::sync::Arc;

use model::{Deployment, Slo};
use storage::{
    BoxFuture, DeploymentPatch, DeploymentQuery, DeploymentStore, History, Patched, Put, Result, StorageError,
};

use super::Deployments;
use crate::api::SegmentStore;

/// Runs to its end even if nobody waits for it any more.
fn on_disk<'a, T: Send + 'static>(
    store: &'a SegmentStore,
    change: impl FnOnce(&Deployments) -> Result<T> + Send + 'static,
) -> BoxFuture<'a, Result<T>> {
    let deployments = store.kept_deployments().clone();
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(move || change(&deployments)).await;
        done.unwrap_or_else(|error| Err(StorageError::Unavailable(format!("a change failed: {error}"))))
    })
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl DeploymentStore for SegmentStore {
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>> {
        on_disk(self, |deployments| deployments.put(deployment))
    }

    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>> {
        let id = id.to_owned();
        on_disk(self, move |deployments| deployments.patch(&id, patch))
    }

    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>> {
        ready(self.kept_deployments().register.read().get(id).cloned())
    }

    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>> {
        ready(self.kept_deployments().register.read().list(query))
    }

    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>> {
        ready(self.kept_deployments().register.read().history(service_name))
    }

    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        let id = id.to_owned();
        on_disk(self, move |deployments| deployments.delete(&id))
    }

    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>> {
        let id = id.to_owned();
        on_disk(self, move |deployments| deployments.put_report(&id, &report))
    }

    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        let id = id.to_owned();
        on_disk(self, move |deployments| deployments.report(&id))
    }

    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>> {
        on_disk(self, |deployments| deployments.put_slo(slo))
    }

    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>> {
        ready(self.kept_deployments().register.read().slos().get(name).cloned())
    }

    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>> {
        ready(
            self.kept_deployments()
                .register
                .read()
                .slos()
                .values()
                .cloned()
                .collect(),
        )
    }

    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        let name = name.to_owned();
        on_disk(self, move |deployments| deployments.delete_slo(&name))
    }
}
