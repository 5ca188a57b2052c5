"""The request that fits: Jobyard's own rule. docs/usage.md has it in words ("How a fitting request is chosen").

Memory is not compressible, so its request must be above the highest need of the later runs; CPU is, so that its request
is what nearly every run used (Rzadca et al., "Autopilot: workload autoscaling at Google", EuroSys 2020, treats the two
so). Both look at the last 60 days, at the present regime alone, and go along with growth.

The margin above the highest needs is a prediction limit instead of a fixed part: the highest k of n needs, relative to
the next one, are taken as exponentially distributed in their logarithms (Weissman, "Estimation of parameters and large
quantiles based on the k largest observations", JASA 1978, with Hill's estimator of 1975), with a gamma prior on the
rate, so that the limit widens where few runs are known. A task whose runs differ little gets little margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from jobyard_metrics.advice import need
from jobyard_metrics.advice.history import Run
from jobyard_metrics.advice.need import Point

MIB = 2**20
GIB = 2**30
MEMORY_STEP = 64 * MIB
SMALL_MEMORY_STEP = 32 * MIB
"""Below 1 GiB."""

CPU_STEP = 0.025
LEAST_CPU = 0.025
LEAST_MEMORY = 64 * MIB
CPU_PERCENTILE = 0.9
"""Of the runs: a day of the week is 14 % of them."""

CPU_MARGIN = 0.1
THROTTLED = 0.1
"""Part of a run's time above which its CPU usage is its limit's, and not its own."""


@dataclass(frozen=True)
class Rule:
    """The numbers of the rule. benchmarks/advice.py measures it with others of `risk`."""

    risk: float = 0.005
    """Part of the later runs that may need more than the request."""

    least_runs: int = 5
    least_days: float = 6.5
    """From the first run to the last: a week has been seen."""

    window: float = 60.0
    """Days of history."""

    horizon: float = 28.0
    """Days for which the request shall fit."""

    margin: float = 0.02
    """Least margin above the highest need."""

    tail: float = 1.5
    """The tail is this times the square root of the number of runs."""

    prior: float = 0.04
    """Expected mean excess of the tail, as a logarithm, before anything is known."""

    prior_runs: float = 4.0
    """How many runs the prior counts for."""

    certainty: float = 3.0
    """Growth counts if it is this many standard errors."""


DEFAULT = Rule()
REGIME_RUNS = 8
"""A regime has at least this number of runs, and `Rule.least_days` days, so that no day of the week makes one."""

GAP = 0.25
"""Two regimes are apart by at least this part of how far their own runs are apart."""

TREND_RUNS = 12


def memory(runs: Sequence[Run], now: float, rule: Rule = DEFAULT) -> int | None:
    """Return the memory request in bytes that fits, or None for too few runs; `now` is in days since 1970."""
    points = _present(need.memory_points(runs), now, rule)
    if points is None:
        return None
    limit = prediction_limit(sorted(_grown(points, now, rule), reverse=True), rule)
    step = MEMORY_STEP if limit >= GIB else SMALL_MEMORY_STEP
    return max(LEAST_MEMORY, math.ceil(limit / step) * step)


def cpu(runs: Sequence[Run], now: float, rule: Rule = DEFAULT) -> float | None:
    """Return the CPU request in cores that fits, or None for too few runs.

    Where most runs were throttled, their usage is what their limit let them have: the request then stays at least as
    it is.
    """
    points = _present(need.cpu_points(runs), now, rule)
    if points is None:
        return None
    usage = sorted(_grown(points, now, rule))[math.ceil(CPU_PERCENTILE * len(points)) - 1]
    fits = max(LEAST_CPU, math.ceil(usage * (1 + CPU_MARGIN) / CPU_STEP - 1e-9) * CPU_STEP)
    return round(max(fits, _throttled_request(runs)), 3)


def prediction_limit(needs: Sequence[float], rule: Rule = DEFAULT) -> float:
    """Return what a later run exceeds with the probability `rule.risk`; `needs` are sorted, the highest first.

    At least the highest need and its least margin; at most 1 + 1/sqrt(n) times the highest need, so that a single spike
    is not taken for the first of a series of ever higher ones.
    """
    highest, count = needs[0], len(needs)
    size = _tail_size(needs, rule)
    excess = sum(math.log(value / needs[size]) for value in needs[:size])
    odds = max(size / (count * rule.risk), 1.0)
    # The predictive distribution of an exponential excess under a gamma prior is Lomax.
    widened = (rule.prior_runs * rule.prior + excess) * (odds ** (1 / (rule.prior_runs + size)) - 1)
    limit = needs[size] * math.exp(min(widened, 1.0)) if size else highest
    return max(highest * (1 + rule.margin), min(limit, highest * (1 + 1 / math.sqrt(count))))


def _tail_size(needs: Sequence[float], rule: Rule) -> int:
    """Return how many of the highest needs are the tail; it ends at a gap, as a weekday can be a mode of its own."""
    size = max(2, min(len(needs) - 1, round(rule.tail * math.sqrt(len(needs)))))
    gaps = [math.log(higher / lower) for higher, lower in pairwise(needs[: size + 1])]
    widest = max(range(size), key=gaps.__getitem__)
    others = (sum(gaps) - gaps[widest]) / max(size - 1, 1)
    return widest if size > 2 and gaps[widest] > max(0.15, 4 * others) else size


def _present(points: Sequence[Point], now: float, rule: Rule) -> list[Point] | None:
    """Return the runs of the present regime, or None if the window has too few runs or days."""
    recent = [point for point in points if now - point[0] <= rule.window]
    if len(recent) < rule.least_runs or recent[-1][0] - recent[0][0] < rule.least_days:
        return None
    return recent[_regime_start(recent, rule) :]


def _regime_start(points: Sequence[Point], rule: Rule) -> int:
    """Return the index of the first run of the present regime: the last point at which all needs went up or down.

    All runs since then lie above, or all below, the eight runs before it, with a gap between. Growth makes no gap that
    is wide beside what the runs on each side span.
    """
    lowest, highest, start = math.inf, -math.inf, 0
    for index in range(len(points) - 1, REGIME_RUNS - 1, -1):
        value = points[index][1]
        lowest, highest = min(lowest, value), max(highest, value)
        if len(points) - index < REGIME_RUNS or points[-1][0] - points[index][0] < rule.least_days:
            continue
        before = [value for _, value in points[index - REGIME_RUNS : index]]
        gap = max(min(before) - highest, lowest - max(before))
        if gap > 0 and gap > GAP * (max(before) - min(before) + highest - lowest):
            start = index
            break
    return start


def _grown(points: Sequence[Point], now: float, rule: Rule) -> list[float]:
    """Return the needs as they would be at the end of the horizon, if they grow."""
    slope = growth(points, rule)
    return [value + slope * (now + rule.horizon - when) for when, value in points]


def growth(points: Sequence[Point], rule: Rule = DEFAULT) -> float:
    """Return by how much the need grows a day; 0 unless it clearly does.

    The slope of Tukey's resistant line ("Exploratory Data Analysis", 1977), which goes through the medians of the first
    and the last third, so that spikes do not tilt it. It counts if each third is above the one before by a fair part,
    and the difference is `rule.certainty` times its standard error, which follows from the median absolute deviation.
    """
    if len(points) < TREND_RUNS:
        return 0.0
    size = len(points) // 3
    thirds = points[:size], points[size:-size], points[-size:]
    first, middle, last = (median(value for _, value in third) for third in thirds)
    days = median(when for when, _ in thirds[2]) - median(when for when, _ in thirds[0])
    rise = last - first
    if days <= 0 or min(middle - first, last - middle) < rise / 4 or rise <= 0:
        return 0.0
    slope = rise / days
    error = 1.2533 * _deviation([value - slope * when for when, value in points]) * math.sqrt(2 / size)
    return slope if rise >= rule.certainty * error else 0.0


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation, estimated by the median absolute deviation."""
    middle = median(values)
    return 1.4826 * median(abs(value - middle) for value in values)


def _throttled_request(runs: Sequence[Run]) -> float:
    """Return the present request if most runs were throttled, else 0."""
    known = [run for run in runs if run.succeeded and run.sampled]
    throttled = [run for run in known if run.throttled > THROTTLED]
    return (known[-1].requested_cpu or 0.0) if len(throttled) * 2 > len(known) else 0.0
