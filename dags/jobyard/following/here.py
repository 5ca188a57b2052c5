"""Following one pod from where the caller is: a worker that has nothing else to do."""

import asyncio
from dataclasses import replace
from typing import Any

from .cluster import Cluster
from .follow import Following, Log, line_writer
from .logs import POD_RATE, LogReader
from .target import Ending, LogPosition, Target
from .watch import PodWatch

QUEUED_SECONDS, WAITING_SECONDS, RUNNING_SECONDS = 2.0, 5.0, 30.0
"""How long a worker follows a pod that the triggerer could follow: one that waits for its team's quota, one that waits
for its node, and one that has it. A pod that ends within that time needs no second start of a worker, which takes as
many seconds of a processor as it would save. One that writes more log meanwhile than the triggerer passes on is
followed for longer."""
Patience = tuple[float, float | None, float]
"""So many seconds for a pod that waits for quota, so many more for one that waits for its node, and for one that runs.
None: to its end."""


def follow_here(target: Target, log: Log, configuration: Any = None) -> Ending:
    """Return how the pod ended, with its log written, when it has; `configuration` as for `Cluster`."""
    found = asyncio.run(_follow(target, log, None, configuration))
    assert isinstance(found, Ending)
    return found


def follow_briefly(target: Target, log: Log, configuration: Any = None) -> Ending | Target:
    """Return how the pod ended if it does soon; otherwise what is left to follow."""
    patience = QUEUED_SECONDS, WAITING_SECONDS - QUEUED_SECONDS, RUNNING_SECONDS - WAITING_SECONDS
    return asyncio.run(_follow(target, log, patience, configuration))


def follow_unless_queued(target: Target, log: Log, configuration: Any = None) -> Ending | Target:
    """Return how the pod ended; what is left to follow if it waits for quota."""
    return asyncio.run(_follow(target, log, (QUEUED_SECONDS, None, 0.0), configuration))


def write_rest(target: Target, log: Log, position: LogPosition, configuration: Any = None) -> None:
    """Write what the pod's log has after the position.

    Raises:
        RequestError: the API server refused.
        Exception: one of `cluster.FAILURES`.
    """
    asyncio.run(_write_rest(replace(target, log=position), log, configuration))


async def _follow(target: Target, log: Log, patience: Patience | None, configuration: Any) -> Ending | Target:
    """Return how the pod ended; with `patience` perhaps what is left to follow."""
    cluster = Cluster(target.kubeconfig, target.context, configuration)
    watch = PodWatch(cluster, target.namespace, pod=target.pod)
    following = Following(target, cluster, watch, log)
    try:
        watch.start()
        run = asyncio.create_task(following.run())
        if patience is None:
            return await run
        await _be_patient(run, following, patience)
        if run.done() or following.has_ended:
            return await run
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        return following.rest()
    finally:
        await watch.stop()
        await cluster.close()


async def _be_patient(run: asyncio.Task[Ending], following: Following, patience: Patience) -> None:
    """Wait for the end of the pod as long as that pays."""
    queued, waiting, running = patience
    await asyncio.wait({run}, timeout=queued)
    if following.is_queued:
        # Most are admitted at once. This one may wait for hours.
        return
    await asyncio.wait({run}, timeout=waiting)
    is_eager = following.has_node
    while is_eager and not run.done():
        before = following.log_bytes
        await asyncio.wait({run}, timeout=running)
        is_eager = following.log_bytes - before > POD_RATE * running


async def _write_rest(target: Target, log: Log, configuration: Any) -> None:
    cluster = Cluster(target.kubeconfig, target.context, configuration)
    try:
        await LogReader(cluster, target, line_writer(target, log)).rest()
    finally:
        await cluster.close()
