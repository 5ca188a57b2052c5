"""The platform's own files in Airflow's bucket: the library, each team's loader, the node groups and the kubeconfig."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "dags/"


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


def put_changed(client: S3Client, bucket: str, files: dict[str, bytes]) -> list[str]:
    """Put the files whose content differs from the bucket's, in their order, and return their names."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX)
    etags = {entry["Key"]: entry["ETag"].strip('"') for page in pages for entry in page.get("Contents", [])}
    changed = []
    for name, content in files.items():
        if etags.get(PREFIX + name) != hashlib.md5(content, usedforsecurity=False).hexdigest():
            client.put_object(Bucket=bucket, Key=PREFIX + name, Body=content)
            changed.append(name)
    return changed
