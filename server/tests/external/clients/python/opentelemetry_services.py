"""A frontend that calls a backend twice, both traced by OpenTelemetry: W3C's headers between them,
its OTLP exporters to the server, gzip. Spans are never shared: a server's is a child of the client's.

Arguments: base URL of the tracing server, exporter (HTTP or GRPC), prefix of the service names.
Prints the trace's id and the backend's port once every span was acknowledged.
"""

import json
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

W3C = TraceContextTextMapPropagator()


class CheckedExporter(SpanExporter):
    """Remembers failed exports, which OpenTelemetry would only log."""

    def __init__(self, exporter):
        self.exporter = exporter
        self.failures = 0

    def export(self, spans):
        result = self.exporter.export(spans)
        self.failures += result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self):
        self.exporter.shutdown()

    def force_flush(self, timeout_millis=30_000):
        return self.exporter.force_flush(timeout_millis)


def exporter(kind, base):
    if kind == "HTTP":
        return HttpExporter(endpoint=f"{base}/v1/traces", compression=Compression.Gzip)
    import grpc

    return GrpcExporter(endpoint=base, insecure=True, compression=grpc.Compression.Gzip)


class Service:
    """One HTTP server on a port of its own. Each request is a thread."""

    def __init__(self, name, spans, answer):
        self.name = name
        self.spans = spans
        self.answer = answer
        resource = Resource(
            {
                "service.name": name,
                "service.version": "1.4.2",
                "service.instance.id": f"{name}-0",
                "deployment.environment.name": "test",
            }
        )
        self.provider = TracerProvider(resource=resource)
        self.provider.add_span_processor(BatchSpanProcessor(spans))
        self.tracer = self.provider.get_tracer("two-services", "1.0")
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = False  # so that closing waits for the last span
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(service):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                service.serve(self)

            def log_message(self, *arguments):
                pass

        return Handler

    def serve(self, request):
        caller = W3C.extract(request.headers)
        seen = trace.get_current_span(caller).get_span_context()
        span = self.tracer.start_span(
            f"GET {request.path}",
            context=caller,
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": "GET",
                "url.path": request.path,
                "client.address": request.client_address[0],
                "client.port": request.client_address[1],
            },
            links=[Link(seen, {"why": "called"})] if seen.is_valid else [],
        )
        with trace.use_span(span, end_on_exit=True):
            status, body = self.answer(self, request.path, span)
            finish(span, status)
        request.send_response(status)
        request.end_headers()
        request.wfile.write(body.encode())

    def call(self, callee, path):
        attributes = {
            "http.request.method": "GET",
            "url.path": path,
            "peer.service": callee.name,
            "server.address": "localhost",
            "network.peer.address": "127.0.0.1",
            "network.peer.port": callee.port,
        }
        with self.tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes) as span:
            headers = {}
            W3C.inject(headers)
            request = urllib.request.Request(f"http://127.0.0.1:{callee.port}{path}", headers=headers)
            try:
                status = urllib.request.urlopen(request).status
            except urllib.error.HTTPError as error:
                status = error.code
            finish(span, status)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.provider.shutdown()  # sends what is left


def finish(span, status):
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR, f"status {status}"))


def answer_backend(service, path, span):
    if path == "/quota":
        return 503, "over quota"
    attributes = {"user.name": "Zoë \"Z\" O'Neil\n✓", "user.roles": ["admin", "dev"], "load": 0.5}
    with service.tracer.start_as_current_span("load-user", attributes=attributes) as local:
        local.add_event("cache.miss")
    return 200, "zoe"


def main(base, kind, prefix):
    spans = CheckedExporter(exporter(kind, base))
    backend = Service(f"{prefix}-backend", spans, answer_backend)

    def answer_frontend(service, path, span):
        service.call(backend, "/users/7")
        service.call(backend, "/quota")
        return 200, format(span.get_span_context().trace_id, "032x")

    front_spans = CheckedExporter(exporter(kind, base))
    frontend = Service(f"{prefix}-frontend", front_spans, answer_frontend)
    url = f"http://127.0.0.1:{frontend.port}/orders"
    trace_id = urllib.request.urlopen(url).read().decode()
    frontend.close()
    backend.close()
    if spans.failures or front_spans.failures:
        raise SystemExit("an export failed")
    print(json.dumps({"traceId": trace_id, "backendPort": backend.port}))


if __name__ == "__main__":
    main(*sys.argv[1:])
