//! Names of services and spans, and values of tags, as Zipkin's tables have them.

use std::collections::{BTreeSet, HashSet};

use model::Span;
use parking_lot::Mutex;
use storage::Result;

use crate::CassandraStore;
use crate::rows::fit;
use crate::schema::Schema;

/// As many names and values as are remembered to have been written.
const REMEMBERED_MAX: usize = 100_000;
/// What was written is written again after this, long before it is gone from the tables.
const HOUR_MS: u64 = 3_600_000;

/// A table of pairs of which the first is a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Pairs {
    Spans,
    RemoteServices,
    Values,
}

impl Pairs {
    const ALL: [Self; 3] = [Self::Spans, Self::RemoteServices, Self::Values];

    const fn insert(self) -> &'static str {
        match self {
            Self::Spans => "INSERT INTO span_by_service (service, span) VALUES (?, ?)",
            Self::RemoteServices => {
                "INSERT INTO remote_service_by_service (service, remote_service) VALUES (?, ?)"
            }
            Self::Values => "INSERT INTO autocomplete_tags (key, value) VALUES (?, ?)",
        }
    }

    const fn select(self) -> &'static str {
        match self {
            Self::Spans => "SELECT span FROM span_by_service WHERE service = ?",
            Self::RemoteServices => "SELECT remote_service FROM remote_service_by_service WHERE service = ?",
            Self::Values => "SELECT value FROM autocomplete_tags WHERE key = ?",
        }
    }
}

type Pair = (Pairs, String, String);

/// What was written within the hour, which need not be again.
#[derive(Debug, Default)]
pub(crate) struct KnownNames {
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    hour: u64,
    pairs: HashSet<Pair>,
}

/// Names and values that are to be written.
#[derive(Debug, Default)]
pub(crate) struct NewNames {
    hour: u64,
    pairs: HashSet<Pair>,
}

impl NewNames {
    /// Statements, and what is to be written by them.
    pub(crate) fn by_table(
        &self,
    ) -> impl Iterator<Item = (&'static str, impl Iterator<Item = (&String, &String)>)> {
        Pairs::ALL.into_iter().map(|table| {
            let of_table = self.pairs.iter().filter(move |pair| pair.0 == table);
            (table.insert(), of_table.map(|pair| (&pair.1, &pair.2)))
        })
    }
}

impl KnownNames {
    /// Everything is to be written again.
    pub(crate) fn forget(&self) {
        *self.written.lock() = Written::default();
    }

    /// To be called when they are stored.
    pub(crate) fn written(&self, new: NewNames) {
        let mut written = self.written.lock();
        if written.hour != new.hour || written.pairs.len() + new.pairs.len() > REMEMBERED_MAX {
            written.pairs.clear();
            written.hour = new.hour;
        }
        let room = REMEMBERED_MAX - written.pairs.len();
        written.pairs.extend(new.pairs.into_iter().take(room));
    }
}

impl CassandraStore {
    /// The names of spans, and the values of tags that are suggested.
    pub(crate) fn new_names(&self, spans: &[Span], schema: &Schema) -> NewNames {
        let hour = (self.config.now)() / HOUR_MS;
        let mut pairs = HashSet::new();
        if self.is_searched() {
            for span in spans {
                self.add_names(span, schema, &mut pairs);
            }
        }
        let written = self.known_names.written.lock();
        if written.hour == hour {
            pairs.retain(|pair| !written.pairs.contains(pair));
        }
        NewNames { hour, pairs }
    }

    fn add_names(&self, span: &Span, schema: &Schema, pairs: &mut HashSet<Pair>) {
        if let Some(service) = span.local_service_name().map(fit) {
            // A service whose spans have no names is one as well.
            let name = span.name.as_deref().unwrap_or_default();
            pairs.insert((Pairs::Spans, service.to_owned(), fit(name).to_owned()));
            if let (Some(remote), true) = (span.remote_service_name(), schema.has_remote_services) {
                pairs.insert((Pairs::RemoteServices, service.to_owned(), fit(remote).to_owned()));
            }
        }
        if !schema.has_autocomplete {
            return;
        }
        for key in &self.config.options.autocomplete_keys {
            let value = span.tag(key).filter(|value| !value.is_empty());
            // What is cut would be suggested and not found.
            if let Some(value) = value.filter(|value| fit(value).len() == value.len() && !key.is_empty()) {
                pairs.insert((Pairs::Values, key.clone(), value.to_owned()));
            }
        }
    }

    pub(crate) async fn list_services(&self) -> Result<Vec<String>> {
        let link = self.link().await?;
        let services = "SELECT DISTINCT service FROM span_by_service";
        let names: Vec<(String,)> = self.answer(link.rows(services, ())).await?;
        Ok(sorted(names))
    }

    pub(crate) async fn list_span_names(&self, service_name: &str) -> Result<Vec<String>> {
        self.list(Pairs::Spans, &service_name.to_lowercase()).await
    }

    pub(crate) async fn list_remote_services(&self, service_name: &str) -> Result<Vec<String>> {
        match self.link().await?.schema.has_remote_services {
            true => {
                self.list(Pairs::RemoteServices, &service_name.to_lowercase())
                    .await
            }
            false => Ok(Vec::new()),
        }
    }

    pub(crate) async fn list_values(&self, key: &str) -> Result<Vec<String>> {
        match self.link().await?.schema.has_autocomplete {
            true => self.list(Pairs::Values, key).await,
            false => Ok(Vec::new()),
        }
    }

    async fn list(&self, table: Pairs, of: &str) -> Result<Vec<String>> {
        let of = fit(of);
        // There is no partition without a name.
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let link = self.link().await?;
        let names: Vec<(String,)> = self.answer(link.rows(table.select(), (of,))).await?;
        Ok(sorted(names))
    }
}

/// As texts are compared here.
fn sorted(names: Vec<(String,)>) -> Vec<String> {
    let names: BTreeSet<String> = names
        .into_iter()
        .map(|row| row.0)
        .filter(|name| !name.is_empty())
        .collect();
    names.into_iter().collect()
}
