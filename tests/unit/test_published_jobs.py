"""The list of all teams' jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.check.run import check_repo
from jobyard_cli.release.catalogue import UnreadableReleases, published_jobs
from jobyard_cli.release.compile import compile_release

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "airflow"


def test_the_list_is_made_of_releases_and_read_by_the_check(
    s3: S3Client, team_repo: Path, add_job: Callable[..., Path]
) -> None:
    add_job("ingest")
    s3.put_object(Bucket=BUCKET, Key="dags/care/jobs.json", Body=compile_release(team_repo, ""))
    s3.put_object(Bucket=BUCKET, Key="dags/jobyard/platform.json", Body=b"{}")
    s3.put_object(Bucket=BUCKET, Key="dags/care/other/jobs.json", Body=b"x")
    content = published_jobs(s3, BUCKET)
    assert content.splitlines()[1:] == [
        "jobs:",
        "  care.ingest:",
        "    schedule: '@daily'",
        "    timezone: UTC",
        "    owner: ''",
    ]
    (team_repo / "values" / "published-jobs.yaml").write_text(content)
    add_job("score", "apiVersion: jobyard/v1\nschedule: {after: [care.ingst]}\ntasks: {score: {image: inference}}\n")
    (finding,) = check_repo(team_repo).findings
    assert finding.message == "unknown job 'care.ingst' (did you mean 'care.ingest'?)"


@pytest.mark.parametrize("content", [b"not json", b"[]", b'{"jobs": []}', b'{"jobs": {"a": {}}}'])
def test_what_is_no_release_is_named(s3: S3Client, content: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key="dags/care/jobs.json", Body=content)
    with pytest.raises(UnreadableReleases, match="^s3://airflow/dags/care/jobs.json: is no release: "):
        published_jobs(s3, BUCKET)


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(UnreadableReleases, match="^s3://nothing/dags/: .*NoSuchBucket"):
        published_jobs(s3, "nothing")
