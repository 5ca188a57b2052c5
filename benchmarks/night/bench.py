"""What a night of many teams costs on the platform, and how long their pods wait."""

from __future__ import annotations

import os
from collections.abc import Iterator

from jobyard_cli.cli.steps import Steps, new_console

from night import picture, report
from night.cluster import START_SECONDS
from night.cost import Machines
from night.outcome import Outcome
from night.playing import play, played
from night.report import Side
from night.scenario import ONE_TYPE, ROOT, Scenario, catalogue, of_types
from night.series import series
from night.workload import JOBS, draw

TEAMS = int(os.environ.get("TEAMS", "40"))
SPEED = int(os.environ.get("SPEED", "6"))
"""A divisor of 60, as Karpenter and kwok take whole seconds alone. What plays the night must keep up: docs/night.md."""
FEWER_TEAMS, FEWER_SPEED = 10, 20
KEEP = os.environ.get("KEEP") == "1"
"""Write the report again of the nights that were played last, and play only those that were not."""
GROWN = (10, 40, 200)
PICTURE = ROOT / "docs" / "pictures" / "night.png"
BEFORE, SPREAD, AFTER, MOVED = "one type", "pods spread", "several sizes", "pods moved"

TEXT = f"""\
## A night of {{jobs}} jobs of {{teams}} teams

The real scheduler, Kueue and Karpenter, with machines and pods that are played, {{speed}} times as fast;
[docs/night.md](../docs/night.md) has the workload, the sides and how it is played. A machine takes pods {START_SECONDS}
s after its launch. `{BEFORE}`: one instance type a node group, and a machine goes when it has been empty for 2 minutes.
`{AFTER}`: the platform as it is, with the catalogue's types; a machine goes when it has been empty for a minute, and
pods prefer machines that run others (`fillMachines`). Dollars are of the whole night; the bound is each task's share of
the cheapest machine, while it runs.

{{costs}}

{{machine_a_team}}

Where the dollars went that no pod asked for. What a task requests is at the price of the machine that it got, so the
rest of the difference to the bound is machines with a higher price for the same:

{{waste}}

A pod is lost with its machine, and runs again: where no pod is moved, Karpenter most likely found the machine empty
while the pod was on its way, as it looks {{speed}} times as often, and the API server answers no faster.

A pod ran {{overtime:.1f}} s of the night longer than its task takes, at most.

How long pods waited with `{AFTER}`, in seconds of the night, from creation until they ran. There was room in
every queue. Queue and machine both have the processor time of the control plane in them, {{speed}} times as long in a
night that passes so fast: these waits say more of the machine that played the night than of a real one.

{{waits}}

{{verdicts}}

### What decides where pods run, with ten teams

`{SPREAD}`: without `fillMachines`, the scheduler spreads pods over the machines with room. `{MOVED}`: Karpenter also
moves pods that may be moved off machines that are not full (`WhenEmptyOrUnderutilized`); these are the pods that were
lost.

{{fewer}}

### The same with more teams

What a machine a team and the bound come to needs no cluster.

{{grown}}
"""


def section() -> str:
    """Play the nights, and return the result as Markdown; the picture goes into the documentation."""
    machines = Machines.read(ROOT)
    with Steps(new_console()) as steps:
        sides = {title: _side(title, scenario, machines, steps) for title, scenario in _scenarios()}
        fewer = [_side(title, scenario, machines, steps) for title, scenario in _scenarios_of_fewer()]
    picture.draw({title: series(sides[title].outcome.record) for title in (BEFORE, AFTER)}, PICTURE)
    side = sides[AFTER]
    return TEXT.format(
        jobs=TEAMS * JOBS,
        teams=TEAMS,
        speed=SPEED,
        costs=report.costs(sides.values()),
        machine_a_team=report.a_machine_a_team(side),
        waste=report.waste(sides.values()),
        overtime=max(one.outcome.overtime().at(100) for one in sides.values()),
        waits=report.waits(side),
        verdicts=report.verdicts(side),
        fewer=report.compared(fewer),
        grown=report.grown(catalogue(), machines, GROWN),
    )


def _side(title: str, scenario: Scenario, machines: Machines, steps: Steps) -> Side:
    jobs = draw(scenario.teams)
    with steps.step(f"a night of {scenario.teams} teams with {title}") as step:
        record = (played(scenario) if KEEP else None) or play(scenario, jobs, step)
    return Side(title, Outcome(record, machines), jobs, machines)


def _scenarios() -> Iterator[tuple[str, Scenario]]:
    yield BEFORE, Scenario("one-type", of_types(ONE_TYPE), "WhenEmpty", 120, fills=False, teams=TEAMS, speed=SPEED)
    yield AFTER, Scenario("several-sizes", catalogue(), "WhenEmpty", 60, fills=True, teams=TEAMS, speed=SPEED)


def _scenarios_of_fewer() -> Iterator[tuple[str, Scenario]]:
    fewer = {"teams": FEWER_TEAMS, "speed": FEWER_SPEED}
    yield SPREAD, Scenario("pods-spread", catalogue(), "WhenEmpty", 60, fills=False, **fewer)
    yield AFTER, Scenario("several-sizes", catalogue(), "WhenEmpty", 60, fills=True, **fewer)
    policy = "WhenEmptyOrUnderutilized"
    yield MOVED, Scenario("pods-moved", catalogue(), policy, 60, fills=True, **fewer)
