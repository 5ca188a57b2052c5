"""What the library refuses in a release, said where it was written: the same rules, over what would be released.

Whatever another check has not seen, this one does, as it is the library's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobyard.entries import Job
from jobyard.rules import Misfit
from jobyard.validation import check_job, check_release

from jobyard_cli.check.findings import Finding
from jobyard_cli.parsing.documents import Document, KeyPath

RULE = "limit"
# What a release calls otherwise than job.yaml, or has one level deeper.
_RENAMED = {"arguments": "with"}
_WITHIN = frozenset(["items", "requests", "limits"])


def check_limits(entries: Mapping[str, Job], documents: Mapping[str, Document], *, whole: bool) -> list[Finding]:
    """A finding for each job that does not fit a release, and one where they do not fit one together.

    The jobs are valid otherwise; `whole` says whether they are all of the repository's.
    """
    findings = []
    counted = []
    for name, entry in entries.items():
        try:
            counted.append(check_job(entry))
        except Misfit as misfit:
            findings.append(_finding(documents[name], misfit))
    if whole and not findings:
        try:
            check_release(counted)
        except Misfit as misfit:
            findings.append(Finding("dags", 1, 1, str(misfit), RULE))
    return findings


def _finding(document: Document, misfit: Misfit) -> Finding:
    path = _written(misfit.path)
    names = [step for step in path if isinstance(step, str)]
    message = f"'{names[-1]}': {misfit.problem}" if names else misfit.problem
    return document.finding(path or ("tasks",), message, RULE, at_key=not path)


def _written(path: Iterable[str | int]) -> KeyPath:
    """Where job.yaml has what the release has at a path."""
    steps = [_RENAMED.get(step, step) if isinstance(step, str) else step for step in path]
    inside = [step for place, step in enumerate(steps) if place < 2 or step not in _WITHIN]
    return () if inside == ["job"] else tuple(inside)
