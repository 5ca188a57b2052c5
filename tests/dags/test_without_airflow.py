"""What the command line shares with the library loads nothing of Airflow's: the command line has none."""

import os
import subprocess
import sys

import pytest

SHARED = (
    "contract",
    "entries",
    "job_rules",
    "limits",
    "memory",
    "parts",
    "platform_entries",
    "pod_parts",
    "quantities",
    "reading",
    "rules",
    "validation",
)
LOADED = """
import importlib, sys
importlib.import_module(sys.argv[1])
heavy = {"airflow", "kubernetes", "pendulum"}
print(*sorted(heavy & sys.modules.keys()))
"""


def loaded(module: str) -> str:
    """Return which of those packages a new process has after importing the module."""
    command = [sys.executable, "-W", "ignore", "-c", LOADED, module]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("module", SHARED)
def test_a_shared_module_loads_nothing_of_airflows(module: str) -> None:
    assert loaded(f"jobyard.{module}") == ""


def test_the_builder_loads_it() -> None:
    assert "airflow" in loaded("jobyard.builder")
