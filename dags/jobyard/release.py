"""Reading a team's release, `jobs.json`.

The compiler checked it and filled in every default. But a team's pipeline may put any bytes in its place, so nothing of
it is used before it is known to fit, and finding out takes little time and memory, whatever the bytes are.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from jobyard import limits
from jobyard.errors import NewerSchemaError, ReleaseError, UnfitJobError
from jobyard.reading import parse
from jobyard.rules import MisfitError, shown
from jobyard.validation import Counts, check_job, check_release

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


def read_jobs(path: Path, team: str) -> dict[str, Any]:
    """Return the entries of the release at `path` by the jobs' names, unchecked; none if there is no release yet.

    Raises:
        ReleaseError: the file is too large, or not a release of this team, or not one this version can read.
    """
    if not path.is_file():
        return {}
    release = read_json(path)
    if release.get("team") != team:
        raise ReleaseError(path, f"is a release of team {shown(release.get('team'))}, not of {team!r}")
    jobs = release.get("jobs")
    if not isinstance(jobs, dict):
        raise ReleaseError(path, "has no object 'jobs'")
    if len(jobs) > limits.RELEASE_JOBS:
        raise ReleaseError(path, f"has {len(jobs):,} jobs, more than {limits.RELEASE_JOBS:,}")
    return jobs


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
