"""Check a whole team's repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.limits import check_limits
from jobyard_cli.check.links import check_links
from jobyard_cli.check.meaning import check_meaning
from jobyard_cli.check.other_jobs import check_trust
from jobyard_cli.check.schema import check_schema
from jobyard_cli.check.surprises import check_surprises
from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.team.repo import TeamRepo

JOB_NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")
JOB_NAME_RULE = "a name of lower-case letters, digits and '-' that starts with a letter and has at most 50 characters"
"""`JOB_NAME` in words."""


@dataclass
class Checked:
    """What a check read and found. `jobs` is by name; `findings` are sorted by file, line and column."""

    repo: TeamRepo
    jobs: dict[str, Document] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def reported(self) -> list[Finding]:
        """Findings and warnings, sorted by file, line and column."""
        return sorted([*self.findings, *self.warnings])

    @property
    def documents(self) -> dict[str, Document]:
        """Every file that was read, by path."""
        read = [*self.repo.documents, *self.jobs.values()]
        return {document.path: document for document in read}

    @property
    def sound_jobs(self) -> dict[str, Document]:
        """The jobs without findings, by name; none if a file that all jobs depend on has findings."""
        wrong = {finding.path for finding in self.findings}
        if any(document.path in wrong for document in self.repo.documents):
            return {}
        return {name: document for name, document in self.jobs.items() if document.path not in wrong}


class NothingToCheck(JobyardError):
    """A path to check has no job in it."""

    def __init__(self, path: Path) -> None:
        why = "no dags/<job>/job.yaml in it" if path.exists() else "no such file or folder"
        super().__init__(f"{path}: {why}")


def check_repo(root: Path, only: Sequence[Path] = (), platform: Path | None = None) -> Checked:
    """Check the jobs of the repository whose top folder is `root`, and report every problem, not only the first.

    `only` limits the check to jobs in these files or folders; empty means all. The files that jobs depend on (values,
    catalogue) are always checked. Jobs of other teams are looked up in the platform's list: that of its current branch,
    or of the work tree `platform`.

    Raises:
        NotATeamRepo: the folder is not a team's repository.
        NothingToCheck: a path of `only` has no job in it.
    """
    repo = TeamRepo.load(root, platform)
    checked = Checked(repo)
    misplaced = _misplaced(repo)
    for path in only:
        if not _chosen([*repo.job_files, *misplaced], [path]):
            raise NothingToCheck(path)
    findings = {*_shared_files(repo), *_conflicts(repo), *check_links(repo.root)}
    for file in _chosen(misplaced, only):
        findings.add(_misplaced_finding(repo, file))
    for file in _chosen(repo.job_files, only):
        document = load(file, file.relative_to(repo.root).as_posix())
        checked.jobs[file.parent.name] = document
        findings.update(check_job(document, repo))
        checked.warnings += check_trust(document, repo)
    checked.findings = sorted(findings)
    if sound := checked.sound_jobs:
        findings.update(check_limits(sound.values(), repo, whole=not only))
        checked.findings = sorted(findings)
    return checked


def _chosen(files: Iterable[Path], only: Sequence[Path]) -> list[Path]:
    return [file for file in files if _is_chosen(file, only)]


def _is_chosen(file: Path, only: Sequence[Path]) -> bool:
    return not only or any(_is_in(file, path) for path in only)


def _is_in(file: Path, path: Path) -> bool:
    absolute = path.absolute()
    return file == absolute or absolute in file.parents


def check_job(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """Yield a finding for each problem of one job."""
    yield from document.findings
    name = document.path.split("/")[-2]
    if not JOB_NAME.fullmatch(name):
        yield document.finding((), f"the folder of a job must have {JOB_NAME_RULE}; got '{name}'", "name")
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


def _shared_files(repo: TeamRepo) -> Iterator[Finding]:
    """Yield the findings of the files that all jobs depend on."""
    for document in repo.documents:
        yield from document.findings
    team = repo.team_values
    if team.findings:
        return
    if not isinstance(team.data, dict):
        message = "the file must be a mapping with the keys team, allowedNodeGroups, serviceAccounts and priorities"
        yield team.finding((), message, "team")
        return
    for name in ("team", "allowedNodeGroups", "serviceAccounts", "priorities"):
        if not team.data.get(name):
            yield team.finding((name,), f"'{name}' must be set and not empty", "team")


def _conflicts(repo: TeamRepo) -> Iterator[Finding]:
    """Yield the conflicts of an upgrade or a merge in files that are not read as documents."""
    for file, conflicts in repo.conflicted.items():
        name = file.relative_to(repo.root).as_posix()
        for conflict in conflicts:
            yield Finding(name, conflict.first, 1, str(conflict), "conflict")


def _misplaced(repo: TeamRepo) -> list[Path]:
    """Return files that look like jobs and would be ignored."""
    jobs = set(repo.job_files)
    files = sorted((repo.root / "dags").rglob("*.y*ml"))
    return [file for file in files if file.suffix in (".yaml", ".yml") and file not in jobs]


def _misplaced_finding(repo: TeamRepo, file: Path) -> Finding:
    relative = file.relative_to(repo.root / "dags")
    job = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    message = f"the file is ignored: a job must be in dags/<job>/job.yaml (here: dags/{job}/job.yaml)"
    return Finding(f"dags/{relative.as_posix()}", 1, 1, message, "misplaced")
