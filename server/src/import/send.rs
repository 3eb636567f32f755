//! Sends the batches of files, some at one time, and again where the server asks for patience.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ImportConfig;
use super::items::Place;
use super::progress::Progress;
use super::source::{self, Batch, Watch};
use crate::api_client::ApiClient;

/// How long nobody may be there: a server that starts again with a long journal takes some time.
const ABSENCE_MAX: Duration = Duration::from_secs(60);
/// The longest wait between two tries, unless the server asks for a longer one.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What comes back from readers and senders.
enum Event {
    Stored { batch: u64, end: Place, spans: u64 },
    Skipped(String),
}

/// Imports all files.
pub(super) async fn import(config: &Arc<ImportConfig>) -> anyhow::Result<()> {
    let lengths: Option<Vec<u64>> = config
        .files
        .iter()
        .map(|file| {
            std::fs::metadata(file)
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|data| data.len())
        })
        .collect();
    let bytes = lengths.map(|lengths| lengths.iter().sum());
    let mut progress = Progress::new(config.resume.clone(), bytes)?;
    let read_bytes = Arc::new(AtomicU64::new(0));
    for file in &config.files {
        let imported = import_file(config, file, &read_bytes, &mut progress).await;
        // What is stored is stored, whatever came after it.
        let remembered = progress.remember();
        imported.with_context(|| file.display().to_string())?;
        remembered?;
    }
    progress.finish()
}

async fn import_file(
    config: &Arc<ImportConfig>,
    file: &Path,
    read_bytes: &Arc<AtomicU64>,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let from = progress.begin_file(file);
    let (batches, waiting) = mpsc::channel::<Batch>(config.connections);
    let (events, mut happened) = mpsc::channel::<Event>(config.connections * 4);
    let mut tasks = JoinSet::new();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..config.connections {
        let (config, waiting, events) = (Arc::clone(config), Arc::clone(&waiting), events.clone());
        tasks.spawn(async move { send_batches(&config, &waiting, &events).await });
    }
    drop(waiting);
    let (config, path, counter) = (Arc::clone(config), PathBuf::from(file), Arc::clone(read_bytes));
    let reader = tokio::task::spawn_blocking(move || {
        let mut queue = Queue { batches, events };
        source::read(
            &path,
            from,
            config.skip_bad,
            config.batch_spans,
            &counter,
            &mut queue,
        )
    });
    loop {
        tokio::select! {
            event = happened.recv() => match event {
                Some(Event::Stored { batch, end, spans }) => progress.stored(file, batch, end, spans)?,
                Some(Event::Skipped(reason)) => progress.skip(file, &reason),
                None => break,
            },
            Some(ended) = tasks.join_next() => ended.context("a part of the import panicked")??,
        }
        progress.read(read_bytes.load(Ordering::Relaxed));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("a part of the import panicked")??;
    }
    // What it had read before it failed is stored now.
    reader.await.context("a part of the import panicked")?
}

/// What the reading thread hands on.
struct Queue {
    batches: Sender<Batch>,
    events: Sender<Event>,
}

impl Watch for Queue {
    fn take(&mut self, batch: Batch) -> bool {
        self.batches.blocking_send(batch).is_ok()
    }

    fn skip(&mut self, reason: &str) {
        // Nobody listens once the import has failed.
        drop(self.events.blocking_send(Event::Skipped(reason.to_owned())));
    }
}

async fn send_batches(
    config: &ImportConfig,
    waiting: &Mutex<Receiver<Batch>>,
    events: &Sender<Event>,
) -> anyhow::Result<()> {
    let mut client = ApiClient::new(config.server.clone());
    loop {
        let Some(batch) = waiting.lock().await.recv().await else {
            return Ok(());
        };
        let spans = send_batch(config, &mut client, &batch, events).await?;
        let stored = Event::Stored {
            batch: batch.number,
            end: batch.end,
            spans,
        };
        if events.send(stored).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends a batch until it is stored; gives how many of its spans are.
async fn send_batch(
    config: &ImportConfig,
    client: &mut ApiClient,
    batch: &Batch,
    events: &Sender<Event>,
) -> anyhow::Result<u64> {
    let mut batch = batch.clone();
    let mut absent_since: Option<Instant> = None;
    let mut wait = Duration::from_millis(50);
    while !batch.items.is_empty() {
        let answer = match client.send(Method::POST, "/api/v2/spans", batch.body()).await {
            Ok(answer) => answer,
            Err(error) => {
                if absent_since.get_or_insert_with(Instant::now).elapsed() > ABSENCE_MAX {
                    return Err(error);
                }
                sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
                continue;
            }
        };
        absent_since = None;
        match answer.status {
            StatusCode::ACCEPTED | StatusCode::OK => return Ok(batch.items.len() as u64),
            // It takes no more for now: nothing of the batch is stored.
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                sleep(answer.retry_after().unwrap_or(wait)).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
            StatusCode::BAD_REQUEST => {
                let (good, wrong) = batch.without_bad();
                let Some(first) = wrong.first() else {
                    bail!("the server refuses spans: {}", answer.text());
                };
                if !config.skip_bad {
                    bail!("{first} (--skip-bad leaves such out)");
                }
                for reason in wrong {
                    drop(events.send(Event::Skipped(reason)).await);
                }
                batch = good;
            }
            _ => bail!("the server refuses spans: {}", answer.text()),
        }
    }
    Ok(0)
}
