//! The deployments of one service as they are shown: declared ones, inferred ones that none of them absorbs, and what
//! each is to the others.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Deployment, SwitchedInstance, environments_agree};

use super::seen::{SeenVersion, SeenVersions};

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Oldest first.
    pub(super) shown: Vec<Arc<Deployment>>,
    /// Of inferred deployments that were absorbed: their identifier, and that of the one that did.
    pub(super) absorbed: Vec<(String, String)>,
}

/// A version that was seen.
struct Candidate<'a> {
    id: String,
    environment: Option<&'a str>,
    version: &'a str,
    seen: &'a SeenVersion,
    /// It was there when somebody began to look.
    is_first: bool,
}

/// What was live from some moment on.
struct Live<'a> {
    from: u64,
    environment: Option<String>,
    version: &'a str,
}

pub(super) fn resolve(service_name: &str, declared: &[&Deployment], seen: &SeenVersions) -> Resolved {
    let candidates = candidates(service_name, seen);
    let starts = starts(declared, &candidates);
    let mut absorbed = Vec::new();
    let mut shown: Vec<Deployment> = declared.iter().copied().cloned().collect();
    let by_version = by_version(declared);
    for candidate in &candidates {
        let of_version = by_version.get(candidate.version).map_or(&[][..], Vec::as_slice);
        let mut of_version = of_version.iter();
        let absorbing = of_version.find(|&&index| is_same_event(declared[index], candidate, &starts));
        if let Some(&index) = absorbing {
            if shown[index].instances.is_empty() {
                shown[index].instances = instances(candidate.seen);
            }
            absorbed.push((candidate.id.clone(), shown[index].id.clone()));
        } else if !candidate.is_first && !candidate.seen.is_dismissed {
            shown.push(candidate.to_deployment(service_name));
        }
    }
    shown.sort_by(|a, b| (a.start_ts, &a.id).cmp(&(b.start_ts, &b.id)));
    relate(&mut shown, &candidates);
    absorbed.retain(|(from, to)| from != to);
    Resolved {
        shown: shown.into_iter().map(Arc::new).collect(),
        absorbed,
    }
}

/// The identifier of the inferred deployment of a version.
pub(super) fn inferred_id(service_name: &str, environment: &str, version: &str) -> String {
    super::declaration::identifier(&["inferred", service_name, environment, version])
}

fn candidates<'a>(service_name: &str, seen: &'a SeenVersions) -> Vec<Candidate<'a>> {
    let mut first: HashMap<&str, (u64, &str)> = HashMap::new();
    for (environment, version, seen) in seen.iter() {
        let own = (seen.first_ts, version);
        let first = first.entry(environment).or_insert(own);
        *first = (*first).min(own);
    }
    let candidates = seen.iter().map(|(environment, version, seen)| Candidate {
        id: inferred_id(service_name, environment, version),
        environment: Some(environment).filter(|environment| !environment.is_empty()),
        version,
        seen,
        is_first: first.get(environment).is_some_and(|first| first.1 == version),
    });
    let mut candidates: Vec<_> = candidates.collect();
    candidates.sort_by(|a, b| (a.seen.first_ts, &a.id).cmp(&(b.seen.first_ts, &b.id)));
    candidates
}

/// When which version began in which environment, by time.
fn starts<'a>(
    declared: &[&'a Deployment],
    candidates: &[Candidate<'a>],
) -> Vec<(u64, Option<&'a str>, &'a str)> {
    let declared = declared
        .iter()
        .map(|one| (one.start_ts, one.environment.as_deref(), one.version.as_str()));
    let inferred = candidates
        .iter()
        .map(|one| (one.seen.first_ts, one.environment, one.version));
    let mut starts: Vec<_> = declared.chain(inferred).collect();
    starts.sort_unstable();
    starts
}

fn by_version<'a>(declared: &[&'a Deployment]) -> HashMap<&'a str, Vec<usize>> {
    let mut by_version: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, deployment) in declared.iter().enumerate() {
        by_version.entry(&deployment.version).or_default().push(index);
    }
    by_version
}

/// Whether a declared deployment is what spans of its version told: no other version began between the two.
fn is_same_event(
    declared: &Deployment,
    candidate: &Candidate<'_>,
    starts: &[(u64, Option<&str>, &str)],
) -> bool {
    let environment = declared.environment.as_deref();
    if !environments_agree(environment, candidate.environment) {
        return false;
    }
    let (one, other) = (declared.start_ts, candidate.seen.first_ts);
    let (from, to) = (one.min(other), one.max(other));
    let after = starts.partition_point(|start| start.0 <= from);
    let mut between = starts[after..].iter().take_while(|start| start.0 < to);
    !between.any(|(_, of, version)| {
        *version != declared.version
            && environments_agree(environment, *of)
            && environments_agree(candidate.environment, *of)
    })
}

impl Candidate<'_> {
    fn to_deployment(&self, service_name: &str) -> Deployment {
        Deployment {
            id: self.id.clone(),
            service_name: service_name.to_owned(),
            version: self.version.to_owned(),
            environment: self.environment.map(str::to_owned),
            start_ts: self.seen.first_ts,
            instances: instances(self.seen),
            is_inferred: true,
            ..Deployment::default()
        }
    }
}

fn instances(seen: &SeenVersion) -> Vec<SwitchedInstance> {
    let instances = seen
        .instances
        .iter()
        .map(|(&(ip, port), &switch_ts)| SwitchedInstance {
            switch_ts,
            ip,
            port: Some(port).filter(|&port| port != 0),
        });
    let mut instances: Vec<_> = instances.collect();
    instances.sort_unstable();
    instances
}

/// Finds what each replaces, whether that was there before, and what came next.
fn relate(shown: &mut [Deployment], candidates: &[Candidate<'_>]) {
    let mut lives: Vec<Live<'_>> = Vec::new();
    let mut first = candidates
        .iter()
        .filter(|candidate| candidate.is_first)
        .peekable();
    let mut replaced: Vec<(Option<String>, bool)> = Vec::with_capacity(shown.len());
    for deployment in shown.iter() {
        while let Some(candidate) = first.next_if(|first| first.seen.first_ts <= deployment.start_ts) {
            lives.push(Live {
                from: candidate.seen.first_ts,
                environment: candidate.environment.map(str::to_owned),
                version: candidate.version,
            });
        }
        let (previous, is_rollback) = find_previous(deployment, &lives);
        let previous_version = deployment.previous_version.as_deref().or(previous);
        replaced.push((previous_version.map(str::to_owned), is_rollback));
        lives.push(Live {
            from: deployment.start_ts,
            environment: deployment.environment.clone(),
            version: &deployment.version,
        });
        if let (Some(from), Some(version)) = (deployment.rolled_back_ts, previous_version) {
            let environment = deployment.environment.clone();
            lives.push(Live {
                from,
                environment,
                version,
            });
        }
    }
    for (deployment, (previous_version, is_rollback)) in shown.iter_mut().zip(replaced) {
        deployment.previous_version = previous_version;
        deployment.is_rollback = is_rollback;
    }
    for index in 0..shown.len() {
        let (before, after) = shown.split_at_mut(index + 1);
        let Some(deployment) = before.last_mut() else {
            continue;
        };
        let environment = deployment.environment.as_deref();
        let next = after
            .iter()
            .find(|next| environments_agree(environment, next.environment.as_deref()));
        deployment.superseded_by = next.map(|next| next.id.clone());
    }
}

/// The version that was live last before a deployment and is not its own, and whether its own was before that.
fn find_previous<'a>(deployment: &Deployment, lives: &[Live<'a>]) -> (Option<&'a str>, bool) {
    let environment = deployment.environment.as_deref();
    let before = lives.iter().filter(|live| {
        live.from <= deployment.start_ts && environments_agree(environment, live.environment.as_deref())
    });
    let (mut previous, mut own): (Option<&Live<'_>>, Option<&Live<'_>>) = (None, None);
    for live in before {
        if live.version == deployment.version {
            own = own.filter(|own| own.from <= live.from).or(Some(live));
        } else if previous.is_none_or(|previous| previous.from <= live.from) {
            previous = Some(live);
        }
    }
    let is_rollback = match (previous, own) {
        (Some(previous), Some(own)) => own.from < previous.from,
        _ => false,
    };
    (previous.map(|previous| previous.version), is_rollback)
}
