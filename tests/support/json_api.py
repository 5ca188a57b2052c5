"""An HTTP server on a port of its own whose answers are JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit

Answer = tuple[int, Any]
"""Status and content."""
Api = Callable[[str, SplitResult, Any], Answer | None]
"""Takes a call's method, address and body; None breaks the connection before an answer."""


class JsonServer:
    """Answers until it is closed."""

    def __init__(self, api: Api) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            answer = api(self.command, urlsplit(self.path), body)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
