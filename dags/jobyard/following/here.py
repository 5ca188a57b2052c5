"""Following one pod from where the caller is: a worker that has nothing else to do."""

import asyncio

from .cluster import Cluster
from .follow import Following, Log
from .logs import LogReader
from .target import Ending, LogPosition, Target
from .watch import PodWatch


def follow_here(target: Target, log: Log) -> Ending:
    """Return how the pod ended, with its whole log written, when it has."""
    return asyncio.run(_follow(target, log))


def write_rest(target: Target, log: Log, position: LogPosition) -> None:
    """Write what the pod's log has after the position.

    Raises:
        RequestError: the API server refused.
        Exception: one of `cluster.FAILURES`.
    """
    asyncio.run(_write_rest(target, log, position))


async def _follow(target: Target, log: Log) -> Ending:
    cluster = Cluster(target.kubeconfig, target.context)
    watch = PodWatch(cluster, target.namespace, pod=target.pod)
    try:
        watch.start()
        return await Following(target, cluster, watch, log).run()
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
