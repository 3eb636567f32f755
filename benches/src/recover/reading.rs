//! How fast this machine is at the moment, by something that is not ours: reading spans as JSON into values by serde_json, by
//! all processors at once. Like a start it takes memory and hashes and compares names.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

/// The fastest counts: others may use the machine meanwhile.
const ROUNDS: usize = 3;

/// Bodies of requests, to be read again and again.
#[derive(Debug)]
pub(super) struct Reading {
    bodies: Vec<Vec<u8>>,
    spans: usize,
}

impl Reading {
    /// Of bodies of Zipkin's JSON.
    ///
    /// # Errors
    /// Where one is no list.
    pub(super) fn new(bodies: Vec<Vec<u8>>) -> anyhow::Result<Self> {
        let spans = bodies
            .iter()
            .map(|body| read(body))
            .sum::<anyhow::Result<usize>>()?;
        anyhow::ensure!(spans > 0, "there are no spans to read");
        Ok(Self { bodies, spans })
    }

    /// How long reading so many spans takes, at the pace of these.
    ///
    /// # Errors
    /// Where a thread died.
    pub(super) fn time_of(&self, spans: u64) -> anyhow::Result<Duration> {
        let mut fastest = Duration::MAX;
        for _ in 0..ROUNDS {
            fastest = fastest.min(self.time()?);
        }
        Ok(fastest.mul_f64(spans as f64 / self.spans as f64))
    }

    fn time(&self) -> anyhow::Result<Duration> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let begin = Instant::now();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..threads)
                .map(|first| {
                    let bodies = self.bodies.iter().skip(first).step_by(threads);
                    scope.spawn(move || bodies.map(|body| read(body)).sum::<anyhow::Result<usize>>())
                })
                .collect();
            let read = readers.into_iter().map(|reader| {
                reader
                    .join()
                    .map_err(|_| anyhow::anyhow!("a thread that reads JSON died"))?
            });
            let spans = read.sum::<anyhow::Result<usize>>()?;
            anyhow::ensure!(spans == self.spans, "{spans} of {} spans were read", self.spans);
            Ok(())
        })?;
        Ok(begin.elapsed())
    }
}

/// Reads a list; gives how many there are in it.
fn read(body: &[u8]) -> anyhow::Result<usize> {
    let value: Value = serde_json::from_slice(body)?;
    let list = black_box(&value).as_array().context("a body that is no list")?;
    Ok(list.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_spans_take_longer_and_no_list_is_no_body() -> anyhow::Result<()> {
        let reading = Reading::new(vec![b"[{},{\"name\":\"get\"}]".to_vec(), b"[{}]".to_vec()])?;
        assert_eq!(reading.spans, 3);
        assert!(reading.time_of(3_000_000_000)? > reading.time_of(3)?);
        assert!(Reading::new(vec![b"{}".to_vec()]).is_err());
        assert!(Reading::new(vec![b"[]".to_vec()]).is_err());
        Ok(())
    }
}
