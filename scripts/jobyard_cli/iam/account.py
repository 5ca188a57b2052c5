"""Names of things in an environment's AWS account."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.kubeconfig import partition
from jobyard_cli.platform.metrics import metrics_bucket, metrics_prefix
from jobyard_cli.platform.missing_values import require

NEEDED = {
    "account": '"111122223333"',
    "region": "eu-central-1",
    "bucket": "example-jobyard-prod",
    "airflow": "jobyard-prod",
    "cluster.name": "jobyard-prod",
}
"""What the roles are made of, below `environment` in its file, and what one looks like."""
ECR = re.compile(r"([0-9]{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?:/(.*))?")


@dataclass(frozen=True)
class Account:
    """The environment's account, and what the environment says of it."""

    environment: str
    partition: str
    number: str
    region: str
    bucket: str
    airflow: str
    cluster: str
    issuer: str
    """Of the cluster's tokens, without `https://`; nothing where the file does not name it."""
    variables: str
    """Prefix of Airflow's Variables in the Parameter Store, or nothing."""
    data_bucket: str
    airflow_role: str = "Op"
    """Of Airflow's, that the platform's pipeline needs: to make pools, or as an administrator to make roles too."""
    metrics_bucket: str = ""
    """Of the metrics' tables and page; "" where there are none, or where the file names no bucket."""
    metrics_prefix: str = ""
    prometheus_workspace: str = ""
    """Of Amazon Managed Service for Prometheus; "" where the environment has another Prometheus."""
    teams_read: str = "own"
    external_secrets: bool = False
    """Whether the External Secrets operator reads the teams' secrets."""

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the environment's region and account."""
        return self.arn_at(self.region, self.number, service, resource)

    def arn_at(self, region: str, number: str, service: str, resource: str) -> str:
        """Return the ARN of a resource in another region or account; "" where ARNs of its service have none."""
        return f"arn:{self.partition}:{service}:{region}:{number}:{resource}"

    def role(self, name: str) -> str:
        """Return the ARN of a role, given its name with its path."""
        return self.arn_at("", self.number, "iam", f"role/{name}")

    def identity_provider(self, issuer: str) -> str:
        """Return the ARN of the identity provider for an issuer of tokens, given without `https://`."""
        return self.arn_at("", self.number, "iam", f"oidc-provider/{issuer}")

    def bucket_arn(self, bucket: str) -> str:
        """Return the ARN of a bucket."""
        return self.arn_at("", "", "s3", bucket)

    def object_arns(self, bucket: str, keys: Iterable[str]) -> list[str]:
        """Return the ARNs of objects; a key may have wildcards."""
        return [self.arn_at("", "", "s3", f"{bucket}/{key}") for key in keys]

    def repositories(self, team: str, values: Written) -> list[str]:
        """Return the ARNs of the team's image repositories in an environment; none if they are not in ECR."""
        if "registry" in values:
            return self._repositories_below(values["registry"], team)
        if "account" not in values or "region" not in values:
            return []
        return [self.arn_at(values["region"], values["account"], "ecr", f"repository/{team}/*")]

    def _repositories_below(self, registry: str, team: str) -> list[str]:
        match = ECR.fullmatch(registry)
        if match is None:
            return []
        number, region, path = match.groups()
        prefix = f"{path}/" if path else ""
        return [self.arn_at(region, number, "ecr", f"repository/{prefix}{team}/*")]


def account(environment: Environment) -> Account:
    """Return the account that the environment's file describes.

    Raises:
        IncompleteEnvironmentError: it lacks something that every role needs.
        InvalidRegionError: AWS has no such region.
    """
    require(environment, "its IAM roles are", NEEDED)
    values = environment.values
    metrics = values.get("metrics", {})
    return Account(
        environment=environment.name,
        partition=partition(environment),
        number=values["account"],
        region=values["region"],
        bucket=values["bucket"],
        airflow=values["airflow"],
        cluster=values["cluster"]["name"],
        issuer=str(values["cluster"].get("oidcIssuer", "")).removeprefix("https://"),
        variables=values.get("variablesPrefix", ""),
        data_bucket=values.get("dataBucket", ""),
        airflow_role="Admin" if values.get("airflowRoles") else "Op",
        metrics_bucket=metrics_bucket(values),
        metrics_prefix=metrics_prefix(values),
        prometheus_workspace=metrics.get("prometheusWorkspace", ""),
        teams_read=metrics.get("teamsRead", "own"),
        external_secrets=values.get("externalSecrets", False),
    )
