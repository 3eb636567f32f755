//! What a process costs, from `/proc`: memory and processor time, now and while something goes on.

use std::fs;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

/// The unit of times in `/proc`: Linux says 100 a second to programs, whatever the kernel's own clock is.
const TICK: Duration = Duration::from_millis(10);
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
/// Ten hours of samples.
const SAMPLES_MAX: usize = 360_000;

/// What a process has used up to a moment.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// Processor time of all its threads, user and kernel.
    pub cpu: Duration,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// The most it ever was.
    pub resident_bytes_max: u64,
}

impl Usage {
    /// Of a running process.
    ///
    /// # Errors
    /// Where there is no such process.
    pub fn of(id: u32) -> anyhow::Result<Self> {
        let read = |name: &str| {
            let path = format!("/proc/{id}/{name}");
            fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))
        };
        let status = read("status")?;
        let kibibytes = |key: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default();
            line.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0)
        };
        Ok(Self {
            cpu: processor_time(&read("stat")?).context("/proc has no processor time")?,
            resident_bytes: kibibytes("VmRSS:") << 10,
            resident_bytes_max: kibibytes("VmHWM:") << 10,
        })
    }

    /// Of this process.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn own() -> anyhow::Result<Self> {
        Self::of(process::id())
    }
}

/// The processor time that `work` takes of this thread, which a busy machine does not change; where the system does not
/// tell, the time that passes.
pub fn time_of_thread(work: impl FnOnce()) -> Duration {
    let used = || {
        let schedule = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(schedule.split(' ').next()?.parse().ok()?))
    };
    let (begin, before) = (Instant::now(), used());
    work();
    match (before, used()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => begin.elapsed(),
    }
}

/// From now on the most memory that a process ever had is counted anew, from what it has at this moment.
///
/// # Errors
/// Where there is no such process, or it belongs to somebody else.
pub fn forget_peak(id: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{id}/clear_refs");
    // What this value means is the kernel's (proc_pid_clear_refs, since Linux 4.0).
    fs::write(&path, "5").with_context(|| format!("{path} cannot be written"))
}

/// Bytes that a process had the system read from disks, so far: nothing that was in memory already.
///
/// # Errors
/// Where there is no such process.
pub fn bytes_read(id: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{id}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("read_bytes: "))
        .and_then(|bytes| bytes.trim().parse().ok())
        .with_context(|| format!("{path} has no read_bytes"))
}

/// The name of a program may contain anything; the numbers begin after its closing parenthesis.
fn processor_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (ticks()? + ticks()?))
}

/// A process at a moment of a run.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Since the first one, seconds.
    pub second: f64,
    /// Resident memory, bytes.
    pub resident_bytes: u64,
    /// Processor time since its start, seconds.
    pub cpu_s: f64,
}

/// Looks at a process ten times a second, until it is dropped or asked for what it saw.
#[derive(Debug)]
pub struct Sampler {
    stop: Arc<AtomicBool>,
    samples: Arc<Mutex<Vec<Sample>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Begins to look.
    pub fn start(id: u32) -> Self {
        let (stop, samples) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, kept) = (Arc::clone(&stop), Arc::clone(&samples));
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let Ok(usage) = Usage::of(id) else { return };
                let sample = Sample {
                    second: begin.elapsed().as_secs_f64(),
                    resident_bytes: usage.resident_bytes,
                    cpu_s: usage.cpu.as_secs_f64(),
                };
                let mut kept = kept.lock().expect("nobody panics with the samples");
                if kept.len() == SAMPLES_MAX {
                    return;
                }
                kept.push(sample);
                drop(kept);
                std::thread::sleep(SAMPLE_EVERY);
            }
        });
        Self {
            stop,
            samples,
            thread: Some(thread),
        }
    }

    /// What it saw.
    pub fn finish(mut self) -> Vec<Sample> {
        self.end();
        std::mem::take(&mut self.samples.lock().expect("nobody panics with the samples"))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A sampler that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 5000 1000 200";
        assert_eq!(processor_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(processor_time("7"), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let before = Usage::own().unwrap();
        assert!(before.resident_bytes > 1 << 20);
        assert!(before.resident_bytes_max >= before.resident_bytes);
        let begin = Instant::now();
        while begin.elapsed() < TICK * 5 {
            std::hint::spin_loop();
        }
        assert!(Usage::own().unwrap().cpu > before.cpu);
        assert!(Usage::of(u32::MAX).is_err());
    }

    #[test]
    fn a_peak_is_forgotten() {
        let large = vec![1u8; 300 << 20];
        std::hint::black_box(&large);
        drop(large);
        let before = Usage::own().unwrap().resident_bytes_max;
        forget_peak(process::id()).unwrap();
        assert!(Usage::own().unwrap().resident_bytes_max < before - (100 << 20));
        assert!(forget_peak(u32::MAX).is_err());
    }

    #[test]
    fn a_sampler_sees_time_go_by() {
        let sampler = Sampler::start(process::id());
        std::thread::sleep(SAMPLE_EVERY * 3);
        let samples = sampler.finish();
        assert!(samples.len() >= 2);
        assert!(samples.is_sorted_by(|a, b| a.second < b.second));
        assert!(samples.iter().all(|sample| sample.resident_bytes > 1 << 20));
    }
}
