"""`tests/dags`, on every Airflow that has a folder in `values/mwaa`, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow, machine

from tests.support.airflow_workers import SOURCE, TEST_PACKAGES, VERSIONS

Ran = subprocess.CompletedProcess[str]


def test_the_supported_versions_are_here() -> None:
    assert VERSIONS == ["3.3.1", "2.11.2", "2.10.3"]


@pytest.fixture(scope="module")
def runs(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ran]]]:
    """The tests on every version, all at once: much of their time is waiting for a scheduler."""
    with shown() as steps, ThreadPoolExecutor() as pool:
        with steps.step("PostgreSQL") as report:
            machine.install({"postgresql": "pg_ctlcluster"}, report)

        def run(version: str) -> Ran:
            with steps.step(f"tests/dags on Airflow {version}") as report:
                return run_tests(version, tmp_path_factory.mktemp(version), report)

        yield {version: pool.submit(run, version) for version in VERSIONS}


def run_tests(version: str, folder: Path, report: Callable[[str], None]) -> Ran:
    """Run them in a process of their own, in whose Python that Airflow is."""
    installed = airflow.environment(SOURCE, cache_dir(), report, version, extra=TEST_PACKAGES)
    python = str(installed / "bin" / "python")
    command = [python, "-m", "pytest", "--quiet", f"--basetemp={folder / 'pytest'}", "tests/dags"]
    # Airflow calls `airflow` by name; what this run of pytest has set is not meant for the other.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW"))}
    environment = {**inherited, "PATH": f"{installed / 'bin'}{os.pathsep}{inherited['PATH']}"}
    report("running")
    return subprocess.run(command, cwd=SOURCE.root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_dags(runs: dict[str, Future[Ran]], version: str) -> None:
    ran = runs[version].result()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
