"""Which IAM role a team's pipeline takes in an environment."""

from __future__ import annotations

from enum import StrEnum

from jobyard_cli.environments import ENVIRONMENTS, Environment
from jobyard_cli.errors import JobyardError


class NoAccount(JobyardError):
    """An environment's file does not say in which account and region it is."""

    def __init__(self, environment: str) -> None:
        super().__init__(f"{ENVIRONMENTS}/{environment}.yaml needs `account` and `region` under `environment`")


class Right(StrEnum):
    """What a pipeline may do: release, with images; or read."""

    ci = "ci"
    plan = "plan"


def variables(environment: Environment, team: str, right: Right) -> dict[str, str]:
    """The variables by which AWS's libraries take the role `jobyard-<team>-<right>` of the environment's account.

    Raises:
        NoAccount: the environment's file does not say where it is.
    """
    values = environment.values
    if "account" not in values or "region" not in values:
        raise NoAccount(environment.name)
    region = str(values["region"])
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rpartition("-")[0].rpartition("-")[0], "aws")
    arn = f"arn:{partition}:iam::{values['account']}:role/jobyard-{team}-{right}"
    return {"AWS_REGION": region, "AWS_ROLE_ARN": arn, "AWS_ROLE_SESSION_NAME": f"jobyard-{team}-{right}"}
