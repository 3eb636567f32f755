//! What a figure was measured on: without it a figure says nothing.

use std::fs;
use std::process::Command;

use serde::Serialize;

/// The machine and the versions, as a report states them.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Hardware threads that this process may use.
    pub threads: usize,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Kernel and its release.
    pub kernel: String,
    /// The compiler on the path.
    pub rustc: String,
    /// The Java on the path, if there is one.
    pub java: String,
    /// Commit of the sources, with `-dirty` where there were changes.
    pub commit: String,
    /// UTC, as RFC 3339.
    pub date: String,
}

impl Machine {
    /// This one, now.
    pub fn find() -> Self {
        let value = |path: &str, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap_or_default();
            line.trim_start_matches([':', ' ', '\t']).trim().to_owned()
        };
        let memory = value("/proc/meminfo", "MemTotal");
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) << 10,
            kernel: first_line(Command::new("uname").arg("-sr")),
            rustc: first_line(Command::new("rustc").arg("--version")),
            java: first_line(Command::new("java").arg("--version")),
            commit: first_line(Command::new("git").args(["describe", "--always", "--dirty"])),
            date: first_line(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"])),
        }
    }
}

/// How many were running or waiting to run, on average over the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The first line a program says; empty where there is no such program.
pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_a_kernel() {
        let machine = Machine::find();
        assert!(machine.memory_bytes > 1 << 28);
        assert!(machine.kernel.starts_with("Linux "));
        assert!(machine.threads >= 1);
        assert!(load_average() >= 0.0);
        assert_eq!(first_line(&mut Command::new("/nowhere/program")), "");
    }
}
