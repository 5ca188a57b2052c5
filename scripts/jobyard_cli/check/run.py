"""Check a whole team's repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobyard.contract import NAME, NAME_RULE
from jobyard.entries import Job

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.limits import check_limits
from jobyard_cli.check.links import check_links
from jobyard_cli.check.loaders import doubt_loaders
from jobyard_cli.check.meaning import check_meaning, doubts
from jobyard_cli.check.other_jobs import check_trust
from jobyard_cli.check.schema import check_schema
from jobyard_cli.check.surprises import check_surprises
from jobyard_cli.errors import UsageError
from jobyard_cli.parsing.documents import Document, load
from jobyard_cli.release.entry import job_entry
from jobyard_cli.team.repo import TeamRepo


@dataclass
class Checked:
    """What a check read and found. `jobs` is by name; `findings` are sorted by file, line and column."""

    repo: TeamRepo
    jobs: dict[str, Document] = field(default_factory=dict)
    entries: dict[str, Job] = field(default_factory=dict)
    """What a release has of the jobs in whose file nothing was found, by name."""
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


class NothingToCheckError(UsageError):
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
        NotATeamRepoError: the folder is not a team's repository.
        NothingToCheckError: a path of `only` does not exist, or has no job in it.
    """
    for path in only:
        if not path.exists():
            raise NothingToCheckError(path)
    return check_jobs(TeamRepo.load(root, platform), only)


def check_jobs(repo: TeamRepo, only: Sequence[Path] = ()) -> Checked:
    """Check the jobs of a repository that has been read, as `check_repo` does.

    Raises:
        NothingToCheckError: a path of `only` has no job in it.
    """
    checked = Checked(repo)
    misplaced = _misplaced(repo)
    for path in only:
        if not _chosen([*repo.job_files, *misplaced], [path]):
            raise NothingToCheckError(path)
    findings = {*_shared_files(repo), *_conflicts(repo), *check_links(repo.root)}
    for file in _chosen(misplaced, only):
        findings.add(_misplaced_finding(repo, file))
    for file in _chosen(repo.job_files, only):
        document = load(file, file.relative_to(repo.root).as_posix())
        checked.jobs[file.parent.name] = document
        findings.update(check_job(document, repo))
        checked.warnings += check_trust(document, repo)
    checked.findings = sorted(findings)
    _compile(checked, whole=not only)
    return checked


def _compile(checked: Checked, *, whole: bool) -> None:
    """Compile the jobs that are right so far, keep those that fit a release, and add warnings of what they say."""
    entries = {name: job_entry(document, checked.repo) for name, document in checked.sound_jobs.items()}
    if entries:
        misfits = check_limits(entries, checked.jobs, whole=whole)
        checked.findings = sorted({*checked.findings, *misfits})
    checked.entries = {name: entries[name] for name in checked.sound_jobs}
    for name, entry in checked.entries.items():
        # What the defaults say is doubted once, and not for each task.
        checked.warnings += sorted(set(doubts(checked.jobs[name], entry, checked.repo)))
    if whole:
        checked.warnings += doubt_loaders(checked.entries, checked.repo)


def _chosen(files: Iterable[Path], only: Sequence[Path]) -> list[Path]:
    """Return the files that are among these paths, or in folders among them; empty paths mean all files."""
    if not only:
        return list(files)
    paths = {path.absolute() for path in only}
    return [file for file in files if not paths.isdisjoint((file, *file.parents))]


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
