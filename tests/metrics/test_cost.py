"""What pods cost and what is idle: exact for every node and day, whatever the day looks like."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jobyard_metrics import cost
from jobyard_metrics.prices import NANODOLLARS, Machine
from jobyard_metrics.tables import NODES, PODS

DAY = datetime(2026, 11, 25, tzinfo=UTC)
GIB = 2**30
PRICES = {
    "m7i.large": Machine(2, 8 * GIB, 0, {"on-demand": 100_800_000, "spot": 70_560_001}),
    "g5.2xlarge": Machine(8, 32 * GIB, 1, {"on-demand": 1_212_000_000}),
    "odd.large": Machine(2, 8 * GIB, 0, {"on-demand": 1}),
}
Row = dict[str, Any]


def at(milliseconds: float) -> datetime:
    return DAY + timedelta(milliseconds=milliseconds)


def hours(count: float) -> datetime:
    return DAY + timedelta(hours=count)


def node(name: str = "a", start: float = 0, end: float = 24, **changes: Any) -> Row:
    shape = {"instance_type": "m7i.large", "capacity_type": "on-demand", "cpu": 2.0, "memory": 8 * GIB, "gpu": 0}
    return {"node": name, "started": hours(start), "ended": hours(end), **shape, **changes}


def pod(name: str | None = "a", start: float = 0, end: float = 24, **changes: Any) -> Row:
    return {"node": name, "scheduled": hours(start), "ended": hours(end), "requested_cpu": 1.0, **changes}


def frame(rows: Sequence[Row], schema: Mapping[str, Any]) -> pl.DataFrame:
    """A frame of a table, with null where a row does not say."""
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema)


def run(pods: Sequence[Row], nodes: Sequence[Row]) -> tuple[list[int | None], list[Row]]:
    """The pods' costs, and the nodes as they come out."""
    paid, machines = cost.apply(frame(pods, PODS), frame(nodes, NODES), PRICES)
    assert dict(paid.schema) == dict(PODS)
    assert dict(machines.schema) == dict(NODES)
    return paid["cost"].to_list(), machines.to_dicts()


def check_exact(pods: Sequence[Row], nodes: Sequence[Row]) -> None:
    """The identity, for each node's name and for all of them."""
    costs, machines = run(pods, nodes)
    for name in {row["node"] for row in nodes}:
        paid = sum(amount or 0 for amount, row in zip(costs, pods, strict=True) if row["node"] == name)
        named = [row for row in machines if row["node"] == name]
        assert paid + sum(row["idle"] or 0 for row in named) == sum(row["cost"] or 0 for row in named)
    assert all(row["idle"] >= 0 for row in machines if row["idle"] is not None)
    assert all(amount >= 0 for amount in costs if amount is not None)


def test_a_pod_pays_its_dominant_share_of_the_hours_it_was_scheduled() -> None:
    costs, machines = run([pod(start=1, end=3, requested_cpu=0.5, requested_memory=4 * GIB)], [node()])
    assert costs == [100_800_000]  # half of the memory, for two hours
    assert machines[0]["price"] == 100_800_000
    assert machines[0]["cost"] == 24 * 100_800_000
    assert machines[0]["idle"] == 23 * 100_800_000


def test_a_gpu_is_a_whole_machine_with_one_gpu() -> None:
    machine = node(instance_type="g5.2xlarge", cpu=8.0, memory=32 * GIB, gpu=1)
    costs, machines = run([pod(requested_cpu=1.0, requested_gpu=1, start=0, end=1)], [machine])
    assert costs == [1_212_000_000]
    assert machines[0]["idle"] == 23 * 1_212_000_000


def test_shares_above_the_node_are_scaled_to_it() -> None:
    costs, machines = run([pod(requested_cpu=2.0), pod(requested_cpu=4.0)], [node()])
    assert costs == [24 * 33_600_000, 24 * 67_200_000]
    assert machines[0]["idle"] == 0


@pytest.mark.parametrize("requested", [2.0, 2.7, 3.1, 7.77, 1e9])
def test_a_pod_that_asks_for_the_whole_node_leaves_nothing_idle(requested: float) -> None:
    costs, machines = run([pod(requested_cpu=requested)], [node()])
    assert costs == [24 * 100_800_000]
    assert machines[0]["idle"] == 0


def test_pods_share_only_the_moments_in_which_they_overlap() -> None:
    pods = [pod(start=0, end=2, requested_cpu=2.0), pod(start=1, end=3, requested_cpu=2.0)]
    costs, machines = run(pods, [node(end=3)])
    assert costs == [151_200_000, 151_200_000]
    assert machines[0]["idle"] == 0


def test_unknown_prices_and_nodes_are_null_and_not_zero() -> None:
    pods = [pod("a"), pod("priceless"), pod("unknown"), pod(None), pod("timeless")]
    nodes = [node("a"), node("priceless", instance_type="x.large"), node("timeless", started=None)]
    costs, machines = run(pods, nodes)
    assert costs == [12 * 100_800_000, None, None, None, None]
    assert [row["price"] for row in machines] == [100_800_000, None, 100_800_000]
    assert [row["cost"] for row in machines] == [24 * 100_800_000, None, None]
    assert [row["idle"] for row in machines] == [12 * 100_800_000, None, None]


def test_a_capacity_type_without_a_price_is_null() -> None:
    assert run([], [node(capacity_type="spot", instance_type="g5.2xlarge")])[1][0]["cost"] is None
    assert run([], [node(capacity_type=None)])[1][0]["cost"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"scheduled": hours(-30), "ended": hours(-2)},
        {"scheduled": hours(30), "ended": hours(40)},
        {"scheduled": hours(5), "ended": hours(5)},
        {"scheduled": hours(5), "ended": hours(4)},
        {"requested_cpu": None},
        {"requested_cpu": float("nan")},
        {"requested_cpu": -1.0},
    ],
)
def test_a_pod_that_takes_nothing_of_its_node_costs_0(changes: Row) -> None:
    assert run([pod(**changes)], [node()])[0] == [0]


def test_times_that_are_missing() -> None:
    pods = [pod(ended=None), pod(scheduled=None, started=hours(12)), pod(scheduled=None)]
    costs, _ = run(pods, [node(cpu=8.0)])
    assert costs == [3 * 100_800_000, 151_200_000, None]


def test_a_name_that_comes_back_within_the_day() -> None:
    nodes = [node(start=0, end=6), node(start=12, end=18, capacity_type="spot")]
    costs, machines = run([pod(start=0, end=18)], nodes)
    assert costs == [3 * 100_800_000 + 3 * 70_560_001]
    assert [row["idle"] for row in machines] == [3 * 100_800_000, 3 * 70_560_001]


def test_empty_frames() -> None:
    assert run([], []) == ([], [])


MOMENTS = st.one_of(st.none(), st.integers(-90_000_000, 180_000_000), st.integers(0, 5)).map(
    lambda value: None if value is None else at(value)
)
NODE_ROWS = st.fixed_dictionaries(
    {
        "node": st.sampled_from("abc"),
        "instance_type": st.sampled_from(["m7i.large", "odd.large", "g5.2xlarge", "x.large", None]),
        "capacity_type": st.sampled_from(["on-demand", "spot", None]),
        "started": MOMENTS,
        "ended": MOMENTS,
        "cpu": st.sampled_from([None, 0.0, 1.7, 3.0]),
        "memory": st.sampled_from([None, 0, 6 * GIB + 1]),
        "gpu": st.sampled_from([None, 0, 1]),
    }
)
POD_ROWS = st.fixed_dictionaries(
    {
        "node": st.sampled_from(["a", "b", "c", "d", None]),
        "scheduled": MOMENTS,
        "started": MOMENTS,
        "ended": MOMENTS,
        "requested_cpu": st.one_of(st.none(), st.floats(0, 5), st.sampled_from([1 / 3, 1e300, float("inf")])),
        "requested_memory": st.one_of(st.none(), st.integers(0, 2**40)),
        "requested_gpu": st.sampled_from([None, 0, 1, 2]),
    }
)


@settings(deadline=None)
@given(st.lists(POD_ROWS, max_size=12), st.lists(NODE_ROWS, max_size=4))
def test_pods_and_idle_are_exactly_the_nodes_cost(pods: list[Row], nodes: list[Row]) -> None:
    check_exact(pods, nodes)


LENGTHS = st.tuples(st.integers(0, 86_400_000), st.integers(0, 86_400_000), st.floats(0.01, 3)).map(
    lambda drawn: pod(scheduled=at(min(drawn[:2])), ended=at(max(drawn[:2])), requested_cpu=drawn[2])
)


@settings(deadline=None)
@given(st.lists(LENGTHS, min_size=1, max_size=8), st.floats(1, 3))
def test_a_larger_request_never_costs_less_and_idle_never_grows(pods: list[Row], factor: float) -> None:
    larger = [{**pods[0], "requested_cpu": pods[0]["requested_cpu"] * factor}, *pods[1:]]
    before, after = run(pods, [node()]), run(larger, [node()])
    assert (after[0][0] or 0) >= (before[0][0] or 0)
    assert all((new or 0) <= (old or 0) for new, old in zip(after[0][1:], before[0][1:], strict=True))
    # Up to what rounding down leaves to idle.
    assert after[1][0]["idle"] <= before[1][0]["idle"] + len(pods)


@settings(deadline=None)
@given(st.lists(LENGTHS, min_size=1, max_size=8), st.integers(0, 86_400_000))
def test_a_pod_in_two_halves_costs_the_same(pods: list[Row], moment: int) -> None:
    first, *others = pods
    [whole, *_], _ = run(pods, [node()])
    half = {**first, "requested_cpu": first["requested_cpu"] / 2}
    [one, two, *_], _ = run([half, half, *others], [node()])
    # A share has 40 binary digits, and an amount is rounded down.
    assert whole is not None and one is not None and two is not None
    assert abs(whole - one - two) <= 6
    assume(first["scheduled"] <= at(moment) <= first["ended"])
    parts = [{**first, "ended": at(moment)}, {**first, "scheduled": at(moment)}]
    [one, two, *_], _ = run([*parts, *others], [node()])
    assert one is not None and two is not None
    assert 0 <= whole - one - two <= 1


@settings(deadline=None)
@given(st.lists(LENGTHS, max_size=6), st.lists(st.integers(0, 86_400_000), min_size=1, max_size=4))
def test_days_add_up(pods: list[Row], cuts: list[int]) -> None:
    """A node's time in several days, with cuts at any millisecond: its cost is exactly that of the whole."""
    whole_costs, [whole] = run(pods, [node()])
    edges = [0, *sorted(cuts), 86_400_000]
    total, paid = 0, [0] * len(pods)
    for start, end in zip(edges, edges[1:], strict=False):
        costs, [part] = run(pods, [node(started=at(start), ended=at(end))])
        total += part["cost"]
        paid = [before + (amount or 0) for before, amount in zip(paid, costs, strict=True)]
    assert total == whole["cost"]
    # A pod's part of each day is rounded down.
    assert all(0 <= (all_ or 0) - parts < len(edges) for all_, parts in zip(whole_costs, paid, strict=True))


def total(rows: pl.DataFrame, column: str) -> int:
    return sum(amount or 0 for amount in rows[column])


def recorded_day(teams: int, pods: int, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A drawn day: nodes come and go, teams' pods of all sizes on them, some across midnight, some on lost nodes."""
    draw = random.Random(seed)
    types = [("m7i.large", 1.7, 6, 0), ("g5.2xlarge", 7.7, 28, 1), ("odd.large", 1.9, 7, 0), ("lost.large", 4.0, 16, 0)]
    nodes, rows = [], []
    for number in range(pods // 20):
        kind, cpu, memory, gpu = draw.choices(types, [80, 10, 9, 1])[0]
        start = draw.uniform(0, 20)
        shape = {"instance_type": kind, "cpu": cpu, "memory": memory * GIB + draw.randrange(4096), "gpu": gpu}
        capacity = draw.choice(["on-demand", "spot"]) if kind == "m7i.large" else "on-demand"
        end = min(24, start + draw.expovariate(0.3))
        nodes.append(node(f"node-{number}", start, end, capacity_type=capacity, **shape))
    for number in range(pods):
        host, start = draw.choice(nodes), draw.uniform(-1, 24)
        rows.append(
            pod(
                host["node"] if draw.random() < 0.99 else "unknown",
                start,
                start + draw.expovariate(1),
                uid=str(number),
                team=f"team-{draw.randrange(teams)}",
                requested_cpu=draw.choice([0.25, 0.5, 1 / 3, 1.1, None]),
                requested_memory=draw.randrange(2**20, 5 * GIB),
                requested_gpu=draw.choice([0, host["gpu"]]),
            )
        )
    return frame(rows, PODS), frame(nodes, NODES)


def test_a_recorded_day_of_200_teams_is_exact() -> None:
    pods, nodes = recorded_day(teams=200, pods=4_000, seed=20261125)
    pods, nodes = cost.apply(pods, nodes, PRICES)
    assert pods["team"].n_unique() == 200
    assert total(pods, "cost") + total(nodes, "idle") == total(nodes, "cost") > 10 * NANODOLLARS
    paid = pods.group_by("node").agg(pl.col("cost").sum())
    by_node = nodes.filter(pl.col("cost").is_not_null()).join(paid, "node", "left", suffix="_paid")
    assert by_node.select((pl.col("cost_paid").fill_null(0) + pl.col("idle") == pl.col("cost")).all()).item()
    teams = pods.group_by("team").agg(pl.col("cost").sum())
    assert total(teams, "cost") + total(nodes, "idle") == total(nodes, "cost")
    # The price times the hours, to the nanodollar that days lose to rounding.
    hours_of = (pl.col("ended") - pl.col("started")).dt.total_milliseconds() / 3_600_000
    difference = nodes.select((pl.col("price") * hours_of - pl.col("cost")).abs().max()).item()
    assert difference <= 1
