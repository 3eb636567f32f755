"""Runs each real client's two services against a server and checks what the server then answers.

Usage: check.py PRODUCT STORAGE [CLIENT...], for example `check.py tracehound segment brave-json`.
Exits 1 if any client's spans are not whole, named, linked and findable.
"""

import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import servers
from expectations import CLIENTS, GRPC_TOOLS, OTLP_PARTIAL, SCRIBE_CALLS

CLIENT_MAX_S = 60
DAY_MS = 86_400_000
OWN_FIELDS = ("traceId", "id", "parentId", "timestamp", "duration")


class Wrong(Exception):
    """The server's answer is not what the client reported."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


def get(base, path, **parameters):
    url = f"{base}/api/v2/{path}"
    if parameters:
        url += "?" + urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(url, timeout=15) as response:
        return json.load(response)


def check_client(server, name, client, ports):
    started_us = time.time_ns() // 1000
    base = f"http://127.0.0.1:{ports[client.port]}" if client.port else server.base
    command = [*client.command, base, *client.arguments, name]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_MAX_S)
    require(finished.returncode == 0, f"the client failed:\n{finished.stdout}{finished.stderr}")
    reported = json.loads(finished.stdout.splitlines()[-1])
    time.sleep(server.settle_s)

    trace_id = reported["traceId"]
    require(len(trace_id) == client.trace_id_length, f"trace id {trace_id}")
    trace = get(server.base, f"trace/{trace_id}")
    roles = match_roles(trace, client.spans(name, reported["backendPort"]))
    check_ids(roles, trace_id, client.shares_ids)
    check_times(roles, started_us)
    check_found(server.base, name, trace, roles)


def match_roles(trace, expected):
    """The received span of each expected role; every span is expected, whole and there once."""
    require(len(trace) == len(expected), f"{len(trace)} spans, not {len(expected)}: {trace}")
    roles = {}
    for role, fields in expected.items():
        matches = [span for span in trace if content(span) == fields]
        require(
            len(matches) == 1,
            f"{len(matches)} spans are the {role} span {fields}; the trace is\n"
            + "\n".join(json.dumps(span) for span in trace),
        )
        roles[role] = matches[0]
    return roles


def content(span):
    """A span without its ids and times."""
    fields = {field: value for field, value in span.items() if field not in OWN_FIELDS}
    if "annotations" in fields:
        fields["annotations"] = [{"value": a["value"]} for a in fields["annotations"]]
    return fields


def check_ids(roles, trace_id, shares_ids):
    def parent(role, of):
        received = roles[role].get("parentId")
        require(received == of, f"the {role} span has parent {received}, not {of}")

    for role, span in roles.items():
        require(span["traceId"] == trace_id, f"the {role} span has trace id {span['traceId']}")
    root = roles["orders"]["id"]
    parent("orders", None)
    parent("load-user", roles["users server"]["id"])
    for call in ("users", "quota"):
        client, server = roles[f"{call} client"], roles[f"{call} server"]
        parent(f"{call} client", root)
        if shares_ids:
            require(server["id"] == client["id"], f"the {call} spans do not share an id")
            parent(f"{call} server", root)
        else:
            parent(f"{call} server", client["id"])
    distinct = len({span["id"] for span in roles.values()})
    require(distinct == (4 if shares_ids else 6), f"{distinct} distinct span ids")


def check_times(roles, started_us):
    now_us = time.time_ns() // 1000
    for role, span in roles.items():
        start, duration = span["timestamp"], span["duration"]
        # zipkin-js and OpenTelemetry start from clocks of whole milliseconds.
        require(started_us - 1000 <= start <= now_us, f"the {role} span starts at {start}")
        require(0 < duration <= now_us - started_us, f"the {role} span lasts {duration} µs")
        for annotation in span.get("annotations", []):
            within = start <= annotation["timestamp"] <= start + duration
            require(within, f"an annotation of the {role} span is outside it: {span}")


def check_found(base, name, trace, roles):
    """The trace can be found by every way that leads to it, and each gives the same spans."""
    front, back = f"{name}-frontend", f"{name}-backend"
    services = get(base, "services")
    require({front, back} <= set(services), f"services are {services}")
    names = sorted({roles[role]["name"] for role in roles if "server" in role} | {"load-user"})
    require(get(base, "spans", serviceName=back) == names, f"span names of {back}: not {names}")
    remote = sorted({s["remoteEndpoint"]["serviceName"] for s in trace if is_remote_named(s)})
    require(get(base, "remoteServices", serviceName=front) == remote, f"remote names: not {remote}")

    for conditions in (
        {"serviceName": front},
        {"serviceName": back, "spanName": "load-user"},
        {"serviceName": back, "annotationQuery": "cache.miss and error"},
        {"serviceName": back, "annotationQuery": "user.name=" + roles["load-user"]["tags"]["user.name"]},
        {"serviceName": front, "minDuration": roles["orders"]["duration"]},
    ):
        found = get(base, "traces", **conditions)
        require(len(found) == 1, f"{len(found)} traces found by {conditions}")
        require(canonical(found[0]) == canonical(trace), f"another trace found by {conditions}")

    end_ms = time.time_ns() // 1_000_000 + 1000
    links = get(base, "dependencies", endTs=end_ms, lookback=DAY_MS)
    expected = {"parent": front, "child": back, "callCount": 2, "errorCount": 1}
    own = [link for link in links if front in link.values()]
    require(own == [expected], f"the dependency links of {front} are {own}, not [{expected}]")


def is_remote_named(span):
    return "serviceName" in span.get("remoteEndpoint", {})


def canonical(trace):
    return sorted(json.dumps(span, sort_keys=True) for span in trace)


def clients_of(product):
    return [name for name, client in CLIENTS.items() if client.only in (None, product)]


def run_grpc_tools(server):
    """What gRPC's own tools find out about the server; Zipkin's tells them nothing."""
    finished = subprocess.run([*GRPC_TOOLS, server.base], text=True, timeout=CLIENT_MAX_S)
    return finished.returncode == 0


def check_partial_success(server):
    """What OpenTelemetry's exporters are told of a span that was left out, by each encoding."""
    command = [*OTLP_PARTIAL, server.base]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_MAX_S)
    require(finished.returncode == 0, f"the exporters failed:\n{finished.stdout}{finished.stderr}")
    answers = json.loads(finished.stdout.splitlines()[-1])
    require(set(answers) == {"grpc", "json", "proto"}, f"the exporters are {set(answers)}")
    for exporter, answer in answers.items():
        told = answer["told"] or {}
        where = "resourceSpans[1].scopeSpans[0].spans[0]"
        expected = f"traceId is missing or all zeros at {where}"
        require(answer["succeeded"], f"{exporter}: the export failed")
        # A 64-bit number is text in protobuf's JSON.
        require(str(told.get("rejectedSpans")) == "1", f"{exporter} was told {told}")
        require(told["errorMessage"] == expected, f"{exporter} was told {told}")
        trace = get(server.base, f"trace/{answer['traceId']}")
        require(len(trace) == 1, f"{exporter}: the good span is {trace}")


def run_partial_success(server):
    try:
        check_partial_success(server)
        print("  otlp-partial: one span stored, one rejected, as told")
        return True
    except Wrong as wrong:
        print(f"  otlp-partial: WRONG: {wrong}")
        return False


def run_scribe_calls(server, port):
    command = [*SCRIBE_CALLS, server.base, str(port), str(server.settle_s)]
    return subprocess.run(command, text=True, timeout=CLIENT_MAX_S).returncode == 0


def main(product, storage, *names):
    failed = []
    ports = {client.port: servers.free_port() for client in CLIENTS.values() if client.port}
    options = {setting: str(port) for setting, port in ports.items()}
    scribe_port = servers.free_port()
    options |= {"COLLECTOR_SCRIBE_ENABLED": "true", "COLLECTOR_PORT": str(scribe_port)}
    with servers.running(product, storage, **options) as server:
        for name in names or clients_of(product):
            try:
                check_client(server, name, CLIENTS[name], ports)
                print(f"  {name}: six spans, as reported")
            except Wrong as wrong:
                failed.append(name)
                print(f"  {name}: WRONG: {wrong}")
        if not names and not run_scribe_calls(server, scribe_port):
            failed.append("scribe")
        if product == "tracehound" and not names and not run_grpc_tools(server):
            failed.append("grpc-tools")
        if product == "tracehound" and not names and not run_partial_success(server):
            failed.append("otlp-partial")
    if failed:
        sys.exit(f"not whole: {', '.join(failed)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
