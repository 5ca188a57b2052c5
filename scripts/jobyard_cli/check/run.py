"""Check a whole team's repository."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobyard.entries import Job

from jobyard_cli.check.findings import Finding
from jobyard_cli.check.job import CheckedJob, check_file
from jobyard_cli.check.limits import check_all_limits
from jobyard_cli.check.links import check_links
from jobyard_cli.check.loaders import doubt_loaders
from jobyard_cli.check.notebooks import doubt_notebooks
from jobyard_cli.check.team_values import check_team_values
from jobyard_cli.errors import UsageError
from jobyard_cli.parsing.documents import load
from jobyard_cli.system.sharing import nothing, share
from jobyard_cli.team.repo import TeamRepo


@dataclass
class Checked:
    """What a check read and found. `jobs` has each job's file by its name; `findings` are sorted by place."""

    repo: TeamRepo
    jobs: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Job] = field(default_factory=dict)
    """What a release has of the jobs in whose file nothing was found, by name."""
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    @property
    def reported(self) -> list[Finding]:
        """Findings and warnings, sorted by file, line and column."""
        return sorted([*self.findings, *self.warnings])

    def lines_of(self, path: str) -> list[str]:
        """Return the lines of a file that was checked, to quote them; none of another."""
        documents = (*self.repo.documents, *self.repo.own_environments)
        read = {*self.jobs.values(), *(document.path for document in documents)}
        return load(self.repo.root / path, path).text.splitlines() if path in read else []


class NothingToCheckError(UsageError):
    """A path to check has no job in it."""

    def __init__(self, path: Path) -> None:
        why = "no dags/<job>/job.yaml in it" if path.exists() else "no such file or folder"
        super().__init__(f"{path}: {why}")


def check_repo(
    root: Path,
    only: Sequence[Path] = (),
    platform: Path | None = None,
    meanwhile: Callable[[], object] = nothing,
) -> Checked:
    """Check the jobs of the repository whose top folder is `root`, and report every problem, not only the first.

    `only` limits the check to jobs in these files or folders; empty means all. The files that jobs depend on (values,
    catalogue) are always checked. Jobs of other teams are looked up in the platform's list: that of its current branch,
    or of the work tree `platform`. `meanwhile` is called while other processes check already, where they do.

    Raises:
        NotATeamRepoError: the folder is not a team's repository.
        NothingToCheckError: a path of `only` does not exist, or has no job in it.
    """
    for path in only:
        if not path.exists():
            raise NothingToCheckError(path)
    return check_jobs(TeamRepo.load(root, platform), only, meanwhile)


def check_jobs(repo: TeamRepo, only: Sequence[Path] = (), meanwhile: Callable[[], object] = nothing) -> Checked:
    """Check the jobs of a repository that has been read, as `check_repo` does.

    Raises:
        NothingToCheckError: a path of `only` has no job in it.
    """
    misplaced = _misplaced(repo)
    for path in only:
        if not _chosen([*repo.job_files, *misplaced], [path]):
            raise NothingToCheckError(path)
    findings = {*_shared_files(repo), *_conflicts(repo), *check_links(repo.root)}
    for file in _chosen(misplaced, only):
        findings.add(_misplaced_finding(repo, file))
    wrong = {finding.path for finding in findings}
    sound = wrong.isdisjoint(document.path for document in repo.documents)

    def check(path: str) -> CheckedJob:
        return check_file(path, repo, sound=sound and path not in wrong)

    paths = [file.relative_to(repo.root).as_posix() for file in _chosen(repo.job_files, only)]
    jobs = share(paths, check, meanwhile)
    return _together(repo, findings, jobs, whole=not only)


def _together(repo: TeamRepo, findings: set[Finding], jobs: list[CheckedJob], *, whole: bool) -> Checked:
    """Return what was found in each file and, if they are the `whole` repository, in all jobs together."""
    entries: dict[str, Job] = {}
    warnings: list[Finding] = []
    for job in jobs:
        findings.update(job.findings)
        warnings += job.trust
        if job.entry is not None:
            entries[job.name] = job.entry
    for job in jobs:
        warnings += job.doubts
    checked = Checked(repo, {job.name: job.path for job in jobs}, entries, warnings=warnings)
    if whole:
        # Jobs that do not fit by themselves are reported first.
        fitting = [job.counts for job in jobs if job.counts]
        if not any(finding.rule == "limit" for finding in findings):
            findings.update(check_all_limits(fitting))
        checked.warnings += doubt_loaders(entries, repo)
        checked.warnings += doubt_notebooks(repo.root)
    checked.findings = sorted(findings)
    return checked


def _chosen(files: Iterable[Path], only: Sequence[Path]) -> list[Path]:
    """Return the files that are among these paths, or in folders among them; empty paths mean all files."""
    if not only:
        return list(files)
    paths = {path.absolute() for path in only}
    return [file for file in files if not paths.isdisjoint((file, *file.parents))]


def _shared_files(repo: TeamRepo) -> Iterator[Finding]:
    """Yield the findings of the files that all jobs depend on."""
    for document in repo.documents:
        yield from document.findings
    yield from check_team_values(repo)


def _conflicts(repo: TeamRepo) -> Iterator[Finding]:
    """Yield the conflicts of an upgrade or a merge in files that are not read as documents."""
    for file, conflicts in repo.conflicted.items():
        name = file.relative_to(repo.root).as_posix()
        for conflict in conflicts:
            yield Finding(name, conflict.first, 1, str(conflict), "conflict")


def _misplaced(repo: TeamRepo) -> list[Path]:
    """Return files that look like jobs and would be ignored, sorted."""
    jobs = set(map(str, repo.job_files))
    found = []
    # Paths of a thousand jobs take longer than looking for them.
    for folder, folders, files in os.walk(repo.root / "dags"):
        for name in (*folders, *files):
            if name.endswith((".yaml", ".yml")) and f"{folder}{os.sep}{name}" not in jobs:
                found.append(Path(folder, name))
    return sorted(found)


def _misplaced_finding(repo: TeamRepo, file: Path) -> Finding:
    relative = file.relative_to(repo.root / "dags")
    job = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    message = f"the file is ignored: a job must be in dags/<job>/job.yaml (here: dags/{job}/job.yaml)"
    return Finding(f"dags/{relative.as_posix()}", 1, 1, message, "misplaced")
