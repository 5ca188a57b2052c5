"""The suites that lie beside the charts, run by helm-unittest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHARTS = Path(__file__).resolve().parents[2] / "charts"


@pytest.mark.parametrize("chart", ["bounds", "platform", "team"])
def test_suites(programs: Path, chart: str) -> None:
    command = [str(programs / "helm-unittest"), "--strict", str(CHARTS / chart)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "Tests:" in ran.stdout
