"""A real OpenSearch on this machine, with a port of its own."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import servers

START_MAX_S = 120
ASKED_MAX_S = 30
LOOK_EVERY_S = 0.2
BUILT = Path(__file__).resolve().parents[4] / "target" / "external" / "elasticsearch"
# A small, fixed heap, and no second compiler: it starts faster.
JVM = ("-Xms768m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class ClusterFailed(Exception):
    """The cluster did not do what it was asked."""


class Cluster(servers.Neighbour):
    """One node on the loopback interface; its port and its indexes stay the same over restarts. What it keeps is on
    `disk`, what it says in `directory`."""

    def __init__(self, directory, disk, jvm=JVM):
        self.jvm = jvm
        self.port = servers.free_port()
        self.home = disk / "opensearch"
        self.output = directory / "opensearch-output"
        self.home.mkdir()

    def start(self):
        """Returns once it answers."""
        command = ["java", *self.jvm, "-cp", f"{BUILT / 'classes'}:{BUILT / 'lib'}/*"]
        command += ["tracehound.elasticsearch.OpenSearchServer", str(self.home), str(self.port)]
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(
                command, cwd=self.home, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_MAX_S
        while True:
            if self.process.poll() is not None:
                raise ClusterFailed(f"it ended at start:\n{self.output.read_text(errors='replace')[-4000:]}")
            try:
                # What was there before is there again.
                self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=30s")
                return
            except (OSError, ClusterFailed):
                if time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_EVERY_S)

    def ask(self, method, path, body=None):
        """The answer, which must be no refusal."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASKED_MAX_S)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = connection.getresponse()
        told = answer.read().decode()
        connection.close()
        if answer.status >= 300:
            raise ClusterFailed(f"{method} {path}: {answer.status} {told}")
        return json.loads(told) if told else None
