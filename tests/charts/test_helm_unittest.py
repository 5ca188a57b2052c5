"""The suites that lie beside the charts, run by helm-unittest; a team's own pipeline runs those of its chart."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jobyard_cli.chart.suites import NAME, program
from jobyard_cli.system.folders import cache_dir

from tests.support.paths import ROOT

CHARTS = ROOT / "charts"


@pytest.fixture(scope="module")
def runner() -> Path:
    """helm-unittest, as a team's pipeline gets it."""
    return program(cache_dir(), print)


@pytest.mark.parametrize("chart", ["bootstrap", "bounds", "platform", "team"])
def test_suites(runner: Path, chart: str) -> None:
    command = [str(runner), "--strict", str(CHARTS / chart)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "Tests:" in ran.stdout


@pytest.fixture
def repo(team_repo: Path) -> Path:
    """A team's repository with its chart."""
    shutil.copytree(CHARTS / "team", team_repo / "charts" / "team")
    return team_repo


@pytest.fixture
def run_command(runner: Path, tmp_path: Path) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """`jobyard test-chart` in a repository, with the machine's own helm-unittest."""
    own = tmp_path / "own"
    own.mkdir()
    (own / NAME).symlink_to(runner)

    def call(repo: Path) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "jobyard"), "test-chart"]
        environment = {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(command, cwd=repo, env=environment, capture_output=True, text=True, check=False)

    return call


Command = Callable[[Path], subprocess.CompletedProcess[str]]


def test_a_teams_pipeline_runs_the_suites_of_its_chart(repo: Path, run_command: Command) -> None:
    ran = run_command(repo)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    suites = len(list((CHARTS / "team" / "tests").glob("*_test.yaml")))
    assert f"Test Suites: {suites} passed, {suites} total" in ran.stdout


def test_a_changed_chart_fails_its_suites(repo: Path, run_command: Command) -> None:
    template = repo / "charts" / "team" / "templates" / "priorityclasses.yaml"
    template.write_text(
        template.read_text().replace("preemptionPolicy: Never", "preemptionPolicy: PreemptLowerPriority")
    )
    ran = run_command(repo)
    assert ran.returncode == 1
    assert "never preempts and is never the cluster's default" in ran.stdout


def test_a_chart_without_suites_is_an_error(repo: Path, run_command: Command) -> None:
    shutil.rmtree(repo / "charts" / "team" / "tests")
    ran = run_command(repo)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{repo}/charts/team/tests has no *_test.yaml, the suites of the team's chart" in ran.stderr


def test_where_the_machine_has_none_it_is_built_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pins that the platform's own tests have."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    said: list[str] = []
    built = program(cache_dir(), said.append)
    shown = subprocess.run([built, "--help"], capture_output=True, text=True, check=False)
    assert "unittest" in shown.stdout
    said.clear()
    assert program(cache_dir(), said.append) == built
    assert said == []
