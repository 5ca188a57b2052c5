"""Where a team's release goes: the bucket, the Airflow that reads it, and the Variable with the images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobyard.contract import images_variable

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.client import airflow_client, names_airflow
from jobyard_cli.aws import clients as aws
from jobyard_cli.errors import UsageError
from jobyard_cli.platform.environments import Environment
from jobyard_cli.release.object import ReleaseObject
from jobyard_cli.sync.variables import AirflowVariable, Parameter, VariableStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class MissingTargetError(UsageError):
    """What was given does not say where to; the message has everything that lacks."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Given:
    """What options of a command say, over what the environment's file says."""

    bucket: str | None = None
    endpoint_url: str | None = None
    airflow_url: str | None = None
    wait: bool = True
    """False where Airflow itself is not asked for anything."""


@dataclass(frozen=True)
class Target:
    """All that a sync reaches."""

    team: str
    bucket: str
    s3: S3Client
    airflow: AirflowClient | None = None
    variable: VariableStore | None = None

    @property
    def released(self) -> ReleaseObject:
        """Return the team's release in the bucket."""
        return ReleaseObject(self.s3, self.bucket, self.team)


def find_target(team: str, environment: Environment | None, given: Given) -> Target:
    """Return the target in the environment's file, with the given values instead.

    Raises:
        MissingTargetError: nothing says which bucket or which Airflow, or the team is not in the environment.
        AwsClientError: AWS's own settings on this machine can't be used.
    """
    values = environment.values if environment else {}
    bucket = given.bucket or values.get("bucket")
    has_airflow = names_airflow(values, given.airflow_url)
    if problems := list(_problems(team, environment, bucket, has_airflow or not given.wait)):
        raise MissingTargetError(problems)
    region = values.get("region")
    airflow = airflow_client(values, given.airflow_url) if given.wait else None
    s3 = aws.s3(given.endpoint_url, region)
    return Target(team, str(bucket), s3, airflow, _variable(team, values, airflow))


def _problems(team: str, environment: Environment | None, bucket: str | None, knows_airflow: bool) -> Iterator[str]:
    """Yield what has to be given or configured for a sync."""
    if environment is None:
        if not bucket:
            yield "give --environment or --bucket"
        if not knows_airflow:
            yield "the address of Airflow is not known: give --airflow-url, or --no-wait"
        return
    file = f"values/environments/{environment.name}.yaml"
    # A team that is not known at all is one whose repository was made before its file was merged.
    if team in environment.elsewhere:
        where = f"`environments` of values/teams/{team}.yaml in the platform's repository"
        yield f"team {team} is not in environment {environment.name}: add it under {where}"
    if not bucket:
        yield f"{file} must name a bucket: write `bucket`, or give --bucket"
    if not knows_airflow:
        yield f"{file} must name an Airflow: write `airflow` or `airflowUrl`, or give --airflow-url, or --no-wait"


def _variable(team: str, values: Any, airflow: AirflowClient | None) -> VariableStore | None:
    name = images_variable(team)
    if prefix := values.get("variablesPrefix"):
        return Parameter(aws.ssm(values.get("region")), f"{prefix}/{name}")
    return AirflowVariable(airflow, name) if airflow else None
