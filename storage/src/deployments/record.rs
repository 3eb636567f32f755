//! Deployments, objectives and versions as JSON in records: files of the segment store, rows of others. Fields that are
//! not known are an error: nobody else writes these.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Deployment, Indicator, Slo, Strategy, SwitchedInstance};
use serde::{Deserialize, Serialize};

use super::SeenVersion;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeploymentJson {
    id: String,
    service_name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    start_ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_ts: Option<u64>,
    instances: Vec<InstanceJson>,
    metadata: BTreeMap<String, String>,
    inferred: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InstanceJson {
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    switch_ts: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SloJson {
    name: String,
    service_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_name: Option<String>,
    /// Of latency; availability without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_ms: Option<u64>,
    objective: f64,
    window_days: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VersionJson {
    service_name: String,
    /// Empty where spans bear none.
    environment: String,
    version: String,
    first_ts: u64,
    changed_ms: u64,
    /// Address, port, and when its first span began.
    instances: Vec<(IpAddr, u16, u64)>,
    dismissed: bool,
}

/// Texts, numbers and lists of them: there is nothing in it that JSON cannot say.
fn text(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// A deployment, as [`read_deployment`] reads it.
pub fn deployment_text(deployment: &Deployment) -> Vec<u8> {
    let instances = deployment.instances.iter().map(|instance| InstanceJson {
        ip: instance.ip,
        port: instance.port,
        switch_ts: instance.switch_ts,
    });
    text(&DeploymentJson {
        id: deployment.id.clone(),
        service_name: deployment.service_name.clone(),
        version: deployment.version.clone(),
        previous_version: deployment.previous_version.clone(),
        environment: deployment.environment.clone(),
        strategy: deployment.strategy.map(|strategy| strategy.name().to_owned()),
        start_ts: deployment.start_ts,
        end_ts: deployment.end_ts,
        rolled_back_ts: deployment.rolled_back_ts,
        instances: instances.collect(),
        metadata: deployment.metadata.clone(),
        inferred: deployment.is_inferred,
    })
}

/// Reads a deployment, as it was declared.
///
/// # Errors
/// What is wrong, in words.
pub fn read_deployment(text: &[u8]) -> Result<Deployment, String> {
    let read: DeploymentJson = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let strategy = read.strategy.map(|name| {
        name.parse::<Strategy>()
            .map_err(|error| format!("strategy {error}"))
    });
    let instances = read.instances.into_iter().map(|instance| SwitchedInstance {
        switch_ts: instance.switch_ts,
        ip: instance.ip,
        port: instance.port,
    });
    Ok(Deployment {
        id: read.id,
        service_name: read.service_name,
        version: read.version,
        previous_version: read.previous_version,
        environment: read.environment,
        strategy: strategy.transpose()?,
        start_ts: read.start_ts,
        end_ts: read.end_ts,
        rolled_back_ts: read.rolled_back_ts,
        instances: instances.collect(),
        metadata: read.metadata,
        is_inferred: read.inferred,
        is_rollback: false,
        superseded_by: None,
    })
}

/// An objective, as [`read_slo`] reads it.
pub fn slo_text(slo: &Slo) -> Vec<u8> {
    text(&SloJson {
        name: slo.name.clone(),
        service_name: slo.service_name.clone(),
        span_name: slo.span_name.clone(),
        threshold_ms: match slo.indicator {
            Indicator::Availability => None,
            Indicator::Latency { threshold_ms } => Some(threshold_ms),
        },
        objective: slo.objective,
        window_days: slo.window_days,
    })
}

/// Reads an objective.
///
/// # Errors
/// What is wrong, in words.
pub fn read_slo(text: &[u8]) -> Result<Slo, String> {
    let read: SloJson = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let latency = read
        .threshold_ms
        .map(|threshold_ms| Indicator::Latency { threshold_ms });
    Ok(Slo {
        name: read.name,
        service_name: read.service_name,
        span_name: read.span_name,
        indicator: latency.unwrap_or(Indicator::Availability),
        objective: read.objective,
        window_days: read.window_days,
    })
}

/// A version that was seen, as [`read_version`] reads it.
pub fn version_text(service_name: &str, environment: &str, version: &str, seen: &SeenVersion) -> Vec<u8> {
    let instances = seen
        .instances
        .iter()
        .map(|(&(ip, port), &first_ts)| (ip, port, first_ts));
    text(&VersionJson {
        service_name: service_name.to_owned(),
        environment: environment.to_owned(),
        version: version.to_owned(),
        first_ts: seen.first_ts,
        changed_ms: seen.changed_ms,
        instances: instances.collect(),
        dismissed: seen.is_dismissed,
    })
}

/// Service, environment, version, and what is known of it.
///
/// # Errors
/// What is wrong, in words.
pub fn read_version(text: &[u8]) -> Result<(String, String, String, SeenVersion), String> {
    let read: VersionJson = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let instances = read
        .instances
        .into_iter()
        .map(|(ip, port, first_ts)| ((ip, port), first_ts));
    let seen = SeenVersion {
        first_ts: read.first_ts,
        changed_ms: read.changed_ms,
        instances: instances.collect(),
        is_dismissed: read.dismissed,
    };
    Ok((read.service_name, read.environment, read.version, seen))
}
