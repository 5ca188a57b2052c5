"""Compiles a team's jobs into its release, and publishes it with one conditional write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.check.report import lines
from jobyard_cli.check.run import Checked, check_repo
from jobyard_cli.documents import Document
from jobyard_cli.durations import parse_duration
from jobyard_cli.errors import JobyardError
from jobyard_cli.quantities import canonical_cpu, canonical_memory
from jobyard_cli.repo import TeamRepo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEMA_VERSION = 1
JOB_DEFAULTS: Mapping[str, Any] = {
    "description": "",
    "owner": "",
    "timezone": "UTC",
    # Airflow needs a start; with catchup off nothing before today is run because of it.
    "start_date": "2026-01-01",
    "end_date": None,
    "catchup": False,
    "max_active_runs": 1,
    "tags": [],
    "params": {},
}
RETRIES: Mapping[str, Any] = {"attempts": 2, "delay": "5m", "backoff": "none", "max_delay": None}
RESOURCES: Mapping[str, Any] = {"cpu": "500m", "memory": "1Gi"}
_TRIES = 5


class BrokenJobs(JobyardError):
    """The repository has problems, so there is no release; the message lists them all."""

    def __init__(self, checked: Checked) -> None:
        super().__init__("\n".join([*lines(checked, snippets=False), "nothing was released"]))


class PublishFailed(JobyardError):
    """The bucket did not take the release."""


def compile_release(root: Path, commit: str) -> bytes:
    """A release of all jobs of a team's repository: the same bytes for the same files and commit.

    Raises:
        NotATeamRepo: the folder is no team's repository.
        BrokenJobs: the check found something.
    """
    checked = check_repo(root)
    if checked.findings:
        raise BrokenJobs(checked)
    jobs = {name: _job(document, checked.repo) for name, document in checked.jobs.items()}
    digest = hashlib.sha256(_dump(jobs)).hexdigest()
    return _dump(
        {
            "schema_version": SCHEMA_VERSION,
            "team": checked.repo.team,
            "namespace": checked.repo.namespace,
            "commit": commit,
            "digest": f"sha256:{digest}",
            "jobs": jobs,
        }
    )


def _dump(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def _job(document: Document, repo: TeamRepo) -> dict[str, Any]:
    job: dict[str, Any] = document.data
    stated = {name: job[name] for name in JOB_DEFAULTS if name in job}
    defaults = job.get("defaults", {})
    return {
        **JOB_DEFAULTS,
        **stated,
        "source": document.text,
        "schedule": job["schedule"],
        "timeout": _seconds(job.get("timeout")),
        "tasks": {name: _task(task, defaults, repo) for name, task in job["tasks"].items()},
    }


def _task(task: Mapping[str, Any], defaults: Mapping[str, Any], repo: TeamRepo) -> dict[str, Any]:
    def setting(name: str, default: Any = None) -> Any:
        return task.get(name, defaults.get(name, default))

    level = setting("priority", "normal")
    return {
        "image": task["image"],
        "command": task.get("command"),
        "args": task.get("args"),
        "env": {**defaults.get("env", {}), **task.get("env", {})},
        "secrets": _secrets({**defaults.get("secrets", {}), **task.get("secrets", {})}),
        "node_group": setting("node_group", "default"),
        "resources": _resources(setting("resources", {}), setting("scratch")),
        "scratch": None if setting("scratch") is None else canonical_memory(setting("scratch")),
        "needs": task.get("needs", []),
        "retries": _retries(setting("retries", {})),
        "timeout": _seconds(setting("timeout")),
        "trigger_rule": task.get("trigger_rule", "all_success"),
        "service_account": setting("service_account", "jobs"),
        "priority_class": f"{repo.team}.{level}-{repo.priorities[level]}",
        "startup_timeout": _seconds(setting("startup_timeout")),
    }


def _retries(stated: Mapping[str, Any]) -> dict[str, Any]:
    retries = {**RETRIES, **stated}
    return {**retries, "delay": _seconds(retries["delay"]), "max_delay": _seconds(retries["max_delay"])}


def _secrets(stated: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: dict(zip(("secret", "key"), place.split("/"), strict=True)) for name, place in stated.items()}


def _resources(stated: Mapping[str, Any], scratch: str | None) -> dict[str, dict[str, str]]:
    """Memory can't be taken back from a pod, so its limit is the request; CPU can, so it has none.

    Scratch space is asked for, so that the node has it and the quota counts it; the volume itself has the limit.
    """
    asked = {**RESOURCES, **stated}
    memory = canonical_memory(asked["memory"])
    gpu = {"nvidia.com/gpu": str(asked["gpu"])} if asked.get("gpu") else {}
    disk = {} if scratch is None else {"ephemeral-storage": canonical_memory(scratch)}
    return {
        "requests": {"cpu": canonical_cpu(asked["cpu"]), "memory": memory, **disk, **gpu},
        "limits": {"memory": memory, **gpu},
    }


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else parse_duration(duration)


@dataclass(frozen=True)
class Published:
    """Where a release is; `changed` is false where the bucket had these jobs already."""

    address: str
    changed: bool


def publish(client: S3Client, bucket: str, release: bytes) -> Published:
    """Put a release where Airflow reads it: one object, replaced only if nobody else replaced it meanwhile.

    Raises:
        PublishFailed: the bucket refuses the write, is not there, or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    team, digest = (json.loads(release)[name] for name in ("team", "digest"))
    key = f"dags/{team}/jobs.json"
    address = f"s3://{bucket}/{key}"
    try:
        for _ in range(_TRIES):
            etag, current = _current(client, bucket, key)
            if current == digest:
                return Published(address, changed=False)
            if _put(client, bucket, key, release, etag):
                return Published(address, changed=True)
    except ClientError as error:
        problem = error.response["Error"]
        raise PublishFailed(f"{address}: {problem.get('Code')}: {problem.get('Message', 'no reason given')}") from error
    except BotoCoreError as error:
        raise PublishFailed(f"{address}: {error}") from error
    raise PublishFailed(f"{address}: another release went in at the same time, {_TRIES} times over; run this again")


def _current(client: S3Client, bucket: str, key: str) -> tuple[str | None, str | None]:
    """ETag and digest of the release that is there."""
    from botocore.exceptions import ClientError

    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"].get("Code") == "NoSuchKey":
            return None, None
        raise
    try:
        digest = json.loads(answer["Body"].read()).get("digest")
    except (ValueError, AttributeError):
        digest = None  # not a release: it is replaced
    return answer["ETag"], digest


def _put(client: S3Client, bucket: str, key: str, release: bytes, etag: str | None) -> bool:
    """Whether the object was still as it was read, and is now this release."""
    from botocore.exceptions import ClientError

    content_type = "application/json"
    try:
        if etag is None:
            client.put_object(Bucket=bucket, Key=key, Body=release, ContentType=content_type, IfNoneMatch="*")
        else:
            client.put_object(Bucket=bucket, Key=key, Body=release, ContentType=content_type, IfMatch=etag)
    except ClientError as error:
        if error.response["Error"].get("Code") in ("PreconditionFailed", "ConditionalRequestConflict"):
            return False
        raise
    return True
