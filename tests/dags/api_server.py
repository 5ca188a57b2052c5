"""An API server of pods, events and logs with the semantics that following a pod depends on, and every way to fail.

Each change counts `resourceVersion` up; a list has the version of its answer, and a watch goes on from a version, with
bookmarks, and with 410 for one that was forgotten. A log is what a kubelet makes of the records that a container
runtime writes (kubernetes: staging/src/k8s.io/cri-client/pkg/logs): a record can be part of a line, `sinceTime` drops
records of earlier whole seconds, a line has the time of its first record that is sent.
"""

import asyncio
import json
import ssl
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from aiohttp import web

NAMESPACE = "team-risk"
BEGIN = datetime(2026, 11, 3, 12, 0, 0, tzinfo=UTC)
ALIVE = ("Pending", "Running")
TERMINAL = ("Succeeded", "Failed")


@dataclass
class Request:
    """A request as it came."""

    method: str
    kind: str
    name: str
    query: dict[str, str]
    token: str
    connection: int
    path: str

    @property
    def verb(self) -> str:
        """What a Role would call it; reading a log is `log`."""
        if self.path.endswith("/log"):
            return "log"
        if self.method == "GET" and not self.name:
            return "watch" if "watch" in self.query else "list"
        return {"GET": "get", "POST": "create", "DELETE": "delete"}[self.method]


@dataclass
class Fault:
    """An answer in place of the right one, so many times."""

    status: int
    times: float
    matches: Callable[[Request], bool]
    message: str = "made up"


@dataclass
class Record:
    """What a container runtime writes at once: a line, or part of one."""

    time: str
    second: int
    data: bytes
    partial: bool = False


@dataclass
class Cut:
    """How an answer of a log ends early: after so many bytes, and after `text` of the kubelet's own."""

    after: int
    cleanly: bool = False
    text: bytes = b""


@dataclass
class Change:
    """A change of an object, as a watch shows it."""

    version: int
    kind: str
    labels: dict[str, str]
    fields: dict[str, str]
    line: bytes


@dataclass(eq=False)
class Stream:
    """An answer that goes on."""

    request: web.Request
    queue: "asyncio.Queue[bytes | None]" = field(default_factory=asyncio.Queue)
    wants: Callable[[Change], bool] = lambda change: False


class ApiServer:
    """The server, in a thread of its own; its methods can be called from any other."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.denied: set[tuple[str, str]] = set()  # (verb, kind) -> 403
        self.tokens: set[str] | None = None  # accepted; None: any
        self.away = False
        self.delay = 0.0
        self.forgets_at_once = False
        self.gone_as_status = False
        self.page = 10_000
        self.watch_ends_at_once = False
        self.quota: int | None = None  # of pods that have not ended
        self.graceful: int | None = None  # the grace period of a deletion; None: the pod is gone at once
        self.cuts: deque[Cut] = deque()
        self.log_sources: dict[str, Callable[[], Iterable[bytes]]] = {}
        self.bookmarked: list[str] = []
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._logs: dict[str, list[Record]] = {}
        self._time = BEGIN
        self._version = 100
        self._forgotten = 0
        self._history: list[Change] = []
        self._streams: set[Stream] = set()
        self._connections: dict[Any, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._wait(self._start(tls))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop the server."""
        self._wait(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # What a test does to the cluster.

    def put(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Create or replace a pod, or an event."""
        return self._wait(self._put(pod))

    def status(self, name: str, **status: Any) -> None:
        """Change fields of a pod's status."""
        pod = self.read(name)
        pod["status"] = {**pod["status"], **status}
        self.put(pod)

    def read(self, name: str) -> dict[str, Any]:
        """Return the pod."""
        return deepcopy(self._objects["pods", name])  # type: ignore[no-any-return]

    def has(self, name: str) -> bool:
        """Whether there is such a pod."""
        return ("pods", name) in self._objects

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of that kind."""
        return [name for its_kind, name in list(self._objects) if its_kind == kind]

    def remove(self, name: str, kind: str = "pods") -> None:
        """Let a pod go at once."""
        self._wait(self._remove(kind, name))

    def log(self, pod: str, *data: bytes, time: datetime | None = None, after: float = 0.001, text: str = "") -> None:
        """Let the pod's container write; each `data` is one record, part of a line if it does not end one.

        `time` is that of all, else each is written `after` the one before; `text` is the time as the kubelet has it.
        """
        self._wait(self._log(pod, data, time, after, text))

    def cut(self) -> None:
        """Cut all connections."""
        self._wait(self._cut(False))

    def end_streams(self) -> None:
        """End every answer that goes on, in order: as a server does that shuts down, and a kubelet now and then."""
        self._wait(self._cut(True))

    def forget(self) -> None:
        """Forget all versions but the current one."""
        self._version += 1
        self._forgotten = self._version

    def bookmark(self) -> int:
        """Send a bookmark to every watch; return its version."""
        self._version += 1
        self._wait(self._send(_bookmark(self._version)))
        return self._version

    def raw(self, line: bytes) -> None:
        """Send a line to every watch."""
        self._wait(self._send(line))

    def fail(self, status: int, times: float = 1, verb: str = "", kind: str = "", message: str = "made up") -> None:
        """Answer so many requests with a refusal."""
        self.faults.append(
            Fault(status, times, lambda request: verb in ("", request.verb) and kind in ("", request.kind), message)
        )

    # What a test looks at.

    def asked(self, verb: str = "", kind: str = "") -> list[Request]:
        """Return the requests of that verb and kind."""
        return [one for one in self.requests if verb in ("", one.verb) and kind in ("", one.kind)]

    @property
    def version(self) -> int:
        """The current resource version."""
        return self._version

    @property
    def streams(self) -> int:
        """How many answers go on."""
        return len(self._streams)

    @property
    def connections(self) -> int:
        """How many connections there have been."""
        return len({request.connection for request in self.requests})

    # The server.

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _start(self, tls: ssl.SSLContext | None) -> int:
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls, shutdown_timeout=0.1, backlog=1024)
        await site.start()
        return int(site._server.sockets[0].getsockname()[1])  # type: ignore[union-attr]

    async def _stop(self) -> None:
        await self._cut(False)
        await self._runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _put(self, found: dict[str, Any]) -> dict[str, Any]:
        kind = "events" if "involvedObject" in found else "pods"
        key = kind, found["metadata"]["name"]
        self._version += 1
        copy = deepcopy(found)
        copy["metadata"] = {
            "creationTimestamp": _time(BEGIN),
            **copy["metadata"],
            "resourceVersion": str(self._version),
        }
        is_new = key not in self._objects
        self._objects[key] = copy
        await self._tell("ADDED" if is_new else "MODIFIED", kind, copy)
        return copy

    async def _remove(self, kind: str, name: str) -> None:
        found = self._objects.pop((kind, name))
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)
        self._logs.pop(name, None)
        await self._tell("DELETED", kind, found)

    async def _log(self, pod: str, data: Iterable[bytes], time: datetime | None, after: float, text: str) -> None:
        records = self._logs.setdefault(pod, [])
        for one in data:
            if time is None:
                self._time += timedelta(seconds=after)
            at = time or self._time
            whole = one.removesuffix(b"\n")
            records.append(Record(text or _nanoseconds(at), int(at.timestamp()), whole, whole == one))
        await self._wake()

    async def _tell(self, change: str, kind: str, found: dict[str, Any]) -> None:
        metadata = found["metadata"]
        fields = {"metadata.name": metadata["name"]}
        for name, value in (found.get("involvedObject") or {}).items():
            fields[f"involvedObject.{name}"] = value
        line = json.dumps({"type": change, "object": found}).encode() + b"\n"
        told = Change(self._version, kind, metadata.get("labels") or {}, fields, line)
        self._history.append(told)
        for stream in self._streams:
            if stream.wants(told):
                stream.queue.put_nowait(line)
        await self._wake()

    async def _wake(self) -> None:
        for stream in self._streams:
            stream.queue.put_nowait(b"")

    async def _send(self, line: bytes) -> None:
        for stream in self._streams:
            if not stream.request.path.endswith("/log"):
                stream.queue.put_nowait(line)

    async def _cut(self, cleanly: bool) -> None:
        for stream in list(self._streams):
            if cleanly:
                stream.queue.put_nowait(None)
            elif stream.request.transport is not None:
                stream.request.transport.abort()
        await asyncio.sleep(0)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        came = self._request(request)
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        self.requests.append(came)
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.tokens is not None and came.token not in self.tokens:
            return _refusal(401, "Unauthorized")
        for fault in self.faults:
            if fault.times > 0 and fault.matches(came):
                fault.times -= 1
                return _refusal(fault.status, fault.message)
        if (came.verb, came.kind) in self.denied:
            return _refusal(403, f"{came.kind} is forbidden: User cannot {came.verb} resource")
        return await self._right_answer(request, came)

    async def _right_answer(self, request: web.Request, came: Request) -> web.StreamResponse:
        if came.verb == "create":
            return await self._create(await request.json())
        if came.verb == "watch":
            return await self._watch(request, came)
        if came.verb == "list":
            return self._list(came)
        if (came.kind, came.name) not in self._objects:
            return _refusal(404, f'{came.kind} "{came.name}" not found')
        if came.verb == "log":
            return await self._read_log(request, came)
        if came.verb == "delete":
            await self._delete(came)
            return web.json_response({"kind": "Status", "status": "Success"})
        return web.json_response(self._objects[came.kind, came.name])

    async def _create(self, manifest: dict[str, Any]) -> web.StreamResponse:
        name = manifest["metadata"]["name"]
        if ("pods", name) in self._objects:
            return _refusal(409, f'pods "{name}" already exists')
        used = [one for (kind, _), one in self._objects.items() if kind == "pods" and one["status"]["phase"] in ALIVE]
        if self.quota is not None and len(used) >= self.quota:
            return _refusal(403, f'pods "{name}" is forbidden: exceeded quota: team, requested: pods=1')
        made = await self._put({**manifest, "status": {"phase": "Pending"}})
        return web.json_response(made, status=201)

    def _request(self, request: web.Request) -> Request:
        connection = self._connections.setdefault(request.transport, len(self._connections))
        _, _, rest = request.path.partition("/namespaces/")
        parts = [*rest.split("/"), "", ""]
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return Request(request.method, parts[1], parts[2], dict(request.query), token, connection, request.path)

    async def _delete(self, came: Request) -> None:
        if self.graceful is None:
            await self._remove(came.kind, came.name)
            return
        pod = deepcopy(self._objects[came.kind, came.name])
        end = datetime.now(UTC) + timedelta(seconds=self.graceful)
        pod["metadata"].update(deletionTimestamp=_time(end), deletionGracePeriodSeconds=self.graceful)
        await self._put(pod)

    def _list(self, came: Request) -> web.StreamResponse:
        wants = _selection(came)
        found = []
        for (kind, name), one in sorted(self._objects.items()):
            fields = {f"involvedObject.{field}": value for field, value in (one.get("involvedObject") or {}).items()}
            fields["metadata.name"] = name
            if wants(Change(0, kind, one["metadata"].get("labels") or {}, fields, b"")):
                found.append(one)
        begin = int(came.query.get("continue") or 0)
        end = begin + min(int(came.query.get("limit") or 10_000), self.page)
        more = {"continue": str(end)} if end < len(found) else {}
        metadata = {"resourceVersion": str(self._version), **more}
        return web.json_response({"kind": "List", "metadata": metadata, "items": found[begin:end]})

    async def _watch(self, request: web.Request, came: Request) -> web.StreamResponse:
        since = int(came.query["resourceVersion"])
        if self.forgets_at_once:
            self._forgotten = since + 1
        if since < self._forgotten and self.gone_as_status:
            return _refusal(410, f"too old resource version: {since} ({self._version})")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since < self._forgotten:
            status = {
                "kind": "Status",
                "code": 410,
                "reason": "Expired",
                "message": f"too old resource version: {since}",
            }
            await response.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
            return response
        if self.watch_ends_at_once:
            return response
        stream = Stream(request, wants=_selection(came))
        for change in self._history:
            if change.version > since and stream.wants(change):
                stream.queue.put_nowait(change.line)
        return await self._serve(response, stream, float(came.query["timeoutSeconds"]))

    async def _serve(self, response: web.StreamResponse, stream: Stream, seconds: float) -> web.StreamResponse:
        self._streams.add(stream)
        try:
            # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with a line, and the stream
            # would outlive its client.
            with suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(seconds):
                    while (line := await stream.queue.get()) is not None:
                        if line:
                            await response.write(line)
        finally:
            self._streams.discard(stream)
        return response

    async def _read_log(self, request: web.Request, came: Request) -> web.StreamResponse:
        pod = self._objects["pods", came.name]
        if pod["status"].get("phase") == "Pending":
            return _refusal(400, f'container "base" in pod "{came.name}" is waiting to start: ContainerCreating')
        since = came.query.get("sinceTime")
        second = None
        if since is not None:
            try:
                second = int(datetime.fromisoformat(_six_digits(since)).timestamp())
            except ValueError:
                return _refusal(400, f'parsing time "{since}"')
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        cut = self.cuts.popleft() if self.cuts else None
        stream = Stream(request)
        self._streams.add(stream)
        try:
            with suppress(ConnectionError):
                await self._write_log(response, stream, came, second, cut)
        finally:
            self._streams.discard(stream)
        return response

    async def _write_log(
        self, response: web.StreamResponse, stream: Stream, came: Request, second: int | None, cut: Cut | None
    ) -> None:
        left = cut.after if cut else None
        async for data in self._log_bytes(stream, came, second):
            if left is not None and len(data) >= left:
                await response.write(data[:left])
                break
            await response.write(data)
            left = None if left is None else left - len(data)
        if cut is None:
            return
        await response.write(cut.text)
        if not cut.cleanly:
            # What was written has to arrive first.
            await asyncio.sleep(0.02)
            assert stream.request.transport is not None
            stream.request.transport.abort()

    async def _log_bytes(self, stream: Stream, came: Request, second: int | None) -> AsyncIterator[bytes]:
        """Yield the log's bytes, as long as the container runs if it is followed."""
        if source := self.log_sources.get(came.name):
            for part in source():
                yield part
            return
        done, is_begin = 0, True
        while True:
            records = self._logs.get(came.name, [])
            while done < len(records):
                record = records[done]
                done += 1
                if second is not None and record.second < second:
                    continue
                prefix = record.time.encode() + b" " if is_begin else b""
                is_begin = not record.partial
                yield prefix + record.data + (b"" if record.partial else b"\n")
            pod = self._objects.get(("pods", came.name))
            has_ended = pod is None or pod["status"].get("phase") in TERMINAL
            if has_ended or "follow" not in came.query or await stream.queue.get() is None:
                return


def _selection(came: Request) -> Callable[[Change], bool]:
    fields = dict(term.split("=", 1) for term in came.query.get("fieldSelector", "").split(",") if term)
    labels = dict(term.split("=", 1) for term in came.query.get("labelSelector", "").split(",") if term)

    def wants(change: Change) -> bool:
        if change.kind != came.kind or not labels.items() <= change.labels.items():
            return False
        return all(change.fields.get(name) == value for name, value in fields.items())

    return wants


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": status}, status=status)


def _bookmark(version: int) -> bytes:
    found = {"kind": "Pod", "metadata": {"resourceVersion": str(version), "creationTimestamp": None}}
    return json.dumps({"type": "BOOKMARK", "object": found}).encode() + b"\n"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nanoseconds(at: datetime, zone: timezone = UTC) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def _six_digits(time: str) -> str:
    """Return the time with as many digits of a fraction as Python can read."""
    seconds, _, rest = time.replace("Z", "+00:00").partition(".")
    if not rest:
        return seconds
    digits = rest.rstrip("0123456789:").rstrip("+-") or rest
    fraction = digits.split("+")[0].split("-")[0]
    return f"{seconds}.{fraction[:6]:0<6}{rest[len(fraction) :]}"
