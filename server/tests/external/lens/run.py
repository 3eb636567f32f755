"""Finds and opens a trace in Zipkin's own UI, in a real browser, against a server's API.

Usage: run.py PRODUCT STORAGE, for example `run.py tracehound segment`. Screenshots are left in a
temporary directory, which it names.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import servers
from serve import LensServer

BROWSER_MAX_S = 120
TRACE_ID = "5af7183fb1d4cf5f352bff259148e9db"
EXPECTED = {
    "service": "shop",
    "root": "shop: get /orders",
    "rows": ["shop: get /orders", "users: get /users/{id}", "mysql: select"],
    "tag": ["error", "too many connections"],
}


def spans(start_us):
    """An order that asks for a user, who cannot be read: a shared span and a failed leaf."""
    shop, users = {"serviceName": "shop"}, {"serviceName": "users"}
    return [
        {
            "traceId": TRACE_ID,
            "id": "1",
            "kind": "SERVER",
            "name": "get /orders",
            "timestamp": start_us,
            "duration": 50_000,
            "localEndpoint": shop,
        },
        {
            "traceId": TRACE_ID,
            "parentId": "1",
            "id": "2",
            "kind": "CLIENT",
            "name": "get",
            "timestamp": start_us + 1000,
            "duration": 40_000,
            "localEndpoint": shop,
            "remoteEndpoint": users,
        },
        {
            "traceId": TRACE_ID,
            "parentId": "1",
            "id": "2",
            "kind": "SERVER",
            "shared": True,
            "name": "get /users/{id}",
            "timestamp": start_us + 2000,
            "duration": 35_000,
            "localEndpoint": users,
        },
        {
            "traceId": TRACE_ID,
            "parentId": "2",
            "id": "3",
            "kind": "CLIENT",
            "name": "select",
            "timestamp": start_us + 3000,
            "duration": 30_000,
            "localEndpoint": users,
            "remoteEndpoint": {"serviceName": "mysql"},
            "annotations": [{"timestamp": start_us + 4000, "value": "pool.wait"}],
            "tags": {"error": "too many connections"},
        },
    ]


def main(product, storage):
    screenshots = tempfile.mkdtemp(prefix="tracehound-lens-")
    with servers.running(product, storage) as server:
        a_minute_ago_us = time.time_ns() // 1000 - 60_000_000
        body = json.dumps(spans(a_minute_ago_us)).encode()
        urllib.request.urlopen(
            urllib.request.Request(server.base + "/api/v2/spans", body, method="POST")
        )
        time.sleep(server.settle_s)
        with LensServer(os.environ["ZIPKIN_JAR"], server.base) as lens:
            script = [HERE / "open_trace.js", lens.base, screenshots, TRACE_ID, json.dumps(EXPECTED)]
            browser = subprocess.run(["node", *script], timeout=BROWSER_MAX_S)
            failed = [(path, status) for path, status in lens.proxied if status != 200]
            print(f"  {len(lens.proxied)} requests of the UI, screenshots in {screenshots}")
    if browser.returncode != 0:
        sys.exit("the UI did not show what it should")
    if failed:
        sys.exit(f"requests of the UI failed: {failed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
