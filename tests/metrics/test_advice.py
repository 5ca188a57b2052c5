"""The table of advice, from tries, pods, the releases' jobs and prices."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from jobyard_metrics.advice import advise
from jobyard_metrics.advice.history import histories
from jobyard_metrics.prices import Machine
from jobyard_metrics.tables import ADVICE, JOBS, PODS, TRIES

from tests.support.paths import ROOT

DAY = date(2026, 11, 25)
MIDNIGHT = datetime(2026, 11, 26, tzinfo=UTC)
MIB, GIB = 2**20, 2**30
PRICES = {
    "m7i.large": Machine(2, 8 * GIB, 0, {"on-demand": 100_800_000}),
    "g5.2xlarge": Machine(8, 32 * GIB, 1, {"on-demand": 1_212_000_000}),
}
Row = dict[str, Any]


def frame(rows: Sequence[Row], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of a table, with null where a row does not say."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema)


def pod(age: float, **changes: Any) -> Row:
    """A pod of an hour that ended some days before midnight; it took half of a machine, and used a quarter of that."""
    ended = MIDNIGHT - timedelta(days=age)
    return {
        "uid": f"pod-{age}",
        "team": "risk",
        "job": "score",
        "run_id": f"run-{age}",
        "task": "train",
        "map_index": -1,
        "try_number": 1,
        "instance_type": "m7i.large",
        "capacity_type": "on-demand",
        "started": ended - timedelta(hours=1),
        "ended": ended,
        "reason": "Completed",
        "requested_cpu": 0.5,
        "requested_memory": 4 * GIB,
        "requested_gpu": 0,
        "memory_limit": 4 * GIB,
        "samples": 120,
        "cpu_seconds": 360.0,
        "cpu_p95": 0.2,
        "cpu_peak": 0.4,
        "memory_peak": 1 * GIB,
        "memory_working_set": 1 * GIB,
        "cost": 50_400_000,
        **changes,
    }


def month(**changes: Any) -> list[Row]:
    return [pod(age + 0.5, **changes) for age in range(30)]


def attempt(row: Row, state: str) -> Row:
    """The try of a pod."""
    return {**row, "state": state}


def task(name: str = "train", **requests: Any) -> Row:
    return {"name": name, "requested_cpu": None, "requested_memory": None, "needs": [], "thresholds": [], **requests}


def job(*tasks: Row, name: str = "score") -> Row:
    return {"team": "risk", "job": name, "tasks": list(tasks)}


def advice(pods: Sequence[Row], tries: Sequence[Row] = (), jobs: Sequence[Row] = ()) -> list[Row]:
    table = advise(frame(tries, TRIES), frame(pods, PODS), frame(jobs, JOBS), PRICES, DAY)
    assert dict(table.schema) == dict(ADVICE)
    return table.to_dicts()


def test_a_task_that_asks_for_four_times_what_it_uses() -> None:
    [row] = advice(month(), jobs=[job(task(requested_cpu=0.5, requested_memory=4 * GIB))])
    fits = 1152 * MIB
    # The price of a whole machine for an hour, times the difference of the shares, for 30 runs in 29.5 days.
    saves = round(30 * 50_400_000 / 0.5 * (0.5 - fits / (8 * GIB)) * 30 / 29.5)
    assert row == {
        "team": "risk",
        "job": "score",
        "task": "train",
        "map_index": -1,
        "runs": 30,
        "sampled": 30,
        "seconds": 3600.0,
        "requested_cpu": 0.5,
        "requested_memory": 4 * GIB,
        "cpu_p95": 0.2,
        "cpu_peak": 0.4,
        "memory_p95": GIB,
        "memory_peak": GIB,
        "fits_cpu": 0.225,
        "fits_memory": fits,
        "saves": saves,
        "krr_cpu": 0.2,
        "krr_memory": round(1.15 * GIB + 0.5),
        "vpa_cpu": pytest.approx(0.2 * 1.15, rel=0.05),
        "vpa_memory": pytest.approx(GIB * 1.15, rel=0.05),
    }


def test_too_few_runs_have_no_fitting_request_and_no_saving() -> None:
    [row] = advice([pod(1), pod(2)])
    assert (row["fits_cpu"], row["fits_memory"], row["saves"]) == (None, None, None)
    assert (row["runs"], row["memory_peak"], row["requested_memory"]) == (2, GIB, 4 * GIB)


def test_pods_without_samples_count_as_unknown_and_not_as_zero() -> None:
    unknown = {"samples": 0, "cpu_seconds": None, "cpu_p95": None, "cpu_peak": None}
    unknown |= {"memory_peak": None, "memory_working_set": None}
    [row] = advice(month(**unknown))
    assert (row["runs"], row["sampled"]) == (30, 0)
    assert [row[name] for name in ADVICE if name.endswith(("_p95", "_peak")) or name.startswith(("fits", "krr"))] == [
        None
    ] * 8
    assert row["saves"] is None


def test_only_successful_tries_count() -> None:
    pods = month()
    tries = [attempt(row, "success" if index % 2 else "failed") for index, row in enumerate(pods)]
    assert advice(pods, tries)[0]["runs"] == 15
    # Without its try, the container's own end decides.
    assert advice([*pods[:20], *(row | {"reason": "Error"} for row in pods[20:])])[0]["runs"] == 20


def test_a_killed_pod_raises_what_fits() -> None:
    killed = pod(0.1, uid="killed", reason="OOMKilled", samples=0, memory_working_set=None, memory_peak=None)
    [row] = advice([*month(), killed], [attempt(killed, "failed")])
    assert row["fits_memory"] >= 5 * GIB
    assert row["krr_memory"] == 5 * GIB
    assert row["saves"] < 0
    assert (row["runs"], row["memory_peak"]) == (30, GIB)


def grown(age: float, *pods: Row) -> list[Row]:
    """The pods of one successful try, an hour after each other; the last one ended so many days before midnight."""
    found = []
    for place, changes in enumerate(reversed(pods)):
        made = pod(age + place / 24, **{"uid": f"{age} {place}", "run_id": f"run-{age}", **changes})
        found.append({**made, "created": made["started"] - timedelta(minutes=1)})
    return found


KILLED = {"reason": "OOMKilled", "samples": 0, "memory_working_set": None, "memory_peak": None}


def test_a_try_that_grew_counts_once_and_for_what_its_last_pod_needed() -> None:
    last = {"memory_limit": 8 * GIB, "memory_peak": 5 * GIB, "memory_working_set": 5 * GIB}
    tries = [grown(age + 0.5, {**KILLED, "memory_limit": 2 * GIB}, KILLED, last) for age in range(30)]
    pods = [row for one in tries for row in one]
    [row] = advice(pods, [attempt(one[0], "success") for one in tries])
    assert (row["runs"], row["sampled"], row["memory_peak"]) == (30, 30, 5 * GIB)
    assert 5 * GIB < row["fits_memory"] <= 5.5 * GIB
    # Every pod costs.
    [(_, runs)] = histories(frame([], TRIES), frame(pods, PODS))
    assert sum(run.cost or 0 for run in runs) == 90 * 50_400_000


@pytest.mark.parametrize("last", [{"samples": 0, "memory_peak": None, "memory_working_set": None}, {"reason": "Error"}])
def test_a_kill_in_a_try_counts_where_its_last_pod_says_nothing(last: Row) -> None:
    state = "failed" if "reason" in last else "success"
    one = grown(0.1, KILLED, {**last, "memory_limit": 8 * GIB})
    [row] = advice([*month(), *one], [attempt(one[0], state)])
    assert 5 * GIB <= row["fits_memory"] < 5.5 * GIB
    assert row["krr_memory"] == 5 * GIB
    assert row["memory_peak"] == GIB


def test_a_lost_pod_is_no_run_and_no_need() -> None:
    lost = {"reason": None, "memory_peak": 3 * GIB, "memory_working_set": 3 * GIB}
    one = grown(0.1, lost, {})
    [row] = advice([*month(), *one], [attempt(one[0], "success")])
    assert (row["runs"], row["memory_peak"], row["fits_memory"]) == (31, GIB, 1152 * MIB)
    # Prometheus saw the lost pod alone; Airflow said that it was lost.
    [row] = advice([*month(), {**one[1], "reason": "Lost"}], [attempt(one[0], "success")])
    assert (row["runs"], row["memory_peak"]) == (30, GIB)


def test_tries_whose_number_nobody_knows_are_not_one_try() -> None:
    pods = [grown(age + 0.5, {"try_number": None, "run_id": "one"})[0] for age in range(10)]
    assert advice(pods)[0]["runs"] == 10


def test_a_pod_of_two_days_is_one_run() -> None:
    whole = pod(0.5, uid="long", run_id="long")
    first = whole | {"started": MIDNIGHT - timedelta(days=1.5), "ended": MIDNIGHT - timedelta(days=1), "reason": None}
    second = whole | {"started": MIDNIGHT - timedelta(days=1), "memory_peak": 3 * GIB, "memory_working_set": 3 * GIB}
    [(_, [run])] = histories(frame([], TRIES), frame([second, first], PODS))
    assert (run.seconds, run.samples, run.cost) == (86_400, 240, 100_800_000)
    assert (run.memory_peak, run.succeeded, run.cpu_mean) == (3 * GIB, True, 720 / 86_400)


def test_the_request_is_that_of_the_release() -> None:
    listed = job(task(requested_cpu=1.5, requested_memory=2 * GIB))
    [row] = advice(month(), jobs=[listed])
    assert (row["requested_cpu"], row["requested_memory"]) == (1.5, 2 * GIB)


def test_tasks_that_a_release_no_longer_has_get_no_row() -> None:
    pods = [*month(), *month(task="old", uid="x"), *month(job="gone", uid="y")]
    assert [row["task"] for row in advice(pods, jobs=[job(task())])] == ["train"]
    # A team without a readable release keeps its rows.
    assert len(advice(pods)) == 3


def test_each_instance_of_a_foreach_has_its_own_row() -> None:
    pods = [pod(age + 0.5, uid=f"{item} {age}", map_index=item) for age in range(10) for item in (1, 0)]
    assert [row["map_index"] for row in advice(pods)] == [0, 1]


def test_a_gpu_pays_for_the_machine_whatever_else_the_pod_asks_for() -> None:
    gpu = {"instance_type": "g5.2xlarge", "requested_gpu": 1, "cost": 1_212_000_000}
    assert advice(month(**gpu))[0]["saves"] == 0
    assert advice(month(requested_gpu=1))[0]["saves"] is None


def test_without_a_known_cost_nothing_is_said_of_money() -> None:
    assert advice(month(cost=None))[0]["saves"] is None
    assert advice(month(instance_type="x.large"))[0]["saves"] is None
    mixed = [*month()[:15], *(row | {"cost": None} for row in month()[15:])]
    assert advice(mixed)[0]["saves"] == advice(month())[0]["saves"]


def test_pods_of_no_task_and_old_ones_are_left_out() -> None:
    assert advice([pod(1, task=None), pod(61)]) == []
    assert advice([]) == []


def test_the_same_rows_in_another_order_give_the_same_table() -> None:
    pods = [*month(), *month(task="other", uid="x")]
    assert advice(pods) == advice(pods[::-1])


def test_every_task_of_many_has_a_row() -> None:
    """24,000 pods of 400 tasks."""
    pods = frame(month() * 2, PODS).with_columns(uid=pl.int_range(60).cast(pl.String))
    several = [pods.with_columns(job=pl.lit(f"job-{number}")) for number in range(400)]
    table = advise(frame([], TRIES), pl.concat(several), frame([], JOBS), PRICES, DAY)
    assert table.height == 400


def test_the_backtest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer killed runs than both others by default, and less waste than they need for that; a small part of it."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    backtest = importlib.import_module("advice")
    tasks = [one for kind in backtest.KINDS for one in backtest.draw(kind, "test", 25) if backtest._all_answer(one)]
    own = backtest.score(backtest.ours(), tasks)
    margins = (0.15, 0.4, 0.8, 1.8)
    for peer in (backtest.by_krr, backtest.by_vpa):
        scores = backtest.curve(peer, margins, tasks)
        assert own.killed < scores[0].killed
        needed = backtest.waste_needed(scores, own.killed)
        assert needed is None or own.waste < needed


def test_what_a_curve_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    backtest = importlib.import_module("advice")
    scores = [backtest.Score(4, 10), backtest.Score(2, 20), backtest.Score(1, 40)]
    assert backtest.waste_needed(scores, 5) == 10
    assert backtest.waste_needed(scores, 3) == 15
    assert backtest.waste_needed(scores, 1) == 40
    assert backtest.waste_needed(scores, 0.5) is None
    own = backtest.Score(1, 30)
    assert backtest.position(own, {"KRR": 40.0, "VPA": None}) == "inside both"
    assert backtest.position(own, {"KRR": 30.5, "VPA": 50.0}) == "on KRR's, inside the rest"
    assert backtest.position(own, {"KRR": 20.0, "VPA": 50.0}) == "**outside KRR's** by 10"
