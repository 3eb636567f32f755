//! A process with a spool is killed ten times under load, while the backend, another process, comes and goes: every
//! acknowledged span is in the backend, once.
//!
//! The test runs itself a second time as that process. It tells of what it acknowledged on its standard output; the
//! backend speaks a protocol of its own: a length, a record, and a byte that says that it is stored.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Span, SpanBatch, SpanId, TraceId};
use storage::{BoxFuture, Result, SpanSink, SpanSource, StorageError};
use storage_memory::{MemoryConfig, MemoryStore};
use storage_spool::{Spool, SpoolConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TEST: &str = "every_acknowledged_span_arrives_once_though_the_process_is_killed_ten_times";
/// Tells a process that it is the child: directory, address of the backend, and the first trace to send.
const CHILD: &str = "SPOOL_TEST_CHILD";
const SPANS_A_TRACE: u64 = 5;
const KILLS: u64 = 10;

fn trace(number: u64) -> SpanBatch {
    let mut batch = SpanBatch::new();
    for id in 1..=SPANS_A_TRACE {
        batch.push_span(&Span {
            trace_id: TraceId::new(0, number).unwrap(),
            parent_id: (id > 1).then(|| SpanId::new(id - 1)),
            id: SpanId::new(id),
            kind: None,
            name: Some(format!("step {id}")),
            timestamp: Some(1_600_000_000_000_000 + number * 1_000 + id),
            duration: Some(100),
            local_endpoint: None,
            remote_endpoint: None,
            annotations: Vec::new(),
            tags: Vec::new(),
            debug: false,
            shared: false,
        });
    }
    batch
}

/// The child's way to the backend.
struct OverTcp(SocketAddr);

impl SpanSink for OverTcp {
    fn accept<'a>(&'a self, batch: &'a SpanBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let send = async {
                let mut connection = tokio::net::TcpStream::connect(self.0).await?;
                let record = storage_record::encode(batch);
                connection.write_all(&(record.len() as u32).to_le_bytes()).await?;
                connection.write_all(&record).await?;
                connection.read_u8().await
            };
            let sent: std::io::Result<u8> = send.await;
            sent.map(drop)
                .map_err(|error| StorageError::Unavailable(error.to_string()))
        })
    }
}

/// Accepts traces for ever, ten at a time, and says which it acknowledged; or, from trace 0, delivers what is left.
async fn child(directory: &Path, backend: SocketAddr, first: u64) {
    let config = SpoolConfig {
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(20),
        ..SpoolConfig::new(Arc::new(|| 0))
    };
    let nothing = Arc::new(MemoryStore::new(MemoryConfig::default()));
    let spool = Spool::open(directory, config, Arc::new(OverTcp(backend)), nothing).unwrap();
    if first == 0 {
        spool.drained().await;
        spool.close(Duration::from_secs(10)).await.unwrap();
        return;
    }
    let senders = (0..10).map(|sender| {
        let spool = Arc::clone(&spool);
        tokio::spawn(async move {
            for number in (first + sender..).step_by(10) {
                spool.accept(&trace(number)).await.unwrap();
                // One write, so that a line is there or not.
                std::io::stdout()
                    .write_all(format!("acknowledged {number}\n").as_bytes())
                    .unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

/// The backend: its store outlives its being there.
struct Backend {
    address: SocketAddr,
    store: Arc<MemoryStore>,
    serving: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut backend = Self {
            address: listener.local_addr().unwrap(),
            store: Arc::new(MemoryStore::new(MemoryConfig {
                spans_max: 100_000_000,
                ..MemoryConfig::default()
            })),
            serving: None,
        };
        backend.serve(listener);
        backend
    }

    fn serve(&mut self, listener: TcpListener) {
        let stop = Arc::new(AtomicBool::new(false));
        let (store, stopping) = (Arc::clone(&self.store), Arc::clone(&stop));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                // The child may be killed in the middle of it.
                if let Ok(batch) = receive(connection.as_ref().unwrap()) {
                    runtime.block_on(store.accept(&batch)).unwrap();
                    let _ = connection.unwrap().write_all(&[1]);
                }
            }
        });
        self.serving = Some((stop, thread));
    }

    /// From now on connections are refused.
    fn goes_away(&mut self) {
        let (stop, thread) = self.serving.take().unwrap();
        stop.store(true, Ordering::SeqCst);
        let _wake = TcpStream::connect(self.address);
        thread.join().unwrap();
    }

    fn is_back(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.serve(listener);
    }

    fn spans(&self, number: u64) -> Vec<Span> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let trace_id = TraceId::new(0, number).unwrap();
        runtime.block_on(self.store.trace(trace_id)).unwrap()
    }
}

fn receive(mut connection: &TcpStream) -> std::io::Result<SpanBatch> {
    let mut length = [0; 4];
    connection.read_exact(&mut length)?;
    let mut record = vec![0; u32::from_le_bytes(length) as usize];
    connection.read_exact(&mut record)?;
    let mut batch = SpanBatch::new();
    storage_record::decode(&record, &mut batch).unwrap();
    Ok(batch)
}

fn start_child(directory: &Path, backend: SocketAddr, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, format!("{}\n{backend}\n{first}", directory.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Reads acknowledgements, so many before the process is killed, and those that it had made until then; something
/// happens between.
fn kill_under_load(mut process: Child, acknowledged: &mut BTreeSet<u64>, halfway: impl FnOnce()) {
    let begin = acknowledged.len();
    let mut halfway = Some(halfway);
    let mut killed = false;
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let number = line.unwrap();
        let Some(number) = number.strip_prefix("acknowledged ") else {
            continue;
        };
        assert!(acknowledged.insert(number.parse().unwrap()), "{number} twice");
        if acknowledged.len() - begin == 75
            && let Some(halfway) = halfway.take()
        {
            halfway();
        }
        if acknowledged.len() - begin == 150 {
            process.kill().unwrap();
            killed = true;
        }
    }
    process.wait().unwrap();
    assert!(killed, "the process ended by itself");
}

#[test]
fn every_acknowledged_span_arrives_once_though_the_process_is_killed_ten_times() {
    if let Ok(orders) = std::env::var(CHILD) {
        let mut orders = orders.lines();
        let (directory, backend) = (orders.next().unwrap(), orders.next().unwrap());
        let first = orders.next().unwrap().parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(child(Path::new(directory), backend.parse().unwrap(), first));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut backend = Backend::start();
    let mut acknowledged = BTreeSet::new();
    for round in 0..KILLS {
        let process = start_child(directory.path(), backend.address, 1 + round * 1_000_000);
        kill_under_load(process, &mut acknowledged, || match round {
            3 | 7 => backend.goes_away(),
            6 | 8 => backend.is_back(),
            _ => {}
        });
    }
    let mut last = start_child(directory.path(), backend.address, 0);
    assert!(last.wait().unwrap().success());

    assert!(acknowledged.len() as u64 >= KILLS * 150);
    for number in acknowledged {
        let mut ids: Vec<u64> = backend.spans(number).iter().map(|span| span.id.value()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=SPANS_A_TRACE).collect::<Vec<_>>(), "trace {number}");
    }
}
