//! The storages that the server is measured on. Those of others are started as the tests start them, by a program that
//! says how the server reaches them (`server/tests/external/serve.py`).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// A storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// Our own, on disk.
    Segment,
    /// Our own, in memory.
    Memory,
    /// MariaDB with Zipkin's tables.
    Mysql,
    /// Cassandra with Zipkin's tables.
    Cassandra,
    /// OpenSearch with Zipkin's indexes.
    Elasticsearch,
}

impl Backend {
    /// As it is called on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Memory => "memory",
            Self::Mysql => "mysql",
            Self::Cassandra => "cassandra",
            Self::Elasticsearch => "elasticsearch",
        }
    }

    /// Whether it is a part of the server.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Segment | Self::Memory)
    }
}

/// What there is to know of a server of others that is running.
#[derive(Clone, Debug, Deserialize)]
pub struct Told {
    /// Its process.
    pub process: u32,
    /// Where it keeps what it keeps.
    pub directory: PathBuf,
    /// Its name and release.
    pub version: String,
    /// Memory and what else was set.
    pub configuration: String,
    /// Variables with which our server finds it.
    pub settings: BTreeMap<String, String>,
}

/// Whether a server of others is to be had.
#[derive(Debug)]
pub enum Found {
    /// It runs.
    Running(Box<Neighbour>),
    /// It cannot be had on this machine, and why.
    Missing(String),
}

/// A server of others; ends with its value.
#[derive(Debug)]
pub struct Neighbour {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    told: Told,
}

/// What its keeper said.
enum Said {
    Line(String),
    Missing(String),
}

impl Neighbour {
    /// Starts a backend with an empty directory below `directory`. `keeper` is the program that does so.
    ///
    /// # Errors
    /// Where it is to be had, and does not start.
    pub fn start(backend: Backend, keeper: &Path, directory: &Path) -> anyhow::Result<Found> {
        let home = directory.join(backend.name());
        std::fs::create_dir_all(&home).with_context(|| format!("{} cannot be made", home.display()))?;
        let keeper = keeper.canonicalize().with_context(|| {
            format!(
                "{} is not there: say where it is (--servers), or start this where the sources are",
                keeper.display()
            )
        })?;
        let mut child = Command::new(keeper)
            .args(["serve", backend.name()])
            .arg(home.canonicalize()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the program that starts servers cannot be started")?;
        let mut commands = child.stdin.take().context("it has no input")?;
        let mut answers = BufReader::new(child.stdout.take().context("it has no output")?).lines();
        tell(&mut commands, "start")?;
        let line = match said(&mut answers)? {
            Said::Line(line) => line,
            Said::Missing(why) => {
                child.wait()?;
                return Ok(Found::Missing(why));
            }
        };
        let told = serde_json::from_str(&line).context("what was started is not told")?;
        Ok(Found::Running(Box::new(Self {
            child,
            commands: Some(commands),
            answers,
            told,
        })))
    }

    /// What there is to know of it.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Stops it as an operator does, so that everything is where it stays, and starts it again; bytes of its files in
    /// between.
    ///
    /// # Errors
    /// Where it does not do so.
    pub fn restart(&mut self) -> anyhow::Result<u64> {
        self.command("stop")?;
        let bytes = bytes_below(&self.told.directory)?;
        let line = self.command("start")?;
        self.told = serde_json::from_str(&line).context("what was started is not told")?;
        Ok(bytes)
    }

    fn command(&mut self, command: &str) -> anyhow::Result<String> {
        let commands = self.commands.as_mut().context("it has been ended")?;
        tell(commands, command)?;
        match said(&mut self.answers)? {
            Said::Line(line) => Ok(line),
            Said::Missing(why) => bail!("{why}"),
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // Its keeper ends it when there is nobody to ask for anything.
        self.commands.take();
        let _ = self.child.wait();
    }
}

/// A command. Who has ended says why in what it said last.
fn tell(commands: &mut ChildStdin, command: &str) -> std::io::Result<()> {
    match writeln!(commands, "{command}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The next answer; what comes before is for who waits.
fn said(answers: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<Said> {
    for line in answers {
        let line = line?;
        if line.starts_with('{') {
            return Ok(Said::Line(line));
        }
        if let Some(why) = line.strip_prefix("UNAVAILABLE serve: ") {
            return Ok(Said::Missing(why.to_owned()));
        }
        if let Some(why) = line.strip_prefix("FAILED serve: ") {
            bail!("it cannot be started: {why}");
        }
        eprintln!("{line}");
    }
    bail!("the program that starts servers has ended; its last words are above")
}

/// What all files below a folder take on the disk: blocks, since some are longer than what is in them.
///
/// # Errors
/// Where a folder cannot be listed.
fn bytes_below(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt;

    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for file in crate::store::disk::files(folder)? {
        match file.metadata() {
            Ok(metadata) => bytes += metadata.blocks() * BLOCK,
            // What works beside this drops files.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A keeper that is a script.
    fn keeper(directory: &Path, script: &str) -> PathBuf {
        let path = directory.join("keeper");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_backend_is_told_started_and_measured_while_it_is_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let script = r#"
echo "  installing something"
read -r command && [ "$command" = start ] || exit 1
tell() { echo "{\"process\": $$, \"directory\": \"$3\", \"version\": \"Some 1.2\", \"configuration\": \"small\", \"settings\": {\"A\": \"b\"}}"; }
tell "$@"
read -r command && [ "$command" = stop ] || exit 1
head -c 100000 /dev/zero > "$3/file"
echo '{}'
read -r command && [ "$command" = start ] || exit 1
tell "$@""#;
        let keeper = keeper(directory.path(), script);
        let found = Neighbour::start(Backend::Mysql, &keeper, directory.path()).unwrap();
        let Found::Running(mut neighbour) = found else {
            panic!("{found:?}")
        };
        assert_eq!(neighbour.told().version, "Some 1.2");
        assert_eq!(neighbour.told().settings["A"], "b");
        assert!(neighbour.told().directory.ends_with("mysql"));
        let bytes = neighbour.restart().unwrap();
        assert!((100_000..200_000).contains(&bytes), "{bytes}");
        assert!(neighbour.restart().is_err(), "it has ended");
    }

    #[test]
    fn what_cannot_be_had_is_told_apart_from_what_does_not_start() {
        let directory = tempfile::tempdir().unwrap();
        let missing = keeper(directory.path(), "echo 'UNAVAILABLE serve: no Java'; exit 77");
        let found = Neighbour::start(Backend::Cassandra, &missing, directory.path()).unwrap();
        assert!(
            matches!(&found, Found::Missing(why) if why == "no Java"),
            "{found:?}"
        );
        let failing = keeper(directory.path(), "echo 'FAILED serve: broken'; exit 1");
        let error = Neighbour::start(Backend::Cassandra, &failing, directory.path()).unwrap_err();
        assert!(error.to_string().contains("broken"), "{error:#}");
        let silent = keeper(directory.path(), "exit 1");
        assert!(Neighbour::start(Backend::Cassandra, &silent, directory.path()).is_err());
    }
}
