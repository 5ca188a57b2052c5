"""The three rules that say what a task should request: Jobyard's, KRR's and VPA's."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobyard_metrics.advice import krr, need, rule, vpa
from jobyard_metrics.advice.history import Run

NOW = 20_000.0
MIB, GIB = 2**20, 2**30


def run(age: float, used: float | None = None, **changes: Any) -> Run:
    """A successful run of an hour that ended some days ago, and of which enough was seen."""
    size = None if used is None else round(used)
    seen = {
        "samples": 0 if used is None else 120,
        "working_set": size,
        "memory_peak": size,
        "requested_memory": 16 * GIB,
    }
    return replace(Run(ended=NOW - age, seconds=3600, succeeded=True, samples=0), **(seen | changes))


def daily(level: Callable[[int], float], days: int = 60, noise: float = 0.0, seed: int = 1) -> list[Run]:
    """A run a day, the oldest first; `level` has the need by age."""
    draw = random.Random(seed)
    return [run(age + 0.5, level(age) * math.exp(draw.gauss(0, noise))) for age in range(days - 1, -1, -1)]


def highest(runs: Sequence[Run]) -> float:
    return max(need.memory(one) or 0 for one in runs)


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        ({"samples": 100, "working_set": 100, "memory_peak": 300}, 101),
        ({"samples": 1, "working_set": 100, "memory_peak": 300}, 200),
        ({"samples": 1, "working_set": 100, "memory_peak": 150}, 150),
        ({"samples": 2, "working_set": 160, "memory_peak": 150}, 160),
        ({"samples": 3, "working_set": 100, "memory_peak": None}, 100),
        ({"samples": 3, "working_set": None, "memory_peak": 100}, 100),
        ({"samples": 0, "working_set": None, "memory_peak": None}, None),
        ({"succeeded": False, "samples": 9, "working_set": 100, "memory_peak": 100}, None),
        ({"succeeded": False, "killed_at": 100}, 125),
        ({"succeeded": False, "killed_at": 200, "outgrown": 100}, 250),
        ({"succeeded": False, "outgrown": 100}, 125),
        ({"samples": 0, "working_set": None, "memory_peak": None, "outgrown": 100}, 125),
        ({"samples": 100, "working_set": 90, "memory_peak": 90, "outgrown": 100}, 125),
        ({"samples": 100, "working_set": 110, "memory_peak": 110, "outgrown": 100}, 110),
        ({"succeeded": False, "replaced": True, "killed_at": 100}, None),
    ],
)
def test_what_a_run_needed(changes: dict[str, Any], needed: float | None) -> None:
    assert need.memory(run(1, **changes)) == needed


def test_too_few_runs_or_days_have_no_advice() -> None:
    for few in (
        daily(lambda _: GIB, days=4),
        daily(lambda _: GIB, days=6),
        [run(0.01 * n, GIB) for n in range(99, 0, -1)],
    ):
        assert rule.memory(few, NOW) is None
        assert rule.cpu(few, NOW) is None
    assert rule.memory(daily(lambda _: GIB, days=8), NOW)


def test_runs_that_were_not_sampled_say_nothing() -> None:
    runs = [run(age + 0.5) for age in range(30, 0, -1)]
    assert rule.memory(runs, NOW) is None
    assert rule.memory([*runs, *daily(lambda _: GIB, days=8)], NOW) == rule.memory(daily(lambda _: GIB, days=8), NOW)


def test_the_margin_follows_how_much_the_runs_differ_and_how_many_there_are() -> None:
    def margin(noise: float, days: int) -> float:
        """The mean over drawn histories."""
        drawn = [daily(lambda _: 8 * GIB, days, noise, seed) for seed in range(20)]
        return sum((rule.memory(runs, NOW) or 0) / highest(runs) for runs in drawn) / len(drawn) - 1

    steady, noisy, few = margin(0.01, 60), margin(0.1, 60), margin(0.1, 10)
    assert 0.02 <= steady < 0.06
    assert steady < noisy < 0.15
    assert noisy < few < 0.4


def test_growth_is_followed_for_four_weeks() -> None:
    runs = daily(lambda age: GIB * (10 - 0.1 * age), noise=0.01)
    fits = rule.memory(runs, NOW) or 0
    assert 12.5 * GIB < fits < 14 * GIB
    assert rule.growth(need.memory_points(runs)) == pytest.approx(0.1 * GIB, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_decline_are_no_growth(seed: int) -> None:
    assert rule.growth(need.memory_points(daily(lambda _: GIB, noise=0.2, seed=seed))) == 0
    assert rule.growth(need.memory_points(daily(lambda age: GIB * (1 + age), noise=0.01, seed=seed))) == 0


def test_a_weekday_with_twice_the_need_counts_on_each_day_of_the_week() -> None:
    for shift in range(7):
        runs = daily(lambda age, shift=shift: GIB * (8 if (age + shift) % 7 == 0 else 4), noise=0.02)  # type: ignore[misc]
        assert 8 * GIB < (rule.memory(runs, NOW) or 0) < 9.5 * GIB


def test_a_spike_of_six_weeks_ago_is_remembered_but_not_continued() -> None:
    runs = daily(lambda age: GIB * (12 if age == 42 else 4), noise=0.02)
    assert highest(runs) <= (rule.memory(runs, NOW) or 0) <= highest(runs) * 1.14


def test_a_lower_level_is_believed_after_a_week_and_eight_runs() -> None:
    def fits(age: int) -> float:
        return rule.memory(daily(lambda day: GIB * (8 if day >= age else 3), noise=0.01), NOW) or 0

    assert fits(5) > 8 * GIB
    assert fits(7) > 8 * GIB
    assert fits(9) < 4 * GIB
    assert fits(30) < 3.5 * GIB


def test_a_higher_level_is_no_growth() -> None:
    runs = daily(lambda age: GIB * (3 if age >= 30 else 8), noise=0.01)
    assert 8 * GIB < (rule.memory(runs, NOW) or 0) < 9 * GIB


def test_a_killed_run_needed_more_than_its_limit() -> None:
    runs = daily(lambda _: 2 * GIB)
    killed = run(0.1, 4 * GIB, succeeded=False, killed_at=4 * GIB)
    assert 5 * GIB <= (rule.memory([*runs, killed], NOW) or 0) <= 6 * GIB


def test_a_run_that_failed_for_another_reason_is_ignored() -> None:
    runs = daily(lambda _: 2 * GIB)
    assert rule.memory([*runs, run(0.1, 9 * GIB, succeeded=False)], NOW) == rule.memory(runs, NOW)


HISTORIES = st.lists(st.integers(70 * MIB, 64 * GIB), min_size=8, max_size=80)


@settings(deadline=None)
@given(HISTORIES)
def test_the_request_is_a_canonical_step_at_or_above_every_need_of_the_regime(sizes: list[int]) -> None:
    runs = [run(len(sizes) - index, size) for index, size in enumerate(sizes)]
    fits = rule.memory(runs, NOW)
    recent = sizes[-60:]
    if fits is not None:
        step = rule.MEMORY_STEP if fits > GIB else rule.SMALL_MEMORY_STEP
        assert fits % step == 0
        assert fits >= max(recent[-rule.REGIME_RUNS :])
        assert fits >= 64 * MIB


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e12), min_size=5, max_size=60), st.floats(0.0001, 0.5))
def test_a_smaller_risk_never_asks_for_less(needs: list[float], risk: float) -> None:
    ordered = sorted(needs, reverse=True)
    limits = [rule.prediction_limit(ordered, rule.Rule(risk=part)) for part in (risk, risk / 2, risk / 4)]
    assert limits == sorted(limits)
    assert limits[0] >= ordered[0]
    assert limits[-1] <= ordered[0] * (1 + 1 / math.sqrt(len(needs)))


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e6), min_size=5, max_size=60), st.floats(0.001, 1000))
def test_the_limit_has_no_unit(needs: list[float], factor: float) -> None:
    ordered = sorted(needs, reverse=True)
    scaled = rule.prediction_limit([value * factor for value in ordered])
    assert scaled == pytest.approx(rule.prediction_limit(ordered) * factor, rel=1e-3)


def with_cpu(values: Sequence[float], **changes: Any) -> list[Run]:
    count = len(values)
    return [run(count - index, GIB, cpu_p95=value, **changes) for index, value in enumerate(values)]


def test_cpu_fits_nine_of_ten_runs_in_steps_of_25_millicores() -> None:
    assert rule.cpu(with_cpu([1.0] * 27 + [3.0] * 3), NOW) == 1.1
    assert rule.cpu(with_cpu([1.0] * 26 + [3.0] * 4), NOW) == 3.3
    assert rule.cpu(with_cpu([0.001] * 10), NOW) == 0.025
    assert rule.cpu(with_cpu([0.0] * 10), NOW) == 0.025
    assert rule.cpu(with_cpu([0.12] * 10), NOW) == 0.15


def test_throttled_runs_keep_their_request() -> None:
    assert rule.cpu(with_cpu([1.0] * 30, throttled=0.5, requested_cpu=2.0), NOW) == 2.0
    assert rule.cpu(with_cpu([1.0] * 30, throttled=0.05, requested_cpu=2.0), NOW) == 1.1


def test_krr_by_its_published_rule() -> None:
    runs = [run(20, 90 * GIB), run(3, 10 * GIB, cpu_p95=1.5), run(2, 8 * GIB, cpu_p95=0.7014), run(1)]
    assert krr.memory(runs, NOW, points=1) == math.ceil(11.5 * GIB)
    assert krr.cpu(runs, NOW, points=1) == 1.5
    assert krr.memory([run(1, 100 * MIB)], NOW, points=1) == math.ceil(115 * MIB)
    assert krr.memory([run(1, MIB, cpu_p95=0.0)], NOW, points=1) == 100 * MIB
    assert krr.cpu([run(1, MIB, cpu_p95=0.0)], NOW, points=1) == 0.01


def test_krr_counts_a_point_each_75_seconds_and_needs_100() -> None:
    assert krr.memory([run(3, GIB), run(2, GIB)], NOW) is None  # 96 points
    assert krr.memory([run(3, GIB), run(2, GIB), run(1, GIB, seconds=300.0)], NOW) == math.ceil(1.15 * GIB)


def test_krr_after_a_kill() -> None:
    killed = run(1, 4 * GIB, succeeded=False, killed_at=4 * GIB)
    assert krr.memory([run(2, 2 * GIB), killed], NOW, points=1) == 5 * GIB
    assert krr.memory([run(2, 8 * GIB), killed], NOW, points=1) == math.ceil(9.2 * GIB)


def histogram_percentile(samples: Sequence[tuple[float, float, float]], first: float) -> float:
    """VPA's percentile as its source has it: whole buckets, each 5 % wider than the one before."""
    starts = [0.0]
    while starts[-1] < 1e13:
        starts.append(starts[-1] + first * 1.05 ** (len(starts) - 1))
    weights = [0.0] * len(starts)
    for value, weight, when in samples:
        bucket = next(index for index, (low, high) in enumerate(pairwise(starts)) if low <= value < high)
        weights[bucket] += weight * 2 ** (when - NOW)
    total = 0.0
    for bucket, weight in enumerate(weights):
        total += weight
        if weight and total >= 0.9 * sum(weights) - 1e-12:
            return starts[bucket + 1]
    raise AssertionError("no samples")


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 8), st.integers(20 * MIB, 100 * GIB)), min_size=1, max_size=12))
def test_vpa_by_its_published_histogram(drawn: list[tuple[float, int]]) -> None:
    runs = [run(age, size) for age, size in sorted(drawn, reverse=True)]
    expected = histogram_percentile([(float(size), 1.0, NOW - age) for age, size in drawn], 1e7)
    assert vpa.memory(runs, NOW) == pytest.approx(max(250 * MIB, 1.15 * expected), rel=1e-6)


def test_vpa_forgets_by_half_a_day_and_altogether_after_eight() -> None:
    assert vpa.memory([run(8.5, 64 * GIB)], NOW) is None
    old, new = [run(5, 64 * GIB)], [run(age, GIB) for age in (4, 3, 2, 1)]
    assert (vpa.memory([*old, *new], NOW) or 0) < 1.3 * GIB
    assert (vpa.memory([*old, *new[:1]], NOW) or 0) > 64 * GIB


def test_vpa_after_a_kill_and_its_floors() -> None:
    killed = run(1, 2 * GIB, succeeded=False, killed_at=2 * GIB)
    usage = vpa.percentile([(2.4 * GIB, 1, NOW)], NOW, 1e7)
    assert usage is not None
    assert vpa.memory([killed], NOW) == math.ceil(usage * 1.15)
    small = run(1, 90 * MIB, succeeded=False, killed_at=100 * MIB)
    usage = vpa.percentile([(200 * MIB, 1, NOW)], NOW, 1e7)
    assert usage is not None
    assert vpa.memory([small], NOW) == max(250 * MIB, math.ceil(usage * 1.15))
    assert vpa.memory([run(1, MIB)], NOW) == 250 * MIB
    assert vpa.cpu([run(1, MIB, cpu_p95=0.0001)], NOW) == 0.025
    assert vpa.cpu([run(1, MIB)], NOW) is None
