"""A proxy in front of the S3 server that does to single requests what networks and busy servers do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

RESET = "the connection is reset without an answer"
RESET_HALFWAY = "the connection is reset in the middle of the answer"
LOST = "the request is carried out, and its answer lost"
SILENCE = "no answer at all"
SLOW_DOWN = "503 SlowDown"
EXPIRED = "400 ExpiredToken"
_OWN = ("connection", "transfer-encoding")
"""Headers that are between two neighbours alone."""
_REFUSALS = {
    SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    EXPIRED: (400, "ExpiredToken", "The provided token has expired."),
}


class FaultyProxy:
    """`faults[n]` befalls the request of that number; `method` says of which kind requests are counted."""

    def __init__(self, server: str) -> None:
        self.server = urlsplit(server).netloc
        self.faults: dict[int, str] = {}
        self.always = ""
        self.method = ""
        self.requests: list[str] = []
        self.silent = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def befall(self, faults: dict[int, str] | None = None, always: str = "", method: str = "") -> None:
        """Start to count from zero again."""
        self.faults, self.always, self.method, self.requests = faults or {}, always, method, []

    def fault(self, method: str) -> str:
        """What befalls the next request."""
        with self._lock:
            if self.method in ("", method):
                self.requests.append(method)
                return self.faults.get(len(self.requests), self.always)
        return ""

    def close(self) -> None:
        """Stop; clients that wait for an answer get none."""
        self.silent.set()
        self._http.shutdown()
        self._http.server_close()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            match proxy.fault(self.command):
                case fault if fault in _REFUSALS:
                    self._refuse(*_REFUSALS[fault])
                case fault if fault == RESET:
                    self._reset()
                case fault if fault == SILENCE:
                    proxy.silent.wait()
                case fault:
                    self._forward(body, fault)

        do_HEAD = do_PUT = do_POST = do_GET

        def _forward(self, body: bytes, fault: str) -> None:
            connection = http.client.HTTPConnection(proxy.server)
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            if fault == LOST:
                self._reset()
                return
            kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _OWN]
            head = [f"HTTP/1.1 {answer.status} {answer.reason}", *(f"{name}: {value}" for name, value in kept)]
            whole = "\r\n".join([*head, "", ""]).encode() + content
            self.wfile.write(whole[: len(whole) // 2] if fault == RESET_HALFWAY else whole)
            if fault == RESET_HALFWAY:
                self._reset()

        def _refuse(self, status: int, code: str, message: str) -> None:
            text = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def _reset(self) -> None:
            self.wfile.flush()
            # With nothing left to linger for, closing sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RD)
            self.connection.close()

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
