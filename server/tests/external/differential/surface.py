"""What surrounds the API: redirects, methods, caching, compression, CORS, health, metrics.

Each check asks once and keeps of the answer what clients, proxies and scrapers rely on: the status,
some headers, and the body or only its shape.
"""

import gzip
import json
import re
from dataclasses import dataclass, field

ORIGIN = {"Origin": "http://shop.example"}
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Headers": "content-type"}
GZIP = {"Accept-Encoding": "gzip"}

LOCATION = ("location",)
CACHING = ("cache-control",)
ENCODING = ("content-encoding",)
CORS = ("access-control-allow-origin", "access-control-allow-credentials", "vary")
PREFLIGHTED = (*CORS, "access-control-allow-methods")


def nothing(_body):
    return None


def text(body):
    return body.decode()


def keys(body):
    """The paths of all keys: what there is, whatever it says."""
    return sorted(key_paths(json.loads(body)))


def key_paths(value, prefix=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield prefix + key
            yield from key_paths(inner, prefix + key + ".")


def health(body):
    """All but the names of the parts, which are the product's own."""
    report = json.loads(body)
    parts = report["zipkin"].pop("details")
    return {**report, "parts": sorted({part["status"] for part in parts.values()})}


def zipkin_metrics(body):
    """Zipkin's own metrics and their labels, without values and without `le` and `quantile`."""
    series = re.findall(r"^(zipkin_\w+)(\{[^}]*\})?", body.decode(), re.MULTILINE)
    return sorted(
        {name + labels.replace(",}", "}") for name, labels in series if "collector" in name}
    )


@dataclass(frozen=True)
class Check:
    method: str
    path: str
    send: dict = field(default_factory=dict)
    headers: tuple = ()
    keep: callable = nothing
    body: bytes | None = None

    def summary(self, answer):
        body = answer.body
        if answer.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return {
            "headers": {name: spelled(answer.headers.get(name)) for name in self.headers},
            "body": self.keep(body) if answer.status == 200 else None,
        }


def spelled(value):
    """A header's value without the freedom of blanks after commas."""
    return value and re.sub(r",\s*", ", ", value)


def checks(service):
    """`service` is one that has many spans, so that a search for it is worth compressing."""
    many = f"/api/v2/traces?serviceName={service}&limit=500"
    named = f"serviceName={service}"
    return [
        Check("GET", "/", headers=LOCATION),
        Check("GET", "/zipkin", headers=LOCATION),
        Check("GET", "/favicon.ico", headers=LOCATION),
        Check("GET", "/zipkin/", headers=CACHING),
        Check("GET", "/zipkin/traces/1", headers=CACHING),
        Check("GET", "/zipkin/dependency", headers=CACHING),
        Check("GET", "/zipkin/config.json", headers=CACHING, keep=text),
        Check("GET", "/config.json"),
        Check("GET", "/nothing/here"),
        Check("GET", "/health", keep=health),
        Check("GET", "/actuator/health", keep=health),
        Check("GET", "/info", keep=keys),
        Check("GET", "/actuator/info", keep=keys),
        Check("GET", "/metrics", keep=keys),
        Check("GET", "/prometheus", keep=zipkin_metrics),
        Check("GET", "/actuator/prometheus", keep=zipkin_metrics),
        *(
            Check(method, path, body=b"[]" if method in ("POST", "PUT") else None)
            for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE")
            for path in ("/api/v2/services", "/api/v2/traces", "/zipkin/api/v2/spans")
        ),
        Check("PUT", "/api/v2/spans", body=b"[]"),
        Check("DELETE", "/api/v2/spans"),
        Check("GET", "/api/v1/spans"),
        Check("GET", "/api/v2/services", headers=CACHING),
        Check("GET", f"/api/v2/spans?{named}", headers=CACHING),
        Check("GET", f"/api/v2/remoteServices?{named}", headers=CACHING),
        Check("GET", "/api/v2/autocompleteKeys", headers=CACHING),
        Check("GET", "/api/v2/autocompleteValues?key=environment", headers=CACHING),
        Check("GET", "/api/v2/traces?limit=1", headers=CACHING),
        Check("GET", many, send=GZIP, headers=ENCODING),
        Check("GET", many, headers=ENCODING),
        Check("GET", "/api/v2/autocompleteKeys", send=GZIP, headers=ENCODING),
        Check("GET", "/api/v2/services", send=ORIGIN, headers=CORS),
        Check("POST", "/api/v2/spans", send=ORIGIN, headers=CORS, body=b"[]"),
        *(
            Check("OPTIONS", path, {**PREFLIGHT, "Access-Control-Request-Method": method}, PREFLIGHTED)
            for method, path in (("GET", "/api/v2/traces"), ("POST", "/api/v2/spans"))
        ),
        Check("POST", "/api/v2/spans", send={"Content-Encoding": "gzip"}, body=gzip.compress(b"[]")),
        Check("POST", "/api/v2/spans", send={"Content-Encoding": "gzip"}, body=gzip.compress(b"")),
        Check("POST", "/api/v2/spans", body=b" " * (10 * 1024 * 1024 + 1)),
    ]
