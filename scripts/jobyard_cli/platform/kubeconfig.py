"""Airflow's kubeconfig on MWAA: a context for each team, in which Airflow is that team's IAM role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from jobyard.contract import namespace

from jobyard_cli.errors import JobyardError
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment
from jobyard_cli.platform.exec_entry import DAGS_FOLDER, exec_entry
from jobyard_cli.platform.missing_values import require

NEEDED = {
    "account": '"111122223333"',
    "region": "eu-central-1",
    "cluster.name": "jobyard-prod",
    "cluster.server": "https://….eks.amazonaws.com",
    "cluster.certificateAuthority": "LS0t…",
}
"""What the kubeconfig is made of, below `environment` in its file, and what one looks like."""


class InvalidRegionError(JobyardError):
    """AWS has no such region."""

    def __init__(self, environment: str, region: str) -> None:
        super().__init__(f"{ENVIRONMENTS}/{environment}.yaml: AWS has no region '{region}'")


def kubeconfig(environment: Environment, dags: str = DAGS_FOLDER) -> str:
    """Return the file's text, the same for the same values. It has no current context: each use must name a team's.

    `dags` is the folder in which the platform's files are where the kubeconfig is used.

    Raises:
        IncompleteEnvironmentError: the environment's file lacks something that is needed.
        InvalidRegionError: AWS has no such region.
    """
    require(environment, "Airflow's kubeconfig is", NEEDED)
    cluster = environment.values["cluster"]
    endpoint = {"server": cluster["server"], "certificate-authority-data": cluster["certificateAuthority"]}
    contexts: list[dict[str, Any]] = []
    users: list[dict[str, Any]] = []
    for team in sorted(environment.all_teams):
        contexts.append({"name": team, "context": _context(cluster["name"], team)})
        users.append({"name": team, "user": {"exec": exec_entry(_token_command(environment, team), dags)}})
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster["name"], "cluster": endpoint}],
        "contexts": contexts,
        "users": users,
        "current-context": "",
    }
    return f"# Written by `jobyard kubeconfig --environment {environment.name}`.\n" + yaml.safe_dump(
        content, sort_keys=False, width=1000
    )


def launcher_role(environment: Environment, team: str) -> str:
    """Return the ARN of the IAM role that Airflow assumes to start the team's pods.

    Raises:
        InvalidRegionError: AWS has no such region.
    """
    name = launcher_name(environment.all_teams[team], team)
    return f"arn:{partition(environment)}:iam::{environment.values['account']}:role/{name}"


def launcher_name(values: Mapping[str, Any], team: str) -> str:
    """Return the name of that role, with its path."""
    return str(values.get("iamRoles", {}).get("launcher", f"jobyard-{team}"))


def _context(cluster: str, team: str) -> dict[str, str]:
    return {"cluster": cluster, "user": team, "namespace": namespace(team)}


def _token_command(environment: Environment, team: str) -> list[str]:
    cluster, region = environment.values["cluster"]["name"], environment.values["region"]
    options = ["--cluster-name", cluster, "--region", region, "--role-arn", launcher_role(environment, team)]
    # The user may have configured the AWS command line for another output format.
    return ["aws", "eks", "get-token", *options, "--output", "json"]


def partition(environment: Environment) -> str:
    """Return the first part of a region's ARNs: China and GovCloud have their own.

    Raises:
        InvalidRegionError: AWS has no such region.
    """
    from botocore.exceptions import UnknownRegionError
    from botocore.session import Session

    region = environment.values["region"]
    try:
        return str(Session().get_partition_for_region(region))
    except UnknownRegionError as error:
        raise InvalidRegionError(environment.name, region) from error
