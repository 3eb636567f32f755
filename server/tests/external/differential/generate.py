"""Random spans in batches, the same for the same seed: what clients send, at its worst.

Shared ids, traces of mixed 64 and 128 bit ids, fields that are missing or meaningless, names that
are hard to fold and escape, reports that come twice or in parts.
"""

import collections
import random

from vocabulary import ANNOTATIONS, IPV4, IPV6, SERVICES, SPAN_NAMES, TAGS

MESSINESS = ("orderly", "mixed", "clashing")
HOUR_US = 3_600_000_000
MODELS = {"json_v2": "v2", "proto3": "v2", "json_v1": "v1", "thrift": "v1"}
FORMATS = ["json_v2"] * 5 + ["proto3"] * 2 + ["json_v1"] * 2 + ["thrift"]
BATCH_SPANS_MAX = 150

# The core annotations that one v1 span may carry.
ORDERLY_EVENTS = [("cs", "cr"), ("sr", "ss"), ("cs", "sr", "ss", "cr"), ("ms",), ("mr",), ()]
EVENTS = [
    *ORDERLY_EVENTS,
    ("cs",),
    ("sr",),
    ("cr",),
    ("ss",),
    ("ms", "mr"),
    ("ms", "ws", "wr", "mr"),
]


class Generator:
    """Makes batches of spans that start 2 to 22 or, fewer, 25 to 31 hours before `now_us`.

    Windows that end "now" begin in the gaps (an hour ago, a day ago), because for each server it is
    a little later when it is asked.

    In the order of `MESSINESS`: "orderly" traces have ids of one length, a client half for every
    server half and one service a span, so that they can be linked in one way only. "mixed" ones have
    lost all that. In "clashing" ones unrelated traces share the low 64 bits of their ids besides.
    """

    def __init__(self, seed, now_us, messiness):
        self.orderly = messiness == "orderly"
        self.clashing = messiness == "clashing"
        self.random = random.Random(seed)
        self.now_us = now_us
        self.used_ms = set()
        self.trace_ids = []
        self.durations = []

    def batches(self, span_count):
        """Yields (format, spans, marker) for about `span_count` spans, cut without regard to traces.

        The marker is the id of a trace of the batch's last span alone, which tells when a server has
        stored the batch.
        """
        waiting = {"v1": [], "v2": []}
        made = 0
        while made < span_count or any(waiting.values()):
            wire_format = self.random.choice(FORMATS)
            model = MODELS[wire_format]
            target = self.random.randint(1, BATCH_SPANS_MAX)
            while made < span_count and len(waiting[model]) < target:
                trace = self.trace_v1() if model == "v1" else self.trace_v2()
                waiting[model] += trace
                made += len(trace)
            spans, waiting[model] = waiting[model][:target], waiting[model][target:]
            if spans:
                marker = self.hex(16)
                yield wire_format, [*spans, {"traceId": marker, "id": self.hex(16)}], marker
                made += 1

    def shared_low64(self):
        """The low halves of trace ids that more than one of the generated ids has."""
        whole = {trace_id.rjust(32, "0") for trace_id in self.trace_ids}
        counts = collections.Counter(trace_id[-16:] for trace_id in whole)
        return frozenset(low for low, count in counts.items() if count > 1)

    def chance(self, probability):
        return self.random.random() < probability

    def messy(self, probability):
        return not self.orderly and self.chance(probability)

    def hex(self, length):
        """Lower-case hex that does not start with a zero, so that it is never all zeros."""
        digits = [self.random.choice("123456789abcdef")]
        digits += self.random.choices("0123456789abcdef", k=length - 1)
        return "".join(digits)

    def trace_id(self):
        length = self.random.choice([16] * 8 + [32] * 8 + [self.random.randint(9, 31)])
        trace_id = self.hex(length)
        if self.chance(0.05):
            trace_id = trace_id[-16:].rjust(32, "0")
        if self.clashing and self.trace_ids and self.chance(0.03):
            trace_id = self.hex(16) + self.random.choice(self.trace_ids).rjust(16, "0")[-16:]
        self.trace_ids.append(trace_id)
        return trace_id

    def unused_time(self):
        """A time in µs whose millisecond no other trace has, so that the order of traces is sure."""
        while True:
            begin, end = self.random.choice([(2, 22)] * 9 + [(25, 31)])
            back_us = self.random.randint(begin * HOUR_US, end * HOUR_US)
            time_us = self.now_us - back_us
            if time_us // 1000 not in self.used_ms:
                self.used_ms.add(time_us // 1000)
                return time_us

    def duration(self):
        duration = int(10 ** self.random.uniform(0, 7.5))
        self.durations.append(duration)
        return duration

    def child_time(self, parent_us):
        """A little after the parent, and again in a millisecond of its own."""
        time_us = parent_us
        while time_us // 1000 in self.used_ms:
            time_us += self.random.randint(300, 5000)
        self.used_ms.add(time_us // 1000)
        return time_us

    def endpoint(self, service=None):
        endpoint = {}
        if service is None and self.chance(0.9):
            service = self.random.choice(SERVICES)
        if service is not None:
            endpoint["serviceName"] = service
        if self.chance(0.5):
            endpoint["ipv4"] = self.random.choice(IPV4)
        if self.chance(0.15):
            endpoint["ipv6"] = self.random.choice(IPV6)
        if self.chance(0.5):
            endpoint["port"] = self.random.choice([0, 80, 8080, 65535])
        return endpoint

    def tags(self):
        keys = self.random.sample(sorted(TAGS), self.random.choice([0, 0, 1, 2, 3]))
        return {key: self.random.choice(TAGS[key]) for key in keys}

    def annotations(self, time_us):
        count = self.random.choice([0, 0, 0, 1, 2, 4])
        return [
            {
                "timestamp": time_us + self.random.randint(0, 3000),
                "value": self.random.choice(ANNOTATIONS),
            }
            for _ in range(count)
        ]

    # --- v2: JSON v2 and proto3 -------------------------------------------------------------

    def trace_v2(self):
        """The reports of one trace: a tree of calls, some halves missing, some sent twice."""
        trace_id = self.trace_id()
        root_us = self.unused_time()
        root = self.span_v2(trace_id, None, root_us, self.random.choice(SERVICES))
        spans = [root]
        for _ in range(self.random.choice([0, 0, 1, 2, 4, 8, 25])):
            spans += self.call_v2(trace_id, self.random.choice(spans), root_us)
        if len(spans) > 1 and self.chance(0.1):
            del spans[0]  # its root is lost
        if self.chance(0.3):
            spans += self.repeated(spans)
        self.random.shuffle(spans)
        return spans

    def call_v2(self, trace_id, parent, root_us):
        """One call below `parent`: client, server or both, sharing an id or not; or a local span."""
        caller = parent.get("localEndpoint", {}).get("serviceName")
        callee = self.random.choice(SERVICES)
        time_us = self.child_time(parent.get("timestamp") or root_us)
        shape = self.random.choice(["shared"] * 3 + ["linked", "client", "server", "message", "local"])
        if self.messy(0.1):
            trace_id = trace_id[-16:]  # this hop knows only 64 bit ids
            self.trace_ids.append(trace_id)
        client = self.span_v2(trace_id, parent["id"], time_us, caller)
        if shape == "local":
            client.pop("kind", None)
            return [client]
        client["kind"] = "PRODUCER" if shape == "message" else "CLIENT"
        if self.chance(0.6):
            client["remoteEndpoint"] = self.endpoint(callee)
        server_us = self.child_time(time_us)
        server = self.span_v2(trace_id, client["id"], server_us, callee)
        server["kind"] = "CONSUMER" if shape == "message" else "SERVER"
        if self.chance(0.2):
            server["remoteEndpoint"] = self.endpoint(caller)
        if shape == "shared":
            server["id"] = client["id"]
            server["shared"] = True
            if self.chance(0.8):
                server["parentId"] = parent["id"]
            else:
                server.pop("parentId", None)
        if shape == "client":
            return [client]
        if shape == "server":
            return [server]
        return [client, server]

    def span_v2(self, trace_id, parent_id, time_us, service):
        span = {"traceId": trace_id, "id": self.hex(self.random.choice([16] * 9 + [3]))}
        if parent_id is not None and self.chance(0.97):
            span["parentId"] = parent_id
        if self.chance(0.02):
            span["parentId"] = self.random.choice([span["id"], "0"])  # both mean none
        if self.chance(0.3):
            span["kind"] = self.random.choice(["CLIENT", "SERVER", "PRODUCER", "CONSUMER"])
        if self.chance(0.93):
            span["name"] = self.random.choice(SPAN_NAMES)
        if self.chance(0.96):
            span["timestamp"] = time_us
        if self.chance(0.9):
            span["duration"] = self.duration()
        if self.chance(0.02):
            span[self.random.choice(["timestamp", "duration"])] = 0
        if service is not None and self.chance(0.97):
            span["localEndpoint"] = self.endpoint(service)
        if self.chance(0.1):
            span["remoteEndpoint"] = self.endpoint()
        span["annotations"] = self.annotations(time_us)
        span["tags"] = self.tags()
        if self.chance(0.03):
            span["debug"] = True
        if self.messy(0.02):
            span["shared"] = True
        return span

    def repeated(self, spans):
        """Second reports: identical ones, and ones that bring or change a part."""
        again = [dict(self.random.choice(spans))]
        if self.chance(0.5):
            late = dict(self.random.choice(spans))
            late["duration"] = self.duration()
            again.append(late)
        if self.chance(0.3):
            late = {k: v for k, v in self.random.choice(spans).items() if k in ("traceId", "id")}
            late["tags"] = self.tags()
            again.append(late)
        return again

    # --- v1: JSON v1 and thrift -------------------------------------------------------------

    def trace_v1(self):
        trace_id = self.trace_id()
        if len(trace_id) not in (16, 32):  # v1 reads high bits of whole ids only
            trace_id = trace_id[-16:]
            self.trace_ids.append(trace_id)
        time_us = self.unused_time()
        spans = []
        for _ in range(self.random.choice([1, 1, 2, 4])):
            parent = self.random.choice(spans)["id"] if spans else None
            spans.append(self.span_v1(trace_id, parent, self.child_time(time_us)))
        return spans

    def span_v1(self, trace_id, parent_id, time_us):
        duration = self.duration()
        hosts = [self.endpoint(), self.endpoint()]
        events = self.random.choice(ORDERLY_EVENTS if self.orderly else EVENTS)
        if self.orderly:  # all else is said by the side that is sure to be there
            side = 1 if set(events) and set(events) <= {"sr", "ss", "mr"} else 0
            speakers = [hosts[side]]
            addresses = [("ca", 0)] if side == 1 else [("sa", 1)]
        else:
            speakers = hosts
            addresses = [("sa", 1), ("ca", 0), ("ma", 1)]
        span = {
            "traceId": trace_id,
            "id": self.hex(16),
            "name": self.random.choice(SPAN_NAMES),
            "annotations": core_annotations(events, time_us, duration, hosts),
            "binaryAnnotations": self.binary_annotations(hosts, speakers, addresses),
        }
        for annotation in self.annotations(time_us):
            span["annotations"].append({**annotation, "endpoint": self.random.choice(speakers)})
        if parent_id is not None:
            span["parentId"] = parent_id
        # A server that is not the one to time a v1 span shares it with a client.
        if self.orderly or self.chance(0.8):
            span["timestamp"] = time_us
            if self.orderly or self.chance(0.9):
                span["duration"] = duration
        if self.chance(0.05):
            span["debug"] = True
        return span

    def binary_annotations(self, hosts, speakers, addresses):
        tags = [
            {"key": key, "value": value, "endpoint": self.random.choice(speakers)}
            for key, value in self.tags().items()
        ]
        for address, side in addresses:
            if self.chance(0.2):
                tags.append({"key": address, "value": True, "endpoint": hosts[side]})
        if self.chance(0.15):
            value = self.random.choice(["", "component"])
            tags.append({"key": "lc", "value": value, "endpoint": speakers[0]})
        return tags


def core_annotations(events, time_us, duration, hosts):
    inside = duration // 4
    timeline = [
        ("cs", 0, 0),
        ("sr", inside, 1),
        ("ss", duration - inside, 1),
        ("cr", duration, 0),
        ("ms", 0, 0),
        ("mr", inside, 1),
        ("ws", inside, 0),
        ("wr", inside, 1),
    ]
    return [
        {"timestamp": time_us + after, "value": value, "endpoint": hosts[side]}
        for value, after, side in timeline
        if value in events
    ]
