//! All deployments, versions and objectives of a store, in memory: what is decided about them.
//!
//! A change is planned first and then applied, so that a durable store can write it down in between; whoever plans
//! MUST keep others from changing anything until it is applied. Nothing here takes longer than what is kept of one
//! service asks for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::{Deployment, Slo, environments_agree};

use super::declaration::{contradiction, identifier, normalise, of_inferred};
use super::resolve::resolve;
use super::seen::{Interest, SeenVersion, SeenVersions, Sighted, Sighting};
use super::{DeploymentLimits, DeploymentPatch, DeploymentQuery, History};
use crate::{Result, StorageError};

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Register {
    limits: DeploymentLimits,
    /// As they were declared, by identifier.
    declared: HashMap<String, Deployment>,
    /// Asked for every version of every batch.
    services: HashMap<String, Service, RandomState>,
    /// As they are shown, by start and identifier.
    shown: BTreeMap<(u64, String), Arc<Deployment>>,
    /// The start of each that is shown; of those that were absorbed, the identifier of who did.
    starts: HashMap<String, u64>,
    absorbed: HashMap<String, String>,
    versions: usize,
    versions_left_out: u64,
    slos: BTreeMap<String, Slo>,
}

#[derive(Debug, Default)]
struct Service {
    /// Identifiers of those declared.
    declared: Vec<String>,
    seen: SeenVersions,
    history: History,
    absorbed: Vec<(String, String)>,
}

/// What is to be done for a declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutPlan {
    /// To be written down, then given to [`Register::apply`].
    Add(Box<Deployment>),
    /// It is there.
    Present(Arc<Deployment>),
    /// See [`super::Put::Contradicts`].
    Contradicts(String),
}

/// What is to be done for a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PatchPlan {
    /// To be written down in the place of what was there, then given to [`Register::apply`].
    Replace(Box<Deployment>),
    /// There is no such deployment.
    Absent,
    /// See [`super::Patched::Contradicts`].
    Contradicts(String),
}

/// What is to be done to forget a deployment: given to [`Register::forget`], then the record of the deployment, if it
/// has one, may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The identifier of the deployment.
    pub id: String,
    /// Its service.
    pub service_name: String,
    /// Whether it was written down.
    pub is_declared: bool,
    /// Environments and versions that must not be inferred again.
    pub dismissed: Vec<(String, String)>,
}

impl Register {
    /// An empty one.
    pub fn new(limits: DeploymentLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// The bounds it keeps.
    pub fn limits(&self) -> &DeploymentLimits {
        &self.limits
    }

    /// How many deployments are shown.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// How often a version was not taken because there are too many.
    pub fn versions_left_out(&self) -> u64 {
        self.versions_left_out
    }

    /// See [`super::DeploymentStore::deployment`].
    pub fn get(&self, id: &str) -> Option<&Arc<Deployment>> {
        let id = self.absorbed.get(id).map_or(id, String::as_str);
        let start = *self.starts.get(id)?;
        self.shown.get(&(start, id.to_owned()))
    }

    /// See [`super::DeploymentStore::deployments`].
    pub fn list(&self, query: &DeploymentQuery) -> Vec<Arc<Deployment>> {
        let end_ts = query.end_ts.unwrap_or(u64::MAX);
        let begin = query
            .lookback
            .map_or(0, |lookback| end_ts.saturating_sub(lookback));
        let is_wanted = |deployment: &&Arc<Deployment>| {
            let of_service = query.service_name.as_ref();
            of_service.is_none_or(|name| *name == deployment.service_name)
                && (begin..=end_ts).contains(&deployment.start_ts)
                && environments_agree(query.environment.as_deref(), deployment.environment.as_deref())
        };
        let newest = |found: Vec<Arc<Deployment>>| {
            let mut found = found;
            found.sort_by(|a, b| b.start_ts.cmp(&a.start_ts).then_with(|| a.id.cmp(&b.id)));
            found.truncate(query.limit);
            found
        };
        match &query.service_name {
            Some(name) => newest(self.history(name).iter().filter(is_wanted).cloned().collect()),
            None => {
                let range = (begin, String::new())..;
                newest(
                    self.shown
                        .range(range)
                        .map(|one| one.1)
                        .filter(is_wanted)
                        .cloned()
                        .collect(),
                )
            }
        }
    }

    /// See [`super::DeploymentStore::history`].
    pub fn history(&self, service_name: &str) -> History {
        let service = self.services.get(service_name);
        service.map_or_else(|| Arc::from([]), |service| service.history.clone())
    }

    /// Says what is to be done for a declaration; an empty identifier asks for one.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] where a bound is reached that only this deployment could make room for.
    pub fn plan_put(&self, mut deployment: Deployment) -> Result<PutPlan> {
        normalise(&mut deployment);
        self.check_bounds(&deployment)?;
        let given = Some(deployment.id.as_str()).filter(|id| !id.is_empty());
        if let Some(present) = given.and_then(|id| self.get(id)) {
            return Ok(
                match contradiction(present, self.declared.get(&present.id), &deployment) {
                    Some(what) => PutPlan::Contradicts(what),
                    None => PutPlan::Present(present.clone()),
                },
            );
        }
        let same = self.declared_of(&deployment.service_name).find(|declared| {
            declared.version == deployment.version
                && declared.environment == deployment.environment
                && declared.start_ts == deployment.start_ts
        });
        if let Some(same) = same {
            let present = self.get(&same.id).filter(|_| given.is_none());
            let what = contradiction(same, Some(same), &deployment);
            return Ok(match (present, what) {
                (Some(present), None) => PutPlan::Present(present.clone()),
                (_, Some(what)) => PutPlan::Contradicts(what),
                (None, None) => {
                    let what = format!("id: the same deployment is there as \"{}\"", same.id);
                    PutPlan::Contradicts(what)
                }
            });
        }
        self.check_age(&deployment)?;
        if deployment.id.is_empty() {
            deployment.id = self.free_id(&deployment);
        }
        Ok(PutPlan::Add(Box::new(deployment)))
    }

    /// Says what is to be done for a change. One of an inferred deployment makes a record of it.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] where the change does not fit what is there, or is beyond a bound.
    pub fn plan_patch(&self, id: &str, patch: DeploymentPatch) -> Result<PatchPlan> {
        let Some(shown) = self.get(id) else {
            return Ok(PatchPlan::Absent);
        };
        let mut changed = match self.declared.get(&shown.id) {
            Some(declared) => declared.clone(),
            None => of_inferred(shown),
        };
        for (field, there, told) in [
            ("endTs", &mut changed.end_ts, patch.end_ts),
            ("rolledBackTs", &mut changed.rolled_back_ts, patch.rolled_back_ts),
        ] {
            let Some(told) = told else { continue };
            match *there {
                Some(there) if there != told => {
                    let what = format!(
                        "{field}: {told} contradicts {there} of deployment \"{}\"",
                        shown.id
                    );
                    return Ok(PatchPlan::Contradicts(what));
                }
                _ => *there = Some(told),
            }
            if told < changed.start_ts {
                let what = format!("{field}: {told} is before startTs, which is {}", changed.start_ts);
                return Err(StorageError::Invalid(what));
            }
        }
        let mut there: HashMap<_, u64> = HashMap::new();
        there.extend(
            changed
                .instances
                .iter()
                .map(|one| ((one.ip, one.port), one.switch_ts)),
        );
        for instance in patch.instances {
            match there.insert((instance.ip, instance.port), instance.switch_ts) {
                None => changed.instances.push(instance),
                Some(switch_ts) if switch_ts == instance.switch_ts => {}
                Some(switch_ts) => {
                    let what = format!(
                        "instances: switchTs {} of {} contradicts {switch_ts} of deployment \"{}\"",
                        instance.switch_ts, instance.ip, shown.id
                    );
                    return Ok(PatchPlan::Contradicts(what));
                }
            }
        }
        changed.metadata.extend(patch.metadata);
        normalise(&mut changed);
        self.check_bounds(&changed)?;
        Ok(PatchPlan::Replace(Box::new(changed)))
    }

    /// Takes a deployment as it was planned, or as it was written down; gives the identifiers of those that had to go
    /// to make room.
    pub fn apply(&mut self, deployment: Deployment) -> Vec<String> {
        let (id, service_name) = (deployment.id.clone(), deployment.service_name.clone());
        if self.declared.insert(id.clone(), deployment).is_none() {
            let service = self.services.entry(service_name.clone()).or_default();
            service.declared.push(id);
        }
        let mut gone = Vec::new();
        if let Some(oldest) = self.beyond_bounds(&service_name) {
            self.remove(&oldest);
            gone.push(oldest);
        }
        self.resolve(&service_name);
        gone
    }

    /// What forgetting a deployment takes; `None` where there is none.
    pub fn plan_delete(&self, id: &str) -> Option<Deletion> {
        let shown = self.get(id)?;
        let service = self.services.get(&shown.service_name)?;
        let absorbed = service.absorbed.iter().filter(|absorbed| absorbed.1 == shown.id);
        let ids: Vec<&str> = absorbed
            .map(|absorbed| absorbed.0.as_str())
            .chain(std::iter::once(shown.id.as_str()))
            .collect();
        let versions = service
            .seen
            .iter()
            .filter(|(_, version, _)| *version == shown.version);
        let dismissed = versions.filter(|(environment, version, _)| {
            let inferred = super::resolve::inferred_id(&shown.service_name, environment, version);
            ids.contains(&inferred.as_str())
        });
        Some(Deletion {
            id: shown.id.clone(),
            service_name: shown.service_name.clone(),
            is_declared: self.declared.contains_key(&shown.id),
            dismissed: dismissed
                .map(|(environment, version, _)| (environment.to_owned(), version.to_owned()))
                .collect(),
        })
    }

    /// Forgets a deployment as it was planned.
    pub fn forget(&mut self, deletion: &Deletion) {
        self.dismiss(deletion);
        self.remove(&deletion.id);
        self.resolve(&deletion.service_name);
    }

    /// The first half of [`Register::forget`]: what would be inferred in its place is not shown any more.
    pub fn dismiss(&mut self, deletion: &Deletion) {
        let Some(service) = self.services.get_mut(&deletion.service_name) else {
            return;
        };
        for (environment, version) in &deletion.dismissed {
            if let Some(seen) = service.seen.get_mut(environment, version) {
                seen.is_dismissed = true;
            }
        }
    }

    /// Whether spans of a version may bring something new; `now_ms` by the server's clock.
    pub fn interest(&self, service_name: &str, environment: &str, version: &str, now_ms: u64) -> Interest {
        match self.services.get(service_name) {
            Some(service) => service.seen.interest(environment, version, now_ms),
            None => Interest::Fresh,
        }
    }

    /// Whether [`Register::sight`] would change anything.
    pub fn lacks(&self, sighting: &Sighting<'_>) -> bool {
        let service = self.services.get(sighting.service_name);
        service.is_none_or(|service| service.seen.lacks(sighting, &self.limits))
    }

    /// Takes what spans tell; true where anything of it was new.
    pub fn sight(&mut self, sighting: &Sighting<'_>, now_ms: u64) -> bool {
        let has_room = self.versions < self.limits.versions_max;
        if !has_room && !self.services.contains_key(sighting.service_name) {
            self.versions_left_out += 1;
            return false;
        }
        let service = self.services.entry(sighting.service_name.to_owned()).or_default();
        let before = service.seen.count();
        let sighted = service.seen.sight(sighting, now_ms, &self.limits, has_room);
        self.versions = self.versions - before + service.seen.count();
        match sighted {
            Sighted::Known => false,
            Sighted::LeftOut => {
                self.versions_left_out += 1;
                false
            }
            Sighted::New => {
                self.resolve(sighting.service_name);
                true
            }
        }
    }

    /// Takes back what [`Register::seen`] gave to another.
    pub fn restore(&mut self, service_name: &str, environment: String, version: String, seen: SeenVersion) {
        let service = self.services.entry(service_name.to_owned()).or_default();
        let before = service.seen.count();
        service.seen.restore(environment, version, seen);
        self.versions = self.versions - before + service.seen.count();
    }

    /// To be called after all that [`Register::restore`] took.
    pub fn resolve_all(&mut self) {
        let names: Vec<String> = self.services.keys().cloned().collect();
        names.iter().for_each(|name| self.resolve(name));
    }

    /// Service, environment, version, and what is known of it, of all that was seen, in no particular order.
    pub fn seen(&self) -> impl Iterator<Item = (&str, &str, &str, &SeenVersion)> {
        self.services.iter().flat_map(|(name, service)| {
            let seen = service.seen.iter();
            seen.map(move |(environment, version, seen)| (name.as_str(), environment, version, seen))
        })
    }

    /// Whether a report may be kept.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] where it is too long.
    pub fn check_report(&self, report: &[u8]) -> Result<()> {
        let most = self.limits.report_bytes_max;
        if report.len() <= most {
            return Ok(());
        }
        let what = format!("a report of {} bytes, more than {most}", report.len());
        Err(StorageError::Invalid(what))
    }

    /// Whether an objective may be kept.
    ///
    /// # Errors
    /// [`StorageError::Invalid`] where there are too many.
    pub fn check_slo(&self, slo: &Slo) -> Result<()> {
        if self.slos.len() < self.limits.slos_max || self.slos.contains_key(&slo.name) {
            return Ok(());
        }
        Err(StorageError::Invalid(format!(
            "there are {} objectives, as many as there may be; delete one first",
            self.slos.len()
        )))
    }

    /// Takes an objective; true where there was none of its name.
    pub fn apply_slo(&mut self, slo: Slo) -> bool {
        self.slos.insert(slo.name.clone(), slo).is_none()
    }

    /// Forgets an objective.
    pub fn forget_slo(&mut self, name: &str) -> bool {
        self.slos.remove(name).is_some()
    }

    /// All objectives, by name.
    pub fn slos(&self) -> &BTreeMap<String, Slo> {
        &self.slos
    }

    fn declared_of(&self, service_name: &str) -> impl Iterator<Item = &Deployment> {
        let ids = self
            .services
            .get(service_name)
            .map(|service| service.declared.as_slice());
        let ids = ids.unwrap_or_default().iter();
        ids.filter_map(|id| self.declared.get(id))
    }

    fn check_bounds(&self, deployment: &Deployment) -> Result<()> {
        let limits = &self.limits;
        let metadata = deployment.metadata.iter();
        let metadata_bytes: usize = metadata.map(|(key, value)| key.len() + value.len()).sum();
        for (what, is, most) in [
            ("instances", deployment.instances.len(), limits.instances_max),
            (
                "metadata: entries",
                deployment.metadata.len(),
                limits.metadata_entries_max,
            ),
            ("metadata: bytes", metadata_bytes, limits.metadata_bytes_max),
        ] {
            if is > most {
                return Err(StorageError::Invalid(format!("{what}: {is}, more than {most}")));
            }
        }
        Ok(())
    }

    /// One that would have to go at once is not taken.
    fn check_age(&self, deployment: &Deployment) -> Result<()> {
        let is_oldest = |other: &Deployment| other.start_ts >= deployment.start_ts;
        let of_service: Vec<_> = self.declared_of(&deployment.service_name).collect();
        let too_many_of_service =
            of_service.len() >= self.limits.service_deployments_max && of_service.into_iter().all(is_oldest);
        let too_many =
            self.declared.len() >= self.limits.deployments_max && self.declared.values().all(is_oldest);
        if too_many_of_service || too_many {
            let what = "startTs: older than every deployment that is kept, and there is no room for more";
            return Err(StorageError::Invalid(what.to_owned()));
        }
        Ok(())
    }

    /// The oldest declared deployment, where there are too many.
    fn beyond_bounds(&self, service_name: &str) -> Option<String> {
        let of_service = self.declared_of(service_name).count();
        let age = |other: &&Deployment| (other.start_ts, other.id.clone());
        let oldest = if of_service > self.limits.service_deployments_max {
            self.declared_of(service_name).min_by_key(age)
        } else if self.declared.len() > self.limits.deployments_max {
            self.declared.values().min_by_key(age)
        } else {
            None
        };
        oldest.map(|oldest| oldest.id.clone())
    }

    fn remove(&mut self, id: &str) {
        let Some(removed) = self.declared.remove(id) else {
            return;
        };
        if let Some(service) = self.services.get_mut(&removed.service_name) {
            service.declared.retain(|other| other != id);
        }
        self.resolve(&removed.service_name);
    }

    /// Finds out anew what is shown of a service.
    fn resolve(&mut self, service_name: &str) {
        let Some(service) = self.services.get_mut(service_name) else {
            return;
        };
        for deployment in service.history.iter() {
            self.shown.remove(&(deployment.start_ts, deployment.id.clone()));
            self.starts.remove(&deployment.id);
        }
        for (absorbed, _) in &service.absorbed {
            self.absorbed.remove(absorbed);
        }
        let declared = service.declared.iter().filter_map(|id| self.declared.get(id));
        let resolved = resolve(service_name, &declared.collect::<Vec<_>>(), &service.seen);
        for deployment in &resolved.shown {
            let key = (deployment.start_ts, deployment.id.clone());
            self.shown.insert(key, deployment.clone());
            self.starts.insert(deployment.id.clone(), deployment.start_ts);
        }
        self.absorbed.extend(resolved.absorbed.iter().cloned());
        service.history = resolved.shown.into();
        service.absorbed = resolved.absorbed;
        if service.declared.is_empty() && service.seen.count() == 0 {
            self.services.remove(service_name);
        }
    }

    /// An identifier for a deployment that was given none: always the same, unless another has it.
    fn free_id(&self, deployment: &Deployment) -> String {
        let id = identifier(&[
            "declared",
            &deployment.service_name,
            &deployment.version,
            deployment.environment.as_deref().unwrap_or_default(),
            &deployment.start_ts.to_string(),
        ]);
        let others = (2..).map(|number| format!("{id}-{number}"));
        let mut ids = std::iter::once(id.clone()).chain(others);
        let free = ids.find(|id| self.get(id).is_none());
        free.unwrap_or(id)
    }
}
