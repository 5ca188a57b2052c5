"""Reading the largest releases that the library takes, on every supported Airflow: each within Airflow's own limits."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bucket import RELEASE, Bucket, bucket
from jobyard import limits
from jobyard_cli.errors import JobyardError
from measure import Target

VERSIONS = ("3.3.1", "2.11.2", "2.10.3")
TARGET = Target("at most", 30, " s")
"""`core.dagbag_import_timeout`, of which Airflow gives the whole file this much."""

Job = dict[str, Any]


class TooSmallError(JobyardError):
    """A release is far from the bound that it is to reach, so that measuring it shows nothing."""


def section() -> str:
    """Measure, and return the result as Markdown."""
    return f"""\
## The largest releases

CPU time in seconds of reading a release that is as large as dags/jobyard/limits.py lets it be: with as many jobs, with
as many tasks in a job, or with as many templates as it may have. Airflow's parsing ends a file after 30 s.

{"".join(map(_on, VERSIONS))}"""


def _on(version: str) -> str:
    lines = [
        f"### Airflow {version}",
        "",
        "| release | jobs | tasks | needs | MB | CPU seconds |",
        "|---|---|---|---|---|---|",
    ]
    longest = 0.0
    with bucket(1, version) as one:
        file = one.folder / "dags" / "risk" / "jobs.json"
        release = json.loads(file.read_bytes())
        pattern = next(iter(release["jobs"].values()))
        for name, make in SHAPES.items():
            jobs = make(pattern)
            _write(file, release, jobs)
            seconds = _seconds(one, jobs)
            longest = max(longest, seconds)
            tasks = [task for job in jobs.values() for task in job["tasks"].values()]
            needs = sum(len(task["needs"]) for task in tasks)
            size = file.stat().st_size / 1e6
            lines.append(f"| {name} | {len(jobs):,} | {len(tasks):,} | {needs:,} | {size:.1f} | {seconds:.1f} |")
    return "\n".join([*lines, "", TARGET.verdict(longest), "", ""])


def _seconds(one: Bucket, jobs: dict[str, Job]) -> float:
    tasks = {len(job["tasks"]) for job in jobs.values()}
    assert len(tasks) == 1
    return float(replace(one, jobs=len(jobs), tasks=tasks.pop()).measure("parse", RELEASE)["seconds"])


def _write(file: Path, release: dict[str, Any], jobs: dict[str, Job]) -> None:
    content = json.dumps({**release, "jobs": jobs}, sort_keys=True, separators=(",", ":")).encode()
    if not 0.5 * limits.RELEASE_BYTES < len(content) <= limits.RELEASE_BYTES:
        raise TooSmallError(f"a release of {len(content):,} bytes is not near {limits.RELEASE_BYTES:,}")
    file.write_bytes(content)


def many_jobs(pattern: Job) -> dict[str, Job]:
    """Return as many jobs as a release may have, of ten tasks each after the four before."""
    job = _with_tasks(pattern, limits.RELEASE_TASKS // limits.RELEASE_JOBS, 4, argument="{{ ds }}" * 10 + "x" * 30)
    return _copies(job, limits.RELEASE_JOBS)


def many_tasks(pattern: Job) -> dict[str, Job]:
    """Return jobs of as many tasks and needs as one may have, as far as the release has room for."""
    count = limits.RELEASE_TASKS // limits.TASKS
    needs = limits.RELEASE_EDGES // count // limits.TASKS
    return _copies(_with_tasks(pattern, limits.TASKS, needs, argument="{{ ds }}" * 10 + "x" * 30), count)


def many_templates(pattern: Job) -> dict[str, Job]:
    """Return jobs with almost as many templates as the bound of brackets leaves room for."""
    argument = "{{ds}}" * 1_000 + "x" * 20_000
    return _copies(_with_tasks(pattern, 20, 1, argument), 12)


SHAPES: dict[str, Callable[[Job], dict[str, Job]]] = {
    "many jobs": many_jobs,
    "many tasks": many_tasks,
    "many templates": many_templates,
}


def _with_tasks(pattern: Job, count: int, needs: int, argument: str) -> Job:
    job = copy.deepcopy(pattern)
    task = next(iter(job["tasks"].values()))
    names = [f"t{number}" for number in range(count)]
    job["tasks"] = dict(_tasks(task, names, needs, argument))
    return job


def _tasks(task: dict[str, Any], names: list[str], needs: int, argument: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for place, name in enumerate(names):
        before = names[max(0, place - needs) : place]
        yield name, {**task, "needs": before, "args": [argument]}


def _copies(job: Job, count: int) -> dict[str, Job]:
    return {f"job-{number:04d}": job for number in range(count)}
