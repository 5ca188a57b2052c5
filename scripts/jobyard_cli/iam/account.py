"""Names of things in an environment's AWS account."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.kubeconfig import partition
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

    def arn(self, service: str, resource: str, region: str | None = None, number: str | None = None) -> str:
        """Return the ARN of a resource; region and account default to the environment's."""
        where = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{where}:{self.number if number is None else number}:{resource}"

    def role(self, name: str) -> str:
        """Return the ARN of a role, given its name with its path."""
        return self.arn("iam", f"role/{name}", region="")

    def s3(self, bucket: str, *keys: str) -> list[str]:
        """Return the ARNs of objects, or of the bucket itself if no key is given."""
        return [self.arn("s3", f"{bucket}/{key}", region="", number="") for key in keys] or [
            self.arn("s3", bucket, region="", number="")
        ]

    def repositories(self, team: str, values: Written) -> list[str]:
        """Return the ARNs of the team's image repositories in an environment; none if they are not in ECR."""
        if "registry" not in values:
            known = "account" in values and "region" in values
            return [self.arn("ecr", f"repository/{team}/*", values["region"], values["account"])] if known else []
        if not (found := ECR.fullmatch(values["registry"])):
            return []
        number, region, above = found.groups()
        return [self.arn("ecr", f"repository/{above + '/' if above else ''}{team}/*", region, number)]


def account(environment: Environment) -> Account:
    """Return the account that the environment's file describes.

    Raises:
        IncompleteEnvironmentError: it lacks something that every role needs.
        InvalidRegionError: AWS has no such region.
    """
    require(environment, "its IAM roles are", NEEDED)
    values = environment.values
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
    )
