//! Numbers as people know them.

use model::{InstanceNumber, OperationNumber};

use crate::report::Operation;

use super::traces::Traces;

pub(super) fn operation_json(traces: &Traces<'_>, number: OperationNumber) -> Operation {
    let operation = traces.operation(number);
    Operation {
        service_name: traces.table.name(operation.service).to_owned(),
        span_name: traces.table.name(operation.span_name).to_owned(),
        span_kind: operation.kind.map(|kind| kind.as_str().to_owned()),
    }
}

/// A service and what is asked of it.
pub(super) fn operation_text(traces: &Traces<'_>, number: OperationNumber) -> String {
    let operation = traces.operation(number);
    let (service, name) = (
        traces.table.name(operation.service),
        traces.table.name(operation.span_name),
    );
    match (service, name) {
        ("", "") => "an unnamed operation".to_owned(),
        (service, "") => service.to_owned(),
        _ => format!("{service} {name}"),
    }
}

/// The address of an instance, else its version.
pub(super) fn instance_text(traces: &Traces<'_>, number: InstanceNumber) -> String {
    let instance = traces.instance(number);
    let address = match (instance.ip.v4, instance.ip.v6) {
        (Some(v4), _) => v4.to_string(),
        (None, Some(v6)) if instance.port > 0 => format!("[{v6}]"),
        (None, Some(v6)) => v6.to_string(),
        (None, None) => return traces.table.name(instance.version).to_owned(),
    };
    if instance.port > 0 {
        format!("{address}:{}", instance.port)
    } else {
        address
    }
}

/// Microseconds as a person says them.
pub(super) fn time_text(micros: f64) -> String {
    let size = micros.abs();
    if size >= 1e6 {
        format!("{:.2} s", micros / 1e6)
    } else if size >= 1e3 {
        format!("{:.1} ms", micros / 1e3)
    } else {
        format!("{micros:.0} µs")
    }
}
