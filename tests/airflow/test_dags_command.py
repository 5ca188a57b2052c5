"""`jobyard dags`: jobs that pass the check, built on the Airflow of an environment."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import typer
import yaml
from jobyard_cli.airflow.dags.build import Platform, UnknownAirflowError, build
from jobyard_cli.cli.dags import dags
from jobyard_cli.cli.steps import Steps
from jobyard_cli.release.compile import InvalidJobsError

ROOT = Path(__file__).resolve().parents[2]
HERE = Platform(ROOT, ROOT)
Shown = Callable[[], AbstractContextManager[Steps]]
AddJob = Callable[..., Path]
JOB = """\
apiVersion: jobyard/v1
schedule: null
tasks:
  score: {image: inference, node_group: %s}
"""


@pytest.fixture
def with_a_broken_job(team_repo: Path, add_job: AddJob) -> Path:
    """The team's copy of the catalogue has a node group that the platform's has not: the check can't know."""
    for name, key in {"node-groups": "nodeGroups", "team": "allowedNodeGroups"}.items():
        file = team_repo / "values" / f"{name}.yaml"
        values = yaml.safe_load(file.read_text())
        if key == "nodeGroups":
            values[key]["own"] = copy.deepcopy(values[key]["default"])
        else:
            values[key].append("own")
        file.write_text(yaml.safe_dump(values))
    add_job("sound", JOB % "default")
    add_job("broken", JOB % "own")
    return team_repo


@pytest.mark.parametrize("version", ["3.3.1", "2.10.3"])
def test_a_job_that_airflow_cannot_run_is_told_with_its_file(
    with_a_broken_job: Path, shown: Shown, version: str
) -> None:
    with shown() as steps, steps.step(f"jobyard dags on Airflow {version}") as report:
        built = build(with_a_broken_job, HERE, "dev", version, report)
    assert built.dags == 2
    (problem,) = built.problems
    assert problem.startswith("dags/broken/job.yaml: ")
    assert "node group 'own'" in problem


def test_the_command_fails_with_a_broken_job_and_not_without(
    with_a_broken_job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        dags("dev", None, ROOT, with_a_broken_job)
    assert "Airflow 3.3.1 can't run 1 of the jobs" in capsys.readouterr().err
    (with_a_broken_job / "dags" / "broken" / "job.yaml").unlink()
    dags("dev", None, ROOT, with_a_broken_job)
    assert "Airflow 3.3.1 has all 1 DAGs" in capsys.readouterr().out


def test_what_the_check_refuses_is_not_built(team_repo: Path, add_job: AddJob) -> None:
    add_job("score", JOB % "nowhere")
    with pytest.raises(InvalidJobsError, match="unknown node group 'nowhere'"):
        build(team_repo, HERE, "dev", None, print)


def test_an_airflow_without_pins_is_told_with_those_that_have_some(team_repo: Path, add_job: AddJob) -> None:
    add_job("score", JOB % "default")
    with pytest.raises(UnknownAirflowError, match=r"2\.11\.1.*values/mwaa has.*2\.11\.2"):
        build(team_repo, HERE, "dev", "2.11.1", print)
