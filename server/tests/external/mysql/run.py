"""Spans go into a MariaDB that is full, cut off, stopped, killed, without tables, and closed to the server.

Usage: run.py CONTRACT ZIPKIN [--spans COUNT] KIT…     ZIPKIN is yes or no

1. The battery of `storage` runs on the database: CONTRACT is the program. So does Zipkin's own: KIT is its command line.
2. The server starts while the database is away, then the password is wrong, then the tables are missing. Spans are
   taken all the while, and health tells which of the three it is.
3. Lists in all formats are posted; meanwhile the database's disk is full, the way to it is cut and falls silent, it is
   stopped and killed, its connections are ended, and the server is killed again and again. Every span is found afterwards, once, as it was sent.
4. Tables as Zipkin's first releases made them are written and read, and a database is spoken to by TLS.
5. With ZIPKIN, both servers run on one database: each finds what the other wrote, and both answer the same.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import behind_spool
import lists
import messages
import relay as relays
import servers
import small_disk
import stage
import two_servers
from behind_spool import asked, await_true, outage, post, waiting
from database import PASSWORD, TLS_USER, USER, Database
from relay import Relay
from stage import require

# In memory; its logs and its first tables take a third of it.
DISK_MEBIBYTES = 1024
KILLS = 3
# More than it has tests.
KIT_SERVERS_MAX = 120
OLDER = Path(__file__).resolve().parent / "older.sql"
# What Zipkin cannot do with these tables: it loses a batch with a longer name, and ports that are no signed number.
TEXT_MAX = 255
PORT_MAX = 32_767


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
    said = asked(server, "/api/v2/services")
    require("zipkin_spans" in said, f"the answer does not say why: {said}")
    require(PASSWORD not in server.output.read_text(errors="replace"), "the password is in the log")
    server.stop()
    server.environment["MYSQL_ENSURE_SCHEMA"] = "true"
    server.start()
    await_true(lambda: waiting(server) == 0, "what waited is not delivered")
    print("  away, wrong password, no database, no tables: told, and nothing lost")


def fill_disk(server, database, disk):
    """A database whose disk is full takes nothing; it may end there. It is started again when somebody has made room."""
    if not disk.is_mounted:
        print("  NOT TESTED: a full disk of the database, since no file system can be mounted here")
        return
    disk.fill()
    await_true(lambda: outage(server), "a full disk is not noticed")
    told = outage(server)
    database.kill()
    disk.free()
    database.start()
    await_true(lambda: not outage(server), "spans wait after the disk was freed")
    print(f"  the database's disk was full under load: {told}")


def disturb(server, database, relay, disk):
    fill_disk(server, database, disk)
    relays.disturb(server, relay, {relays.CUT: "cannot be reached", relays.SILENT: "no answer within"})
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


def faults(database, directory, spans, disk):
    relay = Relay(database.port)
    server = instance(database, directory / "faults", MYSQL_TCP_PORT=str(relay.port))
    try:
        behind_spool.survive(
            server,
            spans,
            lambda body: troubles(server, database, body),
            lambda: disturb(server, database, relay, disk),
        )
    finally:
        relay.close()


def older_tables(database, directory):
    """Without high halves of identifiers, without names of other services, in three bytes a character."""
    database.ask("CREATE DATABASE older")
    database.ask(OLDER.read_text(), "older")
    server = instance(database, directory / "older", "older", STRICT_TRACE_ID="false")
    with servers.stopped_after(server):
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
        (found,) = json.loads(asked(server, "/api/v2/trace/7"))
        expected = {**span, "traceId": span["traceId"][16:], "remoteEndpoint": {"serviceName": "db"}}
        require(found == expected, f"{found} is not {expected}")
        query = "serviceName=web&remoteServiceName=db&annotationQuery=plain%3D%C3%A9"
        require(len(json.loads(asked(server, f"/api/v2/traces?{query}"))) == 1, "a search does not find it")
    print("  older tables are written and read")


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
            answer = asked(server, "/api/v2/services")
            require(said in answer, f"{name}: {answer}")
        finally:
            server.stop()
    print("  TLS to whom is trusted, and to nobody else")


def fitted(value):
    """The same spans, within what Zipkin can keep."""
    if isinstance(value, dict):
        return {fitted(key): fitted(inner) for key, inner in value.items() if key != "port" or inner <= PORT_MAX}
    if isinstance(value, list):
        return [fitted(inner) for inner in value]
    return value[:TEXT_MAX] if isinstance(value, str) else value


def is_somebodys(span):
    """Zipkin gives what a host without a name reported to another host, and forgets which side it was; ours does not.
    Markers have nothing to give."""
    if len(span) == 2:
        return True
    hosts = [one.get("endpoint", {}) for one in span.get("binaryAnnotations", []) + span.get("annotations", [])]
    hosts = hosts if "binaryAnnotations" in span else [span.get("localEndpoint", {})]
    return all("serviceName" in host for host in hosts)


def with_zipkin(database, directory):
    database.ask("CREATE DATABASE two_servers")
    ours = instance(database, directory / "two_servers", "two_servers", MYSQL_ENSURE_SCHEMA="true")

    def write(day_s):
        day = time.strftime("%Y-%m-%d", time.gmtime(day_s))
        database.ask(f"INSERT INTO zipkin_dependencies VALUES ('{day}', 'web', 'db', 20, 3)", "two_servers")

    def kept(spans):
        return fitted([span for span in spans if is_somebodys(span)])

    two_servers.interchange(ours, "mysql", "MYSQL_", directory, write, kept)


def kit(database, command):
    """Each of its servers has a database of its own."""
    database.ask("".join(f"CREATE DATABASE kit{number};" for number in range(1, KIT_SERVERS_MAX + 1)))
    settings = {
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_TCP_PORT": str(database.port),
        "MYSQL_USER": USER,
        "MYSQL_PASS": PASSWORD,
        "MYSQL_ENSURE_SCHEMA": "true",
    }
    behind_spool.kit(command, settings)


def run(options, directory):
    with small_disk.mounted(directory / "disk", DISK_MEBIBYTES) as disk:
        on(disk, options, directory)


def on(disk, options, directory):
    database = Database(directory, disk=disk.path)
    try:
        faults(database, directory, options.spans, disk)
        by_password = ("--user", USER, "--password", PASSWORD)
        behind_spool.contract(options.contract, "--port", str(database.port), *by_password)
        kit(database, options.kit)
        older_tables(database, directory)
        database.ask("CREATE DATABASE encrypted")
        by_tls(database, directory)
        if options.zipkin == "yes":
            with_zipkin(database, directory)
        else:
            print("  NOT TESTED: Zipkin's own server on the same database, which could not be had")
    finally:
        database.kill()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("contract")
    parser.add_argument("zipkin", choices=("yes", "no"))
    parser.add_argument("--spans", type=int, default=60_000)
    parser.add_argument("kit", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    stage.run(lambda directory: run(options, directory))


if __name__ == "__main__":
    main()
