"""What `jobyard plan` says without Airflow, pods and moments, is what every supported Airflow makes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jobyard.contract import KUEUE
from jobyard.entries import Job
from jobyard.platform_entries import PodLimits
from jobyard_cli.plan.pods import pod
from jobyard_cli.plan.runs import upcoming
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release

from tests.support.airflow_workers import SOURCE, VERSIONS, AskAll, StartWorkers
from tests.support.paths import FIXTURES

INTERVALS = 12
TEAMS = {
    "risk": {
        "costCenter": "4711",
        "assets": ["s3://feature-store/folds", "s3://predictions/"],
        "pools": {"warehouse": 4},
    }
}
PLATFORM = platform_data(
    node_groups(SOURCE.values),
    "dev",
    task_types=task_types(SOURCE.values),
    teams=TEAMS,
    limits=PodLimits(queueing=KUEUE, fill_machines=True),
)
VALID = FIXTURES / "valid"
EVERYTHING = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  small: {image: inference, timeout: 10m, command: [sh, -c, "echo {{ ds }}\\n"], env: {EMPTY: "", DAY: "{{ ds }}"}}
  large: {image: inference, node_group: high-memory, resources: {cpu: 1, cpu_limit: 2, memory: 2Gi, memory_limit: 4Gi}}
  check: {type: sql-check, with: {sql: SELECT 1}}
"""
SCHEDULES = ("@daily", "@weekly", "@monthly", "@quarterly", "30 2 * * *", "0 * * * *", "*/20 * * * *", "0 */5 * * *")
MORE_SCHEDULES = ("30 1-3 * * *", "0 0 1,15 * 5", "10 0-23 * * *")
# On each of the days, or on the one after, a clock is changed there.
ZONES = {
    "UTC": ("2026-03-28",),
    "Asia/Jakarta": ("2026-10-24",),
    "Europe/Berlin": ("2026-03-28", "2026-10-24"),
    "America/New_York": ("2026-03-07", "2026-10-31"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
}

AddJob = Callable[..., Path]


@pytest.fixture(scope="module")
def workers(start_workers: StartWorkers) -> AskAll:
    """Ask what a job becomes there: its pods and its intervals."""
    return start_workers("plan_worker.py", "plans beside each Airflow", PLATFORM)


def entry_of(team_repo: Path, add_job: AddJob, text: str) -> Job:
    add_job("least")
    add_job("score", text)
    entry: Job = json.loads(compile_release(team_repo, "").body)["jobs"]["score"]
    return entry


def planned(entry: Job) -> dict[str, Any]:
    return {
        name: pod(PLATFORM, "risk", "score", name, task)
        for name, task in entry["tasks"].items()
        if not task.get("type")
    }


@pytest.mark.parametrize("text", [*(path.name for path in sorted(VALID.iterdir())), EVERYTHING])
def test_a_planned_pod_is_the_one_that_airflow_makes(
    workers: AskAll, team_repo: Path, add_job: AddJob, text: str
) -> None:
    file = VALID / text / "job.yaml"
    entry = entry_of(team_repo, add_job, text if text == EVERYTHING else file.read_text("utf-8-sig"))
    expected = planned(entry)
    assert expected
    assert {version: answer["pods"] for version, answer in workers(entry).items()} == dict.fromkeys(VERSIONS, expected)


@pytest.mark.parametrize("schedule", SCHEDULES + MORE_SCHEDULES)
def test_the_moments_of_a_schedule_are_airflows_also_where_clocks_are_changed(
    workers: AskAll, team_repo: Path, add_job: AddJob, schedule: str
) -> None:
    entry = entry_of(team_repo, add_job, EVERYTHING)
    for zone, day in ((zone, day) for zone, days in ZONES.items() for day in days):
        one: Job = {**entry, "schedule": schedule, "timezone": zone, "start_date": day}
        before = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)) - timedelta(days=1)
        expected = [
            [moment.astimezone(UTC).isoformat() for moment in interval]
            for interval in islice(upcoming(one, before), INTERVALS)
        ]
        assert len(expected) == INTERVALS
        for version, answer in workers(one).items():
            assert answer["intervals"] == expected, (version, zone, day)


def test_the_last_run_is_that_of_the_end_date(workers: AskAll, team_repo: Path, add_job: AddJob) -> None:
    entry = entry_of(team_repo, add_job, EVERYTHING)
    one: Job = {
        **entry,
        "schedule": "30 2 * * *",
        "start_date": "2026-10-24",
        "end_date": "2026-10-26",
        "timezone": "Europe/Berlin",
    }
    found = [
        [moment.astimezone(UTC).isoformat() for moment in both]
        for both in upcoming(one, datetime(2026, 1, 1, tzinfo=UTC))
    ]
    assert len(found) == 3
    assert {version: answer["intervals"] for version, answer in workers(one).items()} == dict.fromkeys(VERSIONS, found)
