"""Checking a job's entry in a release, as strictly as the compiler writes it.

The library checks each entry on reading, as a release may be put into the bucket by hand; the command line checks what
it is about to write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jobyard import limits
from jobyard.job_rules import CONTINUOUS, JOB, JOB_OPTIONAL
from jobyard.rules import MisfitError, Rule, fields

_JOB = fields(JOB, JOB_OPTIONAL)
_FIELDS: Mapping[str, Rule] = {**JOB, **JOB_OPTIONAL}

Counts = Mapping[str, int]
JOB_COUNTS: Counts = {
    "needs of all tasks": limits.EDGES,
    "assets": limits.ASSETS,
    "task instances in one run": limits.INSTANCES,
    "task instances in max_active_runs runs": limits.ACTIVE_INSTANCES,
}
RELEASE_COUNTS: Counts = {
    "jobs": limits.RELEASE_JOBS,
    "tasks": limits.RELEASE_TASKS,
    "needs of all tasks": limits.RELEASE_EDGES,
    "assets": limits.RELEASE_ASSETS,
    "task instances in max_active_runs runs": limits.RELEASE_INSTANCES,
}


def check_job(job: Any) -> Counts:
    """Return how many of each thing the job has, if all of it fits.

    Raises:
        MisfitError: something in it does not.
    """
    try:
        _JOB(job)
    except MisfitError as misfit:
        misfit.path = misfit.path or ("job",)
        raise
    if job["end_date"] and job["end_date"] < job["start_date"]:
        raise MisfitError(f"end_date {job['end_date']} is before start_date {job['start_date']}")
    if job["schedule"] == CONTINUOUS and job["max_active_runs"] != 1:
        raise MisfitError(f"max_active_runs is {job['max_active_runs']}; with the schedule {CONTINUOUS} it has to be 1")
    counted = _counts(job)
    _check_counts("the job", counted, JOB_COUNTS)
    return counted


def check_part(job: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check those fields of a job, as far as it has them.

    Raises:
        MisfitError: one of them does not fit.
    """
    for name in names:
        if name in job:
            _FIELDS[name](job[name])


def check_release(jobs: Iterable[Counts]) -> None:
    """Check how many of each thing all jobs of a release have together.

    Raises:
        MisfitError: too many of something.
    """
    total: dict[str, int] = dict.fromkeys(RELEASE_COUNTS, 0)
    for counted in jobs:
        for what in total:
            total[what] += counted[what]
    _check_counts("the release", total, RELEASE_COUNTS)


def _counts(job: Mapping[str, Any]) -> Counts:
    tasks = job["tasks"].values()
    waits = len(job.get("wait_for", ()))
    instances = waits + sum(map(_instances, tasks))
    schedule = job["schedule"]
    assets = [len(task.get("inputs", ())) + len(task.get("outputs", ())) for task in tasks]
    if isinstance(schedule, dict):
        assets += map(len, schedule.values())
    return {
        "jobs": 1,
        "tasks": len(tasks) + waits,
        "needs of all tasks": sum(len(task["needs"]) for task in tasks),
        "assets": sum(assets),
        "task instances in one run": instances,
        "task instances in max_active_runs runs": instances * job["max_active_runs"],
    }


def _instances(task: Mapping[str, Any]) -> int:
    foreach = task.get("foreach")
    if not foreach:
        return 1
    return limits.ITEMS if foreach["items"] is None else len(foreach["items"])


def _check_counts(what: str, counted: Counts, most: Counts) -> None:
    for name, bound in most.items():
        if counted[name] > bound:
            raise MisfitError(f"{what} has {counted[name]:,} {name}, more than {bound:,}")
