"""`tests/dags`, on every Airflow that has a folder in `values/mwaa`, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from jobyard_cli.local import airflow
from jobyard_cli.local.settings import Source, cache_dir
from jobyard_cli.steps import Steps

SOURCE = Source.find()
VERSIONS = sorted((folder.name for folder in SOURCE.mwaa.iterdir() if folder.is_dir()), reverse=True)


def test_the_supported_versions_are_here() -> None:
    assert VERSIONS == ["3.3.1", "2.11.2", "2.10.3"]


@pytest.mark.parametrize("version", VERSIONS)
def test_dags(shown: Callable[[], AbstractContextManager[Steps]], version: str) -> None:
    title = f"tests/dags on Airflow {version}"
    with shown() as steps, steps.step(title) as report:
        installed = airflow.environment(SOURCE, cache_dir(), report, version, extra=["pytest"])
        command = [str(installed / "bin" / "python"), "-m", "pytest", "--quiet", "tests/dags"]
        # Airflow calls `airflow` by name; what this run of pytest has set is not meant for the other.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AIRFLOW"))}
        environment = {**inherited, "PATH": f"{installed / 'bin'}{os.pathsep}{inherited['PATH']}"}
        ran = subprocess.run(command, cwd=SOURCE.root, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
