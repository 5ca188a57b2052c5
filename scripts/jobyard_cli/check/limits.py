"""Apply the library's own rules for a release to the jobs, and point to the lines of job.yaml that violate them.

The library applies the same rules when it reads the release, so this finds whatever the other checks miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobyard.entries import Job
from jobyard.rules import MisfitError
from jobyard.validation import check_job, check_release

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.parts import last_name
from jobyard_cli.parsing.documents import Document, KeyPath

# Steps of a path in a release that job.yaml names differently, or does not have.
_RENAMED = {"arguments": "with"}
_ADDED = frozenset(["items", "requests", "limits"])


def check_limits(entries: Mapping[str, Job], documents: Mapping[str, Document], *, whole: bool) -> list[Finding]:
    """Return a finding for each job that does not fit a release, and one if the jobs do not fit a release together.

    The documents must have no other findings. `whole` says whether they are all jobs of the repository.
    """
    findings = []
    counts = []
    for name, entry in entries.items():
        try:
            counts.append(check_job(entry))
        except MisfitError as misfit:
            findings.append(_finding(documents[name], misfit))
    if whole and not findings:
        try:
            check_release(counts)
        except MisfitError as misfit:
            findings.append(Finding("dags", 1, 1, str(misfit), "limit"))
    return findings


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
