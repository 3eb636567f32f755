"""What stands between a server and its cluster: asks for a login, by TLS where it has a certificate, and does worse."""

import base64
import http.client
import http.server
import ssl
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import servers

ASKED_MAX_S = 30
# Longer than who asks waits.
SLOW_S = 8
# What it does with a request: hand it on, refuse it, hand it on and never tell, hand it on and tell too late.
OPEN, BUSY, CUT, SLOW = "open", "busy", "cut", "slow"


class Gateway:
    """Hands requests on to a cluster, to whom has the password."""

    def __init__(self, cluster, user, password, identity=None):
        self.cluster = cluster
        self.mode = OPEN
        self.let_in(user, password)
        self.port = servers.free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), handler_of(self))
        self.server.daemon_threads = True
        if identity is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*identity)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def let_in(self, user, password):
        self.login = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def ask(self, method, path, body, media_type):
        """What the cluster answers, status and text."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.cluster.port, timeout=ASKED_MAX_S)
            connection.request(method, path, body, {"Content-Type": media_type} if body else {})
            answer = connection.getresponse()
            told = answer.status, answer.read()
            connection.close()
            return told
        except (OSError, http.client.HTTPException):
            return 502, b'{"error":"the cluster is away","status":502}'

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def handler_of(gateway):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def hand_on(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != gateway.login:
                return self.answer(401, b'{"error":"who are you?","status":401}')
            if gateway.mode == BUSY:
                error = b'{"type":"circuit_breaking_exception","reason":"Data too large"}'
                return self.answer(429, b'{"error":' + error + b',"status":429}')
            mode = gateway.mode
            answer = gateway.ask(self.command, self.path, body, self.headers["Content-Type"])
            if mode == CUT:
                self.close_connection = True
                return None
            if mode == SLOW:
                time.sleep(SLOW_S)
            return self.answer(*answer)

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle(self):
            try:
                super().handle()
            except OSError:
                # Who asked did not wait for the answer.
                self.close_connection = True

        def log_message(self, *arguments):
            pass

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = hand_on

    return Handler
