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
    content = published_jobs(s3, BUCKET).text
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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not json", "can't be read: Expecting value: line 1 column 1 (char 0)"),
        (b"\xff", "can't be read: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (b"[]," * 3_000_000, "can't be read: it has more than 8,388,608 bytes"),
        (b"[" * 100_000, "can't be read: lists or objects are nested too deep"),
        (b"[]", "is not a release: it has no object 'jobs'"),
        (b'{"jobs": []}', "is not a release: it has no object 'jobs'"),
        (
            b'{"jobs": {"a": {"schedule": 5}}}',
            "job 'a' is left out: schedule: must be text or null or an object, not a ",
        ),
        (b'{"jobs": {"../a": {}}}', "job '../a' is left out: '../a' is not lower-case letters, digits and '-'"),
    ],
)
def test_a_release_that_cannot_be_read_is_named_and_hides_no_other(
    s3: S3Client, team_repo: Path, add_job: Callable[..., Path], content: bytes, problem: str
) -> None:
    add_job("ingest")
    s3.put_object(Bucket=BUCKET, Key="dags/care/jobs.json", Body=content)
    s3.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=compile_release(team_repo, ""))
    found = published_jobs(s3, BUCKET)
    assert list(found.jobs) == ["risk.ingest"]
    (line,) = found.problems
    assert line.startswith(f"s3://airflow/dags/care/jobs.json: {problem}")


def test_a_bucket_that_is_not_there_is_named(s3: S3Client) -> None:
    with pytest.raises(UnreadableReleases, match="^s3://nothing/dags/: .*NoSuchBucket"):
        published_jobs(s3, "nothing")
