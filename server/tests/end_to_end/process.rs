//! The server's process: started on a free port with a directory of its own, stopped with the test.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{Answer, Connection};

/// How long a server may take to start or stop: generous, the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<serde_json::Value>>>,
    log_reader: Option<JoinHandle<()>>,
    directory: Directory,
}

/// Where a server keeps its store: its own, or one that outlives it.
enum Directory {
    Own(TempDir),
    Lent(PathBuf),
}

impl Directory {
    fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Lent(path) => path,
        }
    }
}

impl Server {
    /// With `settings` on top of a free port of this machine and the memory store.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("STORAGE_TYPE", "mem")];
        all.extend_from_slice(settings);
        Self::spawn(Directory::Own(tempfile::tempdir().unwrap()), &all)
    }

    /// With the segment store in `directory`.
    pub(crate) fn start_in(directory: &Path, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("STORAGE_TYPE", "segment")];
        all.extend_from_slice(settings);
        Self::spawn(Directory::Lent(directory.to_owned()), &all)
    }

    fn spawn(directory: Directory, settings: &[(&str, &str)]) -> Self {
        let mut child = command(directory.path(), settings).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let log_reader = Some(read_log(stdout, stderr, Arc::clone(&log)));
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
            log_reader,
            directory,
        };
        let ready = server.wait_for_log("ready");
        server.address = ready["address"].as_str().unwrap().parse().unwrap();
        server
    }

    /// With a log that cannot be written: every attempt fails as on a full disk.
    pub(crate) fn start_mute() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let mut child = command(directory.path(), &[("STORAGE_TYPE", "mem")])
            .env("QUERY_PORT", free.port().to_string())
            .stdout(full())
            .stderr(full())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(free).is_err() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "the server does not listen; ended: {ended:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Self {
            child,
            address: free,
            log: Arc::default(),
            log_reader: None,
            directory: Directory::Own(directory),
        }
    }

    /// The first event of the log with this message.
    pub(crate) fn wait_for_log(&mut self, message: &str) -> serde_json::Value {
        let begin = Instant::now();
        loop {
            let found = self
                .log
                .lock()
                .unwrap()
                .iter()
                .find(|event| event["message"] == message)
                .cloned();
            if let Some(event) = found {
                return event;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "no event {message:?} in the log; ended: {ended:?}; log: {:#?}",
                self.log.lock().unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Messages of the log at the level WARN or ERROR.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let complaints = log
            .iter()
            .filter(|event| event["level"] == "WARN" || event["level"] == "ERROR");
        complaints.map(|event| event.to_string()).collect()
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.request(method, path, headers, body);
        connection
            .answer()
            .unwrap_or_else(|| panic!("{method} {path} was not answered"))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// Posts JSON v2.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.ask(
            "POST",
            "/api/v2/spans",
            &[("content-type", "application/json")],
            body.as_ref(),
        )
    }

    /// How many spans of a trace are found.
    pub(crate) fn spans_of(&self, trace_id: &str) -> usize {
        let answer = self.get(&format!("/api/v2/trace/{trace_id}"));
        if answer.status == 404 {
            0
        } else {
            answer.json().as_array().unwrap().len()
        }
    }

    /// Peak resident memory, bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop as an init system does.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Stops it with no chance to do anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < PATIENCE, "the server does not stop");
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(reader) = self.log_reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        // The directory goes after the process that writes to it.
        if let Directory::Own(directory) = &self.directory {
            drop(std::fs::remove_dir_all(directory.path()));
        }
    }
}

/// A start that is expected to fail: its status and everything it said.
pub(crate) fn run_to_end(
    directory: &Path,
    settings: &[(&str, &str)],
    arguments: &[&str],
) -> (ExitStatus, String) {
    let mut child = command(directory, settings).args(arguments).spawn().unwrap();
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the server started, but was expected not to");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status, said)
}

fn command(directory: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracehound"));
    command
        .env_clear()
        .env("LISTEN", "127.0.0.1")
        .env("QUERY_PORT", "0")
        .env("LOG_FORMAT", "json")
        .env("STORAGE_PATH", directory.join("store"))
        .envs(settings.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn read_log(
    stdout: ChildStdout,
    stderr: ChildStderr,
    log: Arc<Mutex<Vec<serde_json::Value>>>,
) -> JoinHandle<()> {
    let errors = Arc::clone(&log);
    let stderr = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            errors
                .lock()
                .unwrap()
                .push(serde_json::json!({"level": "ERROR", "stderr": line}));
        }
    });
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let event = serde_json::from_str(&line).unwrap_or_else(|_| serde_json::json!({"text": line}));
            log.lock().unwrap().push(event);
        }
        stderr.join().unwrap();
    })
}
