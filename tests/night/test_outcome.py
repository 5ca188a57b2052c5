"""What is made of what happened in a night."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from jobyard_cli.platform.machines import Machine as Listed
from jobyard_metrics.prices import parse
from night.cost import HOUR, Machines
from night.driver import Machine, Pod, Record
from night.outcome import Outcome, Waits
from night.scenario import Scenario
from night.series import series
from night.workload import Task

LISTED = {"m9.small": {"cpu": 4, "memory": 16384, "pods": 20, "on-demand": "3.6"}}
MACHINES = Machines({name: Listed.of(name, entry) for name, entry in LISTED.items()}, parse({"instanceTypes": LISTED}))
SECOND = 10**6
"""What it costs a second, in nanodollars."""
TASK = Task("t000-0-features", "t000", "plain", 3700, 1024, 0, 300, 600)
HALF = Task("t000-1-features", "t000", "plain", 1850, 1024, 0, 300, 600)


@pytest.fixture
def record() -> Record:
    """A machine with a pod that fills it, then one that fills half of it, is lost, and runs on another machine."""
    scenario = Scenario("test", {"plain": {}}, "WhenEmpty", 120, fills=False, teams=1, speed=40)
    pods = {
        "one": Pod(TASK, 0, 1, 2, 70, 71, 371, True, "a"),
        "two": Pod(HALF, 400, 401, 401, 410, 411, 511, False, "a"),
        "three": Pod(HALF, 511, 512, 513, 580, 581, 881, True, "b"),
        "never": Pod(HALF, 511, 512),
    }
    machines = {
        "first": Machine("plain", 5, "m9.small", "on-demand", "a", 65, 605),
        "second": Machine("plain", 520, "m9.small", "on-demand", "b", 580, 900),
    }
    return Record(scenario, pods, machines)


def test_a_night_costs_what_its_machines_are_billed(record: Record) -> None:
    outcome = Outcome(record, MACHINES)
    assert outcome.cost == (600 + 380) * SECOND
    assert outcome.machine_hours == 980 / HOUR
    assert (outcome.lost, outcome.end) == (2, 881)


def test_what_is_wasted_is_told_apart(record: Record) -> None:
    waste = Outcome(record, MACHINES).waste()
    second = Fraction(SECOND)
    assert waste.starting == (60 + 60) * second
    # On each machine, busy is from when the first pod is bound until the last has ended.
    assert waste.empty == (540 - 301 - 101 + 320 - 301) * second
    assert waste.unused == (301 + 101 + 301 - 300 - 50 - 150) * second
    assert waste.lost == 50 * second


def test_waits_are_from_creation_to_running(record: Record) -> None:
    outcome = Outcome(record, MACHINES)
    assert outcome.waits().seconds == [10, 69, 70]
    assert outcome.queued().seconds == [0, 1, 1]
    assert outcome.for_machines().seconds == [10, 68, 69]
    assert outcome.lag().seconds == [1, 1, 1]
    assert outcome.waits("plain").at(50) == 69


def test_overtime_is_what_a_pod_runs_beyond_its_task(record: Record) -> None:
    record.pods["one"].ended = 391
    assert Outcome(record, MACHINES).overtime().seconds == [0, 20]


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (1, 1)])
def test_a_percentile_is_a_wait_that_there_was(percent: int, expected: float) -> None:
    assert Waits.of(range(100, 0, -1)).at(percent) == expected


def test_what_is_saved_is_read_again(record: Record, tmp_path: Path) -> None:
    record.save(tmp_path / "folder" / "night.json")
    assert Record.load(tmp_path / "folder" / "night.json") == record


def test_a_series_has_what_there_was_at_each_minute(record: Record) -> None:
    shown = series(record)
    assert shown.minutes == [*range(17)]
    assert shown.machines == {"plain": [0, *[1] * 8, 2, 2, 1, 1, 1, 1, 0, 0]}
    assert shown.pods == {"plain": [0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0]}
    # Nobody knows what became of the pod that never ran: it waits until the end.
    assert shown.waiting == {"plain": [0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 1, 1, 1, 1, 0, 0]}
