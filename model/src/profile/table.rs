//! Operations and instances by number, for many profiles together.

use std::collections::HashMap;

use crate::{IpAddresses, Kind, NameNumber, Span};

use super::TraceProfile;

/// The number of an operation in a [`ProfileTable`].
pub type OperationNumber = u32;

/// The number of an instance in a [`ProfileTable`].
pub type InstanceNumber = u32;

/// What spans of one kind do at one service. Names are numbers of a [`ProfileTable`], 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The service.
    pub service: NameNumber,
    /// The name of the spans.
    pub span_name: NameNumber,
    /// Their kind.
    pub kind: Option<Kind>,
}

/// A version of a service at an address. Names are numbers of a [`ProfileTable`], 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Instance {
    /// The service.
    pub service: NameNumber,
    /// As a tag told it.
    pub version: NameNumber,
    /// Its addresses.
    pub ip: IpAddresses,
    /// Its port, 0 where it is not known.
    pub port: u16,
}

/// What a profile needs to know of a span beside its shape: see [`ProfileTable::facts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanFacts {
    /// What it does.
    pub operation: OperationNumber,
    /// What is on the other side, if somebody named it.
    pub callee: Option<OperationNumber>,
    /// Where it ran.
    pub instance: InstanceNumber,
}

/// Names, operations and instances, each once. Number 0 of each is the one of which nothing is known.
///
/// It is bounded: beyond its bound, an operation counts for its service without span name and kind, and an instance
/// for its service without version and address; beyond twice the bound, both for nothing at all.
#[derive(Clone, Debug)]
pub struct ProfileTable {
    entries_max: usize,
    names: Vec<String>,
    name_numbers: HashMap<String, NameNumber>,
    operations: Vec<Operation>,
    operation_numbers: HashMap<Operation, OperationNumber>,
    instances: Vec<Instance>,
    instance_numbers: HashMap<Instance, InstanceNumber>,
}

/// What numbers of one table are in another.
#[derive(Clone, Debug)]
pub struct Renumbering {
    operations: Vec<OperationNumber>,
    instances: Vec<InstanceNumber>,
}

impl Renumbering {
    /// The number of an operation; 0 of one that is unknown.
    pub fn operation(&self, number: OperationNumber) -> OperationNumber {
        self.operations.get(number as usize).copied().unwrap_or(0)
    }

    /// The number of an instance; 0 of one that is unknown.
    pub fn instance(&self, number: InstanceNumber) -> InstanceNumber {
        self.instances.get(number as usize).copied().unwrap_or(0)
    }
}

impl ProfileTable {
    /// Has only what nothing is known of. `entries_max` bounds operations and instances, each.
    pub fn new(entries_max: usize) -> Self {
        let mut table = Self {
            entries_max,
            names: vec![String::new()],
            name_numbers: HashMap::from([(String::new(), 0)]),
            operations: Vec::new(),
            operation_numbers: HashMap::new(),
            instances: Vec::new(),
            instance_numbers: HashMap::new(),
        };
        table.insert_operation(Operation::default());
        table.insert_instance(Instance::default());
        table
    }

    /// All names by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// All operations by number.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// All instances by number.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// A name; empty where there is none, or no such number.
    pub fn name(&self, number: NameNumber) -> &str {
        self.names.get(number as usize).map_or("", String::as_str)
    }

    /// The number of an operation; names are empty where there are none.
    pub fn operation(&mut self, service: &str, span_name: &str, kind: Option<Kind>) -> OperationNumber {
        let count = self.operations.len();
        let wanted = (service, span_name, kind);
        for (room, (service, span_name, kind)) in [(1, wanted), (2, (service, "", None))]
            .map(|(times, wanted)| (count < times * self.entries_max, wanted))
        {
            let Some(names) = self.names_within([service, span_name], room) else {
                continue;
            };
            let operation = Operation {
                service: names[0],
                span_name: names[1],
                kind,
            };
            match self.operation_numbers.get(&operation) {
                Some(&known) => return known,
                None if room => return self.insert_operation(operation),
                None => {}
            }
        }
        0
    }

    /// The number of an instance; names are empty where there are none.
    pub fn instance(&mut self, service: &str, version: &str, ip: IpAddresses, port: u16) -> InstanceNumber {
        let count = self.instances.len();
        let wanted = (version, ip, port);
        for (room, (version, ip, port)) in [(1, wanted), (2, ("", IpAddresses::default(), 0))]
            .map(|(times, wanted)| (count < times * self.entries_max, wanted))
        {
            let Some(names) = self.names_within([service, version], room) else {
                continue;
            };
            let instance = Instance {
                service: names[0],
                version: names[1],
                ip,
                port,
            };
            match self.instance_numbers.get(&instance) {
                Some(&known) => return known,
                None if room => return self.insert_instance(instance),
                None => {}
            }
        }
        0
    }

    /// Numbers of names; only of those that are known, unless there is room.
    fn names_within<const N: usize>(&mut self, names: [&str; N], room: bool) -> Option<[NameNumber; N]> {
        let mut numbers = [0; N];
        for (number, name) in numbers.iter_mut().zip(names) {
            *number = match self.name_numbers.get(name) {
                Some(&known) => known,
                None if room => self.insert_name(name),
                None => return None,
            };
        }
        Some(numbers)
    }

    fn insert_name(&mut self, name: &str) -> NameNumber {
        let number = self.names.len() as NameNumber;
        self.names.push(name.to_owned());
        self.name_numbers.insert(name.to_owned(), number);
        number
    }

    fn insert_operation(&mut self, operation: Operation) -> OperationNumber {
        let number = self.operations.len() as OperationNumber;
        self.operations.push(operation);
        self.operation_numbers.insert(operation, number);
        number
    }

    fn insert_instance(&mut self, instance: Instance) -> InstanceNumber {
        let number = self.instances.len() as InstanceNumber;
        self.instances.push(instance);
        self.instance_numbers.insert(instance, number);
        number
    }

    /// What a profile needs to know of a span. Its version is the first of `version_tags` that it bears.
    pub fn facts(&mut self, span: &Span, version_tags: &[String]) -> SpanFacts {
        let service = span.local_service_name().unwrap_or_default();
        let name = span.name.as_deref().unwrap_or_default();
        let version = version_tags.iter().find_map(|tag| span.tag(tag));
        let endpoint = span.local_endpoint.as_ref();
        let (ip, port) = endpoint.map_or_else(Default::default, |local| (local.ip, local.port));
        SpanFacts {
            operation: self.operation(service, name, span.kind),
            callee: self.callee(span.remote_service_name(), name, span.kind),
            instance: self.instance(service, version.unwrap_or_default(), ip, port),
        }
    }

    /// The operation on the other side of a span, as its caller knows it: named as the span, of the other kind.
    pub fn callee(
        &mut self,
        remote_service: Option<&str>,
        span_name: &str,
        kind: Option<Kind>,
    ) -> Option<OperationNumber> {
        let kind = match kind {
            None | Some(Kind::Client) => Kind::Server,
            Some(Kind::Producer) => Kind::Consumer,
            Some(Kind::Server | Kind::Consumer) => return None,
        };
        Some(self.operation(remote_service?, span_name, Some(kind)))
    }

    /// Adds everything that another table has; tells what its numbers are here.
    pub fn absorb(&mut self, other: &Self) -> Renumbering {
        let operations = other.operations.iter().map(|operation| {
            let (service, name) = (other.name(operation.service), other.name(operation.span_name));
            self.operation(service, name, operation.kind)
        });
        let operations = operations.collect();
        let instances = other.instances.iter().map(|instance| {
            let (service, version) = (other.name(instance.service), other.name(instance.version));
            self.instance(service, version, instance.ip, instance.port)
        });
        Renumbering {
            operations,
            instances: instances.collect(),
        }
    }

    /// A table of what profiles of this one name and nothing else, in the order of texts: numbers that do not depend on
    /// what came first. The profiles have them afterwards.
    pub fn canonical(&self, profiles: &mut [TraceProfile]) -> Self {
        let mut is_named = (
            vec![false; self.operations.len()],
            vec![false; self.instances.len()],
        );
        for profile in &*profiles {
            is_named.0[profile.entry.operation as usize] = true;
            for place in profile.calls.iter().map(|sums| sums.place) {
                place
                    .call
                    .operations()
                    .for_each(|number| is_named.0[number as usize] = true);
                is_named.1[place.instance as usize] = true;
                is_named.1[place.caller_instance as usize] = true;
            }
        }
        let named = |is_named: Vec<bool>| (0..is_named.len()).filter(move |&number| is_named[number]);
        let mut operations: Vec<_> = named(is_named.0).collect();
        let texts = |number: usize| {
            let operation = &self.operations[number];
            (
                self.name(operation.service),
                self.name(operation.span_name),
                operation.kind,
            )
        };
        operations.sort_unstable_by_key(|&number| texts(number));
        let mut instances: Vec<_> = named(is_named.1).collect();
        let parts = |number: usize| {
            let instance = &self.instances[number];
            let (service, version) = (self.name(instance.service), self.name(instance.version));
            (service, version, instance.ip, instance.port)
        };
        instances.sort_unstable_by_key(|&number| parts(number));
        let mut sorted = Self::new(self.entries_max);
        let mut renumbering = Renumbering {
            operations: vec![0; self.operations.len()],
            instances: vec![0; self.instances.len()],
        };
        for number in operations {
            let (service, span_name, kind) = texts(number);
            renumbering.operations[number] = sorted.operation(service, span_name, kind);
        }
        for number in instances {
            let (service, version, ip, port) = parts(number);
            renumbering.instances[number] = sorted.instance(service, version, ip, port);
        }
        profiles
            .iter_mut()
            .for_each(|profile| profile.renumber(&renumbering));
        sorted
    }
}
