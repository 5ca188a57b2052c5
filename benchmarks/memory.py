"""What the DAGs of a release take of the DAG processor's memory, beside plain Python that makes the same DAGs."""

from __future__ import annotations

from collections.abc import Callable

from bucket import PLAIN, RELEASE, VERSIONS, Bucket, bucket
from measure import Target, in_turn

JOBS = 1_000
ROUNDS = 3
TARGET = Target("at most", 1.2)


def section() -> str:
    """Measure, and return the result as Markdown."""
    return f"""\
## Memory of parsing {JOBS:,} jobs

How many MB more are resident at the peak (VmHWM) of reading the file than before it, in a new process that has already
made Airflow import what a pod and a timetable need.

{"".join(map(_on, VERSIONS))}"""


def _on(version: str) -> str:
    with bucket(JOBS, version) as one:
        rounds = in_turn({side: _growth(one, side) for side in (RELEASE, PLAIN)}, ROUNDS)
    comparison = rounds.compare(RELEASE, PLAIN, TARGET, words="takes {} times the memory of")
    return f"### Airflow {version}\n\n{rounds.table()}\n{comparison}\n"


def _growth(one: Bucket, side: str) -> Callable[[], float]:
    return lambda: float(one.measure("memory", side)["growth"]) / 1e6
