"""Reading a team's release, `jobs.json`. The compiler checked it and filled in every default."""

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jobyard.errors import NewerSchemaError, ReleaseError

SCHEMA_VERSION = 3
"""Version 1 lacks what is NotRequired here, version 2 the digests of the jobs."""


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


class AfterJobs(TypedDict, total=False):
    """A schedule by what others write: jobs that have succeeded, assets."""

    after: list[str]
    assets: list[str]


Schedule = str | None | AfterJobs
"""A cron expression or preset; None for "by hand"; or after others."""


class WaitFor(TypedDict):
    """A job of any team whose run over the same data interval has to succeed first."""

    job: str
    timeout: int  # seconds


class Foreach(TypedDict):
    """One instance of the task for each item: of a list, or of the list that another task left."""

    items: list[Any] | None
    output_of: str | None
    concurrency: int | None  # instances of one run at once


class GateTest(TypedDict):
    """A condition on another task's output."""

    output_of: str
    value: str | None
    test: str
    bound: object


class Task(TypedDict):
    """One pod, or with a `type` one of the operators that the platform allows besides."""

    # Of every task.
    needs: list[str]
    retries: Retries
    timeout: int | None  # seconds
    trigger_rule: str
    group: NotRequired[str | None]
    pool: NotRequired[str | None]
    inputs: NotRequired[list[str]]
    outputs: NotRequired[list[str]]
    # Of a task with a type, which has nothing of what follows.
    type: NotRequired[str | None]
    arguments: NotRequired[dict[str, Any]]
    # Of a pod.
    image: str
    command: list[str] | None
    args: list[str] | None
    env: dict[str, str]
    secrets: dict[str, SecretKey]  # by the environment variable that gets it
    scratch: str | None  # quantity
    node_group: str
    resources: Resources
    service_account: str
    priority_class: str
    startup_timeout: int | None  # seconds; None = the node group's
    foreach: NotRequired[Foreach | None]
    gate: NotRequired[GateTest | None]
    output: NotRequired[bool]  # another task uses what this one leaves


class Alerts(TypedDict, total=False):
    """Whom to tell, by occasion; each is one kind of target and its address."""

    on_failure: list[dict[str, str]]
    on_retry: list[dict[str, str]]
    on_success: list[dict[str, str]]
    on_missed_deadline: list[dict[str, str]]


class Job(TypedDict):
    """One `job.yaml`, one DAG."""

    source: str
    digest: NotRequired[str]  # of all else that is here
    description: str
    owner: str
    schedule: Schedule
    timezone: str
    start_date: str
    end_date: str | None
    catchup: bool
    max_active_runs: int
    max_active_tasks: NotRequired[int | None]
    timeout: int | None  # seconds, of a whole run
    deadline: NotRequired[int | None]  # seconds from a run's start until on_missed_deadline
    tags: list[str]
    params: dict[str, Any]  # name to the arguments of Airflow's Param; in version 1 to a plain default
    wait_for: NotRequired[list[WaitFor]]
    alerts: NotRequired[Alerts]
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
