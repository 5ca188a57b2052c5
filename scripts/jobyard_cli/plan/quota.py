"""What a team may have at once in each environment, and what its jobs ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from jobyard.entries import Job, Task
from jobyard.pod_parts import DISK_KIND, with_disk

from jobyard_cli.parsing.documents import Written
from jobyard_cli.parsing.quantities import canonical_cpu, canonical_memory, parse_quantity
from jobyard_cli.platform.environments import environment_names, load_teams

MOST_TASKS = 16
"""Task instances of one job at once, where it does not say (Airflow's `max_active_tasks_per_dag`)."""
# A resource of a pod's requests -> what a quota calls it.
_KINDS = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeralStorage", "nvidia.com/gpu": "gpu"}
_WORDS = {"ephemeralStorage": "disk", "gpu": "GPUs"}


@dataclass(frozen=True)
class Amount:
    """Pods, and what they ask for together: by the names that a quota has for it."""

    of: Mapping[str, Decimal]

    def __add__(self, other: Amount) -> Amount:
        return Amount({kind: self.get(kind) + other.get(kind) for kind in {**self.of, **other.of}})

    def times(self, number: int) -> Amount:
        """Return this amount, so many times."""
        return Amount({kind: value * number for kind, value in self.of.items()})

    def get(self, kind: str) -> Decimal:
        """Return the amount of one thing."""
        return self.of.get(kind, Decimal(0))

    def over(self, quota: Amount) -> Iterator[str]:
        """Yield words for each thing that exceeds the quota: `memory 96Gi (quota: 64Gi)`."""
        for kind, value in self.of.items():
            if value > quota.get(kind):
                yield f"{_WORDS.get(kind, kind)} {_text(kind, value)} (quota: {_text(kind, quota.get(kind))})"


NOTHING = Amount({})


def _text(kind: str, value: Decimal) -> str:
    if kind == "cpu":
        return canonical_cpu(f"{value.normalize():f}")
    number = str(int(value))
    return canonical_memory(number) if kind in ("memory", "ephemeralStorage") else number


def quotas(platform: Path, team: str) -> dict[str, Amount]:
    """Return the team's quota in each environment that it is in.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: a team's file is wrong.
    """
    given = load_teams(platform).get(team)
    if given is None:
        return {}
    bounds = {name: given.in_environment(name) for name in environment_names(platform)}
    return {name: _quota(inside["quota"]) for name, inside in bounds.items() if inside is not None}


def _quota(stated: Written) -> Amount:
    return Amount({kind: parse_quantity(stated.get(kind, 0)) for kind in ("pods", *_KINDS.values())})


def of_task(task: Task) -> Amount:
    """Return what one pod of a compiled task requests; nothing if the task has none.

    The quota counts requests and limits, of memory and disk against the same number each: the larger one counts.
    """
    if task.get("type"):
        return NOTHING
    resources = with_disk(task["resources"])
    limits = resources["limits"]
    counted = {**resources["requests"], "memory": limits["memory"], DISK_KIND: limits[DISK_KIND]}
    asked = {_KINDS[kind]: parse_quantity(value) for kind, value in counted.items()}
    return Amount({"pods": Decimal(1), **asked})


def instances(job: Job, task: Task) -> int:
    """Return the highest number of a task's instances that one run may have at once."""
    most = job.get("max_active_tasks") or MOST_TASKS
    foreach = task.get("foreach")
    if not foreach:
        return 1
    items = len(foreach["items"]) if foreach["items"] is not None else most
    return min(items, foreach["concurrency"] or most, most)


def at_start(job: Job) -> Amount:
    """Return what a run of a job requests when it starts: its tasks that need no other."""
    left = job.get("max_active_tasks") or MOST_TASKS
    asked = NOTHING
    for _, task in sorted(job["tasks"].items()):
        if not task["needs"]:
            number = min(left, instances(job, task))
            asked += of_task(task).times(number)
            left -= number
    return asked
