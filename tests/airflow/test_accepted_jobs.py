"""What the check accepts, the builder builds, on every supported Airflow.

Jobs are drawn at random, good ones and nearly good ones. Each goes through the check and the compiler here, and, if
they let it pass, through a process for each Airflow that has `dags/jobyard` build it and the scheduler's serialisation
store it. So what the builder can't build, the check has to have refused.

Each run draws other jobs, from the seed that its last lines name (`--hypothesis-seed=N` draws the same again). A job
that failed here is tried first in the next run. In CI the jobs are the same each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from jobyard_cli.check.run import check_repo
from jobyard_cli.platform.data import platform_data
from jobyard_cli.platform.files import node_groups, task_types
from jobyard_cli.release.compile import compile_release

from tests.airflow.random_jobs import jobs
from tests.support.airflow_workers import SOURCE, VERSIONS, AskAll, StartWorkers
from tests.support.paths import FIXTURES

EXAMPLES = int(os.environ.get("JOBYARD_RANDOM_JOBS", "120"))
"""How many jobs are drawn; `make random-jobs` draws more."""
TEAMS = {"risk": {"assets": ["s3://predictions/"], "pools": {"warehouse": 4}}}
"""What old releases name, too."""

AddJob = Callable[..., Path]


@pytest.fixture(scope="module")
def builders(start_workers: StartWorkers) -> AskAll:
    """Ask why a job can't be built there: None where it can."""
    types = task_types(SOURCE.values)
    platform = platform_data(node_groups(SOURCE.values), "dev", task_types=types, teams=TEAMS)
    return start_workers("build_worker.py", "a builder of jobs on each Airflow", platform)


def released(repo: Path) -> dict[str, Any] | None:
    """The release's entry of the job, or None where the check refuses it."""
    if check_repo(repo).findings:
        return None
    entry: dict[str, Any] = json.loads(compile_release(repo, "").body)["jobs"]["score"]
    return entry


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(job=jobs())
def test_what_the_check_accepts_is_built(
    builders: AskAll, team_repo: Path, add_job: AddJob, job: dict[str, Any]
) -> None:
    add_job("least")
    add_job("score", json.dumps(job))
    entry = released(team_repo)
    event("accepted" if entry else "refused")
    if entry:
        assert builders(entry) == dict.fromkeys(VERSIONS)


@pytest.mark.parametrize("name", sorted(path.name for path in (FIXTURES / "valid").iterdir()))
def test_every_valid_fixture_is_built(builders: AskAll, team_repo: Path, add_job: AddJob, name: str) -> None:
    add_job("least")
    (team_repo / "dags" / "score").mkdir()
    (team_repo / "dags" / "score" / "job.yaml").write_bytes((FIXTURES / "valid" / name / "job.yaml").read_bytes())
    entry = released(team_repo)
    assert entry
    assert builders(entry) == dict.fromkeys(VERSIONS)


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
