"""Reading a team's release, `jobs.json`.

The compiler checked it and filled in every default. But a team's pipeline may put any bytes in its place, so nothing of
it is used before it is known to fit, and finding out takes little time and memory, whatever the bytes are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from jobyard import limits
from jobyard.contract import SCHEMA_VERSION
from jobyard.entries import Job
from jobyard.errors import NewerSchemaError, ReleaseError, UnfitJobError
from jobyard.reading import parse
from jobyard.rules import MisfitError, shown
from jobyard.validation import Counts, check_job, check_release


class Contents(NamedTuple):
    """What a release has, unchecked."""

    jobs: dict[str, Any]
    """Entries by the jobs' names."""
    commit: str
    """The commit that the release was made of; empty if the release does not say."""


def read_release(path: Path, team: str) -> Contents:
    """Return what the release at `path` has; no jobs if it does not exist yet.

    Raises:
        ReleaseError: the file is too large, or not a release of this team, or not one this version can read.
    """
    if not path.is_file():
        return Contents({}, "")
    release = read_json(path)
    if release.get("team") != team:
        raise ReleaseError(path, f"is a release of team {shown(release.get('team'))}, not of {team!r}")
    jobs = release.get("jobs")
    if not isinstance(jobs, dict):
        raise ReleaseError(path, "has no object 'jobs'")
    if len(jobs) > limits.RELEASE_JOBS:
        raise ReleaseError(path, f"has {len(jobs):,} jobs, more than {limits.RELEASE_JOBS:,}")
    commit = release.get("commit")
    return Contents(jobs, commit[: limits.COMMIT] if isinstance(commit, str) else "")


def checked_jobs(path: Path, entries: Mapping[str, object]) -> dict[str, Job | UnfitJobError]:
    """Return the jobs of a release at `path` by name; in place of one that does not fit, why.

    Raises:
        ReleaseError: those that fit are too many together.
    """
    jobs: dict[str, Job | UnfitJobError] = {}
    counted: list[Counts] = []
    for name, entry in entries.items():
        try:
            counted.append(check_job(entry))
            jobs[name] = cast(Job, entry)
        except MisfitError as misfit:
            jobs[name] = UnfitJobError(entry, str(misfit))
    try:
        check_release(counted)
    except MisfitError as misfit:
        raise ReleaseError(path, str(misfit)) from None
    return jobs


def checked_job(entry: object) -> Job:
    """Return the entry of a release as the job that it is.

    Raises:
        UnfitJobError: something in it does not fit.
    """
    try:
        check_job(entry)
    except MisfitError as misfit:
        raise UnfitJobError(entry, str(misfit)) from None
    return cast(Job, entry)


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, whose schema_version this version knows.

    Raises:
        ReleaseError: missing, too large, not JSON, not an object, or without a schema_version.
        NewerSchemaError: written by a newer Jobyard.
    """
    try:
        with path.open("rb") as file:
            # Of a file that is too large no more than tells so.
            data = parse(file.read(limits.RELEASE_BYTES + 1))
    except (OSError, ValueError) as error:
        raise ReleaseError(path, f"cannot be read: {error}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise ReleaseError(path, "has no schema_version")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(path, version, SCHEMA_VERSION)
    return dict(data)
