"""`tests/dags` on every supported Airflow, beside the tests here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.cli.steps import Steps
from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow, machine

from tests.support.airflow_workers import SOURCE, TEST_PACKAGES, VERSIONS, AskAll, StartWorkers, airflow_workers

HERE = Path(__file__).parent
PARTS = {"library": ["--ignore=tests/dags/live", "tests/dags"], "scheduler": ["tests/dags/live"]}
"""Each a process of its own. The schedulers come last: one that waits for its turn uses the processor all the same."""
AT_ONCE = os.cpu_count() or 1
"""More processes than that only slow each other down, until schedulers miss their heartbeats."""

Ran = subprocess.CompletedProcess[str]
Runs = dict[tuple[str, str], Future[Ran]]
RUNNING: set[subprocess.Popen[str]] = set()
"""To end with this run, which has waited for all of them unless somebody stopped it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What has begun with the first test here is asked for last."""
    items.sort(key=lambda item: item.path.name == "test_supported_versions.py" and item.path.parent == HERE)


@pytest.fixture(scope="module")
def start_workers(
    shown: Callable[[], AbstractContextManager[Steps]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartWorkers]:
    """Start the workers of a script for this platform data, while a step of this title is shown."""
    with ExitStack() as stack:

        def start(script: str, title: str, platform: Mapping[str, Any]) -> AskAll:
            with shown() as steps, steps.step(title) as report:
                return stack.enter_context(
                    airflow_workers(script, tmp_path_factory.mktemp("workers"), platform, report)
                )

        yield start


@pytest.fixture(scope="session", autouse=True)
def runs(
    request: pytest.FixtureRequest,
    shown: Callable[[], AbstractContextManager[Steps]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Runs]:
    """Both parts on every version, a few at once; none where test_supported_versions.py is not among the tests."""
    if not any(item.path.name == "test_supported_versions.py" for item in request.session.items):
        yield {}
        return
    with shown() as steps:
        with steps.step("PostgreSQL") as report:
            machine.install({"postgresql": "pg_ctlcluster"}, report)
        with steps.step("environments of Airflow for tests/dags") as report:
            pythons = {version: _python(version, report) for version in VERSIONS}
    # Made here, as pytest's own folder for them may not be made in two threads.
    wanted = {(version, part): tmp_path_factory.mktemp(version) for part in PARTS for version in VERSIONS}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            yield {key: pool.submit(_run, pythons[key[0]], key[1], folder) for key, folder in wanted.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(RUNNING):
                process.terminate()


def _python(version: str, report: Callable[[str], None]) -> Path:
    return airflow.environment(SOURCE, cache_dir(), report, version, extra=TEST_PACKAGES) / "bin" / "python"


def _run(python: Path, part: str, folder: Path) -> Ran:
    """Run them in a process of their own, in whose Python that Airflow is."""
    command = [str(python), "-m", "pytest", "--quiet", f"--basetemp={folder / 'pytest'}", *PARTS[part]]
    # Airflow calls `airflow` by name; what this run of pytest has set is not meant for the other.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW"))}
    environment = {**inherited, "PATH": f"{python.parent}{os.pathsep}{inherited['PATH']}"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=SOURCE.root, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        RUNNING.add(process)
        try:
            out, errors = process.communicate()
        finally:
            RUNNING.discard(process)
    return Ran(command, process.returncode, out, errors)
