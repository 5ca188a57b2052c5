"""One process for each supported Airflow, which answers what the library makes of a job there.

This Python has no Airflow. A worker is a script of tests/dags that reads a job's entry a line, and writes its answer in
JSON on a line that begins with `MARK`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jobyard_cli.system.folders import cache_dir
from jobyard_local import airflow
from jobyard_local.settings import Source

SOURCE = Source.find()
VERSIONS = sorted((folder.name for folder in SOURCE.mwaa.iterdir() if folder.is_dir()), reverse=True)
TEST_PACKAGES = ["pytest", "apache-airflow-providers-postgres"]
"""What these environments have besides MWAA's packages: the provider brings PostgreSQL's drivers, which MWAA has."""
MARK = "answer: "

AskAll = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Ask every worker about a job's entry; the answers by Airflow's version."""
StartWorkers = Callable[[str, str, Mapping[str, Any]], AskAll]
"""Start the workers of a script, under the title of a step, for this platform data."""


@contextmanager
def airflow_workers(
    script: str, folder: Path, platform: Mapping[str, Any], report: Callable[[str], None]
) -> Iterator[AskAll]:
    """Start the workers, each with a dags folder of its own, for an environment with this platform data."""
    with ExitStack() as stack:
        running = {
            version: stack.enter_context(_started(version, script, folder / version, platform, report))
            for version in VERSIONS
        }

        def ask(entry: Mapping[str, Any]) -> dict[str, Any]:
            # All are asked before the first is waited for: they work at the same time.
            for worker in running.values():
                _send(worker, entry)
            return {version: _answer(worker, version) for version, worker in running.items()}

        yield ask


@contextmanager
def _started(
    version: str, script: str, folder: Path, platform: Mapping[str, Any], report: Callable[[str], None]
) -> Iterator[subprocess.Popen[str]]:
    installed = airflow.environment(SOURCE, cache_dir(), report, version, extra=TEST_PACKAGES)
    file = SOURCE.root / "tests" / "dags" / script
    folder.mkdir(parents=True)
    command = [str(installed / "bin" / "python"), str(file), str(folder / "dags"), json.dumps(platform)]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(SOURCE.dags), str(file.parent)]),
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
    }
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def _send(worker: subprocess.Popen[str], entry: Mapping[str, Any]) -> None:
    assert worker.stdin
    worker.stdin.write(json.dumps(entry) + "\n")
    worker.stdin.flush()


def _answer(worker: subprocess.Popen[str], version: str) -> Any:
    assert worker.stdout
    line = next((line for line in worker.stdout if line.startswith(MARK)), None)
    assert line is not None, f"the worker of Airflow {version} ended"
    return json.loads(line.removeprefix(MARK))
