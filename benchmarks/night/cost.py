"""What a night costs: on machines as they were, on a machine a team, and at the least. All amounts are exact.

Prices are integers of nanodollars an hour, amounts fractions of nanodollars, sizes integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from jobyard.quantities import parse_quantity
from jobyard_cli.platform.machines import Machine, read_machines
from jobyard_metrics.prices import NANODOLLARS, Prices, hourly, load

from night.workload import Job, Task

HOUR, DAY = 3600, 24
MINIMUM_SECONDS = 60
"""Of a machine's life that EC2 bills at least."""
DISK = 100
"""GiB of a machine's volume, which bounds nothing here: the tasks request little of it."""
MIB = 2**20


@dataclass(frozen=True)
class Offer:
    """A machine that one may have: what pods, or a crontab's processes, get of it, and its price."""

    name: str
    architecture: str
    cpu: int  # thousandths of a core
    memory: int  # MiB
    gpu: int
    price: int  # nanodollars an hour

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Cores in thousandths, memory in MiB, GPUs."""
        return self.cpu, self.memory, self.gpu

    @property
    def family(self) -> str:
        """Such as g5: machines of another family have other GPUs."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Machines:
    """The price list with what pods get of each machine."""

    known: Mapping[str, Machine]
    prices: Prices

    @classmethod
    def read(cls, repo: Path) -> Machines:
        """Read values/prices.yaml."""
        return cls(read_machines(repo), load(repo / "values" / "prices.yaml"))

    def offers(self, capacity_type: str, names: Iterable[str] | None = None) -> Iterator[Offer]:
        """Yield these machines, by default all, that AWS sells in this way.

        Those whose processors are shared (t3, t3a, t4g) are left out: they can't be busy all the time at their price.
        """
        for name in self.known if names is None else names:
            price = hourly(self.prices, name, capacity_type)
            if price is None or name.startswith("t"):
                continue
            offer = self._offer(name, price)
            # Of the smallest the daemons leave nothing.
            if offer.cpu > 0 and offer.memory > 0:
                yield offer

    def _offer(self, name: str, price: int) -> Offer:
        machine = self.known[name]
        left = machine.allocatable(DISK)
        cpu, memory = parse_quantity(str(left["cpu"])), parse_quantity(str(left["memory"]))
        return Offer(name, machine.architecture, int(cpu * 1000), int(memory) // MIB, machine.gpu, price)


def dollars(amount: Fraction) -> str:
    """Return nanodollars as dollars and cents."""
    cents = round(amount * 100 / NANODOLLARS)
    return f"{cents // 100:,}.{cents % 100:02}"


def billed(seconds: float, price: int) -> Fraction:
    """Return the nanodollars that EC2 asks for a machine: by the second, for a minute at least."""
    return Fraction(price * max(MINIMUM_SECONDS, ceil(seconds)), HOUR)


def requests(task: Task) -> tuple[int, int, int]:
    """Return what a task requests, in the order of `Offer.sizes`."""
    return task.cpu, task.memory, task.gpu


def fits(wanted: Sequence[int], offer: Offer) -> bool:
    """Return whether a machine has room for that."""
    return all(one <= size for one, size in zip(wanted, offer.sizes, strict=True))


def share(wanted: Sequence[int], offer: Offer) -> Fraction:
    """Return the part of a machine that this takes: of the resource of which it takes most."""
    return max(Fraction(one, size) for one, size in zip(wanted, offer.sizes, strict=True) if one)


def least(task: Task, offers: Iterable[Offer]) -> Fraction:
    """Return the nanodollars of a task's share of the machine on which this share is cheapest, for its time."""
    found = [share(requests(task), offer) * offer.price for offer in offers if fits(requests(task), offer)]
    return min(found) * task.seconds / HOUR


def bound(jobs: Iterable[Job], groups: Mapping[str, Any], machines: Machines, *, own: bool) -> Fraction:
    """Return what the night costs at the least: each task pays for its share of a machine, while it runs.

    The machine is the one on which the share is cheapest, of its node group's architecture, capacity type and GPUs: of
    the `own` instance types of the group, or of all.
    """
    offers = {name: [*_of_group(group, machines, own)] for name, group in groups.items()}
    return sum((least(task, offers[task.group]) for job in jobs for task in job.tasks), start=Fraction(0))


def _of_group(group: Mapping[str, Any], machines: Machines, own: bool) -> Iterator[Offer]:
    names, families = group["instanceTypes"], gpu_families([group])
    for offer in machines.offers(group["capacityType"], names if own else None):
        alike = offer.family in families if offer.gpu else not families
        if alike and offer.architecture == group["architecture"]:
            yield offer


def gpu_families(groups: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the families of the groups' machines with GPUs."""
    names = [name for group in groups if "gpu" in group["capacity"] for name in group["instanceTypes"]]
    return {name.partition(".")[0] for name in names}


@dataclass(frozen=True)
class TeamMachine:
    """The machine, or the machines of one type, that a team has for itself."""

    team: str
    offer: Offer
    count: int

    @property
    def price(self) -> int:
        """Nanodollars an hour."""
        return self.count * self.offer.price


def team_machines(jobs: Iterable[Job], groups: Mapping[str, Any], machines: Machines) -> list[TeamMachine]:
    """Return what each team needs where its crontab runs its jobs on a machine of its own.

    The machine holds the most that the team's tasks request at one time, when each starts as the one before it ends.
    Tasks that want a GPU have a machine with the GPUs of the node groups, all others one without. As a script runs on
    any processor, the latter is the cheapest of either architecture. There are several of one type where one is not
    large enough, and with GPUs also where that is cheaper.
    """
    families = gpu_families(groups.values())
    offers = [one for one in machines.offers("on-demand") if not one.gpu or one.family in families]
    found = []
    for team, of_team in sorted(_by_team(jobs).items()):
        for has_gpu in (False, True):
            wanted = peak(of_team, has_gpu)
            if any(wanted):
                found.append(_cheapest(team, wanted, [one for one in offers if bool(one.gpu) == has_gpu]))
    return found


def _by_team(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    teams: dict[str, list[Job]] = {}
    for job in jobs:
        teams.setdefault(job.tasks[0].team, []).append(job)
    return teams


def peak(jobs: Iterable[Job], has_gpu: bool) -> tuple[int, int, int]:
    """Return the most of each resource that the tasks, with or without GPUs, request at one time."""
    changes: list[tuple[int, int, tuple[int, int, int]]] = []
    for job in jobs:
        now = job.start
        for task in job.tasks:
            if bool(task.gpu) == has_gpu:
                changes += [(now, 1, requests(task)), (now + task.seconds, -1, requests(task))]
            now += task.seconds
    # What ends is over before what starts at that second.
    used, most = [0, 0, 0], [0, 0, 0]
    for _when, sign, sizes in sorted(changes):
        used = [one + sign * size for one, size in zip(used, sizes, strict=True)]
        most = [max(pair) for pair in zip(most, used, strict=True)]
    return most[0], most[1], most[2]


def _cheapest(team: str, wanted: Sequence[int], offers: Iterable[Offer]) -> TeamMachine:
    found = [TeamMachine(team, offer, ceil(share(wanted, offer))) for offer in offers]
    alone = [one for one in found if one.count == 1]
    usable = found if wanted[2] or not alone else alone
    return min(usable, key=lambda one: (one.price, one.offer.name))
