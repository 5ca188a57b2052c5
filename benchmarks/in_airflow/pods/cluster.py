"""Pods on simulated nodes, as the teams' tasks leave them there, and the kubelet that serves their logs."""

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from kubernetes import client, config  # type: ignore[import-untyped]

AT_ONCE = 8
BOUND_SECONDS = 900


class Kubelet:
    """Serves the logs of the pods on all simulated nodes: nothing, until `say`; each stream ends with its pod."""

    def __init__(self, port: int, certificate: str, key: str) -> None:
        self._streams: dict[str, list[asyncio.Queue[bytes | None]]] = {}
        self._ended: set[str] = set()
        self._loop = asyncio.new_event_loop()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        self._loop.run_until_complete(self._serve(port, context))
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    @property
    def open(self) -> int:
        """How many logs are followed."""
        return sum(map(len, list(self._streams.values())))

    def say(self, text: str) -> None:
        """Write a line to every log that is followed."""
        line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n".encode()
        self._loop.call_soon_threadsafe(self._put, [*self._streams], line)

    def end(self, pod: str) -> None:
        """End the pod's log."""
        self._ended.add(pod)
        self._loop.call_soon_threadsafe(self._put, [pod], None)

    def _put(self, pods: Sequence[str], line: bytes | None) -> None:
        for pod in pods:
            for queue in self._streams.get(pod, ()):
                queue.put_nowait(line)

    async def _serve(self, port: int, context: ssl.SSLContext) -> None:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._log)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()

    async def _log(self, request: web.Request) -> web.StreamResponse:
        pod = request.match_info["pod"]
        answer = web.StreamResponse()
        await answer.prepare(request)
        if request.query.get("follow") != "true" or pod in self._ended:
            return answer
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.setdefault(pod, []).append(queue)
        try:
            with suppress(ConnectionError):
                while (line := await queue.get()) is not None:
                    await answer.write(line)
        finally:
            self._streams[pod].remove(queue)
        return answer


@dataclass(frozen=True)
class Place:
    """An instance of a task, and its pod."""

    team: str
    job: str
    task: str
    pod: str = ""
    uid: str = ""

    @property
    def dag_id(self) -> str:
        """The job's DAG."""
        return f"{self.team}.{self.job}"

    @property
    def namespace(self) -> str:
        """The team's."""
        return f"team-{self.team}"


class Pods:
    """The pods of all teams, by an administrator's hand."""

    def __init__(self, kubeconfig: str, kubelet: Kubelet) -> None:
        self.kubelet = kubelet
        self.ended: dict[str, float] = {}
        """When each pod was ended, in seconds of the epoch."""
        config.load_kube_config(kubeconfig)
        self._core = client.CoreV1Api()
        self._pattern: dict[str, Any] = {}

    def all(self, selector: str = "jobyard.dev/task") -> list[Any]:
        """Return the pods that are there."""
        found: list[Any] = self._core.list_pod_for_all_namespaces(label_selector=selector).items
        return found

    def keep_as_pattern(self, place: Place) -> None:
        """Take a pod that a worker has made as the pattern of those to come."""
        pod = self._core.read_namespaced_pod(place.pod, place.namespace)
        self._pattern = client.ApiClient().sanitize_for_serialization(pod)

    def make(self, places: Sequence[Place]) -> Iterator[Place]:
        """Make a pod for each place; yield the places with what the API server has of it, when all are running.

        Raises:
            TimeoutError: they do not run.
        """
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._create, places))
        wanted = {place.pod: place for place in places}
        end = time.monotonic() + BOUND_SECONDS
        while True:
            here = {pod.metadata.name: pod for pod in self.all() if pod.status.phase == "Running"}
            if wanted.keys() <= here.keys():
                break
            if time.monotonic() > end:
                raise TimeoutError(f"{len(wanted.keys() - here.keys())} pods do not run")
            time.sleep(1)
        for place in places:
            yield Place(place.team, place.job, place.task, place.pod, here[place.pod].metadata.uid)

    def _create(self, place: Place) -> None:
        metadata, spec = self._pattern["metadata"], dict(self._pattern["spec"])
        labels = {**metadata["labels"], "jobyard.dev/team": place.team, "jobyard.dev/job": place.job}
        labels.update({"jobyard.dev/task": place.task, "task_id": place.task, "dag_id": place.dag_id})
        new = {"name": place.pod, "labels": labels, "annotations": metadata.get("annotations", {})}
        del spec["nodeName"]
        spec["priorityClassName"] = f"{place.team}.normal-2000"
        spec.pop("priority", None)
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": new, "spec": spec}
        self._core.create_namespaced_pod(place.namespace, body)

    def end(self, pod: str, namespace: str) -> None:
        """Let a pod succeed."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        terminated = {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}
        status = {"name": "base", "image": "none", "imageID": "", "ready": False, "restartCount": 0}
        whole = {**status, "started": False, "state": {"terminated": terminated}}
        self.ended[pod] = time.time()
        self.kubelet.end(pod)
        body = {"status": {"phase": "Succeeded", "containerStatuses": [whole]}}
        self._core.patch_namespaced_pod_status(pod, namespace, body)

    def delete(self, pod: str, namespace: str) -> None:
        """Delete a pod, if it exists."""
        with suppress(client.ApiException):
            self._core.delete_namespaced_pod(pod, namespace, grace_period_seconds=0)
