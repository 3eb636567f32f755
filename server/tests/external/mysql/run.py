"""Spans go into a MariaDB that is stopped, killed, cut off, without tables, and closed to the server.

Usage: run.py CONTRACT ZIPKIN [--spans COUNT]     ZIPKIN is yes or no

1. The battery of `storage` runs on the database: CONTRACT is the program.
2. The server starts while the database is away, then the password is wrong, then the tables are missing. Spans are
   taken all the while, and health tells which of the three it is.
3. Lists in all formats are posted; meanwhile the database is stopped and killed, its connections are cut, and the
   server is killed again and again. Every span is found afterwards, once, as it was sent.
4. Tables as Zipkin's first releases made them are written and read, and a database is spoken to by TLS.
5. With ZIPKIN, both servers run on one database: each finds what the other wrote, and both answer the same.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("", "kafka", "rabbitmq")]

import lists
import messages
import servers
import stage
import stored
from database import PASSWORD, TLS_USER, USER, Database
from interchange import interchange
from stage import require

CONTRACT_MAX_S = 400
AWAITED_MAX_S = 90
POSTED_MAX_S = 240
RETRY_S = 0.1
POST_PAUSE_S = 0.01
POST_TIMEOUT_S = 10
KILLS = 3
OLDER = Path(__file__).resolve().parent / "older.sql"
TYPES = {
    "json_v1": ("/api/v1/spans", "application/json"),
    "json_v2": ("/api/v2/spans", "application/json"),
    "proto3": ("/api/v2/spans", "application/x-protobuf"),
    "thrift": ("/api/v1/spans", "application/x-thrift"),
}


def await_true(condition, otherwise):
    stage.await_true(condition, AWAITED_MAX_S, otherwise)


def instance(database, directory, name="zipkin", **options):
    directory.mkdir()
    settings = {
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_TCP_PORT": str(database.port),
        "MYSQL_USER": USER,
        "MYSQL_PASS": PASSWORD,
        "MYSQL_DB": name,
        **options,
    }
    return servers.Instance("tracehound", "mysql", directory, **settings)


def contract(program, database):
    command = [program, "--port", str(database.port), "--user", USER, "--password", PASSWORD]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=CONTRACT_MAX_S)
    require(finished.returncode == 0, f"the contract is not kept:\n{finished.stdout[-20_000:]}")
    print(f"  {finished.stdout.strip()[:200]} …")


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

    def __init__(self, base, bodies):
        super().__init__(daemon=True)
        self.base = base
        self.bodies = bodies
        self.acknowledged = 0

    def run(self):
        for message, body in self.bodies:
            while post(self.base, body, lists.format_of(message)) != 202:
                time.sleep(RETRY_S)
            self.acknowledged += 1
            time.sleep(POST_PAUSE_S)

    def finish(self):
        self.join(POSTED_MAX_S)
        require(not self.is_alive(), f"only {self.acknowledged} lists were taken within {POSTED_MAX_S} s")


def storage_health(server):
    with urllib.request.urlopen(server.base + "/health", timeout=POST_TIMEOUT_S) as answer:
        return json.loads(answer.read())["zipkin"]["details"]["MySQLStorage{}"]


def outage(server):
    health = storage_health(server)
    require(health["status"] == "UP", f"the server takes spans and is not up: {health}")
    return health["details"].get("outage", "")


def waiting(server):
    return stored.metrics(server.base)["tracehound_spool_spans"]


def troubles(server, database, body):
    """Away, closed, without tables: told apart, and nothing is lost."""
    server.start()
    require(post(server.base, body, lists.format_of(0)) == 202, "spans are not taken while the database is away")
    await_true(lambda: "cannot be reached" in outage(server), "health does not tell that the database is away")
    database.start()
    database.let_in(password="another")
    await_true(lambda: "Access denied" in outage(server), "health does not tell that the password is wrong")
    database.let_in()
    await_true(lambda: "Unknown database" in outage(server), "health does not tell that there is no database")
    database.ask("CREATE DATABASE zipkin")
    await_true(lambda: "MYSQL_ENSURE_SCHEMA" in outage(server), "health does not tell that there are no tables")
    try:
        urllib.request.urlopen(server.base + "/api/v2/services", timeout=POST_TIMEOUT_S)
        raise stage.Wrong("a question is answered without tables")
    except urllib.error.HTTPError as refused:
        said = refused.read().decode()
        require(refused.code == 500 and "zipkin_spans" in said, f"the answer does not say why: {said}")
    require(PASSWORD not in server.output.read_text(errors="replace"), "the password is in the log")
    server.stop()
    server.environment["MYSQL_ENSURE_SCHEMA"] = "true"
    server.start()
    await_true(lambda: waiting(server) == 0, "what waited is not delivered")
    print("  away, wrong password, no database, no tables: told, and nothing lost")


def disturb(server, database):
    for _ in range(KILLS):
        time.sleep(2)
        database.stop()
        time.sleep(2)
        database.start()
        time.sleep(1)
        database.kill()
        server.kill()
        server.start()
        database.start()
        await_true(lambda: database.cut_connections() > 0, "the server does not connect")
        server.kill()
        server.start()
    print(f"  the database was stopped and killed {KILLS} times, its connections were cut, the server was killed")


def check(server, spans):
    await_true(lambda: waiting(server) == 0, "the spool is not empty")
    found = stored.Found(spans, lists.name_of)
    answered = found.read(server.base)
    found.require_all()
    refused = stored.metrics(server.base)["tracehound_spool_refused_files"]
    require(refused == 0, f"{refused} files of spans that the database refused")
    print(f"  {answered} of {spans} spans found, as they were sent")


def faults(database, directory, spans):
    server = instance(database, directory / "faults")
    try:
        bodies = list(enumerate(lists.bodies(spans)))
        troubles(server, database, bodies[0][1])
        poster = Poster(server.base, bodies)
        poster.start()
        disturb(server, database)
        poster.finish()
        check(server, spans)
        servers.require_unharmed(server.process, server.output)
    except BaseException:
        server.show_output()
        raise
    finally:
        server.stop()


def older_tables(database, directory):
    """Without high halves of identifiers, without names of other services, in three bytes a character."""
    database.ask("CREATE DATABASE older")
    database.ask(OLDER.read_text(), "older")
    server = instance(database, directory / "older", "older", STRICT_TRACE_ID="false")
    try:
        server.start()
        span = {
            "traceId": "5eed0000000000010000000000000007",
            "id": "0000000000000008",
            "kind": "CLIENT",
            "name": "get",
            "timestamp": messages.BEGIN_US,
            "duration": 7,
            "localEndpoint": {"serviceName": "web", "ipv4": "10.1.2.3"},
            "remoteEndpoint": {"serviceName": "db", "ipv6": "2001:db8::1"},
            "tags": {"animal": "🦀", "plain": "é"},
        }
        require(post(server.base, json.dumps([span]).encode(), "json_v2") == 202, "a span is not taken")
        await_true(lambda: waiting(server) == 0, "older tables are not written")
        with urllib.request.urlopen(server.base + "/api/v2/trace/7", timeout=POST_TIMEOUT_S) as answer:
            (found,) = json.loads(answer.read())
        expected = {**span, "traceId": span["traceId"][16:], "remoteEndpoint": {"serviceName": "db"}}
        require(found == expected, f"{found} is not {expected}")
        query = "serviceName=web&remoteServiceName=db&annotationQuery=plain%3D%C3%A9"
        with urllib.request.urlopen(f"{server.base}/api/v2/traces?{query}", timeout=POST_TIMEOUT_S) as answer:
            require(len(json.loads(answer.read())) == 1, "a search does not find it")
        print("  older tables are written and read")
    except BaseException:
        server.show_output()
        raise
    finally:
        server.stop()


def by_tls(database, directory):
    """The server reads by TLS if it trusts the certificate, and only then."""
    encrypted = {"MYSQL_HOST": "localhost", "MYSQL_USER": TLS_USER, "MYSQL_USE_SSL": "true"}
    for name, options, said in (
        ("trusted", {**encrypted, "MYSQL_SSL_CA_FILE": str(database.authority)}, "[]"),
        ("untrusted", encrypted, "invalid peer certificate"),
        ("plain", {"MYSQL_USER": TLS_USER}, "Access denied"),
    ):
        server = instance(database, directory / f"tls-{name}", "encrypted", MYSQL_ENSURE_SCHEMA="true", **options)
        try:
            server.start()
            answer = services(server)
            require(said in answer, f"{name}: {answer}")
        finally:
            server.stop()
    print("  TLS to whom is trusted, and to nobody else")


def services(server):
    try:
        with urllib.request.urlopen(server.base + "/api/v2/services", timeout=POST_TIMEOUT_S) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.read().decode()


def run(options, directory):
    database = Database(directory)
    try:
        faults(database, directory, options.spans)
        contract(options.contract, database)
        older_tables(database, directory)
        database.ask("CREATE DATABASE encrypted")
        by_tls(database, directory)
        if options.zipkin == "yes":
            database.ask("CREATE DATABASE two_servers")
            ours = instance(database, directory / "two_servers", "two_servers", MYSQL_ENSURE_SCHEMA="true")
            interchange(ours, database, directory)
        else:
            print("  NOT TESTED: Zipkin's own server on the same database, which could not be had")
    finally:
        database.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("contract")
    parser.add_argument("zipkin", choices=("yes", "no"))
    parser.add_argument("--spans", type=int, default=60_000)
    options = parser.parse_args()
    stage.run(lambda directory: run(options, directory))


if __name__ == "__main__":
    main()
