"""A large team's release of 10,000 tasks: what Airflow's DAG processor spends on it, beside plain Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from bucket import PLAIN, RELEASE, Bucket, bucket
from jobyard.contract import LOADERS_FILE, loader_path
from jobyard.parts import own_jobs
from jobyard_cli.platform.loader import loader_source
from measure import Target

VERSIONS = ("3.3.1", "2.11.2", "2.10.3")
ROUNDS = 3
LOADERS = 4
SHAPES = {"200 jobs of 50 tasks": (200, 50), "1 job of 10,000 tasks": (1, 10_000)}
TARGET = Target("at most", 10, " s")

Seconds = tuple[float, float]
"""Of reading and of serializing."""


def section() -> str:
    """Measure, and return the result as Markdown."""
    return f"""\
## A large team: 10,000 tasks

CPU time in seconds of one file, the median of {ROUNDS} processes, each of which has read it once before: of reading
it, and of Airflow's own serialization of its DAGs for the database. The tasks are those of benchmarks/job.yaml again
and again. With `loaders: {LOADERS}`, {LOADERS} files read the release; the table has the one that takes longest. A job
may have no more than 300 tasks: for the one of 10,000, that limit is lifted here.

{"".join(map(_on, VERSIONS))}"""


def _on(version: str) -> str:
    rows: list[str] = []
    longest = 0.0
    with bucket(1, version) as one:
        for name, (jobs, tasks) in SHAPES.items():
            for side, measured in _sides(replace(one, jobs=jobs, tasks=tasks)).items():
                rows.append(
                    f"| {name} | {side} | " + " | ".join(f"{value:.2f}" for value in (*measured, sum(measured))) + " |"
                )
                if side != PLAIN:
                    longest = max(longest, sum(measured))
    head = ["| release | | reading | serializing | together |", "|---|---|---|---|---|"]
    return "\n".join([f"### Airflow {version}", "", *head, *rows, "", TARGET.verdict(longest), "", ""])


def _sides(one: Bucket) -> dict[str, Seconds]:
    _write(one)
    sides: dict[str, Callable[[], Seconds]] = {
        f"{RELEASE}, one file": lambda: _seconds(one, RELEASE),
        PLAIN: lambda: _seconds(one, PLAIN),
    }
    rounds = [{name: side() for name, side in sides.items()} for _ in range(ROUNDS)]
    found = {name: _medians([one_round[name] for one_round in rounds]) for name in sides}
    if one.jobs > 1:
        found[f"{RELEASE}, the longest of {LOADERS} files"] = max(_parts(one), key=sum)
    return found


def _parts(one: Bucket) -> Iterator[Seconds]:
    """Yield what each of several loaders takes."""
    dags = one.folder / "dags"
    teams = {"risk": {"count": LOADERS, "earlier": []}}
    (dags / LOADERS_FILE).write_text(json.dumps({"schema_version": 1, "teams": teams}))
    for part in range(1, LOADERS + 1):
        (dags / loader_path("risk", part)).write_text(loader_source("risk"))
        own = own_jobs(_names(one), part, {LOADERS})
        yield _medians([_seconds(replace(one, jobs=len(own)), RELEASE, part) for _ in range(ROUNDS)])
    (dags / LOADERS_FILE).unlink()


def _seconds(one: Bucket, side: str, part: int = 1) -> Seconds:
    measured = one.measure("large", side, part)
    return float(measured["reading"]), float(measured["serializing"])


def _medians(measured: list[Seconds]) -> Seconds:
    reading, serializing = zip(*measured, strict=True)
    return median(reading), median(serializing)


def _names(one: Bucket) -> list[str]:
    return [f"job-{number:04d}" for number in range(one.jobs)]


def _write(one: Bucket) -> None:
    """Replace the release by one of as many jobs and tasks."""
    file = one.folder / "dags" / "risk" / "jobs.json"
    release = json.loads(file.read_bytes())
    pattern = release["jobs"]["job-0000"]
    job = {**pattern, "tasks": dict(_tasks(pattern, one.tasks))}
    jobs = dict.fromkeys(_names(one), job)
    file.write_text(json.dumps({**release, "jobs": jobs}, sort_keys=True, separators=(",", ":")))


def _tasks(pattern: dict[str, Any], count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pattern's tasks again and again, each time with a number."""
    kinds = {name.partition("-")[0]: task for name, task in pattern["tasks"].items()}
    for place in range(count):
        kind = ("ingest", "features", "inference", "report")[place % 4]
        needs = [f"{need.partition('-')[0]}-{place // 4}" for need in kinds[kind]["needs"]]
        yield f"{kind}-{place // 4}", {**kinds[kind], "needs": needs}
