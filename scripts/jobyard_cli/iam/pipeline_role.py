"""Which IAM role a pipeline takes in an environment."""

from __future__ import annotations

from enum import StrEnum

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment
from jobyard_cli.platform.kubeconfig import partition


class MissingAccountError(JobyardError):
    """An environment's file does not say in which account and region it is."""

    def __init__(self, environment: str) -> None:
        super().__init__(f"{ENVIRONMENTS}/{environment}.yaml needs `account` and `region` under `environment`")


class Right(StrEnum):
    """What a pipeline may do: release a team's jobs, with images; read; publish the platform's files; list all jobs."""

    ci = "ci"
    plan = "plan"
    platform = "platform"
    catalogue = "catalogue"


OF_PLATFORM = {Right.platform: "jobyard-platform-ci", Right.catalogue: "jobyard-platform-catalogue"}
"""Roles of the platform's own repository."""


def role_name(right: Right, team: str = "") -> str:
    """Return the role's name, as `jobyard iam` makes it."""
    return OF_PLATFORM.get(right) or f"jobyard-{team}-{right}"


def variables(environment: Environment, name: str) -> dict[str, str]:
    """Return the variables with which AWS's libraries assume the role of that name in the environment's account.

    Raises:
        MissingAccountError: the environment's file does not say where it is.
        InvalidRegionError: AWS has no such region.
    """
    values = environment.values
    if "account" not in values or "region" not in values:
        raise MissingAccountError(environment.name)
    arn = f"arn:{partition(environment)}:iam::{values['account']}:role/{name}"
    return {"AWS_REGION": str(values["region"]), "AWS_ROLE_ARN": arn, "AWS_ROLE_SESSION_NAME": name}
