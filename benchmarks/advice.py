"""The backtest of the advice: how many later runs each rule's request would have killed, and how much it wastes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from histories import HISTORY, KINDS, LATER, TODAY, Task, task
from jobyard_metrics.advice import krr, rule, vpa

SEED = "table"
"""The rule's numbers were chosen with histories of other seeds."""

TASKS = 1000
"""Of each kind."""

MARGINS = [0.025 * step for step in range(25)] + [0.8, 1.2, 1.8, 2.6]
SHOWN_MARGINS = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 1.8, 2.6]
"""Of KRR and VPA; both have 0.15 as their default."""

RISKS = [0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
"""Of Jobyard's rule."""

LONG = f"KRR of {HISTORY} days"

SLACK = 1.0
"""Points of waste by which a rule may lie beside a curve and count as on it."""

Fit = Callable[[Task], int | None]


@dataclass(frozen=True)
class Score:
    """What requests did, in percent: later runs that they would have killed, and waste, as a part of the need."""

    killed: float
    waste: float

    def __str__(self) -> str:
        return f"{self.killed:.2f} / {self.waste:.0f}"


def section() -> str:
    """Measure, and return the result as Markdown."""
    drawn = {kind: draw(kind) for kind in KINDS}
    answered = {kind: [one for one in tasks if _all_answer(one)] for kind, tasks in drawn.items()}
    answered["all"] = [one for tasks in answered.values() for one in tasks]
    drawn["all"] = [one for tasks in drawn.values() for one in tasks]
    rows = [_row(kind, drawn[kind], tasks) for kind, tasks in answered.items()]
    return f"""\
## Requests that fit, by a backtest

Drawn histories of {TASKS} tasks of each kind: {HISTORY} days, then {LATER} days for which the memory request stays as
each rule advises. Each cell has the later runs that the request would have killed, in percent, and the waste: requested
minus needed GiB-hours of the runs that lived, in percent of the need. Each task counts the same. The rules see what
Prometheus and the kernel would show of the runs, and are judged by what the runs needed. KRR and VPA are by their
published rules; KRR's least of 100 points of data is left out, as it would answer nothing for most short tasks. The
tasks are those for which all rules answer: Jobyard's answers nothing for less than five runs or a week. Its numbers
were chosen with histories of other seeds.

"KRR needs" is the waste at which KRR's kills fall to those of Jobyard's rule, with whatever margin that takes (a line
between the margins from 0 to 260 %); "never" means that no margin does it. The last column says whether Jobyard's rule
is inside both curves, on one (within a point), or outside. A part of what it gains is the longer history: KRR can be
set to {HISTORY} days as well, which is the column before.

| kind | no answer | Jobyard | KRR | VPA | KRR needs | VPA needs | {LONG} needs | Jobyard's is |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Where a task's level falls, VPA forgets the old one within days. Jobyard's rule waits for a week and eight runs, as it
would take a weekday for a new level otherwise; that is what the two modes cost VPA.

### The trade-off, all kinds together

| rule | killed / waste, from the boldest to the most careful |
|---|---|
{chr(10).join(_curve_rows(answered["all"]))}

Jobyard's is swept by its risk ({_listed(RISKS)}; default {rule.DEFAULT.risk:g}), the others by their margin
({_listed(SHOWN_MARGINS)}; default 0.15).
"""


def draw(kind: str, seed: str = SEED, count: int = TASKS) -> list[Task]:
    """Return drawn tasks of a kind that have runs before and after the advice."""
    source = random.Random(f"{seed} {kind}")  # noqa: S311
    tasks: list[Task] = []
    while len(tasks) < count:
        one = task(kind, source)
        if one.runs and one.later:
            tasks.append(one)
    return tasks


def ours(risk: float = rule.DEFAULT.risk) -> Fit:
    """Return Jobyard's rule with this risk."""
    numbers = replace(rule.DEFAULT, risk=risk)
    return lambda one: rule.memory(one.runs, TODAY, numbers)


def by_krr(margin: float = krr.MARGIN) -> Fit:
    """Return KRR's rule with this margin, whatever the number of points."""
    return lambda one: krr.memory(one.recent, TODAY, margin, points=1)


def by_long_krr(margin: float = krr.MARGIN) -> Fit:
    """Return KRR's rule with the history that Jobyard's has, which is a setting of KRR."""
    return lambda one: krr.memory(one.runs, TODAY, margin, points=1, window=HISTORY)


def by_vpa(margin: float = vpa.MARGIN) -> Fit:
    """Return VPA's rule with this margin."""
    return lambda one: vpa.memory(one.recent, TODAY, margin)


def score(fit: Fit, tasks: Sequence[Task]) -> Score:
    """Return how requests fit the later runs; each task counts the same."""
    killed = waste = 0.0
    for one in tasks:
        request = fit(one) or 0
        killed += one.killed(request)
        waste += one.waste(request)
    return Score(100 * killed / len(tasks), 100 * waste / len(tasks))


def curve(rule_of: Callable[[float], Fit], numbers: Iterable[float], tasks: Sequence[Task]) -> list[Score]:
    """Return the scores of a rule with each number."""
    return [score(rule_of(number), tasks) for number in numbers]


def waste_needed(scores: Iterable[Score], killed: float) -> float | None:
    """Return the least waste at which a curve kills at most this part, or None if it never does."""
    points = sorted((point.killed, point.waste) for point in scores)
    found = [waste for part, waste in points if part <= killed]
    for (fewer, more_waste), (more, less_waste) in pairwise(points):
        if fewer <= killed < more:
            found.append(more_waste + (less_waste - more_waste) * (killed - fewer) / (more - fewer))
    return min(found, default=None)


def position(own: Score, needed: Mapping[str, float | None]) -> str:
    """Return where a score lies by the curves of others, which need this waste for the same kills."""
    outside = {name: own.waste - waste for name, waste in needed.items() if waste is not None}
    worse = [f"**outside {name}'s** by {more:.0f}" for name, more in outside.items() if more > SLACK]
    if worse:
        return ", ".join(worse)
    on = [name for name, more in outside.items() if more > -SLACK]
    return f"on {' and '.join(on)}'s, inside the rest" if on else "inside both"


def _all_answer(one: Task) -> bool:
    return None not in (ours()(one), by_krr()(one), by_vpa()(one))


def _row(kind: str, drawn: Sequence[Task], tasks: Sequence[Task]) -> str:
    own = score(ours(), tasks)
    peers = {"KRR": by_krr, "VPA": by_vpa, LONG: by_long_krr}
    needed = {name: waste_needed(curve(peer, MARGINS, tasks), own.killed) for name, peer in peers.items()}
    shown = ["never" if waste is None else f"{waste:.0f}" for waste in needed.values()]
    silent = 100 * sum(ours()(one) is None for one in drawn) / len(drawn)
    cells = [kind, f"{silent:.0f} %", own, score(by_krr(), tasks), score(by_vpa(), tasks), *shown]
    published = {name: waste for name, waste in needed.items() if name != LONG}
    return f"| {' | '.join(map(str, cells))} | {position(own, published)} |"


def _curve_rows(tasks: Sequence[Task]) -> list[str]:
    sides = {
        "Jobyard": curve(ours, RISKS, tasks),
        "KRR": curve(by_krr, SHOWN_MARGINS, tasks),
        "VPA": curve(by_vpa, SHOWN_MARGINS, tasks),
    }
    return [f"| {name} | {', '.join(map(str, scores))} |" for name, scores in sides.items()]


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
