"""Reading a team's release, `jobs.json`. The compiler checked it and filled in every default."""

import json
from pathlib import Path
from typing import Any, TypedDict

from jobyard.errors import NewerSchemaError, ReleaseError

SCHEMA_VERSION = 1


class Retries(TypedDict):
    """How often and when a failed task is tried again."""

    attempts: int  # tries after the first
    delay: int  # seconds
    backoff: str  # "exponential" or "none"
    max_delay: int | None  # seconds


class Resources(TypedDict):
    """Kubernetes' resource requirements: canonical quantities."""

    requests: dict[str, str]
    limits: dict[str, str]


class SecretKey(TypedDict):
    """A key of a Kubernetes Secret in the team's namespace."""

    secret: str
    key: str


class Task(TypedDict):
    """One pod."""

    image: str
    command: list[str] | None
    args: list[str] | None
    env: dict[str, str]
    secrets: dict[str, SecretKey]  # by the environment variable that gets it
    scratch: str | None  # quantity
    node_group: str
    resources: Resources
    needs: list[str]
    retries: Retries
    timeout: int | None  # seconds
    trigger_rule: str
    service_account: str
    priority_class: str
    startup_timeout: int | None  # seconds; None = the node group's


class Job(TypedDict):
    """One `job.yaml`, one DAG."""

    source: str
    description: str
    owner: str
    schedule: str | None
    timezone: str
    start_date: str
    end_date: str | None
    catchup: bool
    max_active_runs: int
    timeout: int | None  # seconds, of a whole run
    tags: list[str]
    params: dict[str, Any]
    tasks: dict[str, Task]


def read_jobs(path: Path, team: str) -> dict[str, Job]:
    """Return the jobs of the release at `path`; none if the team has released nothing yet.

    Raises:
        ReleaseError: the file is not a release of this team, or not one this version can read.
    """
    if not path.is_file():
        return {}
    release = read_json(path)
    if release.get("team") != team:
        raise ReleaseError(path, f"is a release of team {release.get('team')!r}, not of {team!r}")
    jobs = release.get("jobs")
    if not isinstance(jobs, dict):
        raise ReleaseError(path, "has no object 'jobs'")
    return jobs


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`, whose schema_version this version knows.

    Raises:
        ReleaseError: missing, not JSON, not an object, or without a schema_version.
        NewerSchemaError: written by a newer Jobyard.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ReleaseError(path, f"cannot be read: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(version, int):
        raise ReleaseError(path, "has no schema_version")
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(path, version, SCHEMA_VERSION)
    return dict(data)
