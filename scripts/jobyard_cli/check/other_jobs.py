"""Other jobs that a job follows: they must be there, have runs to match, and not follow this one in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jobyard_cli.check.findings import WARNING, Finding, did_you_mean
from jobyard_cli.check.parts import mapping
from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.platform.published import PublishedJobs
from jobyard_cli.team.repo import TeamRepo


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
    published = None if ours else repo.published_jobs
    if not ours and published is None:
        return None  # nobody here can say: it is taken on trust, with a warning
    known = published.jobs if published else repo.own_jobs
    # What is no name of a job, the schema has said.
    if name not in known:
        team, dot, _ = name.partition(".")
        hint = did_you_mean(name, [job for job in known if job != own and job.startswith(team + dot)], cutoff=0.8)
        return f"unknown job '{name}' ({hint or _where(ours, team, published)}{_as_of(published)})" if dot else None
    if circle := _circle(repo, own, name):
        return f"jobs follow each other in a circle, so none of them starts: {' -> '.join(circle)}"
    return None


def _where(ours: bool, team: str, published: PublishedJobs | None) -> str:
    if ours:
        return "no folder of dags/ has that name"
    others = any(job.startswith(f"{team}.") for job in published.jobs) if published else False
    return f"team {team} has not released it" if others else f"no team {team} has released a job"


def _as_of(published: PublishedJobs | None) -> str:
    """How old the list is that does not have the job: one that was released since is not in it."""
    if published is None or not published.age():
        return ""
    return f"; {'the list is old: ' if published.is_old() else ''}{published.age()}"


def check_trust(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A warning for each job of another team of which nobody here can say that it is released everywhere."""
    for path, name in _followed(document.data):
        team, dot, _ = name.partition(".")
        if not dot or team == repo.team:
            continue
        if repo.published_jobs is None:
            message = f"job '{name}' is taken on trust: the platform has no list of released jobs"
            yield _warning(document, path, message)
        elif name in repo.published_jobs.jobs and (lacking := repo.published_jobs.lacking(name)):
            age = repo.published_jobs.age()
            where = f"not released in {' and '.join(lacking)}{f' ({age})' if age else ''}"
            yield _warning(document, path, f"job '{name}' is {where}: there this job waits until it is")


def _warning(document: Document, path: KeyPath, message: str) -> Finding:
    return replace(document.finding(path, message, "other-job"), severity=WARNING)


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
