"""The whole check of a team's repository."""

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
from jobyard_cli.errors import UsageError
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.team.repo import TeamRepo

JOB_NAME = re.compile(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?")


@dataclass
class Checked:
    """What a check read and found. `jobs` is by name; `findings` are in the order of file, line and column."""

    repo: TeamRepo
    jobs: dict[str, Document] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def told(self) -> list[Finding]:
        """Problems and warnings, by place."""
        return sorted([*self.findings, *self.warnings])

    @property
    def documents(self) -> dict[str, Document]:
        """Every file that was read, by its path."""
        read = [*self.repo.documents, *self.jobs.values()]
        return {document.path: document for document in read}

    @property
    def sound_jobs(self) -> dict[str, Document]:
        """The jobs in whose file nothing was found, by name; none where what all of them rest on is wrong."""
        wrong = {finding.path for finding in self.findings}
        if wrong.intersection(document.path for document in self.repo.documents):
            return {}
        return {name: document for name, document in self.jobs.items() if document.path not in wrong}


class NothingToCheckError(UsageError):
    """A path that was asked for has no job in it."""

    def __init__(self, path: Path) -> None:
        why = "there is no such file or folder" if not path.exists() else "no dags/<job>/job.yaml is in it"
        super().__init__(f"{path}: {why}")


def check_repo(root: Path, only: Sequence[Path] = (), platform: Path | None = None) -> Checked:
    """Check the jobs of the repository whose top folder is `root`, and report every problem, not the first.

    `only` are files or folders to keep to; none stands for all. What a job rests on (values, catalogue) is always
    checked. The jobs of other teams are those that the platform lists: its current branch, or the work tree `platform`.

    Raises:
        NotATeamRepoError: the folder is no team's repository.
        NothingToCheckError: a path of `only` has no job in it.
    """
    repo = TeamRepo.load(root, platform)
    checked = Checked(repo)
    findings = [*(one for values in repo.documents for one in values.findings), *_values(repo)]
    findings += [*_conflicts(repo), *check_links(repo.root)]
    misplaced = _misplaced(repo)
    for path in only:
        if not any(_is_in(file, path) for file in (*repo.job_files, *misplaced)):
            raise NothingToCheckError(path)
    findings += [_misplaced_finding(repo, file) for file in _chosen(misplaced, only)]
    for file in _chosen(repo.job_files, only):
        document = load(file, file.relative_to(repo.root).as_posix())
        checked.jobs[file.parent.name] = document
        findings += check_job(document, repo)
        checked.warnings += check_trust(document, repo)
    checked.findings = sorted(set(findings))
    if sound := checked.sound_jobs:
        checked.findings = sorted({*checked.findings, *check_limits(sound.values(), repo, whole=not only)})
    return checked


def _chosen(files: Iterable[Path], only: Sequence[Path]) -> list[Path]:
    return [file for file in files if not only or any(_is_in(file, path) for path in only)]


def _is_in(file: Path, path: Path) -> bool:
    absolute = path.absolute()
    return file == absolute or absolute in file.parents


def check_job(document: Document, repo: TeamRepo) -> Iterator[Finding]:
    """A finding for each problem of one job."""
    yield from document.findings
    name = document.path.split("/")[-2]
    if not JOB_NAME.fullmatch(name):
        rule = "lower-case letters, digits and '-', starting with a letter, at most 50 characters"
        yield document.finding((), f"the folder's name is the job's, and '{name}' can't be one: {rule}", "name")
    if document.data is not None and repo.job_schema not in repo.conflicted:
        misfits = list(check_schema(document, repo.job_schema))
        yield from misfits
        # Where the schema says already how to write a value, once is enough.
        told = {(misfit.line, misfit.column) for misfit in misfits}
        yield from (one for one in check_surprises(document) if (one.line, one.column) not in told)
    # With the team's values or a catalogue unreadable, every name in a job would look unknown.
    if not any(values.findings for values in repo.documents):
        yield from check_meaning(document, repo)


def _values(repo: TeamRepo) -> Iterator[Finding]:
    document = repo.team_values
    if document.findings:
        return
    if not isinstance(document.data, dict):
        yield document.finding((), "must be a mapping with the keys team, allowedNodeGroups and others", "team")
        return
    for name in ("team", "allowedNodeGroups", "serviceAccounts", "priorities"):
        if not document.data.get(name):
            yield document.finding((name,), f"'{name}' is missing or empty", "team")


def _conflicts(repo: TeamRepo) -> Iterator[Finding]:
    """What an upgrade or a merge left in files that are no documents."""
    for file, left in repo.conflicted.items():
        name = file.relative_to(repo.root).as_posix()
        yield from (Finding(name, one.first, 1, str(one), "conflict") for one in left)


def _misplaced(repo: TeamRepo) -> list[Path]:
    """Files that look like jobs and would be passed over in silence."""
    read = set(repo.job_files)
    files = sorted((repo.root / "dags").rglob("*.y*ml"))
    return [file for file in files if file.suffix in (".yaml", ".yml") and file not in read]


def _misplaced_finding(repo: TeamRepo, file: Path) -> Finding:
    place = file.relative_to(repo.root / "dags")
    folder = place.parts[0] if len(place.parts) > 1 else place.stem
    message = f"is not read: a job is one file, dags/<job>/job.yaml (here: dags/{folder}/job.yaml)"
    return Finding(f"dags/{place.as_posix()}", 1, 1, message, "misplaced")
