"""Warnings of requests that do not fit what a task's last runs used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from jobyard.entries import Job
from jobyard.quantities import parse_quantity

from jobyard_cli.plan.model import REMOVED, Caution, JobChange
from jobyard_cli.release.job_defaults import RESOURCES
from jobyard_cli.usage import quantities
from jobyard_cli.usage.advice import Advice, Figures, TaskAdvice

TIMES = 3
"""A request is too high if it is more than this number of times what was used."""


@dataclass(frozen=True)
class Resource:
    """A resource, and how a sentence has its amounts: those that a request takes, and those that were measured."""

    name: str
    unit: str
    request: Callable[[float], str]
    measured: Callable[[float], str]
    figures: Callable[[TaskAdvice], Figures]


MEMORY = Resource("memory", " of memory", quantities.memory, quantities.short_memory, lambda row: row.memory)
CPU = Resource("cpu", " CPU", quantities.cpu, quantities.cpu, lambda row: row.cpu)


def misfits(change: JobChange, job: Job, advice: Mapping[str, Advice], now: datetime) -> Iterator[Caution]:
    """Yield a warning for each request of a new or changed task that is far above, or below, what its runs used.

    `advice` is by environment. A task of which it has too few runs, or no sampled ones, gets no warning.
    """
    for task_change in change.tasks:
        task = job["tasks"].get(task_change.name)
        if task is None or task_change.kind == REMOVED or task.get("type"):
            continue
        requests = task["resources"]["requests"]
        for environment, known in advice.items():
            rows = [row for row in known.tasks if (row.job, row.task) == (change.name, task_change.name)]
            for message in _messages(requests, rows):
                subject = f"in '{environment}' task '{task_change.name}' {message}"
                yield Caution(change.name, subject + _age(known, now))


def _messages(requests: Mapping[str, str], rows: Sequence[TaskAdvice]) -> Iterator[str]:
    for resource in (MEMORY, CPU):
        requested = requests[resource.name]
        highest = _highest(map(resource.figures, rows))
        used = _misfit(resource, float(parse_quantity(requested)), highest)
        if used and highest.fits:
            fits = resource.request(highest.fits)
            yield f"asks for {requested}{resource.unit}; {_runs(rows)} {used}; {fits} would fit"


def _misfit(resource: Resource, requested: float, highest: Figures) -> str:
    """What was used that the request does not fit, in words; nothing if it fits, or that is not known.

    What the advice says fits never gets a warning, and nor does a small request for being too high.
    """
    if highest.fits is None or highest.peak is None:
        return ""
    peak = f"peaked at {resource.measured(highest.peak)}"
    if requested >= highest.fits:
        default = float(parse_quantity(str(RESOURCES[resource.name])))
        return peak if requested > max(default, highest.fits, TIMES * highest.peak) else ""
    if resource is MEMORY:
        return peak if requested < highest.peak else ""
    # A pod may use idle CPU above its request, so a peak alone does not make the request too low.
    if highest.p95 is None or requested >= highest.p95:
        return ""
    return f"used {resource.measured(highest.p95)} (p95)"


def _highest(rows: Iterable[Figures]) -> Figures:
    """The highest of each figure: the instances of a `foreach` have one request."""
    known = list(rows)
    return Figures(
        requested=None,
        p95=_most(known, "p95"),
        peak=_most(known, "peak"),
        fits=_most(known, "fits"),
        krr=None,
        vpa=None,
    )


def _most(rows: Iterable[Figures], name: str) -> float | None:
    values: Iterable[float | None] = map(attrgetter(name), rows)
    return max((value for value in values if value is not None), default=None)


def _runs(rows: Sequence[TaskAdvice]) -> str:
    """`the last 30 runs`; if some were not sampled, only of the others is known what they used."""
    row = max(rows, key=lambda row: row.sampled)
    if row.sampled < row.runs:
        return f"the last {row.sampled} sampled runs"
    return f"the last {row.runs} runs"


def _age(known: Advice, now: datetime) -> str:
    day = known.old(now)
    return f" (as of {day})" if day else ""
