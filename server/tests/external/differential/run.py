"""Sends the same spans and the same queries to Zipkin's server and to ours, and compares.

Usage: run.py [--seed N] [--spans N] [--queries N] [--storage segment|mem] [--both-zipkin]

Exits 1 on any difference that is not a row of `deliberate.md`, and on a row that no longer
covers anything.
"""

import argparse
import collections
import contextlib
import http.client
import sys
import time
import urllib.parse
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import bodies
import servers
import wire
from compare import Answer, difference, read_excuses, shortened
from generate import Generator
from queries import Queries
from vocabulary import AUTOCOMPLETE_KEYS

VISIBLE_MAX_S = 10
SHOWN_MAX = 40
ANSWERED_MIN = 0.4


class Peer:
    """One of the two servers, over one connection."""

    def __init__(self, name, base, reads_own_writes):
        self.name = name
        self.reads_own_writes = reads_own_writes
        self.address = urllib.parse.urlsplit(base).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=30)

    def ask(self, method, path, body=None, headers=None):
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
        except (http.client.HTTPException, ConnectionError):  # idle for too long, or refused
            self.connection.close()
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
        payload = response.read()
        media_type = (response.getheader("Content-Type") or "").split(";")[0]
        return Answer(response.status, media_type, payload)

    def await_trace(self, trace_id):
        """Returns once the trace is there; at once, or never, if it must be visible at once."""
        deadline = time.monotonic() + (0 if self.reads_own_writes else VISIBLE_MAX_S)
        while self.ask("GET", f"/api/v2/trace/{trace_id}").status != 200:
            if time.monotonic() >= deadline:
                sys.exit(f"{self.name} acknowledged trace {trace_id} and does not have it")
            time.sleep(0.002)


class Comparison:
    """Asks both, and keeps what differs."""

    def __init__(self, zipkin, ours, excuses):
        self.zipkin = zipkin
        self.ours = ours
        self.excuses = excuses
        self.differences = []
        self.statuses = collections.Counter()
        self.answered = 0

    def ask(self, method, path, body=None, headers=None):
        """Zipkin's answer to the request, after comparing ours with it."""
        zipkin = self.zipkin.ask(method, path, body, headers)
        ours = self.ours.ask(method, path, body, headers)
        self.statuses[zipkin.status] += 1
        self.answered += zipkin.status == 200 and zipkin.body != b"[]"
        request = f"{method} {path}"
        if body is not None:
            request += f" {body[:200].decode(errors='backslashreplace')}"
        what = difference(request, zipkin, ours)
        if what is not None and not any(e.covers(request, zipkin, ours) for e in self.excuses):
            self.differences.append((request, what, zipkin, ours))
        return zipkin

    def report(self):
        """Prints what differs. True if nothing does but what is excused."""
        unused = [excuse for excuse in self.excuses if not excuse.used]
        for request, what, zipkin, ours in self.differences[:SHOWN_MAX]:
            print(f"DIFFERENT {request}\n  {what}")
            print(f"  {self.zipkin.name}: {shortened(zipkin.text(), 300)}")
            print(f"  {self.ours.name}: {shortened(ours.text(), 300)}")
        for excuse in unused:
            print(f"UNUSED excuse, nothing differs so any more: {excuse.request}")
        asked = sum(self.statuses.values())
        print(
            f"  {asked} requests, {self.answered} with data, "
            f"statuses {dict(sorted(self.statuses.items()))}: "
            f"{len(self.differences)} differences, "
            f"{sum(excuse.used for excuse in self.excuses)} excused"
        )
        return not self.differences and not unused


def send_spans(comparison, generator, count):
    sent = collections.Counter()
    for wire_format, spans, marker in generator.batches(count):
        path, content_type = wire.PATHS[wire_format]
        payload = wire.encode(wire_format, spans)
        answer = comparison.ask("POST", path, payload, {"Content-Type": content_type})
        if answer.status != 202:
            sys.exit(f"the generator made {wire_format} that Zipkin refuses: {answer.text()}")
        for peer in (comparison.zipkin, comparison.ours):
            peer.await_trace(marker)  # before the next batch, so that both store in one order
        sent[wire_format] += len(spans)
    print(f"  sent {sum(sent.values())} spans: {dict(sent)}")


def send_bodies(comparison):
    """Every odd body, and then what became of those that were accepted."""
    accepted = []
    for wire_format, texts in (("json_v2", bodies.JSON_V2), ("json_v1", bodies.JSON_V1)):
        for number, text in enumerate(texts):
            trace_id = f"{wire_format[-1]}{number:x}".ljust(16, "f")
            body = text.replace("$id", trace_id).encode()
            path, content_type = wire.PATHS[wire_format]
            answer = comparison.ask("POST", path, body, {"Content-Type": content_type})
            if answer.status == 202 and "$id" in text:
                accepted.append(trace_id)
    for wire_format, raw in (("proto3", bodies.PROTO3), ("thrift", bodies.THRIFT)):
        path, content_type = wire.PATHS[wire_format]
        for body in raw:
            comparison.ask("POST", path, body, {"Content-Type": content_type})
    for wire_format, headers, body in bodies.HEADERS:
        comparison.ask("POST", wire.PATHS[wire_format][0], body, headers)
    time.sleep(servers.SETTLE_S["zipkin"])
    for trace_id in accepted:
        answer = comparison.ask("GET", f"/api/v2/trace/{trace_id}")
        if answer.status != 200:
            sys.exit(f"Zipkin accepted a body and has no trace {trace_id} of it")


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--storage", default="segment")
    parser.add_argument("--both-zipkin", action="store_true", help="compare Zipkin with itself")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    product = "zipkin" if arguments.both_zipkin else "tracehound"
    storage = "mem" if arguments.both_zipkin else arguments.storage
    excuses = [] if arguments.both_zipkin else read_excuses()
    options = {"AUTOCOMPLETE_KEYS": ",".join(AUTOCOMPLETE_KEYS)}
    with contextlib.ExitStack() as stack:
        zipkin = stack.enter_context(servers.running("zipkin", "mem", **options))
        ours = stack.enter_context(servers.running(product, storage, **options))
        comparison = Comparison(
            Peer("Zipkin", zipkin.base, reads_own_writes=False),
            Peer("Tracehound", ours.base, reads_own_writes=product == "tracehound"),
            excuses,
        )
        now_us = time.time_ns() // 10**9 * 10**6  # whole seconds: the rest is the seed's alone
        generator = Generator(arguments.seed, now_us)
        send_spans(comparison, generator, arguments.spans)
        queries = Queries(arguments.seed, now_us, generator.trace_ids, generator.durations)
        before = comparison.answered
        for path in queries.requests(arguments.queries):
            comparison.ask("GET", path)
        share = (comparison.answered - before) / arguments.queries
        send_bodies(comparison)
        equal = comparison.report()
    if share < ANSWERED_MIN:
        sys.exit(f"only {share:.0%} of the queries found anything: they prove too little")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
