"""Zipkin's server and ours on one database: each finds what the other wrote, and both answer the same."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("", "differential", "kafka")]

import servers
import wire
from compare import canonical
from generate import Generator
from stage import await_true, require

SEED = 20
SPANS = 1500
AWAITED_MAX_S = 60
ASKED_MAX_S = 30
DAY_MS = 86_400_000
# Of a hundred traces at least so many must be there: the rest are of ids that nobody reported.
FOUND_MIN = 0.9


# What Zipkin cannot do with these tables: it loses a batch with a longer name, and ports that are no signed number.
TEXT_MAX = 255
PORT_MAX = 32_767


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


def ask(server, path):
    """The answer; `None` for 404."""
    try:
        with urllib.request.urlopen(server.base + path, timeout=ASKED_MAX_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        if refused.code == 404:
            return None
        raise


def send(server, wire_format, spans):
    path, media_type = wire.PATHS[wire_format]
    request = urllib.request.Request(
        server.base + path, wire.encode(wire_format, spans), {"Content-Type": media_type}
    )
    with urllib.request.urlopen(request, timeout=ASKED_MAX_S) as answer:
        require(answer.status == 202, f"{wire_format} is not taken")


def in_order(answer):
    if answer and isinstance(answer[0], dict):
        return sorted(answer, key=canonical)
    return answer


def compare(zipkin, ours, path):
    """What both answer, which must be the same."""
    theirs, answer = in_order(ask(zipkin, path)), in_order(ask(ours, path))
    only_theirs = [item for item in theirs or [] if item not in (answer or [])]
    only_ours = [item for item in answer or [] if item not in (theirs or [])]
    require(theirs == answer, f"{path}: only Zipkin's {only_theirs[:1]}; only ours {only_ours[:1]}")
    return answer


def interchange(ours, database, directory):
    """Starts both; the tables are made by ours."""
    (directory / "zipkin").mkdir()
    options = {name: value for name, value in ours.environment.items() if name.startswith("MYSQL_")}
    zipkin = servers.Instance("zipkin", "mysql", directory / "zipkin", **options)
    try:
        ours.start()
        require(ask(ours, "/api/v2/services") == [], "the database is not empty")
        zipkin.start()
        exchange(zipkin, ours, database)
    except BaseException:
        ours.show_output()
        zipkin.show_output()
        raise
    finally:
        zipkin.stop()
        ours.stop()


def exchange(zipkin, ours, database):
    now_us = time.time_ns() // 10**9 * 10**6
    generator = Generator(SEED, now_us, "orderly")
    for number, (wire_format, spans, marker) in enumerate(generator.batches(SPANS)):
        one, other = (zipkin, ours) if number % 2 == 0 else (ours, zipkin)
        send(one, wire_format, fitted([span for span in spans if is_somebodys(span)]))
        # What one wrote the other finds.
        path = f"/api/v2/trace/{marker}"
        await_true(lambda: ask(other, path) is not None, AWAITED_MAX_S, f"{other.product} does not find {marker}")
    asked = sorted(set(generator.trace_ids))
    found = sum(compare(zipkin, ours, f"/api/v2/trace/{trace_id}") is not None for trace_id in asked)
    require(found >= FOUND_MIN * len(asked), f"only {found} of {len(asked)} traces are there")
    services = compare(zipkin, ours, "/api/v2/services")
    for service in services:
        compare(zipkin, ours, "/api/v2/spans?" + urllib.parse.urlencode({"serviceName": service}))
    links_of_the_job(ours, database, now_us // 1000)
    print(f"  {found} traces and the names of {len(services)} services, written by both, are the same to both")


def links_of_the_job(ours, database, now_ms):
    """Rows that Zipkin's job wrote of a day long ago."""
    day_ms = now_ms // DAY_MS * DAY_MS - 9 * DAY_MS
    day = time.strftime("%Y-%m-%d", time.gmtime(day_ms / 1000))
    database.ask(f"INSERT INTO zipkin_dependencies VALUES ('{day}', 'web', 'db', 20, 3)", "two_servers")
    expected = [{"parent": "web", "child": "db", "callCount": 20, "errorCount": 3}]
    window = urllib.parse.urlencode({"endTs": day_ms + DAY_MS, "lookback": DAY_MS})
    answer = ask(ours, f"/api/v2/dependencies?{window}")
    require(answer == expected, f"{answer} is not what the job wrote")
