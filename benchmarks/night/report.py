"""The night as Markdown: what each side costs, where its money goes, and how long pods wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from measure import Target

from night.cluster import START_SECONDS
from night.cost import DAY, HOUR, Machines, bound, dollars, team_machines
from night.outcome import Outcome, Waits
from night.workload import Job, draw

COSTS = "| | teams | dollars | times the bound | of its own types | machines | machine hours | pods lost |"
COMPARED = (
    "| | teams | times as fast | dollars | times the bound | not filled | pods lost | wait, p95, in machine starts |"
)
WASTE = "| | starting | empty | not filled | lost with pods |"
GROWN = "| teams | jobs | bound, dollars | a machine a team: all day | in the night alone |"
WAITS = "| | pods | p50 | p95 | p99 | most | p95 in machine starts |"


@dataclass(frozen=True)
class Side:
    """A night that was played, and what it is compared with."""

    title: str
    outcome: Outcome
    jobs: Sequence[Job]
    machines: Machines

    @cached_property
    def bound(self) -> Fraction:
        """The least in nanodollars, of all machines."""
        return bound(self.jobs, self.outcome.record.scenario.groups, self.machines, own=False)

    @cached_property
    def own_bound(self) -> Fraction:
        """The least in nanodollars, of the node groups' own machines."""
        return bound(self.jobs, self.outcome.record.scenario.groups, self.machines, own=True)

    @cached_property
    def times(self) -> float:
        """How many times the bound it costs."""
        return float(self.outcome.cost / self.bound)

    @cached_property
    def hourly(self) -> int:
        """Nanodollars an hour of a machine a team."""
        groups = self.outcome.record.scenario.groups
        return sum(one.price for one in team_machines(self.jobs, groups, self.machines))

    @property
    def starts(self) -> float:
        """The 95th percentile of waits, in machine starts."""
        return self.outcome.waits().at(95) / START_SECONDS

    @property
    def machine_starts(self) -> float:
        """The same of the waits after the queue."""
        return self.outcome.for_machines().at(95) / START_SECONDS

    @property
    def teams(self) -> int:
        """How many there are."""
        return self.outcome.record.scenario.teams


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    line = "|".join(["", *["---"] * (head.count("|") - 1), ""])
    return "\n".join([head, line, *(f"| {' | '.join(row)} |" for row in rows)])


def costs(sides: Iterable[Side]) -> str:
    """Return what each side costs, beside a machine a team and the bound."""
    return table(COSTS, [row for side in sides for row in _cost_rows(side)])


def _cost_rows(side: Side) -> Iterable[list[str]]:
    outcome = side.outcome
    own = float(outcome.cost / side.own_bound)
    numbers = [f"{side.times:.2f}", f"{own:.2f}", str(len(outcome.record.machines)), f"{outcome.machine_hours:.1f}"]
    yield [side.title, str(side.teams), dollars(outcome.cost), *numbers, str(outcome.lost)]


def compared(sides: Iterable[Side]) -> str:
    """Return the figures of nights that are not looked at more closely."""
    return table(COMPARED, map(_compared_row, sides))


def _compared_row(side: Side) -> list[str]:
    outcome, speed = side.outcome, str(side.outcome.record.scenario.speed)
    cost, unfilled = dollars(outcome.cost), _part(outcome.waste().unused, outcome.cost)
    numbers = [f"{side.times:.2f}", unfilled, str(outcome.lost), f"{side.starts:.1f}"]
    return [side.title, str(side.teams), speed, cost, *numbers]


def waste(sides: Iterable[Side]) -> str:
    """Return where the dollars of each side went that no pod asked for."""
    return table(WASTE, [[side.title, *_wasted(side.outcome)] for side in sides])


def _wasted(outcome: Outcome) -> list[str]:
    found = outcome.waste()
    return [_part(one, outcome.cost) for one in (found.starting, found.empty, found.unused, found.lost)]


def _part(amount: Fraction, whole: Fraction) -> str:
    return f"{dollars(amount)} ({float(amount / whole):.0%})"


def waits(side: Side) -> str:
    """Return how long the pods of one side waited, by node group, and for what."""
    outcome = side.outcome
    rows: dict[str, Waits] = {
        "all": outcome.waits(),
        "of it in the queue": outcome.queued(),
        "of it for a machine": outcome.for_machines(),
    }
    used = {pod.task.group for pod in outcome.pods}
    rows |= {f"`{name}`": outcome.waits(name) for name in outcome.record.scenario.groups if name in used}
    return table(WAITS, [_wait_row(name, found) for name, found in rows.items()])


def _wait_row(name: str, found: Waits) -> list[str]:
    shown = [f"{found.at(percent):.0f}" for percent in (50, 95, 99, 100)]
    return [name, f"{len(found.seconds):,}", *shown, f"{found.at(95) / START_SECONDS:.1f}"]


def a_machine_a_team(side: Side) -> str:
    """Return what a machine a team costs, in words."""
    hours = side.outcome.end / HOUR
    night = Fraction(round(side.hourly * side.outcome.end), HOUR)
    day = Fraction(side.hourly * DAY)
    return (
        f"A machine a team for {side.teams} teams: {dollars(day)} dollars a day, {dollars(night)} for the "
        f"{hours:.1f} hours of the night alone."
    )


def verdicts(side: Side) -> str:
    """Return the targets, and whether they are met."""
    of_day = float(side.outcome.cost / (side.hourly * DAY))
    of_night = float(side.outcome.cost * HOUR / Fraction(side.hourly) / round(side.outcome.end))
    lines = {
        "Times the bound": Target("at most", 1.3).verdict(side.times),
        "Of a machine a team, all day": Target("at most", 0.33).verdict(of_day),
        "Of a machine a team, in the night alone": f"measured {of_night:.2f}.",
        "Wait, p95, in machine starts": Target("at most", 2).verdict(side.starts),
        "Wait for a machine alone, p95, in machine starts": f"measured {side.machine_starts:.2f}.",
    }
    return "\n".join(f"- {name}: {line}" for name, line in lines.items())


def grown(groups: Mapping[str, Any], machines: Machines, teams: Iterable[int]) -> str:
    """Return the bound, and what a machine a team costs, for several numbers of teams."""
    return table(GROWN, [_grown_row(groups, machines, number) for number in teams])


def _grown_row(groups: Mapping[str, Any], machines: Machines, teams: int) -> list[str]:
    jobs = draw(teams)
    hourly = sum(one.price for one in team_machines(jobs, groups, machines))
    night = Fraction(hourly * max(job.end for job in jobs), HOUR)
    amounts = [bound(jobs, groups, machines, own=False), Fraction(hourly * DAY), night]
    return [str(teams), f"{len(jobs):,}", *map(dollars, amounts)]
