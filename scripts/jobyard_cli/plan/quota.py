"""What a team may have at once in each environment, and what its jobs ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from jobyard.entries import Job, Task
from jobyard.pod_parts import DISK_KIND, with_disk
from jobyard.quantities import canonical_memory, parse_quantity

from jobyard_cli.check.parts import mapping
from jobyard_cli.parsing.documents import Written
from jobyard_cli.parsing.quantities import canonical_cpu
from jobyard_cli.platform.environments import environment_names, has_queues, load_teams
from jobyard_cli.platform.files import node_groups
from jobyard_cli.platform.queues import borrowed_amounts, own_amounts

MOST_TASKS = 16
"""Task instances of one job at once, where it does not say (Airflow's `max_active_tasks_per_dag`)."""
# A resource of a pod's requests -> what a quota calls it.
_KINDS = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeralStorage", "nvidia.com/gpu": "gpu"}
_WORDS = {"ephemeralStorage": "disk", "gpu": "GPUs"}


_OF = " of "
"""Between a kind and the node group that it is of, where each group has a quota of its own."""


@dataclass(frozen=True)
class Amount:
    """Pods, and what they ask for together: by the names that a quota has for it."""

    by_kind: Mapping[str, Decimal]

    def __add__(self, other: Amount) -> Amount:
        total = dict(self.by_kind)
        for kind, value in other.by_kind.items():
            total[kind] = self.get(kind) + value
        return Amount(total)

    def times(self, number: int) -> Amount:
        """Return this amount, multiplied by a number of pods."""
        return Amount({kind: value * number for kind, value in self.by_kind.items()})

    def get(self, kind: str) -> Decimal:
        """Return the amount of one kind; zero if the kind is missing."""
        return self.by_kind.get(kind, Decimal(0))

    def over(self, quota: Amount) -> Iterator[str]:
        """Yield a phrase for each kind that exceeds the quota: `memory 96Gi (quota: 64Gi)`."""
        for kind, value in self.by_kind.items():
            if value > quota.get(kind):
                name, separator, group = kind.partition(_OF)
                asked = f"{_WORDS.get(name, name)} {_text(name, value)}{separator}{group}"
                yield f"{asked} (quota: {_text(name, quota.get(kind))})"


NOTHING = Amount({})


@dataclass(frozen=True)
class Shares(Amount):
    """A team's quota of each node group, where its pods wait in queues and may borrow what other teams do not use."""

    borrowed: Mapping[str, Decimal]
    """The most that it may borrow, of what is bounded."""

    @property
    def most(self) -> Amount:
        """Return its own and what it may borrow, of the kinds of which that is bounded."""
        return Amount({kind: self.get(kind) + value for kind, value in self.borrowed.items()})


def _text(kind: str, value: Decimal) -> str:
    if kind == "cpu":
        return canonical_cpu(f"{value.normalize():f}")
    number = str(int(value))
    if kind in ("memory", "ephemeralStorage"):
        return canonical_memory(number)
    return number


def quotas(platform: Path, team: str) -> dict[str, Amount]:
    """Return the team's quota in each environment that it is in; `Shares` where its pods wait in queues.

    Raises:
        NotAPlatformRepoError: a folder or file of the platform's is not there.
        InvalidValuesError: a team's file is wrong.
    """
    team_files = load_teams(platform).get(team)
    if team_files is None:
        return {}
    found: dict[str, Amount] = {}
    for environment in environment_names(platform):
        values = team_files.in_environment(environment)
        if values is None:
            continue
        quota = _quota(mapping(values.get("quota")))
        found[environment] = _shares(values, quota, platform) if has_queues(platform, environment) else quota
    return found


def _quota(quota: Written) -> Amount:
    return Amount({kind: parse_quantity(quota.get(kind, 0)) for kind in ("pods", *_KINDS.values())})


def _shares(values: Written, quota: Amount, platform: Path) -> Shares:
    """What the team has of each node group; the number of pods is bounded for all together, and lent by nobody."""
    own = {"pods": quota.get("pods")}
    borrowed = {"pods": Decimal(0)}
    catalogue = node_groups(platform / "values")
    for group in values.get("allowedNodeGroups", []):
        amounts = own_amounts(values, group, catalogue[group])
        own.update({f"{kind}{_OF}{group}": amount for kind, amount in amounts.items()})
        limits = borrowed_amounts(values, group)
        borrowed.update({f"{kind}{_OF}{group}": amount for kind, amount in limits.items()})
    return Shares(own, borrowed)


def of_task(task: Task, quota: Amount = NOTHING) -> Amount:
    """Return what one pod of a compiled task requests, as a quota counts it; nothing if the task has no pod.

    A quota of all pods counts requests and limits, of memory and disk against the same number each: the larger one
    counts. In a queue requests alone count, each against the quota of the task's node group.
    """
    if task.get("type"):
        return NOTHING
    resources = with_disk(task["resources"])
    limits = resources["limits"]
    counted = {**resources["requests"], "memory": limits["memory"], DISK_KIND: limits[DISK_KIND]}
    suffix = ""
    if isinstance(quota, Shares):
        counted, suffix = dict(resources["requests"]), f"{_OF}{task['node_group']}"
    by_kind = {"pods": Decimal(1)}
    for resource, quantity in counted.items():
        by_kind[f"{_KINDS[resource]}{suffix}"] = parse_quantity(quantity)
    return Amount(by_kind)


def after_oom(task: Task, quota: Amount = NOTHING) -> Amount:
    """Return what a pod may request after others of its try ran out of memory; the same if the task has no on_oom."""
    growth = task.get("on_oom")
    pod = of_task(task, quota)
    if growth is None:
        return pod
    more = {kind: parse_quantity(growth["at_most"]) for kind in pod.by_kind if kind.partition(_OF)[0] == "memory"}
    return Amount({**pod.by_kind, **more})


def _most_tasks(job: Job) -> int:
    return job.get("max_active_tasks") or MOST_TASKS


def instances(job: Job, task: Task) -> int:
    """Return the highest number of a task's instances that one run may have at once."""
    foreach = task.get("foreach")
    if not foreach:
        return 1
    most = _most_tasks(job)
    most = min(most, foreach["concurrency"] or most)
    # The items of another task's output are not known yet.
    if foreach["items"] is None:
        return most
    return min(most, len(foreach["items"]))


def at_start(job: Job, quota: Amount = NOTHING) -> Amount:
    """Return what a run of a job requests when it starts, as a quota counts it: its tasks that need no other."""
    slots = _most_tasks(job)
    total = NOTHING
    for _, task in sorted(job["tasks"].items()):
        if not task["needs"]:
            number = min(slots, instances(job, task))
            total += of_task(task, quota).times(number)
            slots -= number
    return total
