"""What a team may have at once in each environment, and what its jobs ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from jobyard_cli.parsing.quantities import canonical_cpu, canonical_memory, parse_quantity
from jobyard_cli.plan.pods import DISK_KIND, with_disk
from jobyard_cli.platform.environments import environment_names, in_environment, load_teams

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
        """As much of everything, so many times."""
        return Amount({kind: value * number for kind, value in self.of.items()})

    def get(self, kind: str) -> Decimal:
        """How much of one thing."""
        return self.of.get(kind, Decimal(0))

    def over(self, quota: Amount) -> Iterator[str]:
        """Words for each thing of which this is more than the quota: `memory 96Gi (quota: 64Gi)`."""
        for kind, value in self.of.items():
            if value > quota.get(kind):
                yield f"{_WORDS.get(kind, kind)} {_text(kind, value)} (quota: {_text(kind, quota.get(kind))})"


NOTHING = Amount({})


def _text(kind: str, value: Decimal) -> str:
    if kind == "cpu":
        return canonical_cpu(str(value.normalize().__format__("f")))
    return canonical_memory(str(int(value))) if kind in ("memory", "ephemeralStorage") else str(int(value))


def quotas(platform: Path, team: str) -> dict[str, Amount]:
    """The team's quota in each environment that it is in.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: a team's file is wrong.
    """
    values = load_teams(platform).get(team)
    if values is None:
        return {}
    there = {name: in_environment(values, name) for name in environment_names(platform)}
    return {name: _quota(here["quota"]) for name, here in there.items() if here is not None}


def _quota(stated: Mapping[str, Any]) -> Amount:
    return Amount({kind: parse_quantity(stated.get(kind, 0)) for kind in ("pods", *_KINDS.values())})


def of_task(task: Mapping[str, Any]) -> Amount:
    """What one pod of a compiled task counts for; nothing where the task has none.

    The quota counts requests and limits, of memory and disk against the same number each: the larger one counts.
    """
    if task.get("type"):
        return NOTHING
    resources = with_disk(task["resources"])
    counted = {**resources["requests"], **{kind: resources["limits"][kind] for kind in ("memory", DISK_KIND)}}
    asked = {_KINDS[kind]: parse_quantity(value) for kind, value in counted.items()}
    return Amount({"pods": Decimal(1), **asked})


def instances(job: Mapping[str, Any], task: Mapping[str, Any]) -> int:
    """As many instances of a task as one run may have at once."""
    most = job.get("max_active_tasks") or MOST_TASKS
    foreach = task.get("foreach")
    if not foreach:
        return 1
    items = len(foreach["items"]) if foreach["items"] is not None else most
    return int(min(items, foreach["concurrency"] or most, most))


def at_start(job: Mapping[str, Any]) -> Amount:
    """What a run of a job asks for when it starts: its tasks that need no other."""
    left = job.get("max_active_tasks") or MOST_TASKS
    asked = NOTHING
    for _, task in sorted(job["tasks"].items()):
        if not task["needs"]:
            number = min(left, instances(job, task))
            asked, left = asked + of_task(task).times(number), left - number
    return asked
