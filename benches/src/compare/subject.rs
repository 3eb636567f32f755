//! The server over a storage, both running.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tempfile::TempDir;

use super::Options;
use crate::backend::{Backend, Found, Neighbour};
use crate::process::Usage;
use crate::server::{Product, Server};
use crate::store::disk::Disk;
use crate::store::truth::AUTOCOMPLETE_KEYS;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See above; all of it ends with its value.
pub(super) struct Subject {
    pub(super) backend: Backend,
    pub(super) server: Server,
    product: Product,
    neighbour: Option<Box<Neighbour>>,
    /// Where a storage of others keeps what it keeps.
    _directory: TempDir,
}

/// What both used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) server: Usage,
    pub(super) backend: Option<Usage>,
}

/// Threads' worth of processor over a time, or processor time a span.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Cost {
    pub(super) server: f64,
    /// Of a storage elsewhere.
    pub(super) backend: Option<f64>,
}

impl Cost {
    pub(super) fn all(self) -> f64 {
        self.server + self.backend.unwrap_or(0.0)
    }
}

impl Used {
    /// What was used since then, in seconds for each of so many.
    pub(super) fn since(&self, before: &Self, each: f64) -> Cost {
        let seconds = |from: Usage, to: Usage| to.cpu.saturating_sub(from.cpu).as_secs_f64() / each;
        Cost {
            server: seconds(before.server, self.server),
            backend: before
                .backend
                .zip(self.backend)
                .map(|(from, to)| seconds(from, to)),
        }
    }
}

impl Subject {
    /// Starts both, the storage empty; or why it cannot be had. `spans_max` is what one that forgets must keep.
    ///
    /// # Errors
    /// Where it can, and does not start.
    pub(super) fn start(
        backend: Backend,
        spans_max: u64,
        options: &Options,
    ) -> anyhow::Result<Result<Self, String>> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tracehound-benches-");
        let directory = match options.common.data() {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        }
        .context("no directory for the storage")?;
        let neighbour = match backend.is_own() {
            true => None,
            false => match Neighbour::start(backend, &options.servers, directory.path())? {
                Found::Running(neighbour) => Some(neighbour),
                Found::Missing(why) => return Ok(Err(why)),
            },
        };
        let keys = AUTOCOMPLETE_KEYS.join(",");
        let spans_max = spans_max.to_string();
        let mut settings = vec![("AUTOCOMPLETE_KEYS", keys.as_str())];
        if backend == Backend::Memory {
            settings.extend([("STORAGE_TYPE", "mem"), ("MEM_MAX_SPANS", spans_max.as_str())]);
        }
        let told = neighbour.as_ref().map(|neighbour| &neighbour.told().settings);
        settings.extend(
            told.into_iter()
                .flatten()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let product = options.common.product()?;
        let server = Server::start_with(&product, &settings, options.common.data())?;
        Ok(Ok(Self {
            backend,
            server,
            product,
            neighbour,
            _directory: directory,
        }))
    }

    /// Of the storage.
    pub(super) fn version(&self) -> String {
        match &self.neighbour {
            Some(neighbour) => neighbour.told().version.clone(),
            None => self.product.version(),
        }
    }

    /// How it was configured, secrets left out.
    pub(super) fn configuration(&self) -> String {
        match (&self.neighbour, self.backend) {
            (Some(neighbour), _) => neighbour.told().configuration.clone(),
            (None, Backend::Memory) => "STORAGE_TYPE=mem, MEM_MAX_SPANS large enough".to_owned(),
            (None, _) => self.product.settings(),
        }
    }

    /// What was used so far.
    ///
    /// # Errors
    /// Where one of both is not there.
    pub(super) fn used(&self) -> anyhow::Result<Used> {
        let backend = self
            .neighbour
            .as_ref()
            .map(|neighbour| Usage::of(neighbour.told().process));
        Ok(Used {
            server: Usage::of(self.server.id())?,
            backend: backend.transpose()?,
        })
    }

    /// Spans that wait for a storage elsewhere.
    ///
    /// # Errors
    /// Where the server does not say.
    pub(super) fn waiting(&self) -> anyhow::Result<u64> {
        if self.neighbour.is_none() {
            return Ok(0);
        }
        let metrics = self.server.metrics()?;
        let waiting = metrics.get("tracehound_spool_spans");
        Ok(waiting.context("the server has no tracehound_spool_spans")? as u64)
    }

    /// Waits until no span waits, for so long; whether that is so.
    ///
    /// # Errors
    /// Where the server does not say.
    pub(super) fn drain(&self, most: Duration) -> anyhow::Result<bool> {
        let begin = Instant::now();
        while self.waiting()? > 0 {
            if begin.elapsed() > most {
                return Ok(false);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    /// What the storage's files take, without a journal that is kept to be written again; one of others is restarted for
    /// that. `None` of one without files.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub(super) fn stored_bytes(&mut self) -> anyhow::Result<Option<u64>> {
        match (&mut self.neighbour, self.backend) {
            (Some(neighbour), _) => neighbour.restart().map(Some),
            (None, Backend::Segment) => {
                let disk = Disk::of(&self.server.store())?;
                Ok(Some(disk.segment_bytes + disk.other_bytes))
            }
            (None, _) => Ok(None),
        }
    }

    /// # Errors
    /// Where the server does not end.
    pub(super) fn end(self) -> anyhow::Result<()> {
        self.server.stop()
    }
}
