"""Check the jobs that a job follows: they must exist, have runs to match, and not follow this one in turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobyard_cli.check.findings import Finding, did_you_mean
from jobyard_cli.check.parts import list_of, mapping
from jobyard_cli.check.timing import has_clock
from jobyard_cli.parsing.documents import Document, KeyPath
from jobyard_cli.platform.published import PublishedJobs
from jobyard_cli.team.repo import TeamRepo


def check_other_jobs(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each job under `after` and `wait_for` that this one cannot follow."""
    own = f"{repo.team}.{document.path.split('/')[-2]}"
    waited_for: set[str] = set()
    for path, name in _followed(document.data):
        problem = _problem(repo, own, name)
        if path[0] == "wait_for":
            problem = problem or _wait_problem(repo, name, waited_for)
            waited_for.add(name)
        if problem is not None:
            yield document.finding(path, problem, "other-job")


def check_trust(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a warning for each job of another team that may not be released in all environments."""
    for path, name in _followed(document.data):
        team, dot, _ = name.partition(".")
        if dot and team != repo.team and (doubt := _doubt(repo.published_jobs, name)):
            yield document.warning(path, doubt, "other-job")


def _followed(job: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield each job that a job names, with the path of the name."""
    after = mapping(mapping(job).get("schedule")).get("after")
    for index, name in enumerate(list_of(after)):
        if isinstance(name, str):
            yield ("schedule", "after", index), name
    for index, wait in enumerate(list_of(mapping(job).get("wait_for"))):
        if isinstance(wait, str):
            yield ("wait_for", index), wait
        elif isinstance(name := mapping(wait).get("job"), str):
            yield ("wait_for", index, "job"), name


def _problem(repo: TeamRepo, own: str, name: str) -> str | None:
    """Return why a job cannot follow another; None if it can, as far as this repository knows."""
    if name == own:
        return f"'{name}' is this job; a job cannot follow itself"
    team, dot, _ = name.partition(".")
    if not dot:
        return None  # The schema reports names without a team.
    if team == repo.team:
        problem = _unknown_own(repo.own_jobs, own, name)
    else:
        problem = _unknown_published(repo.published_jobs, name)
    return problem or _cycle_problem(repo, own, name)


def _unknown_own(jobs: list[str], own: str, name: str) -> str | None:
    if name in jobs:
        return None
    hint = did_you_mean(name, [job for job in jobs if job != own], cutoff=0.8)
    return f"unknown job '{name}' ({hint or 'dags/ has no folder with this name'})"


def _unknown_published(published: PublishedJobs | None, name: str) -> str | None:
    """Return why a job of another team is unknown. Without a list of released jobs it is assumed to exist."""
    if published is None or name in published.jobs:
        return None
    team = name.partition(".")[0]
    of_team = [job for job in published.jobs if job.startswith(f"{team}.")]
    hint = did_you_mean(name, of_team, cutoff=0.8) or f"team {team} has not released it"
    if not of_team:
        hint = f"no team {team} has released a job"
    return f"unknown job '{name}' ({hint}{_listed(published)})"


def _listed(published: PublishedJobs) -> str:
    """Return when the list was made, since it lacks jobs that were released later; "" if that is not known."""
    age = published.age()
    if not age:
        return ""
    if published.is_old():
        return f"; the list is out of date: {age}"
    return f"; {age}"


def _doubt(published: PublishedJobs | None, name: str) -> str | None:
    if published is None:
        return f"cannot verify that job '{name}' exists: the platform has no list of released jobs"
    missing = published.lacking(name)
    if name not in published.jobs or not missing:
        return None
    message = f"job '{name}' is not released in {' and '.join(missing)}"
    if age := published.age():
        message += f" ({age})"
    return f"{message}; until it is, this job waits there"


def _wait_problem(repo: TeamRepo, name: str, waited_for: set[str]) -> str | None:
    job = repo.other_job(name)
    if job is not None and not has_clock(job.get("schedule")):
        return f"job '{name}' has no cron schedule, so its runs cannot be matched; use schedule: {{after: [{name}]}}"
    if name in waited_for:
        return f"'wait_for' must not list {name} twice"
    return None


def _cycle_problem(repo: TeamRepo, own: str, name: str) -> str | None:
    """Return the cycle of jobs that leads from a job through another back to it; None without one."""
    paths = [[own, name]]
    visited: set[str] = set()
    while paths:
        path = paths.pop()
        last = path[-1]
        if last == own:
            return f"jobs follow each other in a cycle, so none of them would start: {' -> '.join(path)}"
        if last not in visited:
            visited.add(last)
            paths += [[*path, following] for _, following in _followed(repo.other_job(last))]
    return None
