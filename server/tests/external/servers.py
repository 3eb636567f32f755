"""Starts the servers that the external tests talk to, each on a free port with an empty store."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

START_MAX_S = 60
STOP_MAX_S = 10
NEIGHBOUR_STOP_MAX_S = 60
LINES_SHOWN_MAX = 20

# How long after its 202 a server's spans are visible. Tracehound's are at once, which the tests
# thereby hold it to; Zipkin stores after it has answered.
SETTLE_S = {"tracehound": 0.0, "zipkin": 1.0}


@dataclass(frozen=True)
class Server:
    base: str
    settle_s: float


def command(product):
    if product == "zipkin":
        # A fixed, small heap and no second compiler: it starts faster and stays below 1 GB.
        return ["java", "-Xmx768m", "-XX:TieredStopAtLevel=1", "-jar", os.environ["ZIPKIN_JAR"]]
    return [os.environ["TRACEHOUND_BINARY"]]


class Instance:
    """A server with a store of its own, to be started, killed and started again on the same port.

    `product` is "tracehound" or "zipkin", `storage` "segment" or "mem". The store and the output go
    into `directory`; `options` are further environment variables, by Zipkin's names.
    """

    def __init__(self, product, storage, directory, **options):
        self.product = product
        self.output = directory / "output"
        self.process = None
        port = free_port()
        self.base = f"http://127.0.0.1:{port}"
        self.environment = {
            **os.environ,
            **listen_locally(port),
            "STORAGE_TYPE": storage,
            "STORAGE_PATH": str(directory / "store"),
            **options,
        }

    def start(self):
        """Returns once it is healthy."""
        self.launch()
        await_healthy(self.process, self.base)

    def launch(self):
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command(self.product), env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None:
            stop(self.process)

    def show_output(self):
        show_last_lines(self.product, self.output)


class Neighbour:
    """A server of others beside ours: `process`, where it runs."""

    process = None

    def stop(self):
        """As an operator stops it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(NEIGHBOUR_STOP_MAX_S)
            self.process = None

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running(product, storage, **options):
    """A healthy server as of `Instance`, on an empty store; its output is printed if the block fails."""
    directory = Path(tempfile.mkdtemp(prefix="tracehound-external-"))
    instance = Instance(product, storage, directory, **options)
    try:
        with stopped_after(instance):
            instance.start()
            yield Server(instance.base, SETTLE_S[product])
            require_unharmed(instance.process, instance.output)
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def stopped_after(*instances):
    """Stops instances when the block ends; what they put out is printed if it fails."""
    try:
        yield
    except BaseException:
        for instance in instances:
            instance.show_output()
        raise
    finally:
        for instance in instances:
            instance.stop()


def show_last_lines(who, output):
    if output.exists():
        print(f"--- the last lines of {who} ---")
        print("\n".join(output.read_text(errors="replace").splitlines()[-LINES_SHOWN_MAX:]))


def listen_locally(port):
    """For both products; the long names are how Zipkin's HTTP server is told an address."""
    return {
        "LISTEN": "127.0.0.1",
        "QUERY_PORT": str(port),
        "ARMERIA_PORTS_0_IP": "127.0.0.1",
        "ARMERIA_PORTS_0_PORT": str(port),
        "ARMERIA_PORTS_0_PROTOCOLS_0": "http",
    }


def require_unharmed(process, output):
    """Whatever it was asked, the server still runs and has reported no error of its own."""
    if process.poll() is not None:
        raise RuntimeError(f"the server ended by itself with status {process.returncode}")
    lines = output.read_text(errors="replace").splitlines()
    harm = [line for line in lines if " ERROR " in line or "panicked" in line]
    if harm:
        raise RuntimeError("the server reported errors: " + "; ".join(harm[:5]))


def await_healthy(process, base):
    deadline = time.monotonic() + START_MAX_S
    answer = "none"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended at start with status {process.returncode}")
        try:
            with urllib.request.urlopen(base + "/health", timeout=5) as response:
                if response.status == 200:
                    return
                answer = str(response.status)
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            answer = str(error)
        time.sleep(0.02)
    raise RuntimeError(f"not healthy after {START_MAX_S} s, last answer: {answer}")


def stop(process):
    process.terminate()
    try:
        process.wait(STOP_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# Below those from which systems take the ports of outgoing connections: nobody connects from one before it is used.
PORTS = range(15_000, 32_000)
given = set()


def free_port():
    """A port that nothing listens on, and that was not given before: what asked for it may not listen yet."""
    for port in random.sample(PORTS, len(PORTS)):
        if port in given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        given.add(port)
        return port
    raise RuntimeError("no port is free")
