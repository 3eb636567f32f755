"""A real Apache Kafka on this machine: one broker or three, each broker also a controller (KRaft).

Everything listens on the loopback interface and lives in a directory that the caller gives and removes.
"""

import contextlib
import logging
import subprocess
import sys
import time
from pathlib import Path

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import servers
from stage import LOOK_EVERY_S, Wrong

BUILT = Path(__file__).resolve().parents[4] / "target" / "external" / "kafka"
CLASSES = f"{BUILT / 'classes'}:{BUILT / 'lib'}/*"
CLUSTER_ID = "dHJhY2Vob3VuZC10ZXN0cw"

# Small, and started quickly: the brokers share two processors with everything else.
JVM = ("-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
BROKER_LOG = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"

START_MAX_S = 60
STOP_MAX_S = 60
IN_SYNC_MAX_S = 60
ANSWER_MAX_S = 10
# Status of a JVM that was told to end.
STOPPED = (0, 143)

# What librdkafka says about brokers that are stopped on purpose is of no interest.
silent = logging.getLogger("librdkafka")
silent.addHandler(logging.NullHandler())
silent.propagate = False


class Broker:
    """One node; its address stays the same over restarts."""

    def __init__(self, node, directory):
        self.node = node
        self.directory = directory
        self.port = servers.free_port()
        self.controller_port = servers.free_port()
        self.process = None

    def configure(self, brokers):
        replicas = len(brokers)
        voters = ",".join(f"{b.node}@127.0.0.1:{b.controller_port}" for b in brokers)
        settings = {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": voters,
            "listeners": f"CLIENT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "CLIENT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.directory / f"broker-{self.node}",
            "auto.create.topics.enable": "false",
            "default.replication.factor": replicas,
            "min.insync.replicas": min(replicas, 2),
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 3,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": min(replicas, 2),
            # A killed member is missed after seconds, so that ten of them do not take ten minutes.
            "group.min.session.timeout.ms": 1000,
            "group.initial.rebalance.delay.ms": 0,
        }
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        self.properties.write_text(text)

    @property
    def properties(self):
        return self.directory / f"broker-{self.node}.properties"

    @property
    def output(self):
        return self.directory / f"broker-{self.node}.output"

    def start(self):
        command = ["java", *JVM, BROKER_LOG, "-cp", CLASSES, "tracehound.kafka.Broker"]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                [*command, str(self.properties), CLUSTER_ID], stdout=output, stderr=subprocess.STDOUT
            )

    def stop(self):
        """As an operator does: the broker hands its partitions over, then ends."""
        self.process.terminate()
        try:
            self.process.wait(STOP_MAX_S)
        except subprocess.TimeoutExpired:
            raise Wrong(f"broker {self.node} does not end") from None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Cluster:
    """Running brokers, and what an operator asks them."""

    def __init__(self, directory, brokers):
        self.brokers = [Broker(node + 1, directory) for node in range(brokers)]
        self.bootstrap = ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)
        for broker in self.brokers:
            broker.configure(self.brokers)
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=silent)

    def start(self):
        for broker in self.brokers:
            broker.start()
        self.await_brokers({broker.node for broker in self.brokers})

    def create_topics(self, **partitions):
        topics = [NewTopic(name, num_partitions=count) for name, count in partitions.items()]
        for created in self.admin.create_topics(topics).values():
            created.result(ANSWER_MAX_S)
        self.await_in_sync()

    def metadata(self):
        return self.admin.list_topics(timeout=ANSWER_MAX_S)

    def partitions(self):
        topics = self.metadata().topics.items()
        return {(t, p): state for t, topic in topics for p, state in topic.partitions.items()}

    def await_brokers(self, nodes):
        self.wait(lambda: set(self.metadata().brokers) == nodes, START_MAX_S, f"brokers are not {nodes}")

    def await_in_sync(self):
        def in_sync():
            states = self.partitions().values()
            return all(state.leader >= 0 and set(state.isrs) == set(state.replicas) for state in states)

        self.wait(in_sync, IN_SYNC_MAX_S, "not every replica is in sync")

    def patch(self, broker):
        """One step of a rolling upgrade: only when all is in sync, and until it is again."""
        everyone = {broker.node for broker in self.brokers}
        self.await_in_sync()
        broker.stop()
        leaders = {place: state.leader for place, state in self.partitions().items()}
        left = [place for place, leader in leaders.items() if leader in (-1, broker.node)]
        if left:
            raise Wrong(f"broker {broker.node} ended before it had handed over {left}")
        broker.start()
        self.await_brokers(everyone)
        self.await_in_sync()

    def end_offsets(self, topic):
        """Offset of the next record of each partition."""
        partitions = [p for t, p in self.partitions() if t == topic]
        request = {TopicPartition(topic, p): OffsetSpec.latest() for p in partitions}
        answers = self.admin.list_offsets(request, request_timeout=ANSWER_MAX_S)
        return {asked.partition: answer.result().offset for asked, answer in answers.items()}

    def committed(self, group, topic):
        """Offsets that the group has committed, of each partition it has."""
        request = [ConsumerGroupTopicPartitions(group)]
        answer = self.admin.list_consumer_group_offsets(request, request_timeout=ANSWER_MAX_S)
        offsets = answer[group].result().topic_partitions
        return {at.partition: max(at.offset, 0) for at in offsets if at.topic == topic}

    def lag(self, group, topic):
        """Records that the group has not committed, by the brokers' own account."""
        committed = self.committed(group, topic)
        ends = self.end_offsets(topic)
        return sum(end - committed.get(partition, 0) for partition, end in ends.items())

    def await_lag_zero(self, group, topic, max_s):
        """How long it took."""
        return self.wait(lambda: self.lag(group, topic) == 0, max_s, f"{group} lags behind {topic}")

    def wait(self, condition, max_s, otherwise):
        """Waits for `condition`, which may fail while brokers come and go; answers the seconds."""
        began = time.monotonic()
        while True:
            self.require_alive()
            last = None
            try:
                if condition():
                    return time.monotonic() - began
            except KafkaException as error:
                last = error
            if time.monotonic() - began > max_s:
                raise Wrong(f"{otherwise} after {max_s} s (last error: {last})")
            time.sleep(LOOK_EVERY_S)

    def require_alive(self):
        for broker in self.brokers:
            if broker.process.poll() not in (None, *STOPPED):
                raise Wrong(f"broker {broker.node} ended: {broker.process.returncode}")

    def show_output(self):
        for broker in self.brokers:
            servers.show_last_lines(f"broker {broker.node}", broker.output)

    def kill(self):
        for broker in self.brokers:
            broker.kill()


@contextlib.contextmanager
def running(directory, brokers):
    """A cluster; what its brokers said is printed if the block fails."""
    cluster = Cluster(directory, brokers)
    try:
        cluster.start()
        yield cluster
    except BaseException:
        cluster.show_output()
        raise
    finally:
        cluster.kill()
