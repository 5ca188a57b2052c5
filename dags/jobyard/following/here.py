"""Following one pod from where the caller is: a worker that has nothing else to do."""

import asyncio

from .cluster import Cluster
from .follow import Following, Log
from .logs import LogReader
from .target import Ending, LogPosition, Target
from .watch import PodWatch

WAITING_SECONDS, RUNNING_SECONDS = 5.0, 30.0
"""How long a worker follows a pod that the triggerer could follow: one that waits for its machine, and one that runs. A
pod that ends within that time needs no second start of a worker, which takes as many seconds of a processor as it would
save."""


def follow_here(target: Target, log: Log) -> Ending:
    """Return how the pod ended, with its log written, when it has."""
    found = asyncio.run(_follow(target, log, None))
    assert isinstance(found, Ending)
    return found


def follow_briefly(target: Target, log: Log) -> Ending | Target:
    """Return how the pod ended if it does soon; otherwise what is left to follow."""
    return asyncio.run(_follow(target, log, (WAITING_SECONDS, RUNNING_SECONDS - WAITING_SECONDS)))


def write_rest(target: Target, log: Log, position: LogPosition) -> None:
    """Write what the pod's log has after the position.

    Raises:
        RequestError: the API server refused.
        Exception: one of `cluster.FAILURES`.
    """
    asyncio.run(_write_rest(target, log, position))


async def _follow(target: Target, log: Log, patience: tuple[float, float] | None) -> Ending | Target:
    """Return how the pod ended; with `patience`, seconds for a pod that waits and more for one that runs, perhaps
    not."""
    cluster = Cluster(target.kubeconfig, target.context)
    watch = PodWatch(cluster, target.namespace, pod=target.pod)
    following = Following(target, cluster, watch, log)
    try:
        watch.start()
        run = asyncio.create_task(following.run())
        if patience is None:
            return await run
        waiting, running = patience
        await asyncio.wait({run}, timeout=waiting)
        if following.is_running:
            await asyncio.wait({run}, timeout=running)
        if run.done() or following.has_ended:
            return await run
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return following.rest()
    finally:
        await watch.stop()
        await cluster.close()


async def _write_rest(target: Target, log: Log, position: LogPosition) -> None:
    cluster = Cluster(target.kubeconfig, target.context)
    path = f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}"
    write = lambda line: log.info(f"[{target.container}] {line}")  # noqa: E731
    try:
        await LogReader(cluster, path, target.container, position, write).rest()
    finally:
        await cluster.close()
