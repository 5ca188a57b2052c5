"""The night that is measured: teams, their jobs, and when their crontabs start them, drawn by a seed.

docs/night.md describes the workload in words; the numbers are here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp
from random import Random
from typing import TypeVar

Key = TypeVar("Key")
SEED = 20261127
JOBS = 10
"""Of each team."""
SHARES = {"score": 60, "report": 15, "join": 10, "train": 10, "neural": 5}
"""Of a hundred jobs."""
HOURS = {0: 45, 1: 55}
"""Of a hundred jobs that start in the night."""
MINUTES = {0: 50, 30: 15, 15: 8, 45: 6}
"""Of a hundred; of the rest half start at another multiple of five minutes, and half at any minute."""
ARM_TEAMS = 4
"""One team in so many builds its images for Arm processors."""
TIMEOUTS = (600, 1800, 3600, 7200, 14400)
"""Seconds that teams write, of which a task has the first that is at least twice what it takes."""
GIB = 1024
"""In MiB."""


@dataclass(frozen=True)
class Shape:
    """What tasks of one kind request and take."""

    group: str
    cpu: tuple[int, ...]  # thousandths of a core, one of which a task requests
    memory: tuple[int, ...]  # MiB for each core
    median: int  # seconds
    spread: float  # standard deviation of the logarithm
    least: int
    most: int
    gpu: int = 0


SHAPES = {
    "features": Shape("high-cpu", (2000, 4000, 4000, 8000), (GIB, 2 * GIB), 360, 0.6, 60, 1800),
    "inference": Shape("default", (250, 500, 1000), (2 * GIB, 4 * GIB), 240, 0.6, 45, 1200),
    "report": Shape("default", (250, 500, 1000), (2 * GIB, 4 * GIB), 240, 0.6, 45, 1200),
    "join": Shape("high-memory", (2000, 4000), (8 * GIB,), 600, 0.5, 120, 2400),
    "training": Shape("high-cpu", (4000, 8000), (2 * GIB,), 2700, 0.4, 1200, 4500),
    "neural": Shape("gpu", (4000,), (4 * GIB,), 1800, 0.4, 900, 3600, gpu=1),
}
JOB_TASKS = {
    "score": ("features", "inference"),
    "report": ("report",),
    "join": ("join", "report"),
    "train": ("features", "training"),
    "neural": ("features", "neural"),
}
"""The tasks of each kind of job, each of which needs the one before."""
ARM_GROUP = "graviton"
"""Where teams with images for Arm run what others run in `default`."""


@dataclass(frozen=True)
class Task:
    """One pod, if it is not moved."""

    name: str
    team: str
    group: str
    cpu: int  # thousandths of a core
    memory: int  # MiB
    gpu: int
    seconds: int  # that it runs
    timeout: int  # seconds that it may run


@dataclass(frozen=True)
class Job:
    """Tasks one after the other, the first of which starts `start` seconds after midnight."""

    start: int
    tasks: tuple[Task, ...]

    @property
    def end(self) -> int:
        """When its last task ends if none waits."""
        return self.start + sum(task.seconds for task in self.tasks)


def draw(teams: int, seed: int = SEED) -> list[Job]:
    """Return the jobs of a night by their start; those of a team are the same however many teams there are."""
    jobs = [job for number in range(teams) for job in _team(number, seed)]
    return sorted(jobs, key=lambda job: (job.start, job.tasks[0].name))


def _team(number: int, seed: int) -> Iterator[Job]:
    random = Random(f"{seed}-{number}")  # noqa: S311
    team, on_arm = f"t{number:03}", number % ARM_TEAMS == ARM_TEAMS - 1
    for job in range(JOBS):
        kind = _one_of(random, SHARES)
        start = 3600 * _one_of(random, HOURS) + 60 * _minute(random)
        tasks = [_task(random, f"{team}-{job}-{name}", team, SHAPES[name], on_arm) for name in JOB_TASKS[kind]]
        yield Job(start, tuple(tasks))


def _task(random: Random, name: str, team: str, shape: Shape, on_arm: bool) -> Task:
    cpu = random.choice(shape.cpu)
    memory = cpu * random.choice(shape.memory) // 1000
    drawn = int(shape.median * exp(random.gauss(0, shape.spread)))
    seconds = min(max(drawn, shape.least), shape.most)
    group = ARM_GROUP if on_arm and shape.group == "default" else shape.group
    timeout = next(one for one in TIMEOUTS if one >= 2 * seconds)
    return Task(name, team, group, cpu, memory, shape.gpu, seconds, timeout)


def _minute(random: Random) -> int:
    if (drawn := random.randrange(100)) < sum(MINUTES.values()):
        return _at(MINUTES, drawn)
    return random.choice((random.randrange(0, 60, 5), random.randrange(60)))


def _one_of(random: Random, shares: dict[Key, int]) -> Key:
    return _at(shares, random.randrange(sum(shares.values())))


def _at(shares: dict[Key, int], drawn: int) -> Key:
    """Return the key in whose share the number is."""
    for key, share in shares.items():
        if drawn < share:
            return key
        drawn -= share
    raise AssertionError("the number is beyond all shares")
