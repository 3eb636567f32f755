//! What the operating system knows of this process, under the names every Prometheus client uses. Linux only:
//! elsewhere they are left out.

use std::fmt;

use prometheus_client::collector::Collector as Scraped;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks of processor time a second: the same on every Linux that Rust runs on, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// Read at every scrape.
#[derive(Debug, Default)]
pub(super) struct ProcessMetrics {}

/// One reading.
#[derive(Debug, PartialEq)]
struct Reading {
    cpu_seconds: f64,
    resident_bytes: i64,
    threads: i64,
    open_fds: i64,
}

fn read() -> Option<Reading> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let open_fds = std::fs::read_dir("/proc/self/fd").ok()?.count() as i64;
    let (cpu_seconds, threads) = parse_stat(&stat)?;
    let resident_kib: i64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok())?;
    Some(Reading {
        cpu_seconds,
        resident_bytes: resident_kib * 1024,
        threads,
        open_fds,
    })
}

/// Processor time and threads. The command's name, which may hold anything, ends at the last parenthesis.
fn parse_stat(stat: &str) -> Option<(f64, i64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Counted from 1 in proc(5), where the first two are before the parenthesis: 14 utime, 15 stime, 20 threads.
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<i64>().ok());
    Some(((field(14)? + field(15)?) as f64 / TICKS_PER_SECOND, field(20)?))
}

impl Scraped for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(reading) = read() else { return Ok(()) };
        let help = "Processor time used, user and system";
        let row = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
        ConstCounter::new(reading.cpu_seconds).encode(row)?;
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Memory in use",
                reading.resident_bytes,
            ),
            ("process_threads", "Threads", reading.threads),
            ("process_open_fds", "Open files and connections", reading.open_fds),
        ] {
            let row = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(row)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_a_name_with_blanks_and_parentheses() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 12345 1000 10";
        assert_eq!(parse_stat(stat), Some((3.0, 7)));
        assert_eq!(parse_stat("42 no parenthesis"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_somewhat_plausible() {
        let reading = read().unwrap();
        assert!(
            reading.resident_bytes > 100_000 && reading.threads >= 1 && reading.open_fds >= 3,
            "{reading:?}"
        );
    }
}
