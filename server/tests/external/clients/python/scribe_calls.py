"""Calls Scribe by a thrift library for Python, and asks for the spans that were in the calls.

Arguments: base URL of the server, port of Scribe, how long its spans take to be seen. Exits 1 with what
is wrong.
"""

import base64
import json
import struct
import sys
import time
import urllib.request
from pathlib import Path

import thriftpy2
from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.thrift import TApplicationException
from thriftpy2.transport import TFramedTransportFactory

scribe = thriftpy2.load(str(Path(__file__).with_name("scribe.thrift")), "scribe_thrift")

TRACE_ID = 0x5C41BE0000000001
STRUCT_END, I64 = b"\0", 10


def require(condition, message):
    if not condition:
        sys.exit(f"  scribe: WRONG: {message}")


def entry(span_id, category="zipkin"):
    """A v1 span that has identifiers only, in base64 with line breaks as Finagle writes it."""
    fields = struct.pack(">bhq", I64, 1, TRACE_ID) + struct.pack(">bhq", I64, 4, span_id)
    return scribe.LogEntry(category, base64.encodebytes(fields + STRUCT_END).decode())


def is_refused(client, entries):
    try:
        client.Log(entries)
    except TApplicationException:
        return True
    return False


def main(base, port, settle_s):
    client = make_client(
        scribe.Scribe,
        "127.0.0.1",
        int(port),
        proto_factory=TBinaryProtocolFactory(),
        trans_factory=TFramedTransportFactory(),
    )
    taken = [entry(1), entry(2, "other"), entry(3)]
    require(client.Log(taken) == scribe.ResultCode.OK, "spans are not taken")
    require(is_refused(client, [entry(4), scribe.LogEntry("zipkin", "CgAB")]), "half a span is taken")
    require(client.Log([entry(5)]) == scribe.ResultCode.OK, "no call is taken after one that was refused")
    client.close()
    time.sleep(float(settle_s))
    with urllib.request.urlopen(f"{base}/api/v2/trace/{TRACE_ID:016x}", timeout=10) as answer:
        found = sorted(int(span["id"], 16) for span in json.load(answer))
    require(found == [1, 3, 5], f"spans {found} are stored")
    print("  scribe: spans of the category, whole calls or none")


if __name__ == "__main__":
    main(*sys.argv[1:])
