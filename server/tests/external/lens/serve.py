"""Serves Zipkin's own UI, taken from its server's jar, in front of another server's API."""

import http.client
import io
import mimetypes
import threading
import urllib.parse
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LENS_JAR = "BOOT-INF/lib/zipkin-lens-"
ROOT = "zipkin-lens/"


def lens_files(server_jar):
    """The UI's files by path, read from the jar within the jar."""
    with zipfile.ZipFile(server_jar) as outer:
        (name,) = [entry for entry in outer.namelist() if entry.startswith(LENS_JAR)]
        with zipfile.ZipFile(io.BytesIO(outer.read(name))) as inner:
            return {
                "/zipkin/" + entry.removeprefix(ROOT): inner.read(entry)
                for entry in inner.namelist()
                if entry.startswith(ROOT) and not entry.endswith("/")
            }


class LensServer:
    """Answers `/zipkin/` from the jar, `/zipkin/api/` and `/zipkin/config.json` from `base`."""

    def __init__(self, server_jar, base):
        self.files = lens_files(server_jar)
        self.upstream = urllib.parse.urlsplit(base).netloc
        self.proxied = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()

    def _handler(lens):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                if path.startswith("/zipkin/api/") or path == "/zipkin/config.json":
                    self.answer(*lens.forward(self.path))
                elif path in lens.files:
                    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
                    self.answer(200, kind, lens.files[path])
                else:  # pages are routes within the one document
                    self.answer(200, "text/html", lens.files["/zipkin/index.html"])

            def answer(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        return Handler

    def forward(self, path):
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        self.proxied.append((path, response.status))
        return response.status, response.getheader("Content-Type", "text/plain"), body
