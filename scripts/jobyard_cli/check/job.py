"""Check one job: all that its file leads to, whatever other files say, so that processes can share the files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobyard.contract import NAME, NAME_RULE
from jobyard.entries import Job
from jobyard.validation import Counts

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.limits import check_limits
from jobyard_cli.check.meaning import check_meaning, doubts
from jobyard_cli.check.other_jobs import check_trust
from jobyard_cli.check.schema import check_schema
from jobyard_cli.check.surprises import check_surprises
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.release.entry import job_entry
from jobyard_cli.team.repo import TeamRepo


@dataclass(frozen=True)
class CheckedJob:
    """What the check of one job found, and what a release has of it if that is nothing."""

    name: str
    path: str
    findings: list[Finding]
    trust: list[Finding]
    """Warnings of jobs of other teams that it names."""
    entry: Job | None = None
    counts: Counts = field(default_factory=dict)
    """How much of a release it takes; empty without an entry."""
    doubts: Sequence[Finding] = ()
    """Warnings of what may not work, sorted."""


def check_file(path: str, repo: TeamRepo, *, sound: bool) -> CheckedJob:
    """Return what the check finds in a job's file, which is in a folder of its name; `path` is in the repository.

    It is compiled if nothing is found; never where `sound` is false, as something else than the file is wrong.
    """
    name = path.split("/")[-2]
    document = load(repo.root / path, path)
    findings = list(check_job(document, repo))
    trust = list(check_trust(document, repo))
    if findings or not sound:
        return CheckedJob(name, document.path, findings, trust)
    entry = job_entry(document, repo)
    counts = check_limits(document, entry)
    if isinstance(counts, Finding):
        return CheckedJob(name, document.path, [counts], trust)
    # What the defaults say is doubted once, and not for each task.
    return CheckedJob(name, document.path, [], trust, entry, counts, sorted(set(doubts(document, entry, repo))))


def check_job(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each problem of one job."""
    yield from document.findings
    name = document.path.split("/")[-2]
    if not NAME.fullmatch(name):
        yield document.finding((), f"the folder of a job must have {NAME_RULE}; got '{name}'", "name")
    if document.data is not None and repo.job_schema not in repo.conflicted:
        yield from _values(document, repo.job_schema)
    # If the team's values or the catalogue are unreadable, every name in a job would be unknown.
    if not any(shared.findings for shared in repo.documents):
        yield from check_meaning(document, repo)


def _values(document: Document, schema: Path) -> Iterator[Finding]:
    """Yield what the schema refuses, and, where it accepts a value, what YAML reads differently than it looks."""
    refused = list(check_schema(document, schema))
    yield from refused
    positions = {(finding.line, finding.column) for finding in refused}
    for finding in check_surprises(document):
        if (finding.line, finding.column) not in positions:
            yield finding
