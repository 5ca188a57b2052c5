"""What the tests of following pods share."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from jobyard.following.cluster import Cluster
from jobyard.following.follow import Following
from jobyard.following.queue import workload_name
from jobyard.following.target import Ending, Target, TaskKey
from jobyard.following.watch import PodWatch

Answer = TypeVar("Answer")
KEY = TaskKey("risk.score", "run", "score")


def write_kubeconfig(path: Path, url: str, users: dict[str, Any], **cluster: Any) -> str:
    """Write a kubeconfig with a context for each user; JSON is YAML."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": url, **cluster}}],
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [{"name": name, "context": {"cluster": "local", "user": name}} for name in users],
    }
    path.write_text(json.dumps(config))
    return str(path)


def run(act: Callable[[], Awaitable[Answer]], seconds: float = 120) -> Answer:
    """Run what a test does asynchronously."""

    async def bounded() -> Answer:
        return await asyncio.wait_for(act(), seconds)

    return asyncio.run(bounded())


async def until(holds: Callable[[], Any], seconds: float = 60, what: Callable[[], str] = lambda: "") -> None:
    """Wait until the condition holds."""
    for _ in range(round(seconds / 0.005)):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(what() or "it did not come to that")


def at(seconds: float) -> str:
    """Return the time so many seconds after the epoch, as Kubernetes writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name: str = "a", uid: str = "", node: str = "node-1", gated: bool = False, **status: Any) -> dict[str, Any]:
    """Return a pod of task `score`, as the API server has it."""
    labels = {
        "jobyard.dev/environment": "local",
        "jobyard.dev/team": "risk",
        "jobyard.dev/job": "score",
        "jobyard.dev/task": "score",
        "run_id": "run",
    }
    spec: dict[str, Any] = {"containers": [{"name": "base"}], **({"nodeName": node} if node else {})}
    if gated:
        spec["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
    metadata = {"name": name, "uid": uid or f"uid-{name}", "namespace": "team-risk", "labels": labels}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", **status}}


def container(name: str = "base", **state: Any) -> dict[str, Any]:
    """Return the status of the task's container in that state."""
    return {"name": name, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def running(since: float = 0) -> dict[str, Any]:
    """Return the status of a pod whose container runs."""
    return {"phase": "Running", "containerStatuses": [container(running={"startedAt": at(since)})]}


def ended(code: int = 0, reason: str = "", message: str = "", begin: float = 0, end: float = 9) -> dict[str, Any]:
    """Return the status of a pod whose container has ended."""
    state = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "startedAt": at(begin),
        "finishedAt": at(end),
    }
    if message:
        state["message"] = message
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container(terminated=state)]}


def event(name: str, reason: str, message: str, kind: str = "Warning", of: str = "a") -> dict[str, Any]:
    """Return an event of a pod."""
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "involvedObject": {"kind": "Pod", "name": of},
        "type": kind,
        "reason": reason,
        "message": message,
    }


def refusal(message: str, of: str = "a", number: int = 1, kind: str = "Warning") -> dict[str, Any]:
    """Return an event of the pod's Workload: why Kueue does not admit it."""
    workload = workload_name(of, f"uid-{of}")
    found = event(f"{workload}.{number}", "Pending", message, kind)
    return {**found, "involvedObject": {"kind": "Workload", "name": workload}}


def target(kubeconfig: str, name: str = "a", **changes: Any) -> Target:
    """Return the target that the pod is."""
    arguments: dict[str, Any] = {
        "kubeconfig": kubeconfig,
        "context": "risk",
        "namespace": "team-risk",
        "environment": "local",
        "pod": name,
        "uid": f"uid-{name}",
        "container": "base",
        "timeout": None,
        "startup_timeout": 600,
        "task": KEY,
    }
    return Target(**{**arguments, **changes})


class Log:
    """A task's log."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def info(self, message: str, /) -> None:
        """Write a line."""
        self.lines.append(message)

    def warning(self, message: str, /) -> None:
        """Write a line."""
        self.lines.append(message)
        self.warnings.append(message)

    @property
    def text(self) -> str:
        """What the container wrote."""
        prefix = "[base] "
        return "\n".join(line.removeprefix(prefix) for line in self.lines if line.startswith(prefix))


class Clock:
    """Seconds of the epoch that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Followed:
    """A pod that is followed."""

    def __init__(self, subject: Following, watch: PodWatch, log: Log, clock: Clock) -> None:
        self.watch = watch
        self.log = log
        self.clock = clock
        self.start = subject._start
        self.task = asyncio.create_task(subject.run())

    async def ending(self, seconds: float = 60) -> Ending:
        """Return how the pod ended."""
        return await asyncio.wait_for(asyncio.shield(self.task), seconds)

    async def goes_on(self, seconds: float = 0.08) -> None:
        """Check that it is followed for a while."""
        await asyncio.sleep(seconds)
        if self.task.done():
            raise AssertionError(f"it ended: {self.task.result()}")


@asynccontextmanager
async def following(
    kubeconfig: str, name: str = "a", *, clock: Clock | None = None, only: bool = True, **changes: Any
) -> AsyncIterator[Followed]:
    """Follow the pod, as a worker does: with a watch of its own."""
    clock, log = clock or Clock(), Log()
    found = target(kubeconfig, name, **changes)
    cluster = Cluster(kubeconfig, "risk")
    watch = PodWatch(cluster, "team-risk", pod=name if only else None, environment="local")
    watch.start()
    followed = Followed(Following(found, cluster, watch, log, clock=clock), watch, log, clock)
    try:
        yield followed
    finally:
        followed.task.cancel()
        await asyncio.gather(followed.task, return_exceptions=True)
        await watch.stop()
        await cluster.close()


def check(kubeconfig: str, act: Callable[[Followed], Any], **options: Any) -> Any:
    """Follow pod `a`, and do that beside it; return what comes of it."""

    async def both() -> Any:
        async with following(kubeconfig, **options) as followed:
            return await act(followed)

    return run(both)
