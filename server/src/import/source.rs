//! A file as a stream of batches of spans.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use proto::Format;

use super::items::{Item, Items, Place};

/// A batch is sent with this many bytes, or a few more.
const BATCH_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 256 << 10;
/// The first bytes of gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Spans of one request.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// Counts the batches of a file, from 0.
    pub(super) number: u64,
    pub(super) items: Arc<[Item]>,
    /// Behind the last of them.
    pub(super) end: Place,
}

impl Batch {
    /// As the server takes it.
    pub(super) fn body(&self) -> Bytes {
        json_array(self.items.iter().map(|item| item.bytes.as_slice()))
    }

    /// Without the items that are no spans, and what is wrong with those, each with its place.
    pub(super) fn without_bad(&self) -> (Self, Vec<String>) {
        let mut batch = model::SpanBatch::new();
        let mut wrong = Vec::new();
        let is_span = |item: &&Item| {
            batch.clear();
            let decoded = proto::decode(Format::JsonV2, &json_array([item.bytes.as_slice()]), &mut batch);
            if let Err(error) = &decoded {
                wrong.push(format!(
                    "line {}, byte {}: {error}",
                    item.start.lines + 1,
                    item.start.offset
                ));
            }
            decoded.is_ok()
        };
        let items = self.items.iter().filter(is_span).cloned().collect();
        (
            Self {
                items,
                ..self.clone()
            },
            wrong,
        )
    }
}

fn json_array<'i>(items: impl IntoIterator<Item = &'i [u8]>) -> Bytes {
    let mut body = Vec::with_capacity(BATCH_BYTES);
    body.push(b'[');
    for item in items {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(item);
    }
    body.push(b']');
    body.into()
}

/// What is told of a stream while it is read.
pub(super) trait Watch {
    /// Takes a batch; waits while there are enough. False ends the reading.
    fn take(&mut self, batch: Batch) -> bool;
    /// Something that is no JSON is left out.
    fn skip(&mut self, reason: &str);
}

/// Reads a file, or standard input where it is `-`, from a place on to its end. `read_bytes` counts what is read, as it
/// is stored.
pub(super) fn read(
    path: &Path,
    from: Place,
    skip_bad: bool,
    batch_spans: usize,
    read_bytes: &Arc<AtomicU64>,
    watch: &mut dyn Watch,
) -> anyhow::Result<()> {
    let mut items = Items::new(open(path, read_bytes)?);
    items
        .skip_to(from)
        .context("it is shorter than it was when the import was interrupted")?;
    let mut number = 0;
    let mut held = Vec::new();
    let mut held_bytes = 0;
    loop {
        let item = match items.next() {
            Ok(item) => item,
            Err(error) if error.kind() == io::ErrorKind::InvalidData && skip_bad => {
                watch.skip(&error.to_string());
                items.skip_line()?;
                continue;
            }
            Err(error) => bail!(error),
        };
        let is_last = item.is_none();
        if let Some(item) = item {
            held_bytes += item.bytes.len();
            held.push(item);
        }
        if held.len() < batch_spans && held_bytes < BATCH_BYTES && !is_last {
            continue;
        }
        held_bytes = 0;
        let batch = Batch {
            number,
            items: std::mem::take(&mut held).into(),
            end: items.place(),
        };
        number += 1;
        if !watch.take(batch) || is_last {
            return Ok(());
        }
    }
}

fn open(path: &Path, read_bytes: &Arc<AtomicU64>) -> anyhow::Result<Box<dyn Read>> {
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let counted = Counted {
        input,
        read_bytes: Arc::clone(read_bytes),
    };
    let mut input = BufReader::with_capacity(READ_BYTES, counted);
    if input.fill_buf()?.starts_with(&GZIP) {
        Ok(Box::new(MultiGzDecoder::new(input)))
    } else {
        Ok(Box::new(input))
    }
}

/// Counts what is read.
struct Counted {
    input: Box<dyn Read>,
    read_bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.read_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
