//! The servers that are measured: Tracehound's release binary and Zipkin's, each a process of its own on a free
//! port of this machine, with a directory that goes when it ends.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use crate::load::{Answer, Connection};
use crate::options::Setting;

/// A Java server on a busy machine takes its time.
const START_MAX: Duration = Duration::from_secs(90);
const STOP_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What can be started.
#[derive(Clone, Debug)]
pub enum Product {
    /// Our binary with its default store, synced before every acknowledgement.
    Tracehound {
        /// Where it is.
        binary: PathBuf,
        /// Variables beyond those of every measurement.
        settings: Vec<Setting>,
    },
    /// `zipkin-server` with `mem`, everything else as it comes.
    ZipkinMem {
        /// Its executable jar.
        jar: PathBuf,
    },
}

impl Product {
    /// As reports call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tracehound { .. } => "tracehound",
            Self::ZipkinMem { .. } => "zipkin-server, mem",
        }
    }

    /// How it was configured, for the report.
    pub fn settings(&self) -> String {
        match self {
            Self::Tracehound { settings, .. } => {
                let more = settings
                    .iter()
                    .map(|setting| format!(" {}={}", setting.name, setting.value));
                std::iter::once("STORAGE_TYPE=segment JOURNAL_SYNC=always".to_owned())
                    .chain(more)
                    .collect()
            }
            Self::ZipkinMem { .. } => "STORAGE_TYPE=mem".to_owned(),
        }
    }

    /// What it says it is.
    pub fn version(&self) -> String {
        match self {
            Self::Tracehound { binary, .. } => {
                crate::machine::first_line(Command::new(binary).arg("--version"))
            }
            Self::ZipkinMem { jar } => jar.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }

    /// Our binary: the one that is given, or the one beside this program; with further variables.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn tracehound(binary: Option<PathBuf>, settings: Vec<Setting>) -> anyhow::Result<Self> {
        let binary = match binary {
            Some(binary) => binary,
            None => std::env::current_exe()?.with_file_name("tracehound"),
        };
        let binary = found(
            &binary,
            "build it (cargo build --release -p server) or say where it is (--tracehound)",
        )?;
        Ok(Self::Tracehound { binary, settings })
    }

    /// `zipkin-server` from its executable jar.
    ///
    /// # Errors
    /// Where it is not there.
    pub fn zipkin_mem(jar: &Path) -> anyhow::Result<Self> {
        let jar = found(jar, "benches/zipkin-server.sh gets it")?;
        Ok(Self::ZipkinMem { jar })
    }

    /// Our binary, if that is it.
    pub fn binary(&self) -> Option<&Path> {
        match self {
            Self::Tracehound { binary, .. } => Some(binary),
            Self::ZipkinMem { .. } => None,
        }
    }

    fn command(&self, directory: &Path, port: u16) -> Command {
        let mut command = match self {
            Self::Tracehound { binary, settings } => {
                let mut command = Command::new(binary);
                command
                    .env("LISTEN", "127.0.0.1")
                    .env("STORAGE_TYPE", "segment")
                    .env("STORAGE_PATH", directory.join("store"))
                    .env("JOURNAL_SYNC", "always")
                    .envs(settings.iter().map(|setting| (&setting.name, &setting.value)));
                command
            }
            Self::ZipkinMem { jar } => {
                let mut command = Command::new("java");
                command.arg("-jar").arg(jar).env("STORAGE_TYPE", "mem");
                // Its own variable for the port would listen on every address of the machine.
                command
                    .arg("--armeria.ports[0].ip=127.0.0.1")
                    .arg(format!("--armeria.ports[0].port={port}"))
                    .arg("--armeria.ports[0].protocols[0]=http");
                command
            }
        };
        command.env("QUERY_PORT", port.to_string()).current_dir(directory);
        command
    }
}

/// A running server; ends with its value.
#[derive(Debug)]
pub struct Server {
    command: Command,
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

impl Server {
    /// Starts a server below `parent`, or the system's directory for temporary files, and waits until it is healthy.
    ///
    /// # Errors
    /// Where it cannot be started or does not become healthy; its last words are in the error.
    pub fn start(product: &Product, parent: Option<&Path>) -> anyhow::Result<Self> {
        Self::start_with(product, &[], parent)
    }

    /// The same with further variables.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        product: &Product,
        settings: &[(&str, &str)],
        parent: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut server = Self::launch(product, settings, parent)?;
        server.await_healthy()?;
        Ok(server)
    }

    /// The same, without waiting for anything: it may not even listen yet.
    ///
    /// # Errors
    /// Where there can be no such process.
    pub fn launch(
        product: &Product,
        settings: &[(&str, &str)],
        parent: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tracehound-benches-");
        let directory = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        }
        .context("no directory for the server")?;
        let port = free_port()?;
        let output = File::create(directory.path().join("output"))?;
        let mut command = product.command(directory.path(), port);
        command
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", product.name()))?;
        Ok(Self {
            command,
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            directory,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps what it keeps.
    pub fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Its log so far.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default()
    }

    /// Asks once, on a connection of its own.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        Connection::open(self.address)?.get(path)
    }

    /// Numbers of `/prometheus` by name, labels included.
    ///
    /// # Errors
    /// Where there is no answer.
    pub fn metrics(&self) -> anyhow::Result<Metrics> {
        let answer = self.get("/prometheus").context("no metrics")?;
        Ok(Metrics::new(&answer.body))
    }

    /// Ends it with no chance to do anything.
    ///
    /// # Errors
    /// Where the system does not do so.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again after [`Server::kill`], on what it left behind, and waits until it is healthy.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = self
            .command
            .spawn()
            .context("the server cannot be started again")?;
        self.await_healthy()
    }

    /// Asks it to end and starts it again with these variables, besides those it had.
    ///
    /// # Errors
    /// As [`Server::stop`] and [`Server::start`].
    pub fn restart_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        self.end()?;
        self.command.envs(settings.iter().copied());
        self.start_again()
    }

    /// The next start is without these variables.
    pub fn forget(&mut self, settings: &[(&str, &str)]) {
        for (name, _) in settings {
            self.command.env_remove(name);
        }
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// Where it does not.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    /// The same; it can be started again.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn end(&mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status()?;
        anyhow::ensure!(asked.success(), "the server cannot be asked to end");
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(begin.elapsed() < STOP_MAX, "the server does not end");
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn await_healthy(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let answer = self.get("/health").map(|answer| answer.status);
            if matches!(answer, Ok(200)) {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || begin.elapsed() > START_MAX {
                bail!(
                    "the server is not healthy (ended: {ended:?}, answer: {answer:?}); it said: {}",
                    self.output()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer of `/prometheus`.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// From the answer's body.
    pub fn new(body: &[u8]) -> Self {
        Self(String::from_utf8_lossy(body).into_owned())
    }

    /// A number by its name; with its labels, where it has any.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.lines().find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(' ')?;
            value.trim().parse().ok()
        })
    }
}

/// The file from the root: servers are started in directories of their own.
fn found(file: &Path, otherwise: &str) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    anyhow::ensure!(file.is_file(), "{shown} is not there: {otherwise}");
    file.canonicalize()
        .with_context(|| format!("{shown} cannot be reached"))
}

pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let metrics = Metrics("# TYPE a gauge\na_b 1\na 2.5\na_total{x=\"y\"} 3\n".to_owned());
        assert_eq!(metrics.get("a"), Some(2.5));
        assert_eq!(metrics.get("a_total{x=\"y\"}"), Some(3.0));
        assert_eq!(metrics.get("a_total"), None);
    }

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let error = Product::tracehound(Some("/nowhere/tracehound".into()), Vec::new()).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/tracehound is not there"));
        let error = Product::zipkin_mem(Path::new("nowhere.jar")).unwrap_err();
        assert!(error.to_string().starts_with("nowhere.jar is not there"));
    }

    #[test]
    fn a_server_that_ends_at_once_says_why() {
        let product = Product::Tracehound {
            binary: "/bin/ls".into(),
            settings: Vec::new(),
        };
        let error = Server::start(&product, None).unwrap_err();
        assert!(error.to_string().contains("ended: Some"), "{error}");
    }
}
