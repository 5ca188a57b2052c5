"""The suites that lie beside the charts, run by helm-unittest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHARTS = Path(__file__).resolve().parents[2] / "charts"


@pytest.mark.parametrize("chart", ["platform", "team"])
def test_suites(chart: str) -> None:
    path = os.pathsep.join([os.environ.get("JOBYARD_BIN", ""), os.environ.get("PATH", "")])
    program = shutil.which("helm-unittest", path=path)
    if program is None:
        pytest.skip("helm-unittest is neither in JOBYARD_BIN nor on PATH")
    ran = subprocess.run([program, "--strict", str(CHARTS / chart)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "Tests:" in ran.stdout
