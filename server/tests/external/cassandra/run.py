"""Spans go into a Cassandra that is away, closed, without tables, full, stopped and killed.

Usage: run.py CONTRACT ZIPKIN [--spans COUNT] KIT…     ZIPKIN is yes or no

1. The server starts while the node is away, then the password and the data centre are wrong, then the tables are missing.
   Spans are taken all the while, and health tells which of them it is.
2. Lists in all formats are posted; meanwhile the node's disk is full, the way to it is cut and falls silent, it is stopped and
   killed, and the server is killed again and again. Every span is found afterwards, once, as it was sent.
3. The node is spoken to by TLS; one whose certificate is for another is not, unless that is wanted. One that refuses SASI
   indexes answers the same, and so does one whose indexes are taken away.
4. The battery of `storage` runs on the node: CONTRACT is the program. So does Zipkin's own: KIT is its command line, in which
   `{port}` and `{keyspace}` stand for where the tables are that are emptied before each test.
5. With ZIPKIN, both servers run on one keyspace: each finds what the other wrote, and both answer the same.
"""

import argparse
import contextlib
import datetime
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import behind_spool
import faults
import lists
import servers
import small_disk
import stage
import two_servers
from behind_spool import asked, await_true, post, waiting
from faults import instance
from node import PASSWORD, USER, Node
from stage import require

# In memory, since a node syncs all that it does.
DISK_MEBIBYTES = 3072
KIT_KEYSPACE = "kit"


def by_tls(node, directory, attempts):
    """Attempts to speak by TLS: a name, what the server is told, and what it answers."""
    for name, options, said in attempts:
        encrypted = {"CASSANDRA_USE_SSL": "true", "CASSANDRA_KEYSPACE": "encrypted", **options}
        server = instance(node, directory / f"tls-{name}", **encrypted)
        with servers.stopped_after(server):
            server.start()
            answer = asked(server, "/api/v2/services")
            require(said in answer, f"{name}: {answer}")


def of_the_node(node, directory):
    """The server trusts who signed the certificate, if it was told so, and only then."""
    authority = {"CASSANDRA_SSL_CA_FILE": str(node.authority)}
    # The certificate is for the address, and for no name.
    by_name = {**authority, "CASSANDRA_CONTACT_POINTS": f"localhost:{node.port}"}
    attempts = (("trusted", authority, "[]"), ("untrusted", {}, "certificate"), ("by_name", by_name, "[]"))
    by_tls(node, directory, attempts)
    print("  TLS to whom is trusted, and to nobody else")


def of_another(node, directory):
    """A certificate for another address is taken only by who does not want to know."""
    anybody = {"CASSANDRA_SSL_HOSTNAME_VALIDATION": "false"}
    authority = {"CASSANDRA_SSL_CA_FILE": str(node.authority)}
    attempts = (
        ("another", authority, "certificate"),
        ("any_address", {**authority, **anybody}, "[]"),
        ("any_authority", anybody, "certificate"),
    )
    by_tls(node, directory, attempts)
    print("  TLS to another address where that is wanted, and nowhere else")


def one_span():
    return {
        "traceId": "5eed000000000001",
        "id": "0000000000000001",
        "name": "get",
        "timestamp": time.time_ns() // 1000,
        "duration": 70_000,
        "localEndpoint": {"serviceName": "web"},
        "tags": {"order": "4711"},
    }


def require_searched(server):
    for query, count in (
        ("annotationQuery=order%3D4711", 1),
        ("serviceName=web&minDuration=70000", 1),
        ("annotationQuery=order%3D1", 0),
    ):
        answer = asked(server, f"/api/v2/traces?{query}")
        require(answer.count("traceId") == count, f"{query} finds {answer}")


def without_indexes(node, directory):
    """Cassandra creates no SASI indexes unless it is told that it may."""
    server = instance(node, directory / "plain")
    with servers.stopped_after(server):
        server.start()
        require(post(server.base, json.dumps([one_span()]).encode(), "json_v2") == 202, "a span is not taken")
        await_true(lambda: waiting(server) == 0, "spans wait for indexes")
        require_searched(server)
        require("sasi_indexes_enabled" in server.output.read_text(errors="replace"), "it does not say what is refused")
    print("  a node that refuses SASI indexes is searched as well")


def indexes_gone(node, directory):
    server = instance(node, directory / "dropped")
    with servers.stopped_after(server):
        server.start()
        require(post(server.base, json.dumps([one_span()]).encode(), "json_v2") == 202, "a span is not taken")
        await_true(lambda: waiting(server) == 0, "spans wait")
        require_searched(server)
        for index in ("span_annotation_query_idx", "span_l_service_idx", "trace_by_service_span_duration_idx"):
            node.ask(f"DROP INDEX dropped.{index}")
        require_searched(server)
    print("  indexes that are taken away are done without")


def other_nodes(node, directory):
    """The same node by other settings."""
    node.stop()
    node.configure(address="127.0.0.2", sasi_indexes_enabled=False)
    node.start()
    of_another(node, directory)
    without_indexes(node, directory)
    node.stop()
    node.configure()
    node.start()


def with_zipkin(node, directory):
    ours = instance(node, directory / "two_servers")

    def write_job(day_s):
        day = datetime.datetime.fromtimestamp(day_s, datetime.UTC).date()
        node.ask(
            "INSERT INTO two_servers.dependency (day, parent, child, calls, errors) "
            f"VALUES ('{day}', 'web', 'db', 20, 3)"
        )

    # Zipkin writes what it is sent twice twice, and answers it so.
    two_servers.interchange(ours, "cassandra3", "CASSANDRA_", directory, write_job, read=two_servers.each_once)


def contract(program, node):
    login = ("--user", USER, "--password", PASSWORD)
    behind_spool.contract(program, "--port", str(node.port), *login)


def kit(options, node):
    settings = {
        "CASSANDRA_CONTACT_POINTS": f"127.0.0.1:{node.port}",
        "CASSANDRA_KEYSPACE": KIT_KEYSPACE,
        "CASSANDRA_USERNAME": USER,
        "CASSANDRA_PASSWORD": PASSWORD,
    }
    places = {"{port}": str(node.port), "{keyspace}": KIT_KEYSPACE}
    command = options.kit
    for place, value in places.items():
        command = [part.replace(place, value) for part in command]
    behind_spool.kit(command, settings)


@contextlib.contextmanager
def running(*of_node):
    """A node to be started; it ends with the block, and says its last words where that fails."""
    node = Node(*of_node)
    try:
        yield node
    except BaseException:
        servers.show_last_lines("cassandra", node.output)
        raise
    finally:
        node.kill()


def on(disk, options, directory):
    with running(directory, disk.path) as node:
        faults.survive(node, disk, directory, options.spans)
        of_the_node(node, directory)
        indexes_gone(node, directory)
        other_nodes(node, directory)
        contract(options.contract, node)
        kit(options, node)
        if options.zipkin == "yes":
            with_zipkin(node, directory)
        else:
            print("  NOT TESTED: Zipkin's own server on the same keyspace, which could not be had")


def run(options, directory):
    with small_disk.mounted(directory / "disk", DISK_MEBIBYTES) as disk:
        on(disk, options, directory)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=40_000)
    parser.add_argument("contract")
    parser.add_argument("zipkin", choices=("yes", "no"))
    parser.add_argument("kit", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    stage.run(lambda directory: run(options, directory))


if __name__ == "__main__":
    main()
