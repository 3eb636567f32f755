//! What a profile needs to know of a span, by what the rollups know of it in numbers: each text is looked at once.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{InstanceNumber, NameNumber, ProfileTable, SpanFacts, SpanOutline};

use crate::rows::Address;
use crate::sketches::{OperationNumber, SketchesBuilder};
use crate::strings::{Strings, Symbol};

/// Addresses, and callees, that are remembered before all are forgotten: some megabytes.
const REMEMBERED_MAX: usize = 1 << 17;

/// Facts known so far, by the number of an operation and version among the sketches.
#[derive(Debug, Default)]
pub(crate) struct ProfileFacts {
    operations: Vec<Option<model::OperationNumber>>,
    instances: HashMap<(OperationNumber, Address), InstanceNumber, RandomState>,
    callees: HashMap<(OperationNumber, NameNumber), Option<model::OperationNumber>, RandomState>,
}

impl ProfileFacts {
    /// Facts of a span that counts for `operation` of the sketches, whose names are `names`.
    pub(crate) fn of(
        &mut self,
        span: &SpanOutline,
        operation: OperationNumber,
        sketches: &SketchesBuilder,
        names: &Strings,
        table: &mut ProfileTable,
    ) -> SpanFacts {
        let key = sketches.key(operation);
        let name = |number: NameNumber| names.get(Symbol(number));
        let index = operation as usize;
        if index >= self.operations.len() {
            self.operations.resize(index + 1, None);
        }
        let number = *self.operations[index]
            .get_or_insert_with(|| table.operation(name(key.service), name(key.span_name), key.kind));
        let address = span
            .place
            .map_or_else(Address::default, |place| (place.ip, place.port));
        if self.instances.len().max(self.callees.len()) >= REMEMBERED_MAX {
            self.instances.clear();
            self.callees.clear();
        }
        let instance = *self
            .instances
            .entry((operation, address))
            .or_insert_with(|| table.instance(name(key.service), name(key.version), address.0, address.1));
        let callee = span.remote_name.and_then(|remote| {
            *self
                .callees
                .entry((operation, remote))
                .or_insert_with(|| table.callee(Some(name(remote)), name(key.span_name), span.kind))
        });
        SpanFacts {
            operation: number,
            callee,
            instance,
        }
    }
}
