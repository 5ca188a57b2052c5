"""Compiles a team's jobs into its release."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from jobyard.contract import SCHEMA_VERSION
from jobyard.entries import Job, Release
from jobyard.reading import check_size

from jobyard_cli.check.report import lines
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.errors import JobyardError
from jobyard_cli.release.file import ReleaseFile, dumped
from jobyard_cli.system.sharing import nothing

JOB_DIGEST = 12
"""Hexadecimal digits of a job's digest: enough to tell its versions apart."""


class InvalidJobsError(JobyardError):
    """The repository has problems, so there is no release; the message lists them all."""

    def __init__(self, checked: Checked, so: str = "nothing was released") -> None:
        super().__init__("\n".join([*lines(checked, snippets=False), so]))


class ReleaseTooLargeError(JobyardError):
    """The jobs fit a release one by one, and all together make one that Airflow would not read."""

    def __init__(self, error: ValueError) -> None:
        super().__init__(f"Airflow can't read the release: {error}; nothing was released")


def compile_release(
    root: Path, commit: str, images: Mapping[str, str] | None = None, meanwhile: Callable[[], object] = nothing
) -> ReleaseFile:
    """Return a release of all jobs of a team's repository: the same bytes for the same files, commit and images.

    `images` are the addresses of those that belong to the jobs, by digest, so that going back to this release goes
    back to them too; they are part of the release's digest, the commit is not. `meanwhile` is as `check_repo` has it.

    Raises:
        NotATeamRepoError: the folder is not a team repository.
        InvalidJobsError: the check found something.
        ReleaseTooLargeError: Airflow would not read the release.
    """
    return release_of(check_repo(root, meanwhile=meanwhile), commit, images)


def release_of(checked: Checked, commit: str, images: Mapping[str, str] | None = None) -> ReleaseFile:
    """Return a release of all checked jobs, as `compile_release` does.

    Raises:
        InvalidJobsError: the check found something.
        ReleaseTooLargeError: Airflow would not read the release.
    """
    if checked.findings:
        raise InvalidJobsError(checked)
    addresses = dict(images or {})
    digests: dict[str, str] = {}
    jobs: dict[str, Job] = {}
    for name, entry in checked.entries.items():
        digests[name] = _digest(entry)
        jobs[name] = _with_digest(entry, digests[name])
    content = Release(
        schema_version=SCHEMA_VERSION,
        team=checked.repo.team,
        commit=commit,
        digest=f"sha256:{_digest({'jobs': digests, 'images': addresses})}",
        jobs=jobs,
        images=addresses,
    )
    release = ReleaseFile(content, dumped(content))
    try:
        check_size(release.body)
    except ValueError as error:
        raise ReleaseTooLargeError(error) from error
    return release


def compile_jobs(checked: Checked) -> dict[str, Job]:
    """Return a checked repository's jobs, by name, as a release has them, without jobs that have findings."""
    return {name: _with_digest(entry, _digest(entry)) for name, entry in checked.entries.items()}


def _with_digest(job: Job, digest: str) -> Job:
    """The job with what its DAG's page shows of it, by which one can tell that Airflow has it as it is here."""
    return {**job, "digest": digest[:JOB_DIGEST]}


def _digest(value: object) -> str:
    """The digest of a job, or of a release, of this version of the schema.

    The version is in it: an Airflow that can't read this one yet shows the digests of the version before.
    """
    return hashlib.sha256(dumped([SCHEMA_VERSION, value])).hexdigest()
