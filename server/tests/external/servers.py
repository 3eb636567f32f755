"""Starts the servers that the external tests talk to, each on a free port with an empty store."""

import contextlib
import os
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


@contextlib.contextmanager
def running(product, storage, **options):
    """A healthy server of `product` ("tracehound" or "zipkin") with `storage` ("segment", "mem").

    `options` are further environment variables, by Zipkin's names. The server's output is printed
    if the block fails.
    """
    directory = Path(tempfile.mkdtemp(prefix="tracehound-external-"))
    port = free_port()
    environment = {
        **os.environ,
        **listen_locally(port),
        "STORAGE_TYPE": storage,
        "STORAGE_PATH": str(directory / "store"),
        **options,
    }
    with open(directory / "output", "wb") as output:
        process = subprocess.Popen(
            command(product), env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        base = f"http://127.0.0.1:{port}"
        await_healthy(process, base)
        yield Server(base, SETTLE_S[product])
        require_unharmed(process, directory / "output")
    except BaseException:
        print(f"--- the last lines of {product} ---")
        lines = (directory / "output").read_text(errors="replace").splitlines()
        print("\n".join(lines[-LINES_SHOWN_MAX:]))
        raise
    finally:
        stop(process)
        shutil.rmtree(directory)


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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
