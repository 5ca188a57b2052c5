"""Apply the library's own rules for a release to the jobs, and point to the lines of job.yaml that violate them.

The library applies the same rules when it reads the release, so this finds whatever the other checks miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobyard.entries import Job
from jobyard.rules import MisfitError
from jobyard.validation import Counts, check_job, check_release

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import last_name
from jobyard_cli.parsing.documents import Document, KeyPath

# Steps of a path in a release that job.yaml names differently, or does not have.
_RENAMED = {"arguments": "with"}
_ADDED = frozenset(["items", "requests", "limits"])


def check_limits(document: Document, entry: Job) -> Counts | Finding:
    """Return how much of a release a job takes, or a finding if it does not fit one.

    The document must have no other findings.
    """
    try:
        return check_job(entry)
    except MisfitError as misfit:
        return _finding(document, misfit)


def check_all_limits(counts: Iterable[Counts]) -> Iterator[Finding]:
    """Yield a finding if jobs, each of which fits a release, do not fit it together."""
    try:
        check_release(counts)
    except MisfitError as misfit:
        yield Finding("dags", 1, 1, str(misfit), "limit")


def _finding(document: Document, misfit: MisfitError) -> Finding:
    path = _path_in_job(misfit.path)
    message = misfit.problem
    name = last_name(path)
    if name is not None:
        message = f"'{name}' {message}"
    return document.finding(path or ("tasks",), message, "limit", at_key=not path)


def _path_in_job(path: Iterable[str | int]) -> KeyPath:
    """Return the path in job.yaml of what a release has at a path."""
    steps: list[str | int] = []
    for depth, step in enumerate(path):
        # The second step may be the name of a task.
        if depth < 2 or isinstance(step, int):
            steps.append(step)
        elif step not in _ADDED:
            steps.append(_RENAMED.get(step, step))
    if steps == ["job"]:
        return ()
    return tuple(steps)
