"""What a night costs at the least, and on a machine a team."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from jobyard_cli.platform.machines import Machine
from jobyard_metrics.prices import parse
from night.cost import HOUR, Machines, billed, bound, dollars, least, peak, share, team_machines
from night.workload import Job, Task

LISTED: dict[str, Any] = {
    "m9.small": {"cpu": 4, "memory": 16384, "pods": 20, "on-demand": "0.4", "spot": "0.1"},
    "m9.large": {"cpu": 16, "memory": 65536, "pods": 20, "on-demand": "1.2"},
    "m9g.small": {"cpu": 4, "memory": 16384, "architecture": "arm64", "pods": 20, "on-demand": "0.2", "spot": "0.05"},
    "g9.small": {"cpu": 4, "memory": 16384, "gpu": 1, "pods": 20, "on-demand": "2"},
    "g9.large": {"cpu": 16, "memory": 65536, "gpu": 4, "pods": 20, "on-demand": "9"},
    "g8.small": {"cpu": 4, "memory": 16384, "gpu": 1, "pods": 20, "on-demand": "1"},
    "t9.large": {"cpu": 16, "memory": 65536, "pods": 20, "on-demand": "0.001"},
}
MACHINES = Machines({name: Machine.of(name, entry) for name, entry in LISTED.items()}, parse({"instanceTypes": LISTED}))
GROUPS: dict[str, Any] = {
    "plain": {"architecture": "amd64", "capacityType": "on-demand", "instanceTypes": ["m9.small"], "capacity": {}},
    "spot": {"architecture": "amd64", "capacityType": "spot", "instanceTypes": ["m9.small"], "capacity": {}},
    "arm": {"architecture": "arm64", "capacityType": "spot", "instanceTypes": ["m9g.small"], "capacity": {}},
    "gpu": {
        "architecture": "amd64",
        "capacityType": "on-demand",
        "instanceTypes": ["g9.small"],
        "capacity": {"gpu": 1},
    },
}
SMALL, LARGE = (3700, 13 * 1024), (15600, 58 * 1024)
"""What pods get of these machines: thousandths of a core, and MiB."""


def task(group: str = "plain", *, cpu: int = 1000, memory: int = 1024, gpu: int = 0, seconds: int = 3600) -> Task:
    return Task("t000-0-x", "t000", group, cpu, memory, gpu, seconds, 7200)


def test_an_offer_has_what_pods_get_of_the_machine() -> None:
    found = {one.name: one for one in MACHINES.offers("on-demand")}
    assert found["m9.small"].sizes == (*SMALL, 0)
    assert found["m9.large"].sizes == (*LARGE, 0)
    assert found["g9.large"].sizes == (*LARGE, 4)
    assert found["m9.small"].price == 400_000_000
    # Its processors are shared.
    assert "t9.large" not in found
    assert [one.name for one in MACHINES.offers("spot")] == ["m9.small", "m9g.small"]


def test_a_share_is_that_of_the_resource_of_which_most_is_taken() -> None:
    [small] = MACHINES.offers("on-demand", ["m9.small"])
    assert share((1000, 1024, 0), small) == Fraction(1000, 3700)
    assert share((1000, 6 * 1024, 0), small) == Fraction(6, 13)


def test_the_least_is_paid_where_the_share_is_cheapest_and_the_task_fits() -> None:
    offers = [*MACHINES.offers("on-demand", ["m9.small", "m9.large"])]
    # 0.4 / 3.7 is more than 1.2 / 15.6, for a core.
    assert least(task(seconds=1800), offers) == Fraction(1_200_000_000 * 1000, 15600) / 2
    assert least(task(cpu=8000), offers) == Fraction(1_200_000_000 * 8000, 15600)
    assert least(task(), offers[:1]) == Fraction(400_000_000 * 1000, 3700)


@pytest.mark.parametrize(
    ("group", "gpu", "own", "expected"),
    [
        ("plain", 0, True, Fraction(400_000_000 * 1000, 3700)),
        ("plain", 0, False, Fraction(1_200_000_000 * 1000, 15600)),
        ("spot", 0, False, Fraction(100_000_000 * 1000, 3700)),
        ("arm", 0, False, Fraction(50_000_000 * 1000, 3700)),
        # Of the group's own kind of GPU alone: the other is cheaper.
        ("gpu", 1, True, Fraction(2_000_000_000)),
        ("gpu", 1, False, Fraction(2_000_000_000)),
    ],
)
def test_the_bound_is_by_the_groups_machines_or_by_all_that_are_alike(
    group: str, gpu: int, own: bool, expected: Fraction
) -> None:
    jobs = [Job(0, (task(group, gpu=gpu), task(group, gpu=gpu))), Job(60, (task(group, gpu=gpu),))]
    assert bound(jobs, GROUPS, MACHINES, own=own) == 3 * expected


def test_a_peak_is_what_tasks_request_at_one_time() -> None:
    first, second = task(cpu=1000, seconds=600), task(cpu=2000, memory=4096, seconds=600)
    # The job's second task starts as the first ends, when that of the other job starts too.
    assert peak([Job(0, (first, second)), Job(600, (first,))], has_gpu=False) == (3000, 5120, 0)
    assert peak([Job(0, (first, second)), Job(1200, (first,))], has_gpu=False) == (2000, 4096, 0)
    assert peak([Job(0, (first, task("gpu", gpu=1)))], has_gpu=True) == (1000, 1024, 1)
    assert peak([], has_gpu=False) == (0, 0, 0)


def test_a_team_has_the_cheapest_machine_that_holds_its_peak() -> None:
    small, large = task(cpu=3000), task(cpu=8000)
    assert _machines(Job(0, (small,))) == [(1, "m9g.small")]
    # A second one at that time: two of the small would be cheaper, but a crontab is on one machine.
    assert _machines(Job(0, (small,)), Job(10, (small,))) == [(1, "m9.large")]
    assert _machines(Job(0, (large,)), Job(0, (large,))) == [(5, "m9g.small")]


def test_a_team_has_a_machine_more_for_its_gpus_of_the_groups_kind() -> None:
    neural = task("gpu", gpu=1)
    assert _machines(Job(0, (task(), neural))) == [(1, "m9g.small"), (1, "g9.small")]
    assert _machines(Job(0, (neural,)), Job(0, (neural,))) == [(2, "g9.small")]


def _machines(*jobs: Job) -> list[tuple[int, str]]:
    return [(one.count, one.offer.name) for one in team_machines(jobs, GROUPS, MACHINES)]


@pytest.mark.parametrize(("seconds", "counted"), [(0.5, 60), (60, 60), (60.001, 61), (3600, 3600)])
def test_a_machine_is_billed_by_the_second_for_a_minute_at_least(seconds: float, counted: int) -> None:
    assert billed(seconds, 7) == Fraction(7 * counted, HOUR)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(Fraction(0), "0.00"), (Fraction(10**10, 3), "3.33"), (Fraction(1_234_567 * 10**9 + 995 * 10**6), "1,234,568.00")],
)
def test_dollars_are_rounded_to_cents_when_they_are_shown(amount: Fraction, shown: str) -> None:
    assert dollars(amount) == shown
