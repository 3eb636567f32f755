//! Apache Kafka as a process of its own: one node, broker and controller, with the heap and the collector that its
//! own scripts start it with.

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::server::free_port;

/// What is written and read.
pub(super) const TOPIC: &str = "spans";
const MAIN: &str = "tracehound.kafka.Broker";
const CLUSTER: &str = "dHJhY2Vob3VuZC1iZW5jaA";
const JVM: [&str; 4] = ["-Xms1g", "-Xmx1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];
const LOG: &str = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";

const START_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A running broker; ends with its value.
#[derive(Debug)]
pub(super) struct Broker {
    child: Child,
    port: u16,
    partitions: u32,
    directory: TempDir,
}

impl Broker {
    /// Starts one with an empty directory below `parent`; a topic that is first asked for gets `partitions`.
    ///
    /// # Errors
    /// Where it does not start; its last words are in the error.
    pub(super) fn start(classpath: &str, partitions: u32, parent: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("tracehound-benches-kafka-");
        let directory = match parent {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        }
        .context("no directory for the broker")?;
        let port = free_port()?;
        let properties = directory.path().join("properties");
        std::fs::write(&properties, settings(directory.path(), port, partitions)?)?;
        let output = File::create(directory.path().join("output"))?;
        let child = Command::new("java")
            .args(JVM)
            .args([LOG, "-cp", classpath, MAIN])
            .arg(&properties)
            .arg(CLUSTER)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("java cannot be started")?;
        let mut broker = Self {
            child,
            port,
            partitions,
            directory,
        };
        broker.await_listening()?;
        Ok(broker)
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// A client's configuration: librdkafka's defaults.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        config
    }

    /// Records of the topic.
    ///
    /// # Errors
    /// Where the broker does not say.
    pub(super) fn records(&self) -> anyhow::Result<u64> {
        let consumer: BaseConsumer = self.client().create()?;
        let mut records = 0;
        for partition in 0..self.partitions as i32 {
            let (low, high) = consumer.fetch_watermarks(TOPIC, partition, ANSWER_MAX)?;
            records += (high - low) as u64;
        }
        Ok(records)
    }

    /// A client that asks for the offsets of a group, of which it is no member.
    ///
    /// # Errors
    /// Where there can be none.
    pub(super) fn watcher(&self, group: &str) -> anyhow::Result<Watcher> {
        let consumer = self.client().set("group.id", group).create()?;
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_range(TOPIC, 0, self.partitions as i32 - 1);
        Ok(Watcher { consumer, partitions })
    }

    fn await_listening(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || begin.elapsed() > START_MAX {
                let said = std::fs::read_to_string(self.directory.path().join("output")).unwrap_or_default();
                bail!("the broker does not start (ended: {ended:?}); it said: {said}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at how far a group is.
pub(super) struct Watcher {
    consumer: BaseConsumer,
    partitions: TopicPartitionList,
}

impl Watcher {
    /// Records that the group has committed.
    ///
    /// # Errors
    /// Where the broker does not say.
    pub(super) fn committed(&self) -> anyhow::Result<u64> {
        let offsets = self
            .consumer
            .committed_offsets(self.partitions.clone(), ANSWER_MAX)?;
        let committed = offsets
            .elements()
            .iter()
            .map(|partition| match partition.offset() {
                Offset::Offset(offset) => offset as u64,
                _ => 0,
            })
            .sum();
        Ok(committed)
    }
}

fn settings(directory: &Path, port: u16, partitions: u32) -> anyhow::Result<String> {
    let controller = free_port()?;
    let data = directory.join("data");
    Ok(format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=CLIENT://127.0.0.1:{port}\n\
         listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=CLIENT\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         num.partitions={partitions}\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=1\n\
         group.initial.rebalance.delay.ms=0\n",
        data.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_listens_on_this_machine_only() {
        let settings = settings(Path::new("/data/broker"), 9092, 4).unwrap();
        assert!(settings.contains("listeners=CLIENT://127.0.0.1:9092,CONTROLLER://127.0.0.1:"));
        assert!(settings.contains("log.dirs=/data/broker/data\nnum.partitions=4\n"));
    }

    #[test]
    fn a_broker_that_cannot_start_says_why() {
        let error = format!("{:#}", Broker::start("/nowhere", 1, None).unwrap_err());
        let has_java = Command::new("java").arg("--version").output().is_ok();
        let why = if has_java { MAIN } else { "java cannot be started" };
        assert!(error.contains(why), "{error}");
    }
}
