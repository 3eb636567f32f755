//! The store behind `storage::DeploymentStore`.

use std::sync::Arc;

use model::{Deployment, Slo};
use storage::{
    BoxFuture, Deletion, DeploymentPatch, DeploymentQuery, DeploymentStore, History, PatchPlan, Patched, Put,
    PutPlan, Result, record,
};

use super::records::{Kind, read, write};
use super::version_name;
use crate::MySqlStore;

impl DeploymentStore for MySqlStore {
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let transaction = self.begin_change().await?;
            let plan = self.deployments.kept.read().register.plan_put(deployment)?;
            Ok(match plan {
                PutPlan::Add(deployment) => {
                    Put::Added(self.write_deployment(transaction, *deployment).await?)
                }
                PutPlan::Present(present) => Put::Present(present),
                PutPlan::Contradicts(what) => Put::Contradicts(what),
            })
        })
    }

    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let transaction = self.begin_change().await?;
            let plan = self.deployments.kept.read().register.plan_patch(id, patch)?;
            Ok(match plan {
                PatchPlan::Replace(deployment) => {
                    Patched::Done(self.write_deployment(transaction, *deployment).await?)
                }
                PatchPlan::Absent => Patched::Absent,
                PatchPlan::Contradicts(what) => Patched::Contradicts(what),
            })
        })
    }

    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.deployments.kept.read().register.get(id).cloned())
        })
    }

    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.deployments.kept.read().register.list(query))
        })
    }

    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.deployments.kept.read().register.history(service_name))
        })
    }

    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let mut transaction = self.begin_change().await?;
            let plan = self.deployments.kept.read().register.plan_delete(id);
            let Some(deletion) = plan else { return Ok(false) };
            let to = self.next_revision();
            let dismissed = self.dismissed_texts(&deletion);
            let gone = deletion.id.as_bytes();
            let rows = async {
                for (name, text) in &dismissed {
                    write(&mut transaction, Kind::Version, name, Some(text), to).await?;
                }
                write(&mut transaction, Kind::Report, gone, None, to).await?;
                write(&mut transaction, Kind::Deployment, gone, None, to).await
            };
            self.answer(rows).await?;
            self.end_change(transaction, to).await?;
            let mut kept = self.deployments.kept.write();
            kept.revision = to;
            kept.register.forget(&deletion);
            Ok(true)
        })
    }

    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let mut transaction = self.begin_change().await?;
            self.deployments.kept.read().register.check_report(&report)?;
            let Some(id) = self.shown_id(id) else {
                return Ok(false);
            };
            let to = self.next_revision();
            self.answer(write(
                &mut transaction,
                Kind::Report,
                id.as_bytes(),
                Some(&report),
                to,
            ))
            .await?;
            self.end_change(transaction, to).await?;
            self.deployments.kept.write().revision = to;
            Ok(true)
        })
    }

    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            self.refresh().await?;
            let Some(id) = self.shown_id(id) else {
                return Ok(None);
            };
            self.answer(async { read(&mut *self.pool().acquire().await?, Kind::Report, id.as_bytes()).await })
                .await
        })
    }

    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let mut transaction = self.begin_change().await?;
            self.deployments.kept.read().register.check_slo(&slo)?;
            let (to, text) = (self.next_revision(), record::slo_text(&slo));
            self.answer(write(
                &mut transaction,
                Kind::Slo,
                slo.name.as_bytes(),
                Some(&text),
                to,
            ))
            .await?;
            self.end_change(transaction, to).await?;
            let mut kept = self.deployments.kept.write();
            kept.revision = to;
            Ok(kept.register.apply_slo(slo))
        })
    }

    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self.deployments.kept.read().register.slos().get(name).cloned())
        })
    }

    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>> {
        Box::pin(async move {
            self.refresh().await?;
            Ok(self
                .deployments
                .kept
                .read()
                .register
                .slos()
                .values()
                .cloned()
                .collect())
        })
    }

    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let _turn = self.deployments.turn.lock().await;
            let mut transaction = self.begin_change().await?;
            if !self.deployments.kept.read().register.slos().contains_key(name) {
                return Ok(false);
            }
            let to = self.next_revision();
            self.answer(write(&mut transaction, Kind::Slo, name.as_bytes(), None, to))
                .await?;
            self.end_change(transaction, to).await?;
            let mut kept = self.deployments.kept.write();
            kept.revision = to;
            Ok(kept.register.forget_slo(name))
        })
    }
}

impl MySqlStore {
    fn shown_id(&self, id: &str) -> Option<String> {
        let kept = self.deployments.kept.read();
        kept.register.get(id).map(|deployment| deployment.id.clone())
    }

    /// The rows of versions that must not be inferred again, as they are to be.
    fn dismissed_texts(&self, deletion: &Deletion) -> Vec<(Vec<u8>, Vec<u8>)> {
        let kept = self.deployments.kept.read();
        let of_service = kept
            .register
            .seen()
            .filter(|seen| seen.0 == deletion.service_name);
        let mut texts = Vec::new();
        for (service, environment, version, seen) in of_service {
            let is_dismissed = |one: &(String, String)| one.0 == environment && one.1 == version;
            if deletion.dismissed.iter().any(is_dismissed) {
                let mut seen = seen.clone();
                seen.is_dismissed = true;
                let text = record::version_text(service, environment, version, &seen);
                texts.push((version_name(service, environment, version), text));
            }
        }
        texts
    }
}
