"""Zipkin's server and ours on one storage: each finds what the other wrote, and both answer the same."""

import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent / "differential")]

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


def each_once(answer):
    """What is there twice is there once."""
    return answer and list({canonical(item): item for item in answer}.values())


def compare(zipkin, ours, path, read=lambda answer: answer):
    """What both answer, which must be the same once Zipkin's is `read`."""
    theirs, answer = in_order(read(ask(zipkin, path))), in_order(ask(ours, path))
    only_theirs = [item for item in theirs or [] if item not in (answer or [])]
    only_ours = [item for item in answer or [] if item not in (theirs or [])]
    require(theirs == answer, f"{path}: only Zipkin's {only_theirs[:1]}; only ours {only_ours[:1]}")
    return answer


def interchange(ours, storage, settings, directory, write_job, fitted=lambda spans: spans, read=lambda trace: trace):
    """Starts both on one storage, Zipkin's by its name and by those settings of ours that begin like that; what the
    storage needs is made by ours. `fitted` makes of spans what Zipkin can keep there, and `write_job` writes the link
    that Zipkin's job counted on a day, told by the seconds of its begin; `read` makes of a trace that Zipkin answers what it
    should have."""
    (directory / "zipkin").mkdir()
    options = {name: value for name, value in ours.environment.items() if name.startswith(settings)}
    zipkin = servers.Instance("zipkin", storage, directory / "zipkin", **options)
    with servers.stopped_after(ours, zipkin):
        ours.start()
        require(ask(ours, "/api/v2/services") == [], "the storage is not empty")
        zipkin.start()
        exchange(zipkin, ours, fitted, read)
        links_of_the_job(ours, write_job)


def exchange(zipkin, ours, fitted, read):
    now_us = time.time_ns() // 10**9 * 10**6
    generator = Generator(SEED, now_us, "orderly")
    for number, (wire_format, spans, marker) in enumerate(generator.batches(SPANS)):
        one, other = (zipkin, ours) if number % 2 == 0 else (ours, zipkin)
        send(one, wire_format, fitted(spans))
        # What one wrote the other finds.
        path = f"/api/v2/trace/{marker}"
        await_true(lambda: ask(other, path) is not None, AWAITED_MAX_S, f"{other.product} does not find {marker}")
    asked = sorted(set(generator.trace_ids))
    found = sum(compare(zipkin, ours, f"/api/v2/trace/{trace_id}", read) is not None for trace_id in asked)
    require(found >= FOUND_MIN * len(asked), f"only {found} of {len(asked)} traces are there")
    services = compare(zipkin, ours, "/api/v2/services")
    for service in services:
        compare(zipkin, ours, "/api/v2/spans?" + urllib.parse.urlencode({"serviceName": service}))
    print(f"  {found} traces and the names of {len(services)} services, written by both, are the same to both")


def links_of_the_job(server, write):
    """What Zipkin's job wrote of a day long ago."""
    day_ms = time.time_ns() // 10**6 // DAY_MS * DAY_MS - 9 * DAY_MS
    write(day_ms // 1000)
    expected = [{"parent": "web", "child": "db", "callCount": 20, "errorCount": 3}]
    window = urllib.parse.urlencode({"endTs": day_ms + DAY_MS, "lookback": DAY_MS})
    answer = ask(server, f"/api/v2/dependencies?{window}")
    require(answer == expected, f"{answer} is not what the job wrote")
