"""The platform's own files in Airflow's bucket: the library, each team's loader, the node groups and the kubeconfig."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobyard_cli.documents import load
from jobyard_cli.errors import JobyardError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "dags/"


class NotThePlatformRepo(JobyardError):
    """A file that the platform's repository has is not there."""

    def __init__(self, missing: Path) -> None:
        super().__init__(f"{missing} is not there: run this in the top folder of the platform's repository")


class PutFailed(JobyardError):
    """The bucket did not take the files."""


class UnreadableValues(JobyardError):
    """A file of values can't be used; the message says where and why."""


def loader_source(team: str) -> str:
    """The two lines that turn a team's release into DAGs.

    Airflow's safe mode reads a file only where its text has both "dag" and "airflow" in it.
    """
    comment = f"makes the Airflow DAGs of {team} from its release"
    return f"import jobyard  # {comment}\nglobals().update(jobyard.load(__file__))\n"


def platform_files(dags: Path, teams: Iterable[str], platform: dict[str, Any], kubeconfig: str) -> dict[str, bytes]:
    """Path below `dags/` to content, in the order in which they are to be put: what is needed first comes first."""
    files = {".airflowignore": (dags / ".airflowignore").read_bytes()}
    for path in sorted((dags / "jobyard").glob("*.py")):
        files[f"jobyard/{path.name}"] = path.read_bytes()
    files["jobyard/kubeconfig.yaml"] = kubeconfig.encode()
    files["jobyard/platform.json"] = json.dumps(platform, sort_keys=True, indent=1).encode()
    for team in sorted(teams):
        files[f"{team}.py"] = loader_source(team).encode()
    return files


def node_groups(values: Path) -> dict[str, Any]:
    """The catalogue of node groups.

    Raises:
        NotThePlatformRepo: the file is not there.
        UnreadableValues: it is no YAML, or not of this form.
    """
    return _mapping(values / "node-groups.yaml", "nodeGroups")


def task_types(values: Path) -> dict[str, Any]:
    """The catalogue of task types.

    Raises:
        NotThePlatformRepo: the file is not there.
        UnreadableValues: it is no YAML, or not of this form.
    """
    return _mapping(values / "task-types.yaml", "taskTypes")


def _mapping(file: Path, key: str) -> dict[str, Any]:
    if not file.is_file():
        raise NotThePlatformRepo(file)
    document = load(file, str(file))
    if document.findings:
        raise UnreadableValues("\n".join(str(finding) for finding in document.findings))
    found = document.data.get(key) if isinstance(document.data, dict) else None
    if not isinstance(found, dict):
        raise UnreadableValues(f"{file}: must have a mapping under '{key}'")
    return found


def put_changed(client: S3Client, bucket: str, files: dict[str, bytes]) -> list[str]:
    """Put the files whose content differs from the bucket's, in their order, and return their names.

    Raises:
        PutFailed: the bucket refuses, is not there, or does not answer.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
        etags = {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}
        changed = []
        for name, content in files.items():
            if etags.get(PREFIX + name) != hashlib.md5(content, usedforsecurity=False).hexdigest():
                client.put_object(Bucket=bucket, Key=PREFIX + name, Body=content)
                changed.append(name)
    except (BotoCoreError, ClientError) as error:
        raise PutFailed(f"s3://{bucket}/{PREFIX}: {error}") from error
    return changed
