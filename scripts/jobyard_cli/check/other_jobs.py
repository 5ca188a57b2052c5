"""Other jobs that a job follows: they must be there, have runs to match, and not follow this one in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding, did_you_mean
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.timing import has_clock
from jobyard_cli.documents import Document, KeyPath
from jobyard_cli.repo import PUBLISHED_JOBS, TeamRepo


def check_other_jobs(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each job under `after` and `wait_for` that this one can't follow."""
    own = f"{repo.team}.{document.path.split('/')[-2]}"
    seen: set[str] = set()
    for path, name in _followed(document.data):
        problem = _problem(repo, own, name)
        if problem is None and path[0] == "wait_for":
            problem = _no_clock(repo, name) or (f"'wait_for' names {name} twice" if name in seen else None)
            seen.add(name)
        if problem is not None:
            yield document.finding(path, problem, "other-job")


def _followed(job: Any) -> Iterator[tuple[KeyPath, str]]:
    """Each other job that is named, with its place."""
    after = mapping(mapping(job).get("schedule")).get("after")
    for number, name in enumerate(after if isinstance(after, list) else []):
        if isinstance(name, str):
            yield ("schedule", "after", number), name
    waits = mapping(job).get("wait_for")
    for number, wait in enumerate(waits if isinstance(waits, list) else []):
        if isinstance(wait, str):
            yield ("wait_for", number), wait
        elif isinstance(name := mapping(wait).get("job"), str):
            yield ("wait_for", number, "job"), name


def _problem(repo: TeamRepo, own: str, name: str) -> str | None:
    if name == own:
        return f"'{name}' is this job itself"
    ours = name.startswith(f"{repo.team}.")
    published = repo.published_jobs
    if not ours and published is None:
        return None  # nobody here can say; Airflow shows it
    known = repo.own_jobs if ours else published or {}
    # What is no name of a job, the schema has said.
    if name not in known:
        where = "no folder of dags/ has that name" if ours else f"it is not in {PUBLISHED_JOBS}"
        team, dot, _ = name.partition(".")
        hint = did_you_mean(name, [job for job in known if job != own and job.startswith(team + dot)], cutoff=0.8)
        return f"unknown job '{name}' ({hint or where})" if dot else None
    if circle := _circle(repo, own, name):
        return f"jobs follow each other in a circle, so none of them starts: {' -> '.join(circle)}"
    return None


def _no_clock(repo: TeamRepo, name: str) -> str | None:
    """Why nothing says which of the other job's runs is meant."""
    job = repo.other_job(name)
    if job is None or has_clock(job.get("schedule")):
        return None
    return f"job '{name}' has no cron schedule to match; use schedule: {{after: [{name}]}}"


def _circle(repo: TeamRepo, own: str, name: str) -> list[str] | None:
    """The way from a job back to this one, if there is one."""
    ways = [[own, name]]
    visited: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == own:
            return way
        if way[-1] not in visited:
            visited.add(way[-1])
            ways += [[*way, following] for _, following in _followed(repo.other_job(way[-1]))]
    return None
