//! [`DeploymentStore`] of whoever has a [`RecordTable`].

use std::sync::Arc;

use model::{Deployment, Slo};

use super::records::{Made, Planned, Record, RecordKind, RecordTable, make, refresh, version_name};
use super::{
    Deletion, DeploymentPatch, DeploymentQuery, DeploymentStore, History, PatchPlan, Patched, Put, PutPlan,
    Register, record,
};
use crate::{BoxFuture, Result, StorageError};

impl<T: RecordTable> DeploymentStore for T {
    fn put_deployment(&self, deployment: Deployment) -> BoxFuture<'_, Result<Put>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                Ok(match register.plan_put(deployment.clone())? {
                    PutPlan::Add(deployment) => write_deployment(*deployment),
                    PutPlan::Present(present) => Planned::Answer(Put::Present(present)),
                    PutPlan::Contradicts(what) => Planned::Answer(Put::Contradicts(what)),
                })
            };
            match make(self, plan, apply_deployment).await? {
                Made::Answered(answer) => Ok(answer),
                Made::Written(applied) => applied.finish(self).await.map(Put::Added),
            }
        })
    }

    fn patch_deployment<'a>(&'a self, id: &'a str, patch: DeploymentPatch) -> BoxFuture<'a, Result<Patched>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                Ok(match register.plan_patch(id, patch.clone())? {
                    PatchPlan::Replace(deployment) => write_deployment(*deployment),
                    PatchPlan::Absent => Planned::Answer(Patched::Absent),
                    PatchPlan::Contradicts(what) => Planned::Answer(Patched::Contradicts(what)),
                })
            };
            match make(self, plan, apply_deployment).await? {
                Made::Answered(answer) => Ok(answer),
                Made::Written(applied) => applied.finish(self).await.map(Patched::Done),
            }
        })
    }

    fn deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Arc<Deployment>>>> {
        Box::pin(async move { read(self, |register| register.get(id).cloned()).await })
    }

    fn deployments<'a>(&'a self, query: &'a DeploymentQuery) -> BoxFuture<'a, Result<Vec<Arc<Deployment>>>> {
        Box::pin(async move { read(self, |register| register.list(query)).await })
    }

    fn history<'a>(&'a self, service_name: &'a str) -> BoxFuture<'a, Result<History>> {
        Box::pin(async move { read(self, |register| register.history(service_name)).await })
    }

    fn delete_deployment<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                Ok(match register.plan_delete(id) {
                    Some(deletion) => Planned::Write(deletion_records(register, &deletion), deletion),
                    None => Planned::Answer(()),
                })
            };
            let made = make(self, plan, |register, deletion| register.forget(&deletion)).await?;
            Ok(matches!(made, Made::Written(())))
        })
    }

    fn put_report<'a>(&'a self, id: &'a str, report: Vec<u8>) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                register.check_report(&report)?;
                Ok(match register.get(id) {
                    Some(shown) => {
                        let record = Record::text(RecordKind::Report, shown.id.as_bytes(), report.clone());
                        Planned::Write(vec![record], ())
                    }
                    None => Planned::Answer(()),
                })
            };
            let made = make(self, plan, |_, ()| ()).await?;
            Ok(matches!(made, Made::Written(())))
        })
    }

    fn report<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>>> {
        Box::pin(async move {
            let shown = read(self, |register| register.get(id).map(|shown| shown.id.clone())).await?;
            match shown {
                Some(id) => self.body(RecordKind::Report, id.as_bytes()).await,
                None => Ok(None),
            }
        })
    }

    fn put_slo(&self, slo: Slo) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                register.check_slo(&slo)?;
                let record = Record::text(RecordKind::Slo, slo.name.as_bytes(), record::slo_text(&slo));
                Ok(Planned::<(), _>::Write(vec![record], slo.clone()))
            };
            let made = make(self, plan, Register::apply_slo).await?;
            Ok(matches!(made, Made::Written(true)))
        })
    }

    fn slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Slo>>> {
        Box::pin(async move { read(self, |register| register.slos().get(name).cloned()).await })
    }

    fn slos(&self) -> BoxFuture<'_, Result<Vec<Slo>>> {
        Box::pin(async move { read(self, |register| register.slos().values().cloned().collect()).await })
    }

    fn delete_slo<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let plan = |register: &Register| {
                let gone = Record::gone(RecordKind::Slo, name.as_bytes());
                Ok(match register.slos().contains_key(name) {
                    true => Planned::Write(vec![gone], ()),
                    false => Planned::Answer(()),
                })
            };
            let made = make(self, plan, |register, ()| register.forget_slo(name)).await?;
            Ok(matches!(made, Made::Written(true)))
        })
    }
}

/// An answer from what is known once the table was looked at.
async fn read<A>(table: &impl RecordTable, answer: impl FnOnce(&Register) -> A) -> Result<A> {
    refresh(table).await?;
    Ok(answer(&table.known_records().kept.read().register))
}

fn write_deployment<A>(deployment: Deployment) -> Planned<A, Deployment> {
    let text = record::deployment_text(&deployment);
    let record = Record::text(RecordKind::Deployment, deployment.id.as_bytes(), text);
    Planned::Write(vec![record], deployment)
}

/// A deployment that was written and taken.
struct Applied {
    id: String,
    /// As it is shown.
    shown: Option<Arc<Deployment>>,
    /// Which had to go to make room.
    gone: Vec<String>,
}

fn apply_deployment(register: &mut Register, deployment: Deployment) -> Applied {
    let id = deployment.id.clone();
    let gone = register.apply(deployment);
    let shown = register.get(&id).cloned();
    Applied { id, shown, gone }
}

impl Applied {
    /// Marks the records as gone of what had to go; gives the deployment as it is shown.
    async fn finish(self, table: &impl RecordTable) -> Result<Arc<Deployment>> {
        for id in &self.gone {
            tracing::warn!(id, "the oldest deployment goes: there are as many as may be kept");
            let plan = |_: &Register| Ok(Planned::<(), _>::Write(gone_records(id), ()));
            make(table, plan, |_, ()| ()).await?;
        }
        self.shown
            .ok_or_else(|| StorageError::Overloaded(format!("deployment \"{}\" had to go at once", self.id)))
    }
}

fn gone_records(id: &str) -> Vec<Record> {
    let kinds = [RecordKind::Report, RecordKind::Deployment];
    kinds.map(|kind| Record::gone(kind, id.as_bytes())).to_vec()
}

/// What is written where a deployment is forgotten: also that versions must not be inferred again.
fn deletion_records(register: &Register, deletion: &Deletion) -> Vec<Record> {
    let mut records = Vec::new();
    for (service, environment, version, seen) in register.seen() {
        let is_dismissed = |one: &(String, String)| one.0 == environment && one.1 == version;
        if service == deletion.service_name && deletion.dismissed.iter().any(is_dismissed) {
            let mut seen = seen.clone();
            seen.is_dismissed = true;
            let text = record::version_text(service, environment, version, &seen);
            let name = version_name(service, environment, version);
            records.push(Record::text(RecordKind::Version, &name, text));
        }
    }
    records.extend(gone_records(&deletion.id));
    records
}
