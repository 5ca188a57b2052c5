"""A team's repository as the check meets it, without the time that baking one takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
TEAM = """\
team: risk
allowedNodeGroups: [default, high-cpu, high-memory]
serviceAccounts: {jobs: {}}
priorities: {low: 1000, normal: 2000, high: 3000}
pools: {warehouse: 4}
images: [xgboost]
"""
PUBLISHED = """\
jobs:
  care.by-hand: {schedule: null}
  care.claims: {schedule: "@hourly"}
  care.ingest: {schedule: 0 1 * * *}
"""
JOB = """\
apiVersion: jobyard/v1
schedule: "@daily"
tasks:
  score:
    image: inference
"""


@pytest.fixture
def team_repo(tmp_path: Path) -> Path:
    """Team risk's, with the real schema and catalogues, two images and no job; team care has released three."""
    repo = tmp_path / "risk-jobs"
    shutil.copytree(ROOT / "schemas", repo / "schemas")
    (repo / "values").mkdir()
    for name in ("node-groups.yaml", "task-types.yaml"):
        shutil.copy(ROOT / "values" / name, repo / "values")
    (repo / "values" / "team.yaml").write_text(TEAM)
    (repo / "values" / "published-jobs.yaml").write_text(PUBLISHED)
    for image in ("feature-generation", "inference"):
        folder = repo / "images" / image
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM scratch\n")
    (repo / "dags").mkdir()
    return repo


@pytest.fixture
def add_job(team_repo: Path) -> Callable[..., Path]:
    """Write a job.yaml; the least that a job can say by default."""

    def add(name: str, text: str = JOB) -> Path:
        file = team_repo / "dags" / name / "job.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    return add


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    """moto's S3 with a bucket of Airflow's and one of data; the end-to-end tests use a real server."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        for bucket in ("airflow", "data"):
            client.create_bucket(Bucket=bucket)
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        yield client
