"""Drawn histories of tasks, of several kinds: what each run needed, and what Prometheus and the kernel saw of it.

The need of a run is its highest memory without what the kernel can drop. Prometheus sees it only where a sample falls
into the part of the run in which the memory is that high; the kernel's high-water mark has it always, with the page
cache of the files that the run read.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from jobyard_metrics.advice import krr, vpa
from jobyard_metrics.advice.history import Run

HISTORY = 60
"""Days before the advice."""

LATER = 28
"""Days after it, for which the request stays as advised."""

TODAY = 20_000.0
"""The day of the advice, in days since 1970."""

SCRAPE = 30.0
"""Seconds between two samples."""

MIB = 2**20
Level = Callable[[float], float]
"""The expected need in bytes, on a day counted from 1970."""


@dataclass(frozen=True)
class Task:
    """What the advice sees of a task, and what its later runs need, in bytes, the least first."""

    runs: list[Run]
    later: list[float]

    @cached_property
    def recent(self) -> list[Run]:
        """The runs that KRR and VPA look at."""
        return [run for run in self.runs if TODAY - run.ended <= max(krr.WINDOW, vpa.WINDOW)]

    @cached_property
    def totals(self) -> list[float]:
        """The sums of the first 0, 1, 2, … later needs."""
        return list(accumulate(self.later, initial=0.0))

    def killed(self, request: float) -> float:
        """Return the part of the later runs that need more."""
        return 1 - bisect_right(self.later, request) / len(self.later)

    def waste(self, request: float) -> float:
        """Return what is requested and not needed by the runs that live, as a part of what all runs need."""
        lived = bisect_right(self.later, request)
        return (request * lived - self.totals[lived]) / self.totals[-1]


@dataclass(frozen=True)
class Shape:
    """How often a task runs, how long, how its memory changes within a run, and how much its runs differ."""

    hours: float
    seconds: float
    plateau: float
    """Part of the run in which its memory is highest."""

    cache: float
    """Highest page cache, as a part of the need."""

    noise: float
    """Standard deviation of the logarithm of the need."""

    requested: int


def task(kind: str, draw: random.Random) -> Task:
    """Draw a task of a kind."""
    base = MIB * math.exp(draw.uniform(math.log(400), math.log(24_000)))
    shape, level = KINDS[kind](base, draw)
    days = [when for when in _times(shape, draw) if kind != "few runs" or when >= TODAY - 7 * draw.randint(2, 5)]
    needs = [(when, level(when) * math.exp(draw.gauss(0, shape.noise))) for when in days]
    runs = [_run(shape, when, need, draw) for when, need in needs if when < TODAY]
    return Task(runs, sorted(need for when, need in needs if when >= TODAY))


def _times(shape: Shape, draw: random.Random) -> Iterator[float]:
    when = TODAY - HISTORY + draw.random()
    while when < TODAY + LATER:
        yield when
        when += shape.hours / 24


def _run(shape: Shape, when: float, need: float, draw: random.Random) -> Run:
    """What is seen of a run; one that needs more than its limit is killed at it."""
    killed = need > shape.requested
    highest = min(need, shape.requested)
    samples = int(shape.seconds / SCRAPE + draw.random())
    hit = draw.random() < 1 - (1 - shape.plateau) ** samples
    seen = highest if hit else highest * draw.uniform(0.6, 0.97)
    return Run(
        ended=when,
        seconds=shape.seconds,
        succeeded=not killed,
        samples=samples,
        working_set=round(seen) if samples else None,
        memory_peak=round(min(shape.requested, highest * (1 + shape.cache * draw.random()))),
        requested_memory=shape.requested,
        killed_at=shape.requested if killed else None,
    )


def _shape(base: float, draw: random.Random, noise: float, hours: float = 0, limit: float = 0) -> Shape:
    return Shape(
        hours=hours or draw.choices([24, 6, 1], [70, 20, 10])[0],
        seconds=60 * math.exp(draw.uniform(math.log(8), math.log(180))),
        plateau=draw.uniform(0.05, 0.6),
        cache=draw.choice([0.0, 0.1, 0.5, 1.0]),
        noise=noise,
        requested=round(base * (limit or draw.uniform(8, 20))),
    )


def _stable(base: float, draw: random.Random) -> tuple[Shape, Level]:
    return _shape(base, draw, math.exp(draw.uniform(math.log(0.005), math.log(0.06)))), lambda _: base


def _noisy(base: float, draw: random.Random) -> tuple[Shape, Level]:
    return _shape(base, draw, draw.uniform(0.1, 0.35)), lambda _: base


def _growing(base: float, draw: random.Random) -> tuple[Shape, Level]:
    rate = math.exp(draw.uniform(math.log(0.001), math.log(0.015)))
    start = TODAY - HISTORY
    return _shape(base, draw, draw.uniform(0.01, 0.06)), lambda when: base * (1 + rate * (when - start))


def _bimodal(base: float, draw: random.Random) -> tuple[Shape, Level]:
    """More on one or two days of the week, such as a weekly full load."""
    high = set(draw.sample(range(7), draw.choice([1, 1, 2])))
    factor = draw.uniform(1.3, 3)
    shape = _shape(base, draw, draw.uniform(0.01, 0.08), hours=24)
    return shape, lambda when: base * (factor if int(when) % 7 in high else 1)


def _spiky(base: float, draw: random.Random) -> tuple[Shape, Level]:
    """Rarely a run of several times the size."""
    often, factor = draw.uniform(0.01, 0.05), draw.uniform(1.5, 4)

    def level(_: float) -> float:
        return base * (factor if draw.random() < often else 1)

    return _shape(base, draw, draw.uniform(0.01, 0.08)), level


def _step(base: float, draw: random.Random) -> tuple[Shape, Level]:
    """Another level from some day of the history on."""
    day = TODAY - draw.uniform(2, HISTORY - 10)
    factor = draw.choice([draw.uniform(0.3, 0.75), draw.uniform(1.3, 2.5)])
    return _shape(base, draw, draw.uniform(0.01, 0.08)), lambda when: base * (factor if when >= day else 1)


def _few(base: float, draw: random.Random) -> tuple[Shape, Level]:
    return _shape(base, draw, draw.uniform(0.01, 0.15), hours=draw.choice([24 * 2, 24 * 3.5, 24 * 7])), lambda _: base


def _short(base: float, draw: random.Random) -> tuple[Shape, Level]:
    """Runs of less than a minute, of which Prometheus has a sample or two."""
    shape = _shape(base, draw, draw.uniform(0.01, 0.08))
    seconds, cache = draw.uniform(20, 90), draw.choice([0.0, 0.0, 0.1, 0.3])
    return Shape(shape.hours, seconds, shape.plateau / 2, cache, shape.noise, shape.requested), lambda _: base


def _killed(base: float, draw: random.Random) -> tuple[Shape, Level]:
    """A limit close to the need, so that some runs are killed at it."""
    return _shape(base, draw, draw.uniform(0.05, 0.15), limit=draw.uniform(1.0, 1.25)), lambda _: base


KINDS: Mapping[str, Callable[[float, random.Random], tuple[Shape, Level]]] = {
    "stable": _stable,
    "noise": _noisy,
    "growing": _growing,
    "two modes by day of the week": _bimodal,
    "rare spikes": _spiky,
    "step": _step,
    "few runs": _few,
    "short": _short,
    "killed": _killed,
}
