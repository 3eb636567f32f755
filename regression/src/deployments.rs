//! Deployments as the API reads and writes them.

pub(crate) mod http;

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{Deployment, IpAddresses, Strategy, SwitchedInstance};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use storage::{DeploymentLimits, DeploymentPatch};

use crate::fields::{Fields, Wrong, check_text};

/// Bytes of a service name, version or environment.
const NAME_BYTES_MAX: usize = 256;
/// Bytes of an identifier.
const ID_BYTES_MAX: usize = 128;
/// Identifiers that stand for something else in paths.
const RESERVED: [&str; 3] = ["events", ".", ".."];

/// The deployment that a body declares; its identifier is empty where it gives none.
pub(crate) fn read(body: &Value, limits: &DeploymentLimits) -> Result<Deployment, Wrong> {
    let expected = [
        "id",
        "serviceName",
        "version",
        "previousVersion",
        "environment",
        "strategy",
        "startTs",
        "endTs",
        "instances",
        "metadata",
    ];
    let fields = Fields::of(body, "", &expected)?;
    let text = |name| fields.text(name, NAME_BYTES_MAX);
    let owned = |name| text(name).map(|text| text.map(str::to_owned));
    let deployment = Deployment {
        id: read_id(&fields)?.unwrap_or_default().to_owned(),
        service_name: fields
            .required("serviceName", text("serviceName")?)?
            .to_lowercase(),
        version: fields.required("version", text("version")?)?.to_owned(),
        previous_version: owned("previousVersion")?,
        environment: owned("environment")?,
        strategy: read_strategy(&fields)?,
        start_ts: fields.required("startTs", fields.millis("startTs")?)?,
        end_ts: fields.millis("endTs")?,
        instances: read_instances(&fields, limits)?,
        metadata: read_metadata(&fields, limits)?,
        ..Deployment::default()
    };
    match deployment.end_ts {
        Some(end_ts) if end_ts < deployment.start_ts => Err(format!(
            "endTs: {end_ts} is before startTs, which is {}",
            deployment.start_ts
        )),
        _ => Ok(deployment),
    }
}

/// What a body adds to a deployment.
pub(crate) fn read_patch(body: &Value, limits: &DeploymentLimits) -> Result<DeploymentPatch, Wrong> {
    let expected = ["endTs", "rolledBackTs", "instances", "metadata"];
    let fields = Fields::of(body, "", &expected)?;
    Ok(DeploymentPatch {
        end_ts: fields.millis("endTs")?,
        rolled_back_ts: fields.millis("rolledBackTs")?,
        instances: read_instances(&fields, limits)?,
        metadata: read_metadata(&fields, limits)?,
    })
}

fn read_id<'a>(fields: &Fields<'a>) -> Result<Option<&'a str>, Wrong> {
    let Some(id) = fields.text("id", ID_BYTES_MAX)? else {
        return Ok(None);
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if !id.bytes().all(is_plain) {
        return Err(format!(
            "id: \"{id}\" may have letters, digits and - . _ ~ : only"
        ));
    }
    if RESERVED.contains(&id) {
        return Err(format!("id: \"{id}\" is not free to be used"));
    }
    Ok(Some(id))
}

fn read_strategy(fields: &Fields<'_>) -> Result<Option<Strategy>, Wrong> {
    let Some(name) = fields.text("strategy", NAME_BYTES_MAX)? else {
        return Ok(None);
    };
    let strategy = name.parse().map(Some);
    strategy.map_err(|error| format!("strategy: \"{name}\" {error}"))
}

fn read_instances(fields: &Fields<'_>, limits: &DeploymentLimits) -> Result<Vec<SwitchedInstance>, Wrong> {
    let elements = fields.list("instances", limits.instances_max)?;
    elements
        .into_iter()
        .map(|(path, value)| read_instance(&path, value))
        .collect()
}

fn read_instance(path: &str, value: &Value) -> Result<SwitchedInstance, Wrong> {
    let fields = Fields::of(value, path, &["ip", "port", "switchTs"])?;
    let text = fields.required("ip", fields.text("ip", NAME_BYTES_MAX)?)?;
    let mut addresses = IpAddresses::default();
    addresses.insert_text(text);
    let ip = addresses.v4.map(IpAddr::V4).or(addresses.v6.map(IpAddr::V6));
    Ok(SwitchedInstance {
        switch_ts: fields.required("switchTs", fields.millis("switchTs")?)?,
        ip: ip.ok_or_else(|| format!("{}: \"{text}\" is no IP address", fields.at("ip")))?,
        port: fields.number("port", 1, u16::MAX.into())?.map(|port| port as u16),
    })
}

fn read_metadata(fields: &Fields<'_>, limits: &DeploymentLimits) -> Result<BTreeMap<String, String>, Wrong> {
    let texts = fields.texts("metadata")?;
    if texts.len() > limits.metadata_entries_max {
        let most = limits.metadata_entries_max;
        return Err(format!("metadata: has {} entries, more than {most}", texts.len()));
    }
    let bytes: usize = texts.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > limits.metadata_bytes_max {
        let most = limits.metadata_bytes_max;
        return Err(format!(
            "metadata: keys and values have {bytes} bytes, more than {most}"
        ));
    }
    for (key, _) in &texts {
        check_text(key, NAME_BYTES_MAX).map_err(|what| format!("metadata: a key {what}"))?;
    }
    Ok(texts
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// A deployment as it is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Deployment")]
pub(crate) struct DeploymentJson<'a> {
    id: &'a str,
    service_name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<&'a str>,
    start_ts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_ts: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instances: Vec<InstanceJson>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    inferred: bool,
    rollback: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    superseded_by: Option<&'a str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Instance")]
struct InstanceJson {
    ip: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    switch_ts: u64,
}

impl<'a> DeploymentJson<'a> {
    pub(crate) fn of(deployment: &'a Deployment) -> Self {
        let instances = deployment.instances.iter().map(|instance| InstanceJson {
            ip: instance.ip,
            port: instance.port,
            switch_ts: instance.switch_ts,
        });
        Self {
            id: &deployment.id,
            service_name: &deployment.service_name,
            version: &deployment.version,
            previous_version: deployment.previous_version.as_deref(),
            environment: deployment.environment.as_deref(),
            strategy: deployment.strategy.map(Strategy::name),
            start_ts: deployment.start_ts,
            end_ts: deployment.end_ts,
            rolled_back_ts: deployment.rolled_back_ts,
            instances: instances.collect(),
            metadata: &deployment.metadata,
            inferred: deployment.is_inferred,
            rollback: deployment.is_rollback,
            superseded_by: deployment.superseded_by.as_deref(),
        }
    }
}
