"""What the check accepts, the builder builds, on every supported Airflow.

Jobs are drawn at random, good ones and nearly good ones. Each goes through the check and the compiler here, and, if
they let it pass, through a process for each Airflow that has `dags/jobyard` build it and the scheduler's serialisation
store it. So what the builder can't build, the check has to have refused.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from jobyard_cli.check.run import check_repo
from jobyard_cli.cli.steps import Steps
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow
from jobyard_local.settings import Source

from tests.airflow.packages import TEST_PACKAGES
from tests.airflow.random_jobs import jobs

SOURCE = Source.find()
VERSIONS = sorted((folder.name for folder in SOURCE.mwaa.iterdir() if folder.is_dir()), reverse=True)
WORKER = SOURCE.root / "tests" / "dags" / "build_worker.py"
MARK = "answer: "
TEAMS = {"risk": {"assets": ["s3://predictions/"], "pools": {"warehouse": 4}}}
"""What old releases name, too."""

Ask = Callable[[dict[str, Any]], "str | None"]
AddJob = Callable[..., Path]


@contextmanager
def builder(version: str, folder: Path, report: Callable[[str], None]) -> Iterator[Ask]:
    """A process with that Airflow in it; what this yields says why it can't build a job, if it can't."""
    installed = airflow.environment(SOURCE, cache_dir(), report, version, extra=TEST_PACKAGES)
    values = SOURCE.values
    platform = platform_data(node_groups(values), "dev", task_types=task_types(values), teams=TEAMS)
    command = [str(installed / "bin" / "python"), str(WORKER), str(folder / "dags"), json.dumps(platform)]
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

        def ask(entry: dict[str, Any]) -> str | None:
            asked.write(json.dumps(entry) + "\n")
            asked.flush()
            answer = next((line for line in answers if line.startswith(MARK)), None)
            assert answer is not None, f"Airflow {version} ended"
            found: str | None = json.loads(answer.removeprefix(MARK))
            return found

        try:
            yield ask
        finally:
            running.kill()


@pytest.fixture(scope="module")
def builders(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Ask]]:
    with ExitStack() as stack:
        with shown() as steps, steps.step("a builder of jobs on each Airflow") as report:
            started = {
                version: stack.enter_context(builder(version, tmp_path_factory.mktemp("airflow"), report))
                for version in VERSIONS
            }
        yield started


def released(repo: Path) -> dict[str, Any] | None:
    """The release's entry of the job, or None where the check refuses it."""
    if check_repo(repo).findings:
        return None
    entry: dict[str, Any] = json.loads(compile_release(repo, "").body)["jobs"]["score"]
    return entry


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(job=jobs())
def test_what_the_check_accepts_is_built(
    builders: dict[str, Ask], team_repo: Path, add_job: AddJob, job: dict[str, Any]
) -> None:
    add_job("least")
    add_job("score", json.dumps(job))
    entry = released(team_repo)
    event("accepted" if entry else "refused")
    if entry:
        assert {version: ask(entry) for version, ask in builders.items()} == dict.fromkeys(VERSIONS)


@pytest.mark.parametrize("name", sorted(path.name for path in (SOURCE.root / "tests/fixtures/valid").iterdir()))
def test_every_valid_fixture_is_built(builders: dict[str, Ask], team_repo: Path, add_job: AddJob, name: str) -> None:
    add_job("least")
    (team_repo / "dags" / "score").mkdir()
    (team_repo / "dags" / "score" / "job.yaml").write_bytes(
        (SOURCE.root / "tests/fixtures/valid" / name / "job.yaml").read_bytes()
    )
    entry = released(team_repo)
    assert entry
    assert {version: ask(entry) for version, ask in builders.items()} == dict.fromkeys(VERSIONS)


def test_enough_jobs_are_accepted_for_the_test_to_mean_something(team_repo: Path, add_job: AddJob) -> None:
    add_job("least")
    seen: list[bool] = []

    @settings(max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(job=jobs())
    def draw(job: dict[str, Any]) -> None:
        add_job("score", json.dumps(job))
        seen.append(released(team_repo) is not None)

    draw()
    accepted = sum(seen) / len(seen)
    assert 0.3 < accepted < 0.95
