"""What stages share whose storage is elsewhere: lists are posted whatever becomes of it, and nothing is lost.

A server before such a storage takes spans all the while, and its health tells what the matter is. Every list that was
acknowledged is found afterwards, once, as it was sent.
"""

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request

import lists
import servers
import stage
import stored
from stage import require

AWAITED_MAX_S = 90
CONTRACT_MAX_S = 400
KIT_MAX_S = 400
POSTED_MAX_S = 240
RETRY_S = 0.1
POST_PAUSE_S = 0.01
POST_TIMEOUT_S = 10
TYPES = {
    "json_v1": ("/api/v1/spans", "application/json"),
    "json_v2": ("/api/v2/spans", "application/json"),
    "proto3": ("/api/v2/spans", "application/x-protobuf"),
    "thrift": ("/api/v1/spans", "application/x-thrift"),
}


def await_true(condition, otherwise):
    stage.await_true(condition, AWAITED_MAX_S, otherwise)


def contract(program, *arguments):
    """Holds the storage to the battery of `storage`: `program` is told by `arguments` where it is."""
    finished = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=CONTRACT_MAX_S)
    require(finished.returncode == 0, f"the contract is not kept:\n{finished.stdout[-20_000:]}{finished.stderr[-2_000:]}")
    print(f"  {finished.stdout.strip()[:200]} …")


def kit(command, settings):
    """Runs Zipkin's own battery against our server: `settings` are the variables that name the storage."""
    environment = {**os.environ, **settings}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=KIT_MAX_S)
    require(finished.returncode == 0, f"not all of Zipkin's storage contract passed:\n{finished.stdout[-20_000:]}")
    print(f"  {finished.stdout.strip().splitlines()[-1]}")


def post(base, body, wire_format):
    """The status; `None` where the server does not answer."""
    path, media_type = TYPES[wire_format]
    request = urllib.request.Request(base + path, body, {"Content-Type": media_type})
    try:
        with urllib.request.urlopen(request, timeout=POST_TIMEOUT_S) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


class Poster(threading.Thread):
    """Posts every list until it is acknowledged."""

    def __init__(self, base, bodies, pause_s):
        super().__init__(daemon=True)
        self.base = base
        self.bodies = bodies
        self.pause_s = pause_s
        self.acknowledged = 0

    def run(self):
        for message, body in self.bodies:
            while post(self.base, body, lists.format_of(message)) != 202:
                time.sleep(RETRY_S)
            self.acknowledged += 1
            time.sleep(self.pause_s)

    def finish(self):
        self.join(POSTED_MAX_S)
        require(not self.is_alive(), f"only {self.acknowledged} lists were taken within {POSTED_MAX_S} s")


def outage(server):
    """What health tells of the storage, while the server is up because it takes spans; empty while the storage does."""
    with urllib.request.urlopen(server.base + "/health", timeout=POST_TIMEOUT_S) as answer:
        components = json.loads(answer.read())["zipkin"]["details"]
    (health,) = (told for name, told in components.items() if name.endswith("Storage{}"))
    require(health["status"] == "UP", f"the server takes spans and is not up: {health}")
    return health["details"].get("outage", "")


def waiting(server):
    return stored.metrics(server.base)["tracehound_spool_spans"]


def asked(server, path):
    """The answer's text, also of a refusal."""
    try:
        with urllib.request.urlopen(server.base + path, timeout=POST_TIMEOUT_S) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


def survive(server, spans, troubles, disturb, pause_s=POST_PAUSE_S):
    """`troubles` starts the server and takes the first list; then all are posted, with pauses, while `disturb` does its
    worst."""
    with servers.stopped_after(server):
        bodies = list(enumerate(lists.bodies(spans)))
        troubles(bodies[0][1])
        poster = Poster(server.base, bodies, pause_s)
        poster.start()
        disturb()
        poster.finish()
        check(server, spans)
        servers.require_unharmed(server.process, server.output)


def check(server, spans):
    await_true(lambda: waiting(server) == 0, "the spool is not empty")
    found = stored.Found(spans, lists.name_of)
    answered = found.read(server.base)
    found.require_all()
    refused = stored.metrics(server.base)["tracehound_spool_refused_files"]
    require(refused == 0, f"{refused} files of spans that the storage refused")
    print(f"  {answered} of {spans} spans found, as they were sent")
