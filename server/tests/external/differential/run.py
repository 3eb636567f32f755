"""Sends the same spans and the same queries to Zipkin's server and to ours, and compares.

Usage: run.py [--seed N] [--spans N] [--queries N] [--storage segment|mem] [--both-zipkin]

Exits 1 on any difference that is not a row of `deliberate.md`, and on a row that no longer
covers anything.
"""

import argparse
import collections
import contextlib
import http.client
import json
import sys
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import bodies
import servers
import shapes
import surface
import wire
from compare import Answer, difference, read_excuses, shortened, unordered, without
from generate import Generator
from queries import Queries
from vocabulary import AUTOCOMPLETE_KEYS

VISIBLE_MAX_S = 10
SHOWN_MAX = 40


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
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, media_type, payload, names)

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
        self.differences = {}  # by request
        self.statuses = collections.Counter()
        self.answered = 0
        self.excused = 0
        self.shared_low64 = frozenset()

    def ask(self, method, path, body=None, headers=None):
        """Zipkin's answer to the request, after comparing ours with it."""
        zipkin = self.zipkin.ask(method, path, body, headers)
        ours = self.ours.ask(method, path, body, headers)
        what = difference(zipkin, ours, lambda *values: self.normalised(path, *values))
        self.keep(method, path, body, zipkin, ours, what)
        return zipkin

    def normalised(self, path, zipkin, ours):
        url = urllib.parse.urlsplit(path)
        if url.path.endswith("/traces") and self.shared_low64:
            limit = int(urllib.parse.parse_qs(url.query).get("limit", [10])[0])
            zipkin, ours = without(self.shared_low64, limit, zipkin, ours)
        if url.path.endswith("/traceMany"):  # `[]` among others stands for an unknown id
            zipkin = [trace for trace in zipkin if trace] or zipkin
        return unordered(path, zipkin), unordered(path, ours)

    def check(self, check):
        """As `ask`, for what `check` keeps of the answers."""
        answers = []
        for peer in (self.zipkin, self.ours):
            answer = peer.ask(check.method, check.path, check.body, check.send)
            summary = json.dumps(check.summary(answer)).encode()
            answers.append(Answer(answer.status, "application/json", summary))
        what = difference(*answers)
        self.keep(check.method, check.path, check.body, *answers, what)

    def keep(self, method, path, body, zipkin, ours, what):
        self.statuses[zipkin.status] += 1
        self.answered += zipkin.status == 200 and zipkin.body != b"[]"
        request = f"{method} {path}"
        if body is not None:
            request += f" {printable(body[:200])}"
        if what is None:
            return
        if any(excuse.covers(request, zipkin, ours) for excuse in self.excuses):
            self.excused += 1
        else:
            self.differences[request] = (what, zipkin, ours)

    def report(self):
        for request, (what, zipkin, ours) in list(self.differences.items())[:SHOWN_MAX]:
            print(f"DIFFERENT {request}\n  {what}")
            print(f"  {self.zipkin.name}: {shortened(zipkin.text(), 300)}")
            print(f"  {self.ours.name}: {shortened(ours.text(), 300)}")
        asked = sum(self.statuses.values())
        print(
            f"  {asked} requests, {self.answered} with data, "
            f"statuses {dict(sorted(self.statuses.items()))}: "
            f"{len(self.differences)} differences, {self.excused} excused"
        )


def printable(body):
    """One line of it, whatever it holds."""
    text = body.decode(errors="backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


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
    """Every odd body, and then what became of those that were accepted: `case`, which no server
    knows, says in the question what was sent."""
    accepted = []
    for wire_format, texts in (("json_v2", bodies.JSON_V2), ("json_v1", bodies.JSON_V1)):
        for number, text in enumerate(texts):
            trace_id = f"{wire_format[-1]}{number:x}".ljust(16, "f")
            body = text.replace("$id", trace_id).encode()
            path, content_type = wire.PATHS[wire_format]
            answer = comparison.ask("POST", path, body, {"Content-Type": content_type})
            if answer.status == 202 and "$id" in text:
                shown = urllib.parse.quote(printable(text.encode()), safe="")
                accepted.append(f"/api/v2/trace/{trace_id}?case={shown}")
    for wire_format, raw in (("proto3", bodies.PROTO3), ("thrift", bodies.THRIFT)):
        path, content_type = wire.PATHS[wire_format]
        for body in raw:
            comparison.ask("POST", path, body, {"Content-Type": content_type})
    for wire_format, headers, body in bodies.HEADERS:
        comparison.ask("POST", wire.PATHS[wire_format][0], body, headers)
    time.sleep(servers.SETTLE_S["zipkin"])
    for question in accepted:
        answer = comparison.ask("GET", question)
        if answer.status != 200:
            sys.exit(f"Zipkin accepted a body and has no trace of it: {question}")


@dataclass(frozen=True)
class Variant:
    """A configuration of both servers, and how much of the whole is asked of it."""

    name: str
    options: dict
    messiness: str  # of the traces, as in `generate.MESSINESS`
    share: float
    answered_min: float  # of the queries, so that the data cannot silently miss them


VARIANTS = [
    Variant("defaults", {}, "clashing", share=1, answered_min=0.4),
    Variant("orderly traces", {}, "orderly", share=0.5, answered_min=0.4),
    Variant(
        "traces by 64 bits",
        {"STRICT_TRACE_ID": "false"},
        "mixed",
        share=0.3,
        answered_min=0.3,
    ),
    Variant("no search", {"SEARCH_ENABLED": "false"}, "orderly", share=0.1, answered_min=0.1),
]


def send_shapes(comparison, now_ms):
    cases = list(shapes.cases(now_ms))
    path, content_type = wire.PATHS["json_v2"]
    for spans, _ in cases:
        body = wire.encode("json_v2", spans)
        comparison.ask("POST", path, body, {"Content-Type": content_type})
    time.sleep(servers.SETTLE_S["zipkin"])
    for _, question in cases:
        comparison.ask("GET", question)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--storage", default="segment")
    parser.add_argument("--both-zipkin", action="store_true", help="compare Zipkin with itself")
    return parser.parse_args()


def compare_variant(variant, arguments, excuses):
    """True if the servers answer alike when both are configured as `variant` says."""
    product = "zipkin" if arguments.both_zipkin else "tracehound"
    storage = "mem" if arguments.both_zipkin else arguments.storage
    options = {"AUTOCOMPLETE_KEYS": ",".join(AUTOCOMPLETE_KEYS), **variant.options}
    print(f"  with {variant.name}:")
    with contextlib.ExitStack() as stack:
        zipkin = stack.enter_context(servers.running("zipkin", "mem", **options))
        ours = stack.enter_context(servers.running(product, storage, **options))
        comparison = Comparison(
            Peer("Zipkin", zipkin.base, reads_own_writes=False),
            Peer("Tracehound", ours.base, reads_own_writes=product == "tracehound"),
            excuses,
        )
        now_us = time.time_ns() // 10**9 * 10**6  # whole seconds: the rest is the seed's alone
        generator = Generator(arguments.seed, now_us, variant.messiness)
        send_spans(comparison, generator, int(arguments.spans * variant.share))
        if variant.options.get("STRICT_TRACE_ID") != "false":
            comparison.shared_low64 = generator.shared_low64()
        queries = Queries(
            arguments.seed, now_us, generator.trace_ids, generator.durations, generator.orderly
        )
        count = int(arguments.queries * variant.share)
        before = comparison.answered
        for path in queries.requests(count):
            comparison.ask("GET", path)
        answered = (comparison.answered - before) / count
        if variant is VARIANTS[0]:
            send_bodies(comparison)
            send_shapes(comparison, now_us // 1000)
            for check in surface.checks("frontend"):
                comparison.check(check)
        comparison.report()
    if answered < variant.answered_min:
        sys.exit(f"only {answered:.0%} of the queries found anything: they prove too little")
    return not comparison.differences


def main():
    arguments = parse_arguments()
    excuses = [] if arguments.both_zipkin else read_excuses()
    alike = [compare_variant(variant, arguments, excuses) for variant in VARIANTS]
    unused = [excuse for excuse in excuses if not excuse.used]
    for excuse in unused:
        print(f"UNUSED excuse, nothing differs so any more: {excuse.request}")
    sys.exit(0 if all(alike) and not unused else 1)


if __name__ == "__main__":
    main()
