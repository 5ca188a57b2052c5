"""What a task's own run spends on the release, which Airflow reads once more there: it must not grow with the jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from bucket import RELEASE, VERSIONS, bucket
from measure import Target

JOBS = 1_000
ROUNDS = 5
TARGET = Target("at most", 20, " ms")

Measured = Sequence[Mapping[str, Any]]


def section() -> str:
    """Measure, and return the result as Markdown."""
    return f"""\
## Reading a release for one DAG, as each task's run does

CPU time in milliseconds, the median of {ROUNDS} processes, each of which has read the file once before. Beyond reading
the file and its JSON, which is measured alone as well, a release of {JOBS:,} jobs should cost what one of 1 job costs.

{"".join(map(_on, VERSIONS))}"""


def _on(version: str) -> str:
    with bucket(1, version) as small, bucket(JOBS, version) as large:
        rounds = [(small.measure("one", RELEASE), large.measure("one", RELEASE)) for _ in range(ROUNDS)]
    one, many = zip(*rounds, strict=True)
    more = median(map(_beyond, many)) - median(map(_beyond, one))
    return f"""\
### Airflow {version}

| release of | size | one DAG | of that, reading JSON | beyond it |
|---|---|---|---|---|
{_row("1 job", one)}
{_row(f"{JOBS:,} jobs", many)}

{JOBS:,} jobs cost {more:.2f} ms more than 1 beyond reading the file. {TARGET.verdict(more)}

"""


def _row(name: str, measured: Measured) -> str:
    size = f"{measured[0]['bytes'] / 1e6:.3f} MB"
    values: list[Callable[[Mapping[str, Any]], float]] = [_load, _reading, _beyond]
    return f"| {name} | {size} | " + " | ".join(f"{median(map(value, measured)):.2f}" for value in values) + " |"


def _load(measured: Mapping[str, Any]) -> float:
    return 1000 * float(measured["load"])


def _reading(measured: Mapping[str, Any]) -> float:
    return 1000 * float(measured["reading"])


def _beyond(measured: Mapping[str, Any]) -> float:
    return _load(measured) - _reading(measured)
