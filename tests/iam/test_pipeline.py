"""The command's own code with the rights of a pipeline's role alone, in a cloud that asks for rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pytest
from botocore.exceptions import ClientError
from jobyard_cli.iam.role import Role, document, policies
from jobyard_cli.platform.publish import publish as publish_platform
from jobyard_cli.release.catalogue import released_jobs
from jobyard_cli.release.releases import StoreError, publish, releases, roll_back
from moto import mock_aws
from moto.core import set_initial_no_auth_action_count

from tests.iam.conftest import TEAMS
from tests.unit.test_platform_publish import LATER, a_library

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "airflow"
REGION: Literal["eu-central-1"] = "eu-central-1"
A_JOB = json.loads(Path("tests/fixtures/releases/3.json").read_text())["jobs"]["least"]
FIRST, SECOND = "1" * 40, "2" * 40
Session = boto3.session.Session


def release(team: str, commit: str, jobs: int) -> bytes:
    """As much of a release as the bucket's part of the command looks at."""
    content = {"team": team, "commit": commit, "digest": commit[:12], "jobs": {f"job-{n}": {} for n in range(jobs)}}
    return json.dumps(content).encode()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A cloud with Airflow's bucket, whose owner one is."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("MOTO_ACCOUNT_ID", "111122223333")
    with mock_aws():
        session = boto3.session.Session(region_name=REGION)
        s3 = session.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield session


@pytest.fixture
def be(cloud: Session, roles: dict[str, Role]) -> Callable[[str], Session]:
    """Be a role: it is made as the template makes it, and assumed."""

    def assume(name: str) -> Session:
        iam: Any = cloud.client("iam")
        # Who may assume it is tried elsewhere; here anybody may.
        anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document([anybody])))["Role"]["Arn"]
        for number, policy in enumerate(policies(roles[name].statements)):
            iam.put_role_policy(RoleName=name, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(policy))
        sts: Any = cloud.client("sts")
        given = sts.assume_role(RoleArn=arn, RoleSessionName="pipeline")["Credentials"]
        return boto3.session.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=REGION
        )

    return assume


def test_a_pipeline_releases_lists_and_goes_back(cloud: Session, be: Callable[[str], Session]) -> None:
    risk: S3Client = be("jobyard-risk-ci").client("s3")

    @set_initial_no_auth_action_count(0)
    def work() -> None:
        assert publish(risk, BUCKET, release("risk", FIRST, 1), "ann").changed
        assert publish(risk, BUCKET, release("risk", SECOND, 2)).changed
        assert [one.commit for one in releases(risk, BUCKET, "risk")] == [SECOND, FIRST]
        assert roll_back(risk, BUCKET, "risk").release.commit == FIRST

    work()
    there = cloud.client("s3").get_object(Bucket=BUCKET, Key="dags/risk/jobs.json")["Body"].read()
    assert json.loads(there)["commit"] == FIRST


def test_a_pipeline_gets_nowhere_with_another_teams_releases(cloud: Session, be: Callable[[str], Session]) -> None:
    owner = cloud.client("s3")
    publish(owner, BUCKET, release("risk", FIRST, 1))
    publish(owner, BUCKET, release("risk", SECOND, 2))
    care: S3Client = be("jobyard-care-ci").client("s3")

    @set_initial_no_auth_action_count(0)
    def work() -> None:
        for attempt in (
            lambda: publish(care, BUCKET, release("risk", "3" * 40, 3)),
            lambda: roll_back(care, BUCKET, "risk"),
        ):
            with pytest.raises(StoreError, match="s3://airflow/dags/risk/jobs.json: .*(AccessDenied|403)"):
                attempt()
        with pytest.raises(ClientError, match="AccessDenied"):
            care.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=b"")
        with pytest.raises(ClientError, match="AccessDenied"):
            care.delete_object(Bucket=BUCKET, Key="dags/care/jobs.json")

    work()
    there = owner.get_object(Bucket=BUCKET, Key="dags/risk/jobs.json")["Body"].read()
    assert json.loads(there)["commit"] == SECOND


def test_the_platforms_pipeline_publishes_and_takes_away_what_is_left_over(
    cloud: Session, be: Callable[[str], Session]
) -> None:
    s3, platform = cloud.client("s3"), be("jobyard-platform-ci").client("s3")
    s3.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=b"{}")

    @set_initial_no_auth_action_count(0)
    def work() -> None:
        assert publish_platform(platform, BUCKET, a_library("1", "risk", "care")).put
        assert publish_platform(platform, BUCKET, a_library("2", "risk"), now=LATER).deleted == ["care.py"]
        with pytest.raises(ClientError, match="AccessDenied"):
            platform.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=b"[]")
        with pytest.raises(ClientError, match="AccessDenied"):
            platform.delete_object(Bucket=BUCKET, Key="dags/risk/jobs.json")

    work()
    assert s3.get_object(Bucket=BUCKET, Key="dags/risk/jobs.json")["Body"].read() == b"{}"


def test_the_scheduled_pipeline_lists_the_jobs_of_the_environments_teams(
    cloud: Session, be: Callable[[str], Session]
) -> None:
    s3, lister = cloud.client("s3"), be("jobyard-platform-catalogue").client("s3")
    for team in ("care", "risk", "team-that-went"):
        content = {"team": team, "jobs": {"score": A_JOB}}
        s3.put_object(Bucket=BUCKET, Key=f"dags/{team}/jobs.json", Body=json.dumps(content).encode())

    @set_initial_no_auth_action_count(0)
    def work() -> None:
        assert list(released_jobs(lister, BUCKET, TEAMS).jobs) == ["care.score", "risk.score"]
        with pytest.raises(ClientError, match="AccessDenied"):
            lister.put_object(Bucket=BUCKET, Key="dags/risk/jobs.json", Body=b"[]")

    work()
