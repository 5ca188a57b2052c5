"""Warn of timeouts that do not fit each other: a run that ends before its machines have started, limits without effect.

Whether they fit depends on how busy the cluster is: a task may find a node that already runs. So none of this fails
the check; a timeout that no environment allows does (`environment_limits`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter

from jobyard.contract import NO_QUEUEING
from jobyard.entries import Job, Task

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import mapping, source_of, tasks_of
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.parsing.durations import duration_text
from jobyard_cli.team.repo import TeamRepo


def doubt_time_limits(document: Document, job: Job, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each time limit of a job without findings that another one, or a node group, contradicts."""
    yield from _start_ups(document, job, repo)
    yield from _run_too_short(document, job, repo)
    yield from _without_effect(document, job)
    yield from _without_queue(document, job, repo)


@dataclass(frozen=True)
class _Chain:
    """Tasks after each other: how long their pods may take to start, in seconds, and on which node groups."""

    seconds: int = 0
    groups: tuple[str, ...] = ()


def _start_ups(document: Document, job: Job, repo: TeamRepo) -> Iterator[Finding]:
    """Compare each `startup_timeout` with what the catalogue says of the node group."""
    for name, task in job["tasks"].items():
        stated = task.get("startup_timeout")
        if stated is None:
            continue
        needed = _start_of_group(task["node_group"], repo)
        if stated < needed:
            message = (
                f"'startup_timeout' should be at least {duration_text(needed)}, the time that a node of group "
                f"'{task['node_group']}' may take to start; got {duration_text(stated)}"
            )
            yield document.warning(_path(document, name, "startup_timeout"), message, "timeout")


def _run_too_short(document: Document, job: Job, repo: TeamRepo) -> Iterator[Finding]:
    """Compare the limits of a run with the longest start of its pods, one task after the other."""
    chain = _longest_start(job, repo)
    for field in ("timeout", "deadline"):
        limit = job.get(field)
        if isinstance(limit, int) and limit <= chain.seconds:
            noun = "node group" if len(chain.groups) == 1 else "node groups"
            message = (
                f"'{field}' should be more than {duration_text(chain.seconds)}, the time that the pods of a run may"
                f" take to start ({noun} {', '.join(chain.groups)}); got {duration_text(limit)}"
            )
            yield document.warning((field,), message, "timeout")


def _without_effect(document: Document, job: Job) -> Iterator[Finding]:
    """Compare the limits of what is in a run with the limit of the run, which ends all of it."""
    whole = job["timeout"]
    if whole is None:
        return
    limits: list[tuple[KeyPath, int | None]] = [(("deadline",), job.get("deadline"))]
    for index, wait in enumerate(job.get("wait_for", [])):
        # Not the default, which nobody chose.
        if ("wait_for", index, "timeout") in document.values:
            limits.append((("wait_for", index, "timeout"), wait["timeout"]))
    for name, task in job["tasks"].items():
        limits.append((_path(document, name, "timeout"), task["timeout"]))
        if longest := task.get("queue_timeout"):
            limits.append((_path(document, name, "queue_timeout"), longest))
    for path, limit in limits:
        if limit is not None and limit >= whole:
            message = (
                f"'{path[-1]}' should be less than the timeout of a run, {duration_text(whole)}, which ends the run "
                f"before; got {duration_text(limit)}"
            )
            yield document.warning(path, message, "timeout")


def _without_queue(document: Document, job: Job, repo: TeamRepo) -> Iterator[Finding]:
    """Look for a `queue_timeout` where no environment has a queue."""
    queueing = {values.get("queueing", NO_QUEUEING) for values in repo.environments.values()}
    if queueing != {NO_QUEUEING}:
        return
    paths = {_path(document, name, "queue_timeout") for name, task in job["tasks"].items() if task.get("queue_timeout")}
    for path in sorted(paths):
        message = "'queue_timeout' has no effect: in no environment do pods wait in a queue for their team's quota"
        yield document.warning(path, message, "timeout")


def _longest_start(job: Job, repo: TeamRepo) -> _Chain:
    """Return the chain of tasks whose pods may take longest to start.

    Each node group counts once in a chain: a later task finds the node of an earlier one.
    """
    tasks = job["tasks"]
    chains: dict[str, _Chain] = {}
    for name in TopologicalSorter({name: task["needs"] for name, task in tasks.items()}).static_order():
        before = max((chains[need] for need in tasks[name]["needs"]), key=_seconds, default=_Chain())
        chains[name] = _extended(before, tasks[name], repo)
    return max(chains.values(), key=_seconds, default=_Chain())


def _extended(chain: _Chain, task: Task, repo: TeamRepo) -> _Chain:
    if task.get("type") or task["node_group"] in chain.groups:
        return chain
    start = task["startup_timeout"] or _start_of_group(task["node_group"], repo)
    return _Chain(chain.seconds + start, (*chain.groups, task["node_group"]))


def _seconds(chain: _Chain) -> int:
    return chain.seconds


def _start_of_group(name: str, repo: TeamRepo) -> int:
    """Return the seconds from no node at all to a running pod; 0 where the catalogue does not say."""
    seconds = mapping(repo.node_groups.get(name)).get("startupTimeout")
    return seconds if isinstance(seconds, int) else 0


def _path(document: Document, name: str, key: str) -> KeyPath:
    return (*source_of(name, tasks_of(document)[name], key), key)
