"""Numbered spans and the messages they are sent in: everybody knows what span number n is.

Twenty spans are a trace, spread over two messages that may be in different formats. Encoding a million
spans field by field takes Python minutes, so each format has moulds: a span that `wire` encoded, cut
where its numbers go.
"""

import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "differential"))

import wire

TRACE_SPANS = 20
MESSAGE_SPANS = 100
BLOCK_SPANS = 2 * MESSAGE_SPANS

# An hour ago, where people look.
BEGIN_US = (int(time.time()) - 3600) * 1_000_000
SPAN_EVERY_US = 10

# Mostly JSON v2, as what reports to Zipkin writes.
FORMATS = (
    *("json_v2", "proto3", "json_v2", "json_v2", "json_v1") * 9,
    *("json_v2", "proto3", "json_v2", "thrift", "thrift_span"),
)


@dataclass(frozen=True)
class Numbers:
    """What is particular to a span."""

    trace_id: int
    id: int
    parent_id: int
    timestamp: int

    @property
    def is_root(self):
        return self.id == self.parent_id


def numbers_of(span):
    trace = span // TRACE_SPANS
    return Numbers(
        # Neither half is the same in two traces.
        trace_id=(0x5EED_0000_0000_0000 + trace) << 64 | 0xCAFE_0000_0000_0000 + trace,
        id=span + 1,
        parent_id=trace * TRACE_SPANS + 1,
        timestamp=BEGIN_US + span * SPAN_EVERY_US,
    )


def trace_id_of(trace):
    return f"{numbers_of(trace * TRACE_SPANS).trace_id:032x}"


def message_of(span):
    block, place = divmod(span, BLOCK_SPANS)
    return 2 * block + place % 2


def spans_of(message):
    block, half = divmod(message, 2)
    return range(block * BLOCK_SPANS + half, (block + 1) * BLOCK_SPANS, 2)


def format_of(message):
    return FORMATS[message % len(FORMATS)]


def plain_name_of(span):
    """Spans are named after the format they are sent in."""
    return format_of(message_of(span))


def records(spans):
    """The values of records with the spans below `spans`, each with how many are in it."""
    for message in range(2 * spans // BLOCK_SPANS):
        wire_format = format_of(message)
        cast = [MOULDS[wire_format].cast(numbers_of(span)) for span in spans_of(message)]
        if wire_format == "thrift_span":
            yield from ((value, 1) for value in cast)
        else:
            yield join(wire_format, cast), len(cast)


def join(wire_format, spans):
    if wire_format == "proto3":
        return b"".join(spans)
    if wire_format == "thrift":
        return struct.pack(">bi", wire.STRUCT, len(spans)) + b"".join(spans)
    return b"[" + b",".join(spans) + b"]"


def unreadable(number):
    """A value that is no span, another one each time."""
    values = (
        b"[{\"traceId\":\"%x\",\"id\":" % number,
        b"\x0a\x7fcut short %d" % number,
        b"\x0c\x00\x00\x00\x09\x0a\x00\x01%d" % number,
        b"[{\"traceId\":\"no digits %d\",\"id\":\"1\"}]" % number,
        b"\xff\xfenothing of ours %d" % number,
        b"\x0c",
    )
    return values[number % len(values)]


# --- moulds ----------------------------------------------------------------------------------

# Found nowhere else in an encoded span.
MARKS = Numbers(
    trace_id=0xA1A2A3A4A5A6A7A8B1B2B3B4B5B6B7B8,
    id=0xC1C2C3C4C5C6C7C8,
    parent_id=0xD1D2D3D4D5D6D7D8,
    timestamp=1_999_888_777_666_555,
)
ROOT_MARKS = Numbers(MARKS.trace_id, MARKS.id, MARKS.id, MARKS.timestamp)
LOW_HALF = (1 << 64) - 1


def digits(count):
    return lambda number: b"%0*x" % (count, number)


def big_endian(number):
    return number.to_bytes(8, "big")


# How the numbers of a span are written: the field, and its bytes.
WRITERS = {
    "json": (
        ("trace_id", digits(32)),
        ("id", digits(16)),
        ("parent_id", digits(16)),
        ("timestamp", lambda number: b"%d" % number),
    ),
    "proto3": (
        ("trace_id", lambda number: number.to_bytes(16, "big")),
        ("id", big_endian),
        ("parent_id", big_endian),
        ("timestamp", lambda number: number.to_bytes(8, "little")),
    ),
    "thrift": (
        ("trace_id", lambda number: big_endian(number >> 64)),
        ("trace_id", lambda number: big_endian(number & LOW_HALF)),
        ("id", big_endian),
        ("parent_id", big_endian),
        ("timestamp", big_endian),
    ),
}


class Cut:
    """An encoded span without its numbers."""

    def __init__(self, encoded, writers):
        found = ((encoded.find(write(getattr(MARKS, field))), field, write) for field, write in writers)
        self.places = []
        end = 0
        for begin, field, write in sorted(place for place in found if place[0] >= 0):
            self.places.append((encoded[end:begin], field, write))
            end = begin + len(write(getattr(MARKS, field)))
        self.rest = encoded[end:]

    def fill(self, numbers):
        parts = []
        for before, field, write in self.places:
            parts += (before, write(getattr(numbers, field)))
        return b"".join((*parts, self.rest))


class Mould:
    """Casts spans of a format; the root of a trace has no parent and thus another shape."""

    def __init__(self, encode, writers):
        self.root = Cut(encode(ROOT_MARKS), writers)
        self.other = Cut(encode(MARKS), writers)

    def cast(self, numbers):
        return (self.root if numbers.is_root else self.other).fill(numbers)


def v2_span(numbers, name):
    span = {
        "traceId": f"{numbers.trace_id:032x}",
        "id": f"{numbers.id:016x}",
        "kind": "SERVER",
        "name": name,
        "timestamp": numbers.timestamp,
        "duration": 1500,
        "localEndpoint": {"serviceName": "shop", "ipv4": "10.1.2.3", "port": 8080},
        "tags": {"http.method": "GET", "http.path": "/orders"},
    }
    if not numbers.is_root:
        span["parentId"] = f"{numbers.parent_id:016x}"
    return span


def v1_span(numbers, name):
    span = v2_span(numbers, name)
    endpoint, tags = span.pop("localEndpoint"), span.pop("tags")
    del span["kind"]
    return {
        **span,
        "binaryAnnotations": [
            {"key": key, "value": value, "endpoint": endpoint} for key, value in tags.items()
        ],
    }


def json_v2(numbers):
    return wire.encode("json_v2", [v2_span(numbers, "json_v2")])[1:-1]


def json_v1(numbers):
    return wire.encode("json_v1", [v1_span(numbers, "json_v1")])[1:-1]


def proto3(numbers):
    return wire.encode("proto3", [v2_span(numbers, "proto3")])


def thrift(name):
    return lambda numbers: wire.thrift_span(v1_span(numbers, name))


MOULDS = {
    "json_v2": Mould(json_v2, WRITERS["json"]),
    "json_v1": Mould(json_v1, WRITERS["json"]),
    "proto3": Mould(proto3, WRITERS["proto3"]),
    "thrift": Mould(thrift("thrift"), WRITERS["thrift"]),
    "thrift_span": Mould(thrift("thrift_span"), WRITERS["thrift"]),
}
