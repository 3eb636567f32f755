"""What each client must have left behind: the six spans of one order, field by field.

Every client's program does the same: `GET /orders` at the frontend calls `GET /users/7` at the
backend, where a local span loads the user, and then `GET /quota`, which answers 503. How much of
that a client records differs, so each has a table of its own. Ids, parents and times are not in the
tables: `check.py` holds them for all clients alike.
"""

import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILT = HERE.parents[3] / "target" / "external"


class Matching:
    """Equal to every value for which `test` holds."""

    def __init__(self, name, test):
        self.name = name
        self.test = test

    def __eq__(self, other):
        return self.test(other)

    def __repr__(self):
        return f"<{self.name}>"


def is_link(value):
    """One link, to the caller's span of another process, with its attribute."""
    [link] = json.loads(value)
    known = len(link["traceId"]) == 32 and len(link["spanId"]) == 16
    return known and link["attributes"] == {"why": "called"} and link["flags"] == 0x300


PORT = Matching("a port", lambda value: type(value) is int and 0 < value < 65536)
TEXT = Matching("a text", lambda value: type(value) is str and value != "")
PORT_TEXT = Matching("a port, as text", lambda value: type(value) is str and value.isdigit())
LINK = Matching("a link", is_link)
IPV4 = Matching("an IPv4 address", lambda value: type(value) is str and value.count(".") == 3)

USER_NAME = "Zoë \"Z\" O'Neil\n✓"


@dataclass(frozen=True)
class Client:
    """How to run a client's two services, and the spans they must report.

    `arguments` follow the command; the base URL goes before them and the service prefix after.
    `spans(prefix, backend_port)` gives the expected spans by role. `only` names the one product that
    the client is for, where it is not for all. `port` is the setting of the port that it sends to,
    where that is not the one port.
    """

    command: list
    arguments: list
    spans: callable
    shares_ids: bool
    trace_id_length: int = 16
    only: str | None = None
    port: str | None = None


def endpoint(service, **address):
    return {"serviceName": service, **address}


def load_user(local, **tags):
    return {
        "name": "load-user",
        "localEndpoint": local,
        "annotations": [{"value": "cache.miss"}],
        "tags": {"user.name": USER_NAME, **tags},
    }


def brave(prefix, backend_port):
    front = endpoint(f"{prefix}-frontend", ipv4="127.0.0.1", port=PORT)
    back = endpoint(f"{prefix}-backend", ipv4="127.0.0.1", port=backend_port)
    peer = {"ipv4": "127.0.0.1", "port": PORT}

    def call(path, **tags):
        return {"name": "get", "tags": {"http.method": "GET", "http.path": path, **tags}}

    failed = {"error": "503", "http.status_code": "503"}
    server = {"kind": "SERVER", "localEndpoint": back, "remoteEndpoint": peer, "shared": True}
    client = {"kind": "CLIENT", "localEndpoint": front, "remoteEndpoint": back}
    orders = {"kind": "SERVER", "localEndpoint": front, "remoteEndpoint": peer}
    return {
        "orders": {**call("/orders"), **orders},
        "users client": {**call("/users/7"), **client},
        "users server": {**call("/users/7"), **server},
        "load-user": load_user(back),
        "quota client": {**call("/quota", **failed), **client},
        "quota server": {**call("/quota", **failed), **server},
    }


def zipkin_js(prefix, _backend_port):
    # express is not told its address, so zipkin-js takes one of the machine's, and no port.
    front, back = f"{prefix}-frontend", f"{prefix}-backend"

    def call(name, path, status="200"):
        error = {"error": status} if status == "503" else {}
        return {"name": name, "tags": {"http.path": path, "http.status_code": status, **error}}

    server = {"kind": "SERVER", "localEndpoint": endpoint(back, ipv4=IPV4), "shared": True}
    client = {
        "kind": "CLIENT",
        "localEndpoint": endpoint(front),
        "remoteEndpoint": endpoint(back),
    }
    orders = {"kind": "SERVER", "localEndpoint": endpoint(front, ipv4=IPV4)}
    return {
        "orders": {**call("get /orders", "/orders"), **orders},
        "users client": {**call("get", "/users/7"), **client},
        "users server": {**call("get /users/:id", "/users/7"), **server},
        "load-user": load_user(endpoint(back)),
        "quota client": {**call("get", "/quota", "503"), **client},
        "quota server": {**call("get /quota", "/quota", "503"), **server},
    }


def py_zipkin(prefix, backend_port):
    front = endpoint(f"{prefix}-frontend", ipv4="127.0.0.1", port=PORT)
    back = endpoint(f"{prefix}-backend", ipv4="127.0.0.1", port=backend_port)

    def call(name, path, status="200"):
        error = {"error": status} if status == "503" else {}
        return {"name": name, "tags": {"http.path": path, "http.status_code": status, **error}}

    server = {"kind": "SERVER", "localEndpoint": back, "shared": True}
    client = {"kind": "CLIENT", "localEndpoint": front, "remoteEndpoint": back}
    return {
        "orders": {**call("get /orders", "/orders"), "kind": "SERVER", "localEndpoint": front},
        "users client": {**call("get", "/users/7"), **client},
        "users server": {**call("get /users/7", "/users/7"), **server},
        "load-user": load_user(back),
        "quota client": {**call("get", "/quota", "503"), **client},
        "quota server": {**call("get /quota", "/quota", "503"), **server},
    }


def opentelemetry(prefix, _backend_port):
    # Its exporter repeats the resource's service name as a tag and names no remote endpoint.
    front, back = f"{prefix}-frontend", f"{prefix}-backend"

    def call(kind, service, name, path, status="200", **tags):
        if status == "503":
            tags |= {"error": "status 503", "otel.status_code": "ERROR"}
        tags |= {
            "http.request.method": "GET",
            "http.response.status_code": status,
            "service.name": service,
            "service.version": "1.4.2",
            "url.path": path,
        }
        return {"kind": kind, "name": name, "localEndpoint": endpoint(service), "tags": tags}

    called = {"peer.service": back}
    return {
        "orders": call("SERVER", front, "get /orders", "/orders"),
        "users client": call("CLIENT", front, "get", "/users/7", **called),
        "users server": call("SERVER", back, "get /users/7", "/users/7"),
        "load-user": load_user(
            endpoint(back), **{"service.name": back, "service.version": "1.4.2"}
        ),
        "quota client": call("CLIENT", front, "get", "/quota", "503", **called),
        "quota server": call("SERVER", back, "get /quota", "/quota", "503"),
    }


def jaeger_js(prefix, _backend_port):
    # Its process has an address and tags of its own, on each span.
    front = endpoint(f"{prefix}-frontend", ipv4=IPV4)
    back = endpoint(f"{prefix}-backend", ipv4=IPV4)
    process = {"client-uuid": TEXT, "hostname": TEXT, "jaeger.version": TEXT}

    def call(name, path, status="200", **fields):
        error = {"error": "true"} if status == "503" else {}
        tags = {**process, "http.path": path, "http.status_code": status, **error}
        return {"name": name, "tags": tags, **fields}

    # The first span says why its trace is kept.
    orders = call("get /orders", "/orders", kind="SERVER", localEndpoint=front)
    orders["tags"] |= {"sampler.type": "const", "sampler.param": "true"}
    client = {"kind": "CLIENT", "localEndpoint": front, "remoteEndpoint": endpoint(f"{prefix}-backend")}
    server = {"kind": "SERVER", "localEndpoint": back}
    return {
        "orders": orders,
        "users client": call("get", "/users/7", **client),
        "users server": call("get /users/:id", "/users/7", **server),
        "load-user": load_user(back, **process),
        "quota client": call("get", "/quota", "503", **client),
        "quota server": call("get /quota", "/quota", "503", **server),
    }


def otlp_js(prefix, _backend_port):
    front, back = f"{prefix}-frontend", f"{prefix}-backend"
    shared = {
        "otel.scope.name": "two-services",
        "otel.scope.version": "1.0",
        "service.version": "1.4.2",
    }

    def call(kind, service, name, path, status="200", **tags):
        if status == "503":
            tags |= {"error": "status 503", "otel.status_code": "ERROR"}
        tags |= shared | {
            "http.request.method": "GET",
            "http.response.status_code": status,
            "url.path": path,
        }
        return {"kind": kind, "name": name, "localEndpoint": endpoint(service), "tags": tags}

    def client(path, status="200"):
        span = call("CLIENT", front, "get", path, status, **{"peer.service": back})
        return {**span, "remoteEndpoint": endpoint(back)}

    # The parents of these are in another process, as their flags say.
    remote = {"otel.flags": "0x301"}
    return {
        "orders": call("SERVER", front, "get /orders", "/orders"),
        "users client": client("/users/7"),
        "users server": call("SERVER", back, "get /users/7", "/users/7", **remote),
        "load-user": load_user(endpoint(back), **shared),
        "quota client": client("/quota", "503"),
        "quota server": call("SERVER", back, "get /quota", "/quota", "503", **remote),
    }


def otlp_python(prefix, backend_port):
    front, back = f"{prefix}-frontend", f"{prefix}-backend"

    def shared(service):
        return {
            "deployment.environment.name": "test",
            "otel.scope.name": "two-services",
            "otel.scope.version": "1.0",
            "service.instance.id": f"{service}-0",
            "service.version": "1.4.2",
        }

    def call(kind, service, name, path, status="200", **tags):
        if status == "503":
            tags |= {"error": "status 503", "otel.status_code": "ERROR"}
        tags |= shared(service) | {
            "http.request.method": "GET",
            "http.response.status_code": status,
            "url.path": path,
        }
        return {"kind": kind, "name": name, "localEndpoint": endpoint(service), "tags": tags}

    def client(path, status="200"):
        peer = {
            "network.peer.address": "127.0.0.1",
            "network.peer.port": str(backend_port),
            "peer.service": back,
            "server.address": "localhost",
        }
        span = call("CLIENT", front, "get", path, status, **peer)
        return {**span, "remoteEndpoint": endpoint(back, ipv4="127.0.0.1", port=backend_port)}

    def server(service, path, status="200", **tags):
        tags |= {"client.address": "127.0.0.1", "client.port": PORT_TEXT}
        span = call("SERVER", service, f"get {path}", path, status, **tags)
        return {**span, "remoteEndpoint": {"ipv4": "127.0.0.1", "port": PORT}}

    # The parents of these are in another process, as their flags say.
    remote = {"otel.flags": "0x300", "otel.links": LINK}
    loaded = {"load": "0.5", "user.roles": '["admin","dev"]'}
    return {
        "orders": server(front, "/orders"),
        "users client": client("/users/7"),
        "users server": server(back, "/users/7", **remote),
        "load-user": load_user(endpoint(back), **loaded, **shared(back)),
        "quota client": client("/quota", "503"),
        "quota server": server(back, "/quota", "503", **remote),
    }


def java(project, main):
    return ["java", "-cp", f"{BUILT / project}/classes:{BUILT / project}/lib/*", main]


BRAVE = java("brave", "tracehound.clients.BraveServices")
ZIPKIN_JS = ["node", str(HERE / "node" / "zipkin_js.js")]
JAEGER_JS = ["node", str(HERE / "node" / "jaeger_js.js")]
OPENTELEMETRY = ["node", str(HERE / "node" / "opentelemetry.js")]
PYTHON = [str(BUILT / "venv" / "bin" / "python"), "-B"]
OTLP_PARTIAL = ["node", str(HERE / "node" / "otlp_partial.js")]
OPENTELEMETRY_PYTHON = [*PYTHON, str(HERE / "python" / "opentelemetry_services.py")]
PY_ZIPKIN = [*PYTHON, str(HERE / "python" / "py_zipkin_services.py")]
SCRIBE_CALLS = [*PYTHON, str(HERE / "python" / "scribe_calls.py")]
GRPC_TOOLS = [*PYTHON, str(HERE / "python" / "grpc_tools.py")]


def otlp(command, exporter, spans):
    """Zipkin's server takes OTLP with a module only, which maps it in part."""
    return Client(
        command, [exporter], spans, shares_ids=False, trace_id_length=32, only="tracehound"
    )


CLIENTS = {
    "brave-json": Client(BRAVE, ["JSON"], brave, shares_ids=True),
    "brave-proto3": Client(BRAVE, ["PROTO3"], brave, shares_ids=True),
    "brave-thrift": Client(BRAVE, ["THRIFT"], brave, shares_ids=True),
    "zipkin-js-v2": Client(ZIPKIN_JS, ["JSON_V2"], zipkin_js, shares_ids=True),
    "zipkin-js-v1": Client(ZIPKIN_JS, ["JSON_V1"], zipkin_js, shares_ids=True),
    "py-zipkin-v2": Client(PY_ZIPKIN, ["V2_JSON", "HTTP"], py_zipkin, shares_ids=True),
    "py-zipkin-proto3": Client(PY_ZIPKIN, ["V2_PROTO3", "HTTP"], py_zipkin, shares_ids=True),
    "py-zipkin-v1": Client(PY_ZIPKIN, ["V1_JSON", "HTTP"], py_zipkin, shares_ids=True),
    "py-zipkin-grpc": Client(PY_ZIPKIN, ["V2_PROTO3", "GRPC"], py_zipkin, shares_ids=True),
    # Zipkin's server takes no compressed messages by gRPC.
    "py-zipkin-grpc-gzip": Client(
        PY_ZIPKIN, ["V2_PROTO3", "GRPC_GZIP"], py_zipkin, shares_ids=True, only="tracehound"
    ),
    "opentelemetry": Client(
        OPENTELEMETRY, ["ZIPKIN"], opentelemetry, shares_ids=False, trace_id_length=32
    ),
    "opentelemetry-js-otlp-proto": otlp(OPENTELEMETRY, "OTLP_PROTO", otlp_js),
    "opentelemetry-js-otlp-json": otlp(OPENTELEMETRY, "OTLP_JSON", otlp_js),
    "opentelemetry-js-otlp-grpc": otlp(OPENTELEMETRY, "OTLP_GRPC", otlp_js),
    "opentelemetry-python-otlp-http": otlp(OPENTELEMETRY_PYTHON, "HTTP", otlp_python),
    "opentelemetry-python-otlp-grpc": otlp(OPENTELEMETRY_PYTHON, "GRPC", otlp_python),
    "jaeger-js": Client(
        JAEGER_JS, [], jaeger_js, shares_ids=False, only="tracehound", port="COLLECTOR_JAEGER_HTTP_PORT"
    ),
}
