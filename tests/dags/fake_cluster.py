"""A Kubernetes API of pods and events, small enough to say in a test what happens to a pod."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PENDING = {"phase": "Pending"}
RUNNING = {"phase": "Running", "containerStatuses": []}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(**state: Any) -> dict[str, Any]:
    """Return the status of the task's container in that state."""
    names = {"name": "base", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    return {**names, "state": state}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Return the status of a pod whose container cannot start."""
    state = container(waiting={"reason": reason, "message": message})
    return {"phase": "Pending", "containerStatuses": [state]}


def ended(exit_code: int, message: str | None = None) -> dict[str, Any]:
    """Return the status of a pod whose container has ended, and what it has left as its termination message."""
    terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "message": message}
    phase = "Failed" if exit_code else "Succeeded"
    return {"phase": phase, "containerStatuses": [container(terminated=terminated)]}


def event(reason: str, message: str, kind: str = "Warning") -> dict[str, Any]:
    """Return an event of the pod."""
    uid = f"{reason} {message}"
    return {
        "metadata": {"uid": uid, "name": reason.lower(), "resourceVersion": "1"},
        "involvedObject": {},
        "type": kind,
        "reason": reason,
        "message": message,
    }


class FakeCluster:
    """Pods live here from create to delete; each reading of one shows the next of `states`, the last for good."""

    look_seconds = 0.01
    """How long a watch rests between two looks at the pods: each shows the next of their states."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = [PENDING]
        # What the pods of a task show instead, whenever they are read; by the task's name.
        self.ends: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        self.log = "done\n"
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        # What keeps each pod that is made from being scheduled.
        self.gates: list[dict[str, str]] = []
        # Who each request says that it is from.
        self.authorizations: list[str] = []
        self.on_read: Callable[[], None] = lambda: None
        # What a deleted pod shows while its container winds up; None: it is gone at once.
        self.winding_up: dict[str, Any] | None = None
        self._closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, url: str, body: dict[str, Any]) -> tuple[int, object]:
        """Return the status and the object, or text, or the changes of a watch, that answers the request."""
        address = urlsplit(url)
        query = parse_qs(address.query)
        kind, *rest = address.path.removeprefix("/api/v1/namespaces/team-risk/").split("/")
        if kind == "events":
            return 200, self._watch_events() if "watch" in query else self._list(self.events)
        if kind != "pods":
            return 404, {}
        if not rest:
            return self._pods(method, body, query)
        return self._pod(method, rest)

    def _list(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": items}

    def _watch_events(self) -> Iterator[dict[str, Any]]:
        """Yield the events that come; those that were there before were listed."""
        told = len(self.events)
        while not self._closed.wait(self.look_seconds):
            for event in self.events[told:]:
                yield {"type": "ADDED", "object": event}
            told = len(self.events)

    def _watch_pods(self, name: str | None) -> Iterator[dict[str, Any]]:
        """Yield each change of the pods, or of one."""
        shown: dict[str, dict[str, Any]] = {}
        while not self._closed.wait(self.look_seconds):
            for pod in [pod for pod in list(self.pods.values()) if name in (None, pod["metadata"]["name"])]:
                self.on_read()
                name_of_pod = pod["metadata"]["name"]
                if name_of_pod not in self.pods:
                    continue
                pod["status"] = self._next_state(pod)
                if shown.get(name_of_pod) != pod:
                    yield {"type": "MODIFIED", "object": pod}
                    shown[name_of_pod] = dict(pod)
            for gone in shown.keys() - self.pods.keys():
                yield {"type": "DELETED", "object": shown.pop(gone)}

    def _pods(self, method: str, body: dict[str, Any], query: dict[str, list[str]]) -> tuple[int, object]:
        if method == "POST":
            self.created.append(body)
            name = body["metadata"]["name"]
            served = {"uid": f"uid-of-{name}", "resourceVersion": "1", "creationTimestamp": _now()}
            pod = {**body, "metadata": {**body["metadata"], **served}, "status": PENDING}
            if self.gates:
                pod["spec"] = {**body["spec"], "schedulingGates": self.gates}
            self.pods[name] = pod
            return 201, pod
        named = query.get("fieldSelector", ["="])[0].partition("=")[2] or None
        if "watch" in query:
            return 200, self._watch_pods(named)
        terms = query.get("labelSelector", [""])[0].split(",")
        found = [pod for pod in self.pods.values() if _selected(pod["metadata"]["labels"], terms)]
        return 200, self._list([pod for pod in found if named in (None, pod["metadata"]["name"])])

    def _pod(self, method: str, rest: list[str]) -> tuple[int, object]:
        pod = self.pods.get(rest[0])
        if pod is None:
            return 404, {}
        if rest[1:] == ["log"]:
            lines = self.log.splitlines(keepends=True)
            return 200, "".join(f"2026-11-03T00:00:00.{number:09}Z {line}" for number, line in enumerate(lines, 1))
        if method == "DELETE" and self.winding_up:
            self.states = [self.winding_up]
        elif method == "DELETE":
            del self.pods[rest[0]]
        if method == "GET":
            self.on_read()
            pod["status"] = self._next_state(pod)
        return 200, pod

    def _next_state(self, pod: dict[str, Any]) -> dict[str, Any]:
        end = self.ends.get(pod["metadata"]["labels"]["jobyard.dev/task"])
        if end:
            return end(pod)
        if pod["status"]["phase"] in ("Succeeded", "Failed"):
            # The states that are left are those of the next pod.
            return dict(pod["status"])
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def ran(self) -> list[str]:
        """Return the tasks of the pods that were made, in that order."""
        return [pod["metadata"]["labels"]["jobyard.dev/task"] for pod in self.created]

    def container(self, task: str) -> dict[str, Any]:
        """Return the container of the task's only pod."""
        [found] = [pod for pod in self.created if pod["metadata"]["labels"]["jobyard.dev/task"] == task]
        return dict(found["spec"]["containers"][0])

    def leave(self, **outputs: str) -> None:
        """Let each task's pods succeed and leave that text."""
        for name, text in outputs.items():
            self.ends[name] = lambda pod, text=text: ended(0, text)  # type: ignore[misc]


def _selected(labels: dict[str, str], terms: list[str]) -> bool:
    for term in filter(None, terms):
        key, different, value = term.partition("!=")
        if different:
            matches = labels.get(key) != value
        elif term.startswith("!"):
            matches = term[1:] not in labels
        else:
            key, has_value, value = term.partition("=")
            matches = labels.get(key) == value if has_value else key in labels
        if not matches:
            return False
    return True


def _handler(cluster: FakeCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            cluster.authorizations.append(self.headers.get("Authorization", ""))
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, answer = cluster.answer(self.command, self.path, body)
            if isinstance(answer, Iterator):
                self._stream(answer)
                return
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def _stream(self, changes: Iterator[dict[str, Any]]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            # The watcher leaves when it has seen enough.
            with suppress(OSError):
                for change in changes:
                    self.wfile.write(json.dumps(change).encode() + b"\n")

        do_GET = do_POST = do_DELETE = do_PATCH = _do

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    return Handler
