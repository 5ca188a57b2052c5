"""Stand-ins for the cluster and for the receivers of alerts, while a real Airflow runs."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fake_cluster import RUNNING, FakeCluster, ended

# What a task's `command` makes of its pod. Without one, it succeeds at once.
FAIL, HOLD, TOGETHER = ["fail"], ["hold"], ["together"]
# The first pod is held, and then evicted; the next one succeeds.
LOSE = ["lose"]
EVICTED = {**ended(137), "reason": "Evicted", "message": "The node was low on resource: memory."}
# Followed by what the pod leaves.
LEAVE = "leave"


class ScriptedCluster(FakeCluster):
    """A Kubernetes API in which each pod does what its command says, in any team's namespace."""

    look_seconds = 0.2

    def __init__(self) -> None:
        self.let_go: set[str] = set()
        self.most_at_once: dict[str, int] = {}
        self._lock = threading.Lock()
        super().__init__()

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, object]:
        """Return the status and the object, or text, that answers the request."""
        with self._lock:
            answer = super().answer(method, re.sub("/namespaces/team-[a-z]+/", "/namespaces/team-risk/", url), body)
            if method == "POST":
                dag_id = _dag_id(body)
                alive = sum(_dag_id(pod) == dag_id for pod in self.pods.values())
                self.most_at_once[dag_id] = max(alive, self.most_at_once.get(dag_id, 0))
            return answer

    def end(self, dag_id: str) -> None:
        """Let the held pods of the job succeed."""
        self.let_go.add(dag_id)

    def arguments(self, dag_id: str) -> list[list[str]]:
        """Return the arguments of each pod that the job ever had."""
        return [_container(pod)["args"] for pod in list(self.created) if _dag_id(pod) == dag_id]

    def names(self, dag_id: str) -> list[str]:
        """Return the names of the pods that the job ever had, in order."""
        return [pod["metadata"]["name"] for pod in list(self.created) if _dag_id(pod) == dag_id]

    def _next_state(self, pod: dict[str, Any]) -> dict[str, Any]:
        command, dag_id = _container(pod).get("command"), _dag_id(pod)
        if command and command[0] == LEAVE:
            return ended(0, command[1])
        if command == LOSE and dag_id in self.let_go and pod["metadata"]["name"] == self.names(dag_id)[0]:
            return EVICTED
        held = command in (HOLD, LOSE) and dag_id not in self.let_go
        alone = command == TOGETHER and self.most_at_once[dag_id] < 2
        return RUNNING if held or alone else ended(1 if command == FAIL else 0)


def _dag_id(pod: dict[str, Any]) -> str:
    labels = pod["metadata"]["labels"]
    return f"{labels['jobyard.dev/team']}.{labels['jobyard.dev/job']}"


def _container(pod: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = pod["spec"]["containers"][0]
    return container


class Webhook:
    """A server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    def alerts(self, path: str) -> list[dict[str, str]]:
        """Return what was posted to the path."""
        return [facts for at, facts in list(self.received) if at == f"/{path}"]


def _handler(webhook: Webhook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.received.append((self.path, json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    return Handler
