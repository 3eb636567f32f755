"""A frontend that calls a backend twice, both traced by py_zipkin.

Arguments: base URL of the tracing server, encoding (V1_JSON, V2_JSON or V2_PROTO3), how spans are
sent (HTTP, GRPC or GRPC_GZIP), prefix of the service names. Prints the trace's id and the backend's
port once every span was acknowledged.
"""

import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from py_zipkin import Encoding
from py_zipkin.request_helpers import create_http_headers, extract_zipkin_attrs_from_headers
from py_zipkin.transport import BaseTransportHandler, SimpleHTTPTransport
from py_zipkin.zipkin import zipkin_client_span, zipkin_server_span, zipkin_span

REPORT_MAX_S = 10


class GrpcTransport(BaseTransportHandler):
    """Lists of spans as they are, by gRPC's own client."""

    def __init__(self, address, port, compression):
        channel = grpc.insecure_channel(f"{address}:{port}", compression=compression)
        self.report = channel.unary_unary("/zipkin.proto3.SpanService/Report")

    def get_max_payload_bytes(self):
        return None

    def send(self, payload):
        answer = self.report(payload, timeout=REPORT_MAX_S)
        if answer != b"":
            raise ValueError(f"the answer has no fields, but is {answer!r}")


class CheckedTransport(BaseTransportHandler):
    """Remembers refused reports, which py_zipkin would only log."""

    def __init__(self, sender):
        self.sender = sender
        self.failures = []

    def get_max_payload_bytes(self):
        return self.sender.get_max_payload_bytes()

    def send(self, payload):
        try:
            self.sender.send(payload)
        except Exception as failure:
            self.failures.append(failure)
            raise


def sender(kind, address, port):
    if kind == "HTTP":
        return SimpleHTTPTransport(address, port)
    compression = {"GRPC": grpc.Compression.NoCompression, "GRPC_GZIP": grpc.Compression.Gzip}[kind]
    return GrpcTransport(address, port, compression)


class Service:
    """One HTTP server on a port of its own. Each request is a thread, so each has its own tracer."""

    def __init__(self, name, encoding, transport, answer):
        self.name = name
        self.encoding = encoding
        self.transport = transport
        self.answer = answer
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = False  # so that closing waits for the last report
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
        caller = extract_zipkin_attrs_from_headers(request.headers)
        with zipkin_server_span(
            service_name=self.name,
            span_name=f"GET {request.path}",
            transport_handler=self.transport,
            encoding=self.encoding,
            host="127.0.0.1",
            port=self.port,
            zipkin_attrs=caller,
            sample_rate=None if caller else 100.0,
        ) as span:
            span.update_binary_annotations({"http.path": request.path})
            status, body = self.answer(self, request.path, span)
            span.update_binary_annotations({"http.status_code": str(status)})
        request.send_response(status)
        request.end_headers()
        request.wfile.write(body.encode())

    def call(self, callee, path):
        with zipkin_client_span(service_name=self.name, span_name="GET") as span:
            span.update_binary_annotations({"http.path": path})
            span.add_sa_binary_annotation(callee.port, callee.name, "127.0.0.1")
            url = f"http://127.0.0.1:{callee.port}{path}"
            request = urllib.request.Request(url, headers=create_http_headers())
            try:
                status = urllib.request.urlopen(request).status
            except urllib.error.HTTPError as error:
                status = error.code
                span.update_binary_annotations({"error": str(status)})
            span.update_binary_annotations({"http.status_code": str(status)})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def answer_backend(service, path, span):
    if path == "/quota":
        span.update_binary_annotations({"error": "503"})
        return 503, "over quota"
    with zipkin_span(service_name=service.name, span_name="load-user") as local:
        local.update_binary_annotations({"user.name": "Zoë \"Z\" O'Neil\n✓"})
        local.add_annotation("cache.miss")
    return 200, "zoe"


def main(base, encoding, sender_kind, prefix):
    server = urllib.parse.urlsplit(base)
    transport = CheckedTransport(sender(sender_kind, server.hostname, server.port))
    encoding = Encoding(encoding)
    backend = Service(f"{prefix}-backend", encoding, transport, answer_backend)

    def answer_frontend(service, path, span):
        service.call(backend, "/users/7")
        service.call(backend, "/quota")
        return 200, span.zipkin_attrs.trace_id

    frontend = Service(f"{prefix}-frontend", encoding, transport, answer_frontend)
    url = f"http://127.0.0.1:{frontend.port}/orders"
    trace_id = urllib.request.urlopen(url).read().decode()
    frontend.close()
    backend.close()
    if transport.failures:
        raise transport.failures[0]
    print(json.dumps({"traceId": trace_id, "backendPort": backend.port}))


if __name__ == "__main__":
    main(*sys.argv[1:])
