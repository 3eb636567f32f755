"""Whether two answers to one request are equal, and which differences are deliberate.

Only what Zipkin leaves unordered is normalised: the spans of a trace, the links of a dependency
graph, and traces that tie because their ids share the low 64 bits. Where traces are told apart by
all 128 bits, searches are compared without traces that share the low 64 (`SHARED_LOW64_ROW`).
"""

import fnmatch
import json
from dataclasses import dataclass, field
from pathlib import Path

TABLE = Path(__file__).resolve().parent / "deliberate.md"
LISTED = Path(__file__).resolve().parents[4] / "docs" / "compatibility.md"
SHARED_LOW64_ROW = "Search among traces whose ids share their low 64 bits"
HEADER = ["Request", "Zipkin", "Tracehound", "Listed as"]


@dataclass(frozen=True)
class Answer:
    status: int
    media_type: str
    body: bytes
    headers: dict = field(default_factory=dict)  # by lower-case name

    def text(self):
        return f"{self.status} {self.body.decode(errors='replace')}"


@dataclass
class Excuse:
    """A row of the table of deliberate differences: three globs."""

    request: str
    zipkin: str
    tracehound: str
    used: int = field(default=0, compare=False)

    def covers(self, request, zipkin, tracehound):
        covers = (
            fnmatch.fnmatchcase(request, self.request)
            and fnmatch.fnmatchcase(zipkin.text(), self.zipkin)
            and fnmatch.fnmatchcase(tracehound.text(), self.tracehound)
        )
        self.used += covers
        return covers


def read_excuses(table=TABLE, listed=LISTED):
    """The rows of `table`, each of which must name a row of `listed`, where its reason is."""
    reasons = {row[0] for row in rows(listed)}
    if SHARED_LOW64_ROW not in reasons:
        raise ValueError(f"{listed} has no row {SHARED_LOW64_ROW!r}")
    excuses = []
    for row in rows(table):
        if row == HEADER:
            continue
        if len(row) != len(HEADER):
            raise ValueError(f"{table}: a row of {len(row)} cells, not {len(HEADER)}: {row}")
        if row[3] not in reasons:
            raise ValueError(f"{table}: {listed} has no row {row[3]!r} with a reason")
        excuses.append(Excuse(*(cell.strip("`") for cell in row[:3])))
    return excuses


def rows(document):
    """The cells of every table row of a Markdown document, headers included."""
    lines = [line for line in document.read_text().splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in lines
        if not set(line) <= set("|-: ")
    ]


def difference(zipkin, tracehound, normalise=lambda left, right: (left, right)):
    """None if the answers are equal, else what differs first, in words.

    `normalise` takes the JSON of both answers and takes away what may differ.
    """
    if zipkin.status != tracehound.status:
        return f"status {zipkin.status} against {tracehound.status}"
    if zipkin.body == tracehound.body == b"":
        return None
    if content_kind(zipkin) != content_kind(tracehound):
        return f"content type {zipkin.media_type} against {tracehound.media_type}"
    if zipkin.body == tracehound.body:
        return None
    if zipkin.media_type != "application/json":
        return "body"
    left, right = normalise(json.loads(zipkin.body), json.loads(tracehound.body))
    return first_difference(left, right, "$")


def content_kind(answer):
    """The media type; any text is as good as Zipkin's `text/*`, which is no valid type."""
    return "text" if answer.media_type.startswith("text/") else answer.media_type


def unordered(path, value):
    """The answer of `path`, with what Zipkin leaves unordered in an order of its own."""
    path = path.split("?")[0]
    if path.endswith("/traces"):
        return ordered_ties([sorted(trace, key=canonical) for trace in value])
    if path.endswith("/traceMany"):
        return sorted((sorted(trace, key=canonical) for trace in value), key=canonical)
    if "/trace/" in path or path.endswith("/dependencies"):
        return sorted(value, key=canonical)
    return value


def ordered_ties(traces):
    """The traces, with neighbours whose ids share the low 64 bits in an order of their own."""
    result = []
    for trace in traces:
        position = len(result)
        while position > 0 and low64(result[position - 1]) == low64(trace):
            if canonical(result[position - 1]) <= canonical(trace):
                break
            position -= 1
        result.insert(position, trace)
    return result


def without(shared_low64, limit, zipkin, tracehound):
    """Two lists of found traces without those whose low 64 bits are shared.

    Where `limit` cut the lists, what was taken out made room for others, so that they end apart.
    """
    cut = max(len(zipkin), len(tracehound)) >= limit
    zipkin = [trace for trace in zipkin if low64(trace) not in shared_low64]
    tracehound = [trace for trace in tracehound if low64(trace) not in shared_low64]
    if cut:
        length = min(len(zipkin), len(tracehound))
        return zipkin[:length], tracehound[:length]
    return zipkin, tracehound


def low64(trace):
    return trace[0]["traceId"][-16:] if trace else None


def canonical(value):
    return json.dumps(value, sort_keys=True)


def first_difference(zipkin, tracehound, path):
    if zipkin == tracehound:
        return None
    if isinstance(zipkin, dict) and isinstance(tracehound, dict):
        for key in [*zipkin, *(key for key in tracehound if key not in zipkin)]:
            if zipkin.get(key) != tracehound.get(key):
                return first_difference(zipkin.get(key), tracehound.get(key), f"{path}.{key}")
    if isinstance(zipkin, list) and isinstance(tracehound, list):
        if len(zipkin) != len(tracehound):
            return f"{path}: {len(zipkin)} against {len(tracehound)} items{extra(zipkin, tracehound)}"
        for index, (left, right) in enumerate(zip(zipkin, tracehound)):
            if left != right:
                return first_difference(left, right, f"{path}[{index}]")
    return f"{path}: {shortened(zipkin)} against {shortened(tracehound)}"


def extra(zipkin, tracehound):
    only = [item for item in zipkin if item not in tracehound]
    more = [item for item in tracehound if item not in zipkin]
    return f"; only Zipkin's: {shortened(only[:1])}; only ours: {shortened(more[:1])}"


def shortened(value, length_max=600):
    text = canonical(value)
    return text if len(text) <= length_max else text[:length_max] + "…"
