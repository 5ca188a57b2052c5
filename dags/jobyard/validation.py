"""Validate a job's entry in a release, as strictly as the compiler writes it.

The library validates each entry that it reads, since a release may be put into the bucket by hand; the command line
validates what it is about to write.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from jobyard import limits
from jobyard.contract import CONTINUOUS
from jobyard.entries import JOB, JOB_RULES
from jobyard.rules import MisfitError

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
    """Validate a job, and return how many of each countable thing it has.

    Raises:
        MisfitError: a value violates its rule, or the job exceeds a limit.
    """
    try:
        JOB(job)
    except MisfitError as misfit:
        misfit.path = misfit.path or ("job",)
        raise
    if job["end_date"] and job["end_date"] < job["start_date"]:
        raise MisfitError(f"end_date must not be before start_date, {job['start_date']}; got {job['end_date']}")
    if job["schedule"] == CONTINUOUS and job["max_active_runs"] != 1:
        raise MisfitError(f"max_active_runs must be 1 with the schedule {CONTINUOUS}; got {job['max_active_runs']}")
    counts = _counts(job)
    _check_counts("the job", counts, JOB_COUNTS)
    return counts


def check_part(job: Mapping[str, Any], names: Iterable[str]) -> None:
    """Validate these fields of a job, as far as it has them.

    Raises:
        MisfitError: a value violates its rule.
    """
    for name in names:
        if name in job:
            JOB_RULES[name](job[name])


def check_release(jobs: Iterable[Counts]) -> None:
    """Validate the totals over all jobs of a release.

    Raises:
        MisfitError: a total exceeds its limit.
    """
    total: dict[str, int] = dict.fromkeys(RELEASE_COUNTS, 0)
    for counts in jobs:
        for name in total:
            total[name] += counts[name]
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
    if foreach["items"] is None:
        return limits.ITEMS
    return len(foreach["items"])


def _check_counts(owner: str, counts: Counts, most: Counts) -> None:
    for name, bound in most.items():
        if counts[name] > bound:
            raise MisfitError(f"{owner} must have at most {bound:,} {name}; got {counts[name]:,}")
