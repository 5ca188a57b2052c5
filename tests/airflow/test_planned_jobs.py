"""What `jobyard plan` says without Airflow, pods and moments, is what every supported Airflow makes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jobyard.entries import Job
from jobyard.platform_entries import PlatformFile
from jobyard_cli.cli.steps import Steps
from jobyard_cli.plan.pods import pod
from jobyard_cli.plan.runs import upcoming
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow
from jobyard_local.settings import Source

from tests.airflow.packages import TEST_PACKAGES

SOURCE = Source.find()
VERSIONS = sorted((folder.name for folder in SOURCE.mwaa.iterdir() if folder.is_dir()), reverse=True)
WORKER = SOURCE.root / "tests" / "dags" / "plan_worker.py"
MARK = "answer: "
INTERVALS = 12
TEAMS = {
    "risk": {
        "costCenter": "4711",
        "assets": ["s3://feature-store/folds", "s3://predictions/"],
        "pools": {"warehouse": 4},
    }
}
PLATFORM = platform_data(node_groups(SOURCE.values), "dev", task_types=task_types(SOURCE.values), teams=TEAMS)
FIXTURES = SOURCE.root / "tests" / "fixtures" / "valid"
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

Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
AddJob = Callable[..., Path]


@contextmanager
def worker(
    version: str, folder: Path, report: Callable[[str], None], platform: PlatformFile | None = None
) -> Iterator[Ask]:
    """A process with that Airflow in it; what this yields says what it makes of a job."""
    installed = airflow.environment(SOURCE, cache_dir(), report, version, extra=TEST_PACKAGES)
    command = [str(installed / "bin" / "python"), str(WORKER), str(folder / "dags"), json.dumps(platform or PLATFORM)]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(SOURCE.dags), str(WORKER.parent)]),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as running:
        assert running.stdin
        assert running.stdout
        asked, answers = running.stdin, running.stdout

        def ask(entry: Mapping[str, Any]) -> dict[str, Any]:
            asked.write(json.dumps(entry) + "\n")
            asked.flush()
            answer = next((line for line in answers if line.startswith(MARK)), None)
            assert answer is not None, f"Airflow {version} ended"
            found: dict[str, Any] = json.loads(answer.removeprefix(MARK))
            return found

        try:
            yield ask
        finally:
            running.kill()


@pytest.fixture(scope="module")
def workers(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Ask]]:
    with ExitStack() as stack:
        with shown() as steps, steps.step("plans beside each Airflow") as report:
            started = {
                version: stack.enter_context(worker(version, tmp_path_factory.mktemp("airflow"), report))
                for version in VERSIONS
            }
        yield started


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


@pytest.mark.parametrize("text", [*(path.name for path in sorted(FIXTURES.iterdir())), EVERYTHING])
def test_a_planned_pod_is_the_one_that_airflow_makes(
    workers: dict[str, Ask], team_repo: Path, add_job: AddJob, text: str
) -> None:
    file = FIXTURES / text / "job.yaml"
    entry = entry_of(team_repo, add_job, text if text == EVERYTHING else file.read_text("utf-8-sig"))
    expected = planned(entry)
    assert expected
    for version, ask in workers.items():
        assert ask(entry)["pods"] == expected, version


@pytest.mark.parametrize("schedule", SCHEDULES + MORE_SCHEDULES)
def test_the_moments_of_a_schedule_are_airflows_also_where_clocks_are_changed(
    workers: dict[str, Ask], team_repo: Path, add_job: AddJob, schedule: str
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
        for version, ask in workers.items():
            assert ask(one)["intervals"] == expected, (version, zone, day)


def test_the_last_run_is_that_of_the_end_date(workers: dict[str, Ask], team_repo: Path, add_job: AddJob) -> None:
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
    assert {version: ask(one)["intervals"] for version, ask in workers.items()} == dict.fromkeys(VERSIONS, found)
