//! Deployments, reports of finished ones and objectives on disk, each a file of its own (`files.rs`), and the versions
//! that spans have borne in one (`versions.rs`). What is decided about them is in `storage::Register`.
//!
//! A change is written down and synced, then made in memory, then acknowledged; whoever changes holds `writer`, whoever
//! reads does not wait for the disk. Versions are written a little later, but before the journal lets go of the spans
//! that bore them: replayed, they tell the same again.

mod api;
mod files;
mod sightings;
mod versions;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::{Deployment, Slo};
use parking_lot::{Mutex, RwLock};
use storage::{
    DeploymentLimits, DeploymentPatch, PatchPlan, Patched, Put, PutPlan, Register, StorageError,
    StoreOptions, record,
};
use storage_journal::Disk;
use storage_record::RecordSpans;
use storage_record::bytes::Malformed;

use files::{Files, Kind};

pub(crate) use files::{DIRECTORY, examine};

/// Versions are written at most so often, and take at most a twentieth of the time: all of them are written at once.
const VERSIONS_PAUSE_MIN: Duration = Duration::from_secs(1);
const VERSIONS_PAUSE_FACTOR: u32 = 20;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Deployments {
    disk: Arc<dyn Disk>,
    register: RwLock<Register>,
    writer: Mutex<Writer>,
    /// Versions were seen that are not written down.
    is_unwritten: AtomicBool,
    /// What could not be read at the start.
    set_aside: Vec<String>,
}

/// Held by who changes anything, across the writing.
#[derive(Debug)]
struct Writer {
    files: Files,
    versions_due: Option<Instant>,
}

impl Deployments {
    /// Reads what is there. What is damaged stays where it is, and is told.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] where the directory cannot be read.
    pub(crate) fn open(disk: Arc<dyn Disk>, limits: DeploymentLimits) -> Result<Self, StorageError> {
        let (files, contents) = Files::open(disk.clone())?;
        let mut set_aside = contents.damaged;
        let mut register = Register::new(limits);
        let mut gone = Vec::new();
        for (name, text) in contents.deployments {
            match record::read_deployment(&text) {
                Ok(deployment) => gone.extend(register.apply(deployment)),
                Err(error) => set_aside.push(format!("{name}: {error}")),
            }
        }
        for (name, text) in contents.slos {
            match record::read_slo(&text) {
                Ok(slo) => {
                    register.apply_slo(slo);
                }
                Err(error) => set_aside.push(format!("{name}: {error}")),
            }
        }
        let damaged = versions::read(disk.as_ref(), &mut register)?;
        let is_unwritten = !damaged.is_empty();
        set_aside.extend(damaged);
        register.resolve_all();
        for reason in &set_aside {
            tracing::error!(
                reason,
                "a record of deployments is damaged and set aside; the others are there"
            );
        }
        let writer = Writer {
            files,
            versions_due: None,
        };
        let opened = Self {
            disk,
            register: RwLock::new(register),
            writer: Mutex::new(writer),
            is_unwritten: AtomicBool::new(is_unwritten),
            set_aside,
        };
        opened.remove_records(&mut opened.writer.lock(), &gone);
        Ok(opened)
    }

    /// What could not be read at the start, each with its file.
    pub(crate) fn set_aside(&self) -> &[String] {
        &self.set_aside
    }

    /// How often since the start a version was left out because there were too many.
    pub(crate) fn versions_left_out(&self) -> u64 {
        self.register.read().versions_left_out()
    }

    /// Looks for versions that nobody has seen before. To be called while the journal keeps the record of these spans.
    ///
    /// # Errors
    /// [`Malformed`] where what is within a row is not what was written.
    pub(crate) fn note(
        &self,
        spans: RecordSpans<'_>,
        options: &StoreOptions,
        now_ms: u64,
    ) -> Result<(), Malformed> {
        let register = self.register.read();
        let gathering = sightings::gather(spans, options, |service, environment, version| {
            register.interest(service, environment, version, now_ms)
        })?;
        let Some(gathering) = gathering else {
            return Ok(());
        };
        // Most batches of a fresh version bring nothing new: only for the others all wait.
        let lacks_any = gathering.sightings().any(|sighting| register.lacks(sighting));
        drop(register);
        if !lacks_any {
            return Ok(());
        }
        let mut register = self.register.write();
        let mut is_new = false;
        for sighting in gathering.sightings() {
            is_new |= register.sight(sighting, now_ms);
        }
        drop(register);
        if is_new {
            self.is_unwritten.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Writes versions down that were seen since, unless that was done a moment ago.
    pub(crate) fn write_versions_at_leisure(&self) -> Result<(), StorageError> {
        if !self.is_unwritten.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        let begin = Instant::now();
        if writer.versions_due.is_some_and(|due| begin < due) {
            return Ok(());
        }
        self.write_unwritten(&mut writer)?;
        let pause = (begin.elapsed() * VERSIONS_PAUSE_FACTOR).max(VERSIONS_PAUSE_MIN);
        writer.versions_due = Some(Instant::now() + pause);
        Ok(())
    }

    /// Writes every version down that was seen. To be called before the journal lets go of spans.
    pub(crate) fn write_versions(&self) -> Result<(), StorageError> {
        if !self.is_unwritten.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.write_unwritten(&mut self.writer.lock())
    }

    fn write_unwritten(&self, _writer: &mut Writer) -> Result<(), StorageError> {
        // Before they are read: what is seen from now on is written the next time.
        self.is_unwritten.store(false, Ordering::SeqCst);
        let bytes = versions::to_bytes(&self.register.read());
        let written = files::replace(self.disk.as_ref(), versions::NAME, &bytes);
        if written.is_err() {
            self.is_unwritten.store(true, Ordering::SeqCst);
        }
        written
    }

    fn put(&self, deployment: Deployment) -> Result<Put, StorageError> {
        let mut writer = self.writer.lock();
        let plan = self.register.read().plan_put(deployment)?;
        Ok(match plan {
            PutPlan::Add(deployment) => Put::Added(self.write(&mut writer, *deployment)?),
            PutPlan::Present(present) => Put::Present(present),
            PutPlan::Contradicts(what) => Put::Contradicts(what),
        })
    }

    fn patch(&self, id: &str, patch: DeploymentPatch) -> Result<Patched, StorageError> {
        let mut writer = self.writer.lock();
        let plan = self.register.read().plan_patch(id, patch)?;
        Ok(match plan {
            PatchPlan::Replace(deployment) => Patched::Done(self.write(&mut writer, *deployment)?),
            PatchPlan::Absent => Patched::Absent,
            PatchPlan::Contradicts(what) => Patched::Contradicts(what),
        })
    }

    /// Writes a deployment down and takes it; gives it as it is shown.
    fn write(&self, writer: &mut Writer, deployment: Deployment) -> Result<Arc<Deployment>, StorageError> {
        let id = deployment.id.clone();
        let text = record::deployment_text(&deployment);
        writer.files.write(Kind::Deployment, &id, &text)?;
        let mut register = self.register.write();
        let gone = register.apply(deployment);
        let shown = register.get(&id).cloned();
        drop(register);
        self.remove_records(writer, &gone);
        shown.ok_or_else(|| StorageError::Overloaded(format!("deployment \"{id}\" had to go at once")))
    }

    /// Removes the files of deployments that had to make room. One that stays has to go again at the next start.
    fn remove_records(&self, writer: &mut Writer, gone: &[String]) {
        for id in gone {
            tracing::warn!(id, "the oldest deployment goes: there are as many as may be kept");
            for kind in [Kind::Report, Kind::Deployment] {
                if let Err(error) = writer.files.remove(kind, id) {
                    tracing::warn!(%error, id, "the file of a deployment that went cannot be removed");
                }
            }
        }
    }

    fn delete(&self, id: &str) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        let Some(deletion) = self.register.read().plan_delete(id) else {
            return Ok(false);
        };
        if !deletion.dismissed.is_empty() {
            // First: a crash in between leaves the deployment, and not an inferred one in its place.
            self.register.write().dismiss(&deletion);
            self.is_unwritten.store(true, Ordering::SeqCst);
            self.write_unwritten(&mut writer)?;
        }
        writer.files.remove(Kind::Report, &deletion.id)?;
        writer.files.remove(Kind::Deployment, &deletion.id)?;
        self.register.write().forget(&deletion);
        Ok(true)
    }

    fn put_report(&self, id: &str, report: &[u8]) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        self.register.read().check_report(report)?;
        let Some(id) = self.shown_id(id) else {
            return Ok(false);
        };
        writer.files.write(Kind::Report, &id, report)?;
        Ok(true)
    }

    fn report(&self, id: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(id) = self.shown_id(id) else {
            return Ok(None);
        };
        self.writer.lock().files.read(Kind::Report, &id)
    }

    fn shown_id(&self, id: &str) -> Option<String> {
        let register = self.register.read();
        register.get(id).map(|deployment| deployment.id.clone())
    }

    fn put_slo(&self, slo: Slo) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        self.register.read().check_slo(&slo)?;
        writer
            .files
            .write(Kind::Slo, &slo.name, &record::slo_text(&slo))?;
        Ok(self.register.write().apply_slo(slo))
    }

    fn delete_slo(&self, name: &str) -> Result<bool, StorageError> {
        let mut writer = self.writer.lock();
        if !self.register.read().slos().contains_key(name) {
            return Ok(false);
        }
        writer.files.remove(Kind::Slo, name)?;
        Ok(self.register.write().forget_slo(name))
    }
}

/// Writes the versions anew from those that can be read, where some cannot; tells whether it did.
pub(crate) fn mend_versions(disk: Arc<dyn Disk>) -> Result<bool, StorageError> {
    let mut register = Register::new(DeploymentLimits::default());
    let is_damaged = !versions::read(disk.as_ref(), &mut register)?.is_empty();
    if is_damaged {
        files::replace(disk.as_ref(), versions::NAME, &versions::to_bytes(&register))?;
    }
    Ok(is_damaged)
}

/// The numbers of files, by what is in them.
type Numbers = HashMap<(Kind, String), u64>;
