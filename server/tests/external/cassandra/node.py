"""A real Cassandra on this machine: one node, with ports of its own."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import certificates
import servers
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster, NoHostAvailable
from cassandra.policies import WhiteListRoundRobinPolicy

START_MAX_S = 180
LOOK_EVERY_S = 0.2
ASKED_MAX_S = 60
BUILT = Path(__file__).resolve().parents[4] / "target" / "external" / "cassandra"
# The release before.
BUILT_BEFORE = BUILT.with_name("cassandra-4.1")
DATACENTER = "datacenter1"
# Whom a new cluster knows.
USER, PASSWORD = "cassandra", "cassandra"
# A small, fixed heap, and no second compiler: it starts faster.
JVM = ("-Xms1g", "-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djdk.attach.allowAttachSelf=true")
# Cassandra 4.1 says what Java 17 only lets it say if it is told so.
JVM_BEFORE = (*JVM, "-Djava.security.manager=allow")
# What Java keeps from libraries unless it is told otherwise.
EXPORTED = (
    "java.base/java.lang.ref",
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.management/com.sun.jmx.remote.security",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
    "java.rmi/sun.rmi.transport.tcp",
    "java.sql/java.sql",
    "jdk.unsupported/sun.misc",
)
OPENED = (
    "java.base/java.io",
    "java.base/java.lang",
    "java.base/java.lang.module",
    "java.base/java.lang.reflect",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/jdk.internal.loader",
    "java.base/jdk.internal.math",
    "java.base/jdk.internal.module",
    "java.base/jdk.internal.ref",
    "java.base/jdk.internal.reflect",
    "java.base/jdk.internal.util.jar",
    "java.base/sun.nio.ch",
    "jdk.management/com.sun.management.internal",
)
LOGGING = """<configuration>
  <appender name="OUTPUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%-5level %date{ISO8601} %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUTPUT"/></root>
</configuration>
"""


class NodeFailed(Exception):
    """The node did not do what it was asked."""


class Node(servers.Neighbour):
    """Listens on the loopback interface; its ports and its tables stay the same over restarts. Clients speak plainly or by
    TLS, as they like. What it keeps is on `disk`, what it says in `directory`."""

    def __init__(self, directory, disk, jvm=JVM, built=BUILT):
        self.jvm = jvm
        self.built = built
        self.port = servers.free_port()
        self.home = disk / "cassandra"
        self.output = directory / "cassandra-output"
        self.home.mkdir()
        self.directory = directory
        self.configuration = directory / "cassandra.json"
        self.keys = directory / "node.p12"
        self.logging = directory / "logback.xml"
        self.logging.write_text(LOGGING)
        self.configure()

    def configure(self, address="127.0.0.1", **settings):
        """Before it is started: for whom its certificate is, and settings other than usual. JSON is YAML."""
        self.authority, certificate, key = certificates.create(self.directory, f"IP:{address}")
        certificates.openssl(
            "pkcs12", "-export", "-in", certificate, "-inkey", key, "-out", self.keys, "-passout", "pass:nothing"
        )
        self.configuration.write_text(json.dumps({**self.settings(), **settings}))

    def settings(self):
        return {
            "cluster_name": "test",
            "listen_address": "127.0.0.1",
            "rpc_address": "127.0.0.1",
            "storage_port": servers.free_port(),
            "native_transport_port": self.port,
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": "127.0.0.1"}],
                }
            ],
            "num_tokens": 1,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "authenticator": "PasswordAuthenticator",
            "authorizer": "AllowAllAuthorizer",
            "credentials_validity": "100ms",
            "data_file_directories": [str(self.home / "data")],
            "commitlog_directory": str(self.home / "commitlog"),
            "saved_caches_directory": str(self.home / "saved_caches"),
            "hints_directory": str(self.home / "hints"),
            "cdc_raw_directory": str(self.home / "cdc_raw"),
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10s",
            "commitlog_segment_size": "16MiB",
            "commitlog_total_space": "256MiB",
            "disk_failure_policy": "stop_paranoid",
            "commit_failure_policy": "stop",
            "memtable_heap_space": "192MiB",
            "memtable_offheap_space": "64MiB",
            "key_cache_size": "16MiB",
            "row_cache_size": "0MiB",
            "counter_cache_size": "0MiB",
            "concurrent_reads": 16,
            "concurrent_writes": 16,
            "concurrent_compactors": 1,
            "auto_snapshot": False,
            "sasi_indexes_enabled": True,
            "client_encryption_options": {
                "enabled": True,
                "optional": True,
                "keystore": str(self.keys),
                "keystore_password": "nothing",
                "store_type": "PKCS12",
            },
        }

    def start(self):
        """Returns once it answers."""
        told = self.output.stat().st_size if self.output.exists() else 0
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                self.command(), cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_MAX_S
        while not self.answers():
            if self.process.poll() is not None:
                raise NodeFailed(f"it ended at start:\n{self.output.read_bytes()[told:].decode(errors='replace')[-4000:]}")
            if time.monotonic() > deadline:
                raise NodeFailed("it does not start")
            time.sleep(LOOK_EVERY_S)

    def command(self):
        command = ["java", *self.jvm]
        command += [f"--add-exports={package}=ALL-UNNAMED" for package in EXPORTED]
        command += [f"--add-opens={package}=ALL-UNNAMED" for package in OPENED]
        command += [f"-javaagent:{agent}" for agent in (self.built / "lib").glob("jamm-*.jar")]
        properties = {
            "cassandra.config": self.configuration.as_uri(),
            "cassandra.storagedir": str(self.home),
            "logback.configurationFile": str(self.logging),
            "cassandra-foreground": "yes",
            # One node has nobody to wait for.
            "cassandra.skip_wait_for_gossip_to_settle": "0",
            "cassandra.ring_delay_ms": "100",
            "cassandra.superuser_setup_delay_ms": "0",
            # Every connection logs in, and there are thousands.
            "cassandra.auth_bcrypt_gensalt_log2_rounds": "4",
        }
        command += [f"-D{name}={value}" for name, value in properties.items()]
        return [*command, "-cp", f"{self.built / 'lib'}/*", "org.apache.cassandra.service.CassandraDaemon"]

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            self.ask("SELECT key FROM system.local")
            return True
        except (OSError, NoHostAvailable):
            return False

    def ask(self, *statements):
        """The rows of the last statement, lists of columns."""
        with client(self.port) as session:
            for statement in statements:
                rows = session.execute(statement, timeout=ASKED_MAX_S)
            return [list(row) for row in rows]


@contextlib.contextmanager
def client(port):
    """A session of whom a new cluster knows."""
    cluster = Cluster(
        ["127.0.0.1"],
        port=port,
        auth_provider=PlainTextAuthProvider(USER, PASSWORD),
        connect_timeout=ASKED_MAX_S,
        load_balancing_policy=WhiteListRoundRobinPolicy(["127.0.0.1"]),
        protocol_version=4,
    )
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()
