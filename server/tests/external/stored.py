"""Reads every span back by the query API and holds it against what was sent."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from messages import TRACE_SPANS, numbers_of, trace_id_of
from stage import Wrong

# Of what fits into the line of a request, which Zipkin bounds at 4096 bytes.
TRACES_A_QUESTION = 100
ANSWER_MAX_S = 60
SHOWN_MAX = 5


@dataclass
class Found:
    """Which spans were seen, over one store or several: of `spans` sent, named by `name_of`."""

    spans: int
    name_of: callable
    stores: list = field(default_factory=list)

    def read(self, base):
        """Reads all traces of a store; a span that is there twice or is not what was sent fails."""
        seen = bytearray(self.spans)
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(base).netloc, timeout=ANSWER_MAX_S)
        traces = self.spans // TRACE_SPANS
        for first in range(0, traces, TRACES_A_QUESTION):
            numbers = range(first, min(first + TRACES_A_QUESTION, traces))
            for trace in ask(connection, numbers):
                for span in trace:
                    self.require_sent(span)
                    seen[int(span["id"], 16) - 1] += 1
        connection.close()
        twice = [span for span, count in enumerate(seen) if count > 1]
        if twice:
            raise Wrong(f"{len(twice)} spans are answered more than once, such as {twice[:SHOWN_MAX]}")
        self.stores.append(seen)
        return sum(seen)

    def require_all(self):
        """Every span is in at least one store. Answers how many are in more than one."""
        counts = [sum(column) for column in zip(*self.stores)]
        missing = [span for span, count in enumerate(counts) if count == 0]
        if missing:
            formats = sorted({self.name_of(span) for span in missing})
            raise Wrong(
                f"{len(missing)} of {self.spans} spans are missing, such as {missing[:SHOWN_MAX]}, "
                f"sent as {', '.join(formats)}"
            )
        return sum(count > 1 for count in counts)

    def require_sent(self, span):
        number = int(span["id"], 16) - 1
        if not 0 <= number < self.spans:
            raise Wrong(f"nobody sent {span}")
        numbers = numbers_of(number)
        parent = None if numbers.is_root else f"{numbers.parent_id:016x}"
        sent = (f"{numbers.trace_id:032x}", parent, numbers.timestamp, self.name_of(number))
        if (span["traceId"], span.get("parentId"), span["timestamp"], span["name"]) != sent:
            raise Wrong(f"span {number} was changed: {span}")


def ask(connection, traces):
    query = urllib.parse.urlencode({"traceIds": ",".join(map(trace_id_of, traces))}, safe=",")
    connection.request("GET", f"/api/v2/traceMany?{query}")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise Wrong(f"traces {traces} are answered with {answer.status}: {body[:200]}")
    return json.loads(body)


def metrics(base):
    """Numbers of `/prometheus` by name, labels included."""
    with urllib.request.urlopen(base + "/prometheus", timeout=ANSWER_MAX_S) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def kafka_health(base):
    """What `/health` says of the consumers: assigned partitions, lag, paused, and trouble if any."""
    try:
        with urllib.request.urlopen(base + "/health", timeout=ANSWER_MAX_S) as answer:
            body = answer.read()
    except urllib.error.HTTPError as down:
        body = down.read()
    components = json.loads(body)["zipkin"]["details"]
    return next(told["details"] for name, told in components.items() if name.startswith("KafkaCollector"))


def counted(base):
    """Spans that the store counts, those it was given twice included."""
    figures = metrics(base)
    return int(figures["tracehound_head_spans"] + figures["tracehound_segment_spans"])
