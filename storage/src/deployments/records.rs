//! Deployments, reports, objectives and versions that spans have borne, as records of a table that servers share.
//!
//! What is decided about them is decided in memory ([`Register`]), which holds what the table holds. Every change has the
//! number after the one before, and a table takes it whole, or not at all where another came first: then what others
//! changed is read and the change is planned again. Whoever reads looks at the number first. So servers that share a
//! table are of one mind.

use std::collections::BTreeSet;
use std::time::Duration;

use model::SpanBatch;
use parking_lot::RwLock;

use super::{Gathering, Register, record};
use crate::{BoxFuture, Result, StorageError, StoreOptions};

/// How often a change is planned again because others changed something meanwhile, and how long it waits at first.
const ATTEMPTS_MAX: u32 = 12;
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A table of records that several servers may share, as [`DeploymentStore`](super::DeploymentStore) needs it: whoever
/// has one keeps deployments.
pub trait RecordTable: Send + Sync {
    /// What is known of the table.
    fn known_records(&self) -> &KnownRecords;

    /// The number of the last change; 0 before the first. Cheap: asked before every answer.
    fn revision(&self) -> BoxFuture<'_, Result<i64>>;

    /// The records that changes after one wrote, in the order of these, but for reports, which nobody keeps in memory.
    fn changed_after(&self, known: i64) -> BoxFuture<'_, Result<Changes>>;

    /// Writes records as the change after `last`, whole or not at all; false where `last` is not the last change any
    /// more. When it is true, whoever asks for the number afterwards MUST be told that of this change.
    fn change<'a>(&'a self, last: i64, records: &'a [Record]) -> BoxFuture<'a, Result<bool>>;

    /// The body of a record, as of the last change.
    fn body<'a>(&'a self, kind: RecordKind, name: &'a [u8]) -> BoxFuture<'a, Result<Option<Vec<u8>>>>;
}

/// What is in a record. The numbers are those that tables have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// [`record::deployment_text`], by its identifier.
    Deployment = 1,
    /// A report, by the identifier of its deployment.
    Report = 2,
    /// [`record::slo_text`], by its name.
    Slo = 3,
    /// [`record::version_text`], by service, environment and version, with zeros between them.
    Version = 4,
}

impl RecordKind {
    /// By its number.
    pub fn of(number: i64) -> Option<Self> {
        let kinds = [Self::Deployment, Self::Report, Self::Slo, Self::Version];
        kinds.into_iter().find(|&kind| kind as i64 == number)
    }
}

/// A record by its kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is in it.
    pub kind: RecordKind,
    /// Unique among those of its kind.
    pub name: Vec<u8>,
    /// What it says.
    pub body: RecordBody,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordBody {
    /// This.
    Text(Vec<u8>),
    /// Nothing any more, which others must hear of.
    Gone,
    /// Nothing any more; the record MAY be removed, for the others find out themselves. Never read.
    Forgotten,
}

impl Record {
    pub(super) fn text(kind: RecordKind, name: &[u8], text: Vec<u8>) -> Self {
        Self::new(kind, name, RecordBody::Text(text))
    }

    pub(super) fn gone(kind: RecordKind, name: &[u8]) -> Self {
        Self::new(kind, name, RecordBody::Gone)
    }

    fn new(kind: RecordKind, name: &[u8], body: RecordBody) -> Self {
        let name = name.to_vec();
        Self { kind, name, body }
    }
}

/// What changed after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The last change that these records include.
    pub revision: i64,
    /// What they are now; one MAY be as of a later change.
    pub records: Vec<Record>,
}

/// What a server knows of a [`RecordTable`].
#[derive(Debug, Default)]
pub struct KnownRecords {
    pub(super) kept: RwLock<Kept>,
    /// Held by who changes the table, or takes over what others changed.
    turn: tokio::sync::Mutex<()>,
}

/// The register, and the last change of the table that it holds.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) register: Register,
    revision: i64,
}

impl Kept {
    /// Takes a record over that another wrote; what cannot be read is told and left out.
    fn take(&mut self, record: &Record) {
        let name = String::from_utf8_lossy(&record.name);
        let taken = match (record.kind, &record.body) {
            (RecordKind::Deployment, RecordBody::Text(text)) => {
                record::read_deployment(text).map(|deployment| {
                    self.register.apply(deployment);
                })
            }
            (RecordKind::Deployment, _) => {
                if let Some(deletion) = self.register.plan_delete(&name) {
                    self.register.forget(&deletion);
                }
                Ok(())
            }
            (RecordKind::Slo, RecordBody::Text(text)) => record::read_slo(text).map(|slo| {
                self.register.apply_slo(slo);
            }),
            (RecordKind::Slo, _) => {
                self.register.forget_slo(&name);
                Ok(())
            }
            (RecordKind::Version, RecordBody::Text(text)) => {
                record::read_version(text).map(|(service, environment, version, seen)| {
                    self.register.restore(&service, environment, version, seen);
                })
            }
            (RecordKind::Version, _) | (RecordKind::Report, _) => Ok(()),
        };
        if let Err(error) = taken {
            tracing::error!(error, %name, "a record of the storage cannot be read");
        }
    }
}

/// The name of a version's record.
pub(super) fn version_name(service_name: &str, environment: &str, version: &str) -> Vec<u8> {
    [service_name, environment, version].join("\0").into_bytes()
}

/// What is to be done: to answer at once, or to write records and then to do the rest.
pub(super) enum Planned<A, W> {
    Answer(A),
    Write(Vec<Record>, W),
}

/// What was done.
pub(super) enum Made<A, W> {
    Answered(A),
    Written(W),
}

/// What others changed is known after this.
pub(super) async fn refresh(table: &impl RecordTable) -> Result<()> {
    let known = table.known_records();
    let there = table.revision().await?;
    if known.kept.read().revision == there {
        return Ok(());
    }
    let _turn = known.turn.lock().await;
    take_over(table).await
}

/// Reads what others changed since; whoever calls has the turn.
async fn take_over(table: &impl RecordTable) -> Result<()> {
    let kept = &table.known_records().kept;
    let known = kept.read().revision;
    let there = table.revision().await?;
    if known == there {
        return Ok(());
    }
    // Less than before is another table than before.
    let is_another = there < known;
    let changes = table.changed_after(if is_another { 0 } else { known }).await?;
    let mut kept = kept.write();
    if is_another {
        *kept = Kept::default();
    }
    changes.records.iter().for_each(|record| kept.take(record));
    kept.register.resolve_all();
    kept.revision = changes.revision;
    Ok(())
}

/// Makes a change as it is planned, and planned again where another came first; `apply` takes over what was written.
pub(super) async fn make<A, W, R>(
    table: &impl RecordTable,
    mut plan: impl FnMut(&Register) -> Result<Planned<A, W>>,
    apply: impl FnOnce(&mut Register, W) -> R,
) -> Result<Made<A, R>> {
    let known = table.known_records();
    let _turn = known.turn.lock().await;
    for attempt in 0..ATTEMPTS_MAX {
        pause(attempt).await;
        take_over(table).await?;
        let (last, planned) = {
            let kept = known.kept.read();
            (kept.revision, plan(&kept.register)?)
        };
        let (records, rest) = match planned {
            Planned::Answer(answer) => return Ok(Made::Answered(answer)),
            Planned::Write(records, rest) => (records, rest),
        };
        if table.change(last, &records).await? {
            let mut kept = known.kept.write();
            kept.revision = last + 1;
            return Ok(Made::Written(apply(&mut kept.register, rest)));
        }
    }
    Err(outrun())
}

async fn pause(attempt: u32) {
    if attempt > 0 {
        tokio::time::sleep((PAUSE * 2u32.pow(attempt - 1)).min(PAUSE_MAX)).await;
    }
}

fn outrun() -> StorageError {
    StorageError::Overloaded(format!(
        "others changed deployments {ATTEMPTS_MAX} times while this change was made"
    ))
}

/// Looks for versions in a batch that nobody has seen before, and writes them down; `now_ms` is milliseconds since the
/// epoch.
///
/// # Errors
/// As the table's own, and where others change it all the time.
pub async fn note_versions(
    table: &impl RecordTable,
    batch: &SpanBatch,
    options: &StoreOptions,
    now_ms: u64,
) -> Result<()> {
    let known = table.known_records();
    let is_known = known.kept.read().revision != 0;
    if !is_known {
        refresh(table).await?;
    }
    let gathering = {
        let kept = known.kept.read();
        let gathering = Gathering::of(batch, options, |service, environment, version| {
            kept.register.interest(service, environment, version, now_ms)
        });
        let is_known = |sighting| !kept.register.lacks(sighting);
        if gathering.sightings().all(is_known) {
            return Ok(());
        }
        gathering
    };
    let _turn = known.turn.lock().await;
    for attempt in 0..ATTEMPTS_MAX {
        pause(attempt).await;
        take_over(table).await?;
        let (last, records) = sight(&mut known.kept.write(), &gathering, now_ms);
        if records.is_empty() {
            return Ok(());
        }
        let changed = table.change(last, &records).await;
        if matches!(changed, Ok(true)) {
            known.kept.write().revision = last + 1;
            return Ok(());
        }
        // It holds what is not written: all of it is read again.
        *known.kept.write() = Kept::default();
        changed?;
    }
    Err(outrun())
}

/// Takes what spans tell; gives the last change, and the records to be written.
fn sight(kept: &mut Kept, gathering: &Gathering<'_>, now_ms: u64) -> (i64, Vec<Record>) {
    let before = version_names(&kept.register);
    let mut changed = BTreeSet::new();
    for sighting in gathering.sightings() {
        if kept.register.sight(sighting, now_ms) {
            let (service, version) = (sighting.service_name, sighting.version);
            changed.insert(version_name(service, sighting.environment, version));
        }
    }
    let after = version_names(&kept.register);
    let mut records = Vec::new();
    for (service, environment, version, seen) in kept.register.seen() {
        let name = version_name(service, environment, version);
        if changed.contains(&name) {
            let text = record::version_text(service, environment, version, seen);
            records.push(Record::text(RecordKind::Version, &name, text));
        }
    }
    let forgotten = before.difference(&after);
    records.extend(forgotten.map(|name| Record::new(RecordKind::Version, name, RecordBody::Forgotten)));
    (kept.revision, records)
}

fn version_names(register: &Register) -> BTreeSet<Vec<u8>> {
    let seen = register.seen();
    seen.map(|(service, environment, version, _)| version_name(service, environment, version))
        .collect()
}
