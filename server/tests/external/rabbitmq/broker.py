"""A real RabbitMQ on this machine, with a directory, ports, a cookie and a name daemon of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pika

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import certificates
import servers

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_MAX_S = 60
STOP_MAX_S = 30
LOOK_EVERY_S = 0.1


class BrokerFailed(Exception):
    """The broker did not do what it was asked."""


class Broker:
    """Listens on the loopback interface; its address and its queues stay the same over restarts."""

    def __init__(self, directory):
        self.port = servers.free_port()
        self.tls_port = servers.free_port()
        self.output = directory / "output"
        self.process = None
        names_port = servers.free_port()
        for name in ("home", "database", "log"):
            (directory / name).mkdir()
        (directory / "plugins").write_text("[].\n")
        self.authority, certificate, key = certificates.create(directory)
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "listeners.ssl.1": f"127.0.0.1:{self.tls_port}",
            "ssl_options.cacertfile": self.authority,
            "ssl_options.certfile": certificate,
            "ssl_options.keyfile": key,
            "ssl_options.verify": "verify_none",
        }
        text = "".join(f"{name} = {value}\n" for name, value in settings.items())
        (directory / "rabbitmq.conf").write_text(text)
        self.environment = {
            **os.environ,
            "HOME": str(directory / "home"),
            "RABBITMQ_NODENAME": f"test-{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": str(directory / "database"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_DIST_PORT": str(servers.free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # Otherwise the broker starts one that outlives it.
        self.names = subprocess.Popen(["epmd"], env=self.environment)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        """Returns once it can be connected to."""
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                [PROGRAMS / "rabbitmq-server"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_MAX_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BrokerFailed(f"it ended at start:\n{self.output.read_text(errors='replace')}")
            try:
                self.connect().close()
                return
            except pika.exceptions.AMQPError:
                time.sleep(LOOK_EVERY_S)
        raise BrokerFailed(f"it cannot be connected to after {START_MAX_S} s")

    def stop(self):
        """As an operator stops it: what is durable stays."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(STOP_MAX_S)
        self.process = None

    def close(self):
        self.stop()
        self.names.terminate()
        self.names.wait()

    def connect(self):
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port))

    def control(self, *arguments):
        """What rabbitmqctl answers."""
        finished = subprocess.run(
            [PROGRAMS / "rabbitmqctl", "--quiet", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if finished.returncode != 0:
            raise BrokerFailed(f"rabbitmqctl {arguments}: {finished.stdout}{finished.stderr}")
        return finished.stdout

    def waiting(self, queue):
        """How many messages of a queue are ready, and how many delivered but not acknowledged."""
        columns = ("messages_ready", "messages_unacknowledged")
        listed = self.control("list_queues", "--no-table-headers", "name", *columns)
        rows = (line.split("\t") for line in listed.splitlines())
        return next(((int(ready), int(unanswered)) for name, ready, unanswered in rows if name == queue))
