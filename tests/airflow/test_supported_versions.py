"""`tests/dags`, on every Airflow that has a folder in `values/mwaa`, each in an environment of its own."""

from __future__ import annotations

import pytest

from tests.airflow.conftest import PARTS, Runs
from tests.support.airflow_workers import VERSIONS


def test_the_supported_versions_are_here() -> None:
    assert VERSIONS == ["3.3.1", "2.11.2", "2.10.3"]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_dags(runs: Runs, version: str, part: str) -> None:
    ran = runs[version, part].result()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
