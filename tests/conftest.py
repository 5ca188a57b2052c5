"""What several kinds of test share: the built programs, long set-up that is seen as it happens, a team's repository."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings
from jobyard_cli.cli.steps import Steps, new_console
from jobyard_cli.system.folders import cache_dir
from jobyard_local import tools

from tests.support.paths import ROOT

TEAM = """\
team: risk
allowedNodeGroups: [default, high-cpu, high-memory]
serviceAccounts: {jobs: {}}
priorities: {low: 1000, normal: 2000, high: 3000}
pools: {warehouse: 4}
assets: ["s3://predictions/", "s3://feature-store/folds"]
images: [xgboost]
"""
PUBLISHED = """\
jobs:
  care.by-hand: {schedule: null}
  care.claims: {schedule: "@hourly"}
  care.ingest: {schedule: 0 1 * * *}
"""
ENVIRONMENT = "environment: {name: prod, registry: registry.example.com}\n"
JOB = """\
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score:
    image: inference
"""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of the random tests here, unless it is given, so that the run can name it.

    In CI Hypothesis derives a fixed seed from each test, so that no merge request fails by chance.
    """
    # SIGTERM ends a run as Ctrl-C does, so that fixtures stop the servers that they have started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    in_ci = settings.get_current_profile_name() == "ci"
    if config.option.hypothesis_seed is None and not in_ci:
        config.option.hypothesis_seed = str(random.getrandbits(32))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name the seed; a random test that fails prints the case that it found too."""
    seed = config.option.hypothesis_seed
    if seed is not None:
        terminalreporter.write_line(f"random tests: --hypothesis-seed={seed} draws the same cases again")


@pytest.fixture(scope="session")
def shown(pytestconfig: pytest.Config) -> Callable[[], AbstractContextManager[Steps]]:
    """Enter what this makes around long set-up: its steps are printed as they happen, past pytest's capture."""

    @contextmanager
    def enter() -> Iterator[Steps]:
        capture = pytestconfig.pluginmanager.getplugin("capturemanager")
        assert capture is not None
        with capture.global_and_fixture_disabled():
            console = new_console()
            console.print()
            with Steps(console) as steps:
                yield steps

    return enter


@pytest.fixture(scope="session")
def programs(shown: Callable[[], AbstractContextManager[Steps]]) -> Path:
    """The folder with the programs of Kubernetes, Argo CD and Helm's tests, built where the cache has none."""
    title = "Kubernetes, Argo CD, Kueue, kwok and the S3 server, from source"
    with shown() as steps, steps.step(title) as report:
        return tools.ensure(cache_dir(), report)


@pytest.fixture
def team_repo(tmp_path: Path) -> Path:
    """Team risk's, with the real schema and catalogues, two images and no job; team care has released three."""
    return make_team_repo(tmp_path / "risk-jobs")


def make_team_repo(repo: Path) -> Path:
    """Make it in a folder that is not there yet."""
    shutil.copytree(ROOT / "schemas", repo / "schemas")
    (repo / "values").mkdir()
    for name in ("node-groups.yaml", "task-types.yaml"):
        shutil.copy(ROOT / "values" / name, repo / "values")
    (repo / "values" / "team.yaml").write_text(TEAM)
    (repo / "values" / "published-jobs.yaml").write_text(PUBLISHED)
    (repo / "values" / "platform").mkdir()
    (repo / "values" / "platform" / "prod.yaml").write_text(ENVIRONMENT)
    for image in ("feature-generation", "inference"):
        folder = repo / "images" / image
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM scratch\n")
    (repo / "dags").mkdir()
    return repo


@pytest.fixture
def add_job(team_repo: Path) -> Callable[..., Path]:
    """Write a job.yaml; the least that a job can say by default."""

    def add(name: str, text: str = JOB) -> Path:
        file = team_repo / "dags" / name / "job.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return add
