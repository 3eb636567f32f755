//! The names a store knows: services, their span names and remote services, and autocomplete values.

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{Cursor, Malformed, Put};

/// Different names of one kind a service may have before further ones are left out of the lists of names
/// (never out of traces and searches): far beyond what a person can choose from.
const NAMES_MAX: usize = 20_000;

/// Sorted, distinct names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) services: BTreeMap<String, ServiceNames>,
    /// Values of each autocomplete key.
    pub(crate) values: BTreeMap<String, BTreeSet<String>>,
}

/// The names on spans local to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServiceNames {
    pub(crate) spans: BTreeSet<String>,
    pub(crate) remote_services: BTreeSet<String>,
}

impl Names {
    /// Notes the names on a span local to `service`.
    pub(crate) fn note(&mut self, service: Option<&str>, span: Option<&str>, remote: Option<&str>) {
        let Some(service) = service else { return };
        if !self.services.contains_key(service) {
            if self.services.len() >= NAMES_MAX {
                return;
            }
            self.services.insert(service.to_owned(), ServiceNames::default());
        }
        let Some(names) = self.services.get_mut(service) else {
            return;
        };
        insert(&mut names.spans, span);
        insert(&mut names.remote_services, remote);
    }

    /// Notes a value of an autocomplete key.
    pub(crate) fn note_value(&mut self, key: &str, value: &str) {
        if !self.values.contains_key(key) {
            self.values.insert(key.to_owned(), BTreeSet::new());
        }
        if let Some(values) = self.values.get_mut(key) {
            insert(values, Some(value));
        }
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        for (service, names) in &other.services {
            self.note(Some(service), None, None);
            let Some(mine) = self.services.get_mut(service) else {
                continue;
            };
            names
                .spans
                .iter()
                .for_each(|name| insert(&mut mine.spans, Some(name)));
            names
                .remote_services
                .iter()
                .for_each(|name| insert(&mut mine.remote_services, Some(name)));
        }
        for (key, values) in &other.values {
            values.iter().for_each(|value| self.note_value(key, value));
        }
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
            let service = cursor.text()?.to_owned();
            let spans = read_set(cursor)?;
            names.services.insert(
                service,
                ServiceNames {
                    spans,
                    remote_services: read_set(cursor)?,
                },
            );
        }
        for _ in 0..cursor.count(2)? {
            let key = cursor.text()?.to_owned();
            names.values.insert(key, read_set(cursor)?);
        }
        Ok(names)
    }
}

fn insert(set: &mut BTreeSet<String>, name: Option<&str>) {
    if let Some(name) = name.filter(|name| !set.contains(*name))
        && set.len() < NAMES_MAX
    {
        set.insert(name.to_owned());
    }
}

fn put_set(set: &BTreeSet<String>, out: &mut Vec<u8>) {
    out.put_varint(set.len() as u64);
    set.iter().for_each(|name| out.put_text(name));
}

fn read_set(cursor: &mut Cursor<'_>) -> Result<BTreeSet<String>, Malformed> {
    let count = cursor.count(1)?;
    (0..count).map(|_| cursor.text().map(str::to_owned)).collect()
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
        sum.add(&names());
        assert_eq!(sum.services.keys().collect::<Vec<_>>(), ["api", "web"]);
        for name in 0..NAMES_MAX + 10 {
            sum.note(Some("web"), Some(&format!("name-{name}")), None);
        }
        assert_eq!(sum.services["web"].spans.len(), NAMES_MAX);
    }
}
