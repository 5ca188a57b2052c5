"""What the library refuses in a release, said where it was written: the same rules, over what would be released.

Whatever another check has not seen, this one does, as it is the library's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobyard.rules import MisfitError
from jobyard.validation import check_job, check_release

from jobyard_cli.check.findings import Finding
from jobyard_cli.parsing.documents import Document, KeyPath

if TYPE_CHECKING:
    from jobyard_cli.team.repo import TeamRepo

RULE = "limit"
# What a release calls otherwise than job.yaml, or has one level deeper.
_RENAMED = {"arguments": "with"}
_WITHIN = frozenset(["items", "requests", "limits"])


def check_limits(documents: Iterable[Document], repo: TeamRepo, *, whole: bool) -> list[Finding]:
    """A finding for each job that does not fit a release, and one where they do not fit one together.

    The documents are valid otherwise; `whole` says whether they are all of the repository's.
    """
    # Compiling checks first, so it imports the check.
    from jobyard_cli.release.compile import job_entry

    findings, counted = [], []
    for document in documents:
        try:
            counted.append(check_job(job_entry(document, repo)))
        except MisfitError as misfit:
            findings.append(_finding(document, misfit))
    if whole and not findings:
        try:
            check_release(counted)
        except MisfitError as misfit:
            findings.append(Finding("dags", 1, 1, str(misfit), RULE))
    return findings


def _finding(document: Document, misfit: MisfitError) -> Finding:
    path = _written(misfit.path)
    names = [step for step in path if isinstance(step, str)]
    message = f"'{names[-1]}': {misfit.problem}" if names else misfit.problem
    return document.finding(path or ("tasks",), message, RULE, at_key=not path)


def _written(path: Iterable[str | int]) -> KeyPath:
    """Where job.yaml has what the release has at a path."""
    steps = [_RENAMED.get(step, step) if isinstance(step, str) else step for step in path]
    inside = [step for place, step in enumerate(steps) if place < 2 or step not in _WITHIN]
    return () if inside == ["job"] else tuple(inside)
