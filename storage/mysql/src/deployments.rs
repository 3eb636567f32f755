//! Deployments, reports, objectives and versions that spans have borne, in `tracehound_records`.
//!
//! What is decided about them is decided in memory ([`Register`]), which holds what the table holds. Every change bumps
//! one number, whose row whoever changes holds locked: first it reads what others changed, then it plans, writes and
//! commits, and only then takes the change itself. Whoever reads looks at the number first. So servers that share a
//! database are of one mind.

mod api;
mod records;

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Deployment, SpanBatch};
use parking_lot::RwLock;
use sqlx::{MySql, Transaction};
use storage::{Gathering, Register, Result, StorageError, record};

use crate::MySqlStore;
use crate::schema::Schema;
use records::{Kind, bump, changed_after, remove, revision, write};

/// What is known of the table.
#[derive(Debug, Default)]
pub(crate) struct Deployments {
    kept: RwLock<Kept>,
    /// Held by who changes the table, or takes over what others changed.
    turn: tokio::sync::Mutex<()>,
}

/// The register, and the revision of the table that it holds.
#[derive(Debug, Default)]
struct Kept {
    register: Register,
    revision: i64,
}

impl Kept {
    /// Takes a row over that another wrote; what cannot be read is told and left out.
    fn take(&mut self, kind: Kind, name: &[u8], body: Option<&[u8]>) {
        let name_text = String::from_utf8_lossy(name);
        let taken = match (kind, body) {
            (Kind::Deployment, Some(body)) => record::read_deployment(body).map(|deployment| {
                self.register.apply(deployment);
            }),
            (Kind::Deployment, None) => {
                if let Some(deletion) = self.register.plan_delete(&name_text) {
                    self.register.forget(&deletion);
                }
                Ok(())
            }
            (Kind::Slo, Some(body)) => record::read_slo(body).map(|slo| {
                self.register.apply_slo(slo);
            }),
            (Kind::Slo, None) => {
                self.register.forget_slo(&name_text);
                Ok(())
            }
            (Kind::Version, Some(body)) => {
                record::read_version(body).map(|(service, environment, version, seen)| {
                    self.register.restore(&service, environment, version, seen);
                })
            }
            (Kind::Version, None) | (Kind::Report, _) => Ok(()),
        };
        if let Err(error) = taken {
            tracing::error!(error, name = %name_text, "a row of tracehound_records cannot be read");
        }
    }
}

/// The name of a version's row.
fn version_name(service: &str, environment: &str, version: &str) -> Vec<u8> {
    [service, environment, version].join("\0").into_bytes()
}

impl MySqlStore {
    fn require_records(&self, schema: &Schema) -> Result<()> {
        if schema.has_records {
            return Ok(());
        }
        Err(StorageError::Unavailable(format!(
            "MySQL at {}: there is no table tracehound_records; set MYSQL_ENSURE_SCHEMA=true to have it created",
            self.config.server.place()
        )))
    }

    /// What others changed is known after this.
    async fn refresh(&self) -> Result<()> {
        let schema = self.schema().await?;
        self.require_records(&schema)?;
        let there = self
            .answer(async { revision(&mut *self.pool().acquire().await?, false).await })
            .await?;
        if self.deployments.kept.read().revision == there {
            return Ok(());
        }
        let _turn = self.deployments.turn.lock().await;
        let refreshed = async {
            let mut transaction = self.pool().begin().await?;
            let there = revision(&mut transaction, false).await?;
            self.take_over(&mut transaction, there).await?;
            transaction.commit().await
        };
        self.answer(refreshed).await
    }

    /// Reads what others wrote since; whoever calls has the turn.
    async fn take_over(&self, transaction: &mut Transaction<'_, MySql>, there: i64) -> sqlx::Result<()> {
        let known = self.deployments.kept.read().revision;
        if known == there {
            return Ok(());
        }
        let rows = changed_after(transaction, known).await?;
        let mut kept = self.deployments.kept.write();
        if there < known {
            // Another table than before.
            *kept = Kept::default();
        }
        for row in &rows {
            kept.take(row.kind, &row.name, row.body.as_deref());
        }
        kept.register.resolve_all();
        kept.revision = there;
        Ok(())
    }

    /// Begins a change: others wait until its transaction ends, and what they changed before is known.
    async fn begin_change(&self) -> Result<Transaction<'static, MySql>> {
        let schema = self.schema().await?;
        self.require_records(&schema)?;
        let begun = async {
            let mut transaction = self.pool().begin().await?;
            let there = revision(&mut transaction, true).await?;
            self.take_over(&mut transaction, there).await?;
            Ok(transaction)
        };
        self.answer(begun).await
    }

    /// Ends a change that was written; [`Kept`] is to take it after this.
    async fn end_change(&self, mut transaction: Transaction<'static, MySql>, to: i64) -> Result<()> {
        let ended = async {
            bump(&mut transaction, to).await?;
            transaction.commit().await
        };
        self.answer(ended).await
    }

    fn next_revision(&self) -> i64 {
        self.deployments.kept.read().revision + 1
    }

    /// Looks for versions that nobody has seen before.
    pub(crate) async fn note(&self, batch: &SpanBatch, schema: &Schema) -> Result<()> {
        if !schema.has_records {
            return Ok(());
        }
        let now_ms = (self.config.now)();
        let options = &self.config.options;
        let is_known = self.deployments.kept.read().revision != 0;
        if !is_known {
            self.refresh().await?;
        }
        let gathering = {
            let kept = self.deployments.kept.read();
            let gathering = Gathering::of(batch, options, |service, environment, version| {
                kept.register.interest(service, environment, version, now_ms)
            });
            if gathering
                .sightings()
                .all(|sighting| !kept.register.lacks(sighting))
            {
                return Ok(());
            }
            gathering
        };
        let _turn = self.deployments.turn.lock().await;
        let noted = self.write_sightings(&gathering, now_ms).await;
        if noted.is_err() {
            // It may hold what is not written: all of it is read again.
            *self.deployments.kept.write() = Kept::default();
        }
        noted
    }

    async fn write_sightings(&self, gathering: &Gathering<'_>, now_ms: u64) -> Result<()> {
        let mut transaction = self.begin_change().await?;
        let to = self.next_revision();
        let (written, gone) = {
            let mut kept = self.deployments.kept.write();
            let before = version_names(&kept.register);
            let mut changed = BTreeSet::new();
            for sighting in gathering.sightings() {
                if kept.register.sight(sighting, now_ms) {
                    changed.insert(version_name(
                        sighting.service_name,
                        sighting.environment,
                        sighting.version,
                    ));
                }
            }
            let after = version_names(&kept.register);
            let texts = kept
                .register
                .seen()
                .filter_map(|(service, environment, version, seen)| {
                    let name = version_name(service, environment, version);
                    let is_changed = changed.contains(&name);
                    is_changed.then(|| (name, record::version_text(service, environment, version, seen)))
                });
            let written: Vec<_> = texts.collect();
            let gone: Vec<_> = before.difference(&after).cloned().collect();
            (written, gone)
        };
        if written.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let rows = async {
            for (name, text) in &written {
                write(&mut transaction, Kind::Version, name, Some(text), to).await?;
            }
            for name in &gone {
                remove(&mut transaction, Kind::Version, name).await?;
            }
            Ok(())
        };
        self.answer(rows).await?;
        self.end_change(transaction, to).await?;
        self.deployments.kept.write().revision = to;
        Ok(())
    }

    /// Writes a deployment down and takes it; gives it as it is shown.
    async fn write_deployment(
        &self,
        mut transaction: Transaction<'static, MySql>,
        deployment: Deployment,
    ) -> Result<Arc<Deployment>> {
        let (id, to) = (deployment.id.clone(), self.next_revision());
        let text = record::deployment_text(&deployment);
        self.answer(write(
            &mut transaction,
            Kind::Deployment,
            id.as_bytes(),
            Some(&text),
            to,
        ))
        .await?;
        self.end_change(transaction, to).await?;
        let (gone, shown) = {
            let mut kept = self.deployments.kept.write();
            kept.revision = to;
            let gone = kept.register.apply(deployment);
            (gone, kept.register.get(&id).cloned())
        };
        for id in &gone {
            tracing::warn!(id, "the oldest deployment goes: there are as many as may be kept");
            self.remove_records(id).await?;
        }
        shown.ok_or_else(|| StorageError::Overloaded(format!("deployment \"{id}\" had to go at once")))
    }

    /// Marks the rows of a deployment as gone, and those of versions that are not to be inferred again.
    async fn remove_records(&self, id: &str) -> Result<()> {
        let mut transaction = self.begin_change().await?;
        let to = self.next_revision();
        let rows = async {
            write(&mut transaction, Kind::Report, id.as_bytes(), None, to).await?;
            write(&mut transaction, Kind::Deployment, id.as_bytes(), None, to).await
        };
        self.answer(rows).await?;
        self.end_change(transaction, to).await?;
        self.deployments.kept.write().revision = to;
        Ok(())
    }
}

fn version_names(register: &Register) -> BTreeSet<Vec<u8>> {
    let seen = register.seen();
    seen.map(|(service, environment, version, _)| version_name(service, environment, version))
        .collect()
}
