//! Service-level objectives as the API reads and writes them.

pub(crate) mod http;

use model::{Indicator, Slo};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::fields::{Fields, Wrong, check_text};

/// Bytes of a name, of a service or of a span.
const NAME_BYTES_MAX: usize = 256;
/// An hour is more than any response takes.
const THRESHOLD_MS_MAX: u64 = 3_600_000;
const WINDOW_DAYS_MAX: u64 = 366;

/// The objective that a body describes, of this name.
pub(crate) fn read(name: &str, body: &Value) -> Result<Slo, Wrong> {
    check_text(name, NAME_BYTES_MAX).map_err(|what| format!("name: {what}"))?;
    let expected = [
        "name",
        "serviceName",
        "spanName",
        "indicator",
        "thresholdMs",
        "objective",
        "windowDays",
    ];
    let fields = Fields::of(body, "", &expected)?;
    let text = |name| fields.text(name, NAME_BYTES_MAX);
    if let Some(other) = text("name")?.filter(|other| *other != name) {
        return Err(format!(
            "name: \"{other}\" is not the name in the path, \"{name}\""
        ));
    }
    let threshold_ms = fields.number("thresholdMs", 1, THRESHOLD_MS_MAX)?;
    let indicator = match (fields.required("indicator", text("indicator")?)?, threshold_ms) {
        ("availability", None) => Indicator::Availability,
        ("availability", Some(_)) => return Err("thresholdMs: is of latency, not of availability".to_owned()),
        ("latency", Some(threshold_ms)) => Indicator::Latency { threshold_ms },
        ("latency", None) => return Err("thresholdMs: is required for latency".to_owned()),
        (other, _) => return Err(format!("indicator: \"{other}\" is none of availability, latency")),
    };
    let objective = fields.required("objective", fields.get("objective"))?;
    let share = objective.as_f64().filter(|share| *share > 0.0 && *share < 1.0);
    let window_days = fields.number("windowDays", 1, WINDOW_DAYS_MAX)?;
    Ok(Slo {
        name: name.to_owned(),
        service_name: fields
            .required("serviceName", text("serviceName")?)?
            .to_lowercase(),
        span_name: text("spanName")?.map(str::to_lowercase),
        indicator,
        objective: share
            .ok_or_else(|| format!("objective: has to be above 0 and below 1, and is {objective}"))?,
        window_days: fields.required("windowDays", window_days)? as u32,
    })
}

/// An objective as it is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Objective")]
pub(crate) struct SloJson<'a> {
    name: &'a str,
    service_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_name: Option<&'a str>,
    indicator: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_ms: Option<u64>,
    objective: f64,
    window_days: u32,
}

impl<'a> SloJson<'a> {
    pub(crate) fn of(slo: &'a Slo) -> Self {
        let (indicator, threshold_ms) = match slo.indicator {
            Indicator::Availability => ("availability", None),
            Indicator::Latency { threshold_ms } => ("latency", Some(threshold_ms)),
        };
        Self {
            name: &slo.name,
            service_name: &slo.service_name,
            span_name: slo.span_name.as_deref(),
            indicator,
            threshold_ms,
            objective: slo.objective,
            window_days: slo.window_days,
        }
    }
}
