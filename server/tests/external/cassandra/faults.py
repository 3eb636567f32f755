"""What a cluster does to a server before it: nothing that was acknowledged is lost."""

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import behind_spool
import lists
import relay as relays
import servers
from cassandra.cluster import NoHostAvailable
from behind_spool import asked, await_true, outage, post, waiting
from messages import TRACE_SPANS
from relay import Relay
from stage import require

USER, PASSWORD = "zipkin", "what-nobody-guesses"
KILLS = 2
OUTAGE_S = 2
# Less than a driver waits that looks less and less often.
ANSWERED_AGAIN_S = 8
LOOK_EVERY_S = 0.1
# Lists are posted for as long as all that lasts.
POST_PAUSE_S = 0.15
LOOKBACK_MS = 7_200_000


def instance(node, directory, **options):
    directory.mkdir()
    settings = {
        "CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{node.port}",
        "CASSANDRA_KEYSPACE": directory.name.replace("-", "_"),
        "CASSANDRA_USERNAME": USER,
        "CASSANDRA_PASSWORD": PASSWORD,
        **options,
    }
    return servers.Instance("tracehound", "cassandra3", directory, **settings)


def survive(node, disk, directory, spans):
    relay = Relay(node.port)
    settings = {
        "CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{relay.port}",
        "CASSANDRA_LOCAL_DC": "elsewhere",
        "CASSANDRA_ENSURE_SCHEMA": "false",
    }
    server = instance(node, directory / "faults", **settings)
    try:
        behind_spool.survive(
            server,
            spans,
            lambda body: troubles(server, node, body),
            lambda: disturb(server, node, disk, relay),
            POST_PAUSE_S,
        )
        with servers.stopped_after(server):
            server.start()
            require_searched(server, spans)
    finally:
        relay.close()


def require_searched(server, spans):
    """What was kept is found by searches as well, which go by other tables."""
    traces = spans // TRACE_SPANS
    found = json.loads(asked(server, f"/api/v2/traceSummaries?lookback={LOOKBACK_MS}&limit={2 * traces}"))
    require(len(found) == traces, f"searches find {len(found)} of {traces} traces")
    print(f"  {traces} traces are found by searches")


def troubles(server, node, body):
    """Away, closed, in another data centre, without tables: told apart, and nothing is lost."""
    server.start()
    require(post(server.base, body, lists.format_of(0)) == 202, "spans are not taken while the cluster is away")
    await_true(lambda: "The pool is broken" in outage(server), "health does not tell that the cluster is away")
    node.start()
    node.ask(f"CREATE ROLE {USER} WITH PASSWORD = 'another' AND LOGIN = true AND SUPERUSER = true")
    await_true(lambda: "incorrect" in outage(server), "health does not tell that the password is wrong")
    await_true(lambda: lets_in(node), "the password cannot be mended")
    await_true(lambda: "CASSANDRA_LOCAL_DC" in outage(server), "health does not tell of the wrong data centre")
    said = asked(server, "/api/v2/services")
    require("elsewhere" in said, f"the answer does not say why: {said}")
    again(server, CASSANDRA_LOCAL_DC="datacenter1")
    await_true(lambda: "CASSANDRA_ENSURE_SCHEMA" in outage(server), "health does not tell that there are no tables")
    again(server, CASSANDRA_ENSURE_SCHEMA="true")
    await_true(lambda: waiting(server) == 0, "what waited is not delivered")
    require(PASSWORD not in server.output.read_text(errors="replace"), "the password is in the log")
    print("  away, wrong password, wrong data centre, no tables: told, and nothing lost")


def again(server, **settings):
    server.stop()
    server.environment.update(settings)
    server.start()


def lets_in(node):
    """Whether the password is the one that it should be: a node lets nobody change it twice within seconds."""
    try:
        node.ask(f"ALTER ROLE {USER} WITH PASSWORD = '{PASSWORD}'")
        return True
    except NoHostAvailable:
        return False


def disturb(server, node, disk, relay):
    fill_disk(server, node, disk)
    relays.disturb(server, relay, {relays.CUT: "", relays.SILENT: ""})
    for _ in range(KILLS):
        node.stop()
        time.sleep(OUTAGE_S)
        node.start()
        require_answers_soon(server)
        time.sleep(OUTAGE_S)
        node.kill()
        server.kill()
        server.start()
        node.start()
        server.kill()
        server.start()
    print(f"  the node was stopped and killed {KILLS} times, the server was killed twice as often")


def require_answers_soon(server):
    """A node that is there again is asked again: who looks does not wait as long as it was away."""
    deadline = time.monotonic() + ANSWERED_AGAIN_S
    while True:
        try:
            said = asked(server, "/api/v2/services")
        except OSError as error:
            said = f"no answer: {error}"
        if said.startswith("["):
            return
        require(time.monotonic() < deadline, f"the node answers again, the server {ANSWERED_AGAIN_S} s later does not: {said}")
        time.sleep(LOOK_EVERY_S)


def fill_disk(server, node, disk):
    """A node whose disk is full takes nothing, until somebody frees it and starts the node again."""
    if not disk.is_mounted:
        print("  NOT TESTED: a full disk of the node, since no file system can be mounted here")
        return
    disk.fill()
    await_true(lambda: outage(server), "a full disk is not noticed")
    node.kill()
    disk.free()
    node.start()
    await_true(lambda: not outage(server), "spans wait after the disk was freed")
    print("  the node's disk was full under load")
