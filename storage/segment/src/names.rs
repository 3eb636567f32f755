//! The names a store knows: services, their span names and remote services, and autocomplete values.

use std::collections::{BTreeMap, BTreeSet};

use storage_record::bytes::{Cursor, Malformed, Put};

/// Different names of one kind a service may have before further ones are left out of the lists of names
/// (never out of traces and searches): far beyond what a person can choose from.
const NAMES_MAX: usize = 20_000;
/// Memory that the names of a segment, or of the store, may take: many services with many names each.
const BYTES_MAX: u64 = 16 << 20;
/// What a name takes beside its text: its string and its place in a set.
const NAME_BYTES: u64 = 48;

/// Sorted, distinct names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) services: BTreeMap<String, ServiceNames>,
    /// Values of each autocomplete key.
    pub(crate) values: BTreeMap<String, BTreeSet<String>>,
    bytes: u64,
    /// How often a name was left out because of a bound; the same one counts again.
    left_out: u64,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Name<'a> {
    Service(&'a str),
    /// A service and the name of a span local to it.
    Span(&'a str, &'a str),
    /// A service and the other side of a span local to it.
    RemoteService(&'a str, &'a str),
    /// An autocomplete key and a value of it.
    Value(&'a str, &'a str),
}

/// The names on spans local to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceNames {
    pub(crate) spans: BTreeSet<String>,
    pub(crate) remote_services: BTreeSet<String>,
}

impl Names {
    /// Memory they take, roughly; bounded.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How often a name was left out because there are too many.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Notes the names on a span local to `service`.
    pub(crate) fn note(&mut self, service: Option<&str>, span: Option<&str>, remote: Option<&str>) {
        let Some(service) = service else { return };
        let mut room = self.room();
        if !self.services.contains_key(service) && room.take(self.services.len(), service) {
            self.services.insert(service.to_owned(), ServiceNames::default());
        }
        if let Some(names) = self.services.get_mut(service) {
            room.insert(&mut names.spans, span);
            room.insert(&mut names.remote_services, remote);
        }
        self.settle(room);
    }

    /// Notes a value of an autocomplete key.
    pub(crate) fn note_value(&mut self, key: &str, value: &str) {
        let mut room = self.room();
        if !self.values.contains_key(key) && room.take(self.values.len(), key) {
            self.values.insert(key.to_owned(), BTreeSet::new());
        }
        if let Some(values) = self.values.get_mut(key) {
            room.insert(values, Some(value));
        }
        self.settle(room);
    }

    /// Notes one name.
    pub(crate) fn note_name(&mut self, name: Name<'_>) {
        match name {
            Name::Service(service) => self.note(Some(service), None, None),
            Name::Span(service, span) => self.note(Some(service), Some(span), None),
            Name::RemoteService(service, remote) => self.note(Some(service), None, Some(remote)),
            Name::Value(key, value) => self.note_value(key, value),
        }
    }

    /// Takes a name away. A service takes what is left of its names with it, and so does the last value of a key.
    pub(crate) fn forget(&mut self, name: Name<'_>) {
        let freed = match name {
            Name::Service(service) => self.services.remove(service).map_or(0, |names| {
                bytes_of(service)
                    + names
                        .spans
                        .iter()
                        .chain(&names.remote_services)
                        .map(|name| bytes_of(name))
                        .sum::<u64>()
            }),
            Name::Span(service, name) => {
                let names = self.services.get_mut(service);
                names.map_or(0, |names| take_from(&mut names.spans, name))
            }
            Name::RemoteService(service, name) => {
                let names = self.services.get_mut(service);
                names.map_or(0, |names| take_from(&mut names.remote_services, name))
            }
            Name::Value(key, value) => self.forget_value(key, value),
        };
        self.bytes = self.bytes.saturating_sub(freed);
    }

    fn forget_value(&mut self, key: &str, value: &str) -> u64 {
        let Some(values) = self.values.get_mut(key) else {
            return 0;
        };
        let freed = take_from(values, value);
        if !values.is_empty() {
            return freed;
        }
        self.values.remove(key);
        freed + bytes_of(key)
    }

    /// Gives `visit` every name: the names of a service before the service.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Name<'_>)) {
        for (service, names) in &self.services {
            for span in &names.spans {
                visit(Name::Span(service, span));
            }
            for remote in &names.remote_services {
                visit(Name::RemoteService(service, remote));
            }
            visit(Name::Service(service));
        }
        for (key, values) in &self.values {
            values.iter().for_each(|value| visit(Name::Value(key, value)));
        }
    }

    fn room(&self) -> Room {
        Room {
            bytes: self.bytes,
            left_out: self.left_out,
        }
    }

    fn settle(&mut self, room: Room) {
        (self.bytes, self.left_out) = (room.bytes, room.left_out);
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_varint(self.services.len() as u64);
        for (service, names) in &self.services {
            out.put_text(service);
            put_set(&names.spans, out);
            put_set(&names.remote_services, out);
        }
        out.put_varint(self.values.len() as u64);
        for (key, values) in &self.values {
            out.put_text(key);
            put_set(values, out);
        }
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut names = Self::default();
        for _ in 0..cursor.count(3)? {
            let service = cursor.text()?;
            names.note(Some(service), None, None);
            for _ in 0..cursor.count(1)? {
                names.note(Some(service), Some(cursor.text()?), None);
            }
            for _ in 0..cursor.count(1)? {
                names.note(Some(service), None, Some(cursor.text()?));
            }
        }
        for _ in 0..cursor.count(2)? {
            let key = cursor.text()?;
            for _ in 0..cursor.count(1)? {
                names.note_value(key, cursor.text()?);
            }
        }
        Ok(names)
    }
}

/// What there is room for, while names are added.
struct Room {
    bytes: u64,
    left_out: u64,
}

impl Room {
    /// Takes room for one more name beside so many of its kind; counts it where there is none.
    fn take(&mut self, others: usize, name: &str) -> bool {
        let bytes = self.bytes + bytes_of(name);
        if others >= NAMES_MAX || bytes > BYTES_MAX {
            self.left_out += 1;
            return false;
        }
        self.bytes = bytes;
        true
    }

    fn insert(&mut self, set: &mut BTreeSet<String>, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !set.contains(*name))
            && self.take(set.len(), name)
        {
            set.insert(name.to_owned());
        }
    }
}

fn bytes_of(name: &str) -> u64 {
    name.len() as u64 + NAME_BYTES
}

/// Gives the bytes that frees.
fn take_from(set: &mut BTreeSet<String>, name: &str) -> u64 {
    if set.remove(name) { bytes_of(name) } else { 0 }
}

fn put_set(set: &BTreeSet<String>, out: &mut Vec<u8>) {
    out.put_varint(set.len() as u64);
    set.iter().for_each(|name| out.put_text(name));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        names.note(Some("web"), Some("get /"), Some("cart"));
        names.note(Some("web"), Some("post /"), None);
        names.note(None, Some("lost"), None);
        names.note_value("env", "prod");
        names
    }

    #[test]
    fn names_are_read_as_written() {
        let mut bytes = Vec::new();
        names().put(&mut bytes);
        assert_eq!(Names::read(&mut Cursor::new(&bytes)), Ok(names()));
        assert!(Names::read(&mut Cursor::new(&bytes[..bytes.len() - 1])).is_err());
    }

    #[test]
    fn names_add_up_and_are_bounded() {
        let mut sum = Names::default();
        sum.note(Some("api"), None, None);
        names().for_each(|name| sum.note_name(name));
        assert_eq!(sum.services.keys().collect::<Vec<_>>(), ["api", "web"]);
        for name in 0..NAMES_MAX + 10 {
            sum.note(Some("web"), Some(&format!("name-{name}")), None);
        }
        assert_eq!(sum.services["web"].spans.len(), NAMES_MAX);
        // Two names of `web` were there before.
        assert_eq!(sum.left_out(), 12);
    }

    #[test]
    fn names_of_all_services_together_are_bounded() {
        let mut names = Names::default();
        let long = "x".repeat(10_000);
        for name in 0..2000 {
            names.note(
                Some(&format!("service-{name}")),
                Some(&format!("{long}{name}")),
                None,
            );
            names.note_value(&format!("key-{name}"), &long);
        }
        assert!(names.bytes() <= BYTES_MAX);
        assert!(names.left_out() > 2000, "{}", names.left_out());
        let mut bytes = Vec::new();
        names.put(&mut bytes);
        assert!((bytes.len() as u64) < BYTES_MAX);
        let read = Names::read(&mut Cursor::new(&bytes)).unwrap();
        assert!(read.services == names.services && read.left_out() == 0);
    }
}
