"""Amazon's registry: a password for an hour or twelve, and a repository for each image."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any

from jobyard_cli.aws.errors import refused
from jobyard_cli.images.errors import RegistryError

HOST = re.compile(r"[0-9]{12}\.dkr\.ecr(-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


def host_of(account: str, region: str) -> str:
    """Return the address of an account's registry."""
    domain = "amazonaws.com"
    if region.startswith("cn-"):
        domain = "amazonaws.com.cn"
    return f"{account}.dkr.ecr.{region}.{domain}"


def region_of(registry: str) -> str | None:
    """Return the region of an ECR registry; None for any other registry."""
    match = HOST.fullmatch(registry.partition("/")[0])
    return match["region"] if match else None


def authorization(registry: str) -> str:
    """Return the credentials for the registry: `user:password`, in base64.

    Raises:
        RegistryError: AWS does not know who we are, or does not let us.
    """
    with _refused_by(registry):
        token: str = _client(registry).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return token


def ensure_repository(registry: str, name: str) -> None:
    """Make the image's repository unless it is there: a tag in it never changes, and what is pushed is scanned.

    Raises:
        RegistryError: it can't be looked at, or made.
    """
    host = registry.partition("/")[0]
    client = _client(registry)
    with _refused_by(registry):
        try:
            client.describe_repositories(registryId=host.partition(".")[0], repositoryNames=[name])
        except client.exceptions.RepositoryNotFoundException:
            client.create_repository(
                registryId=host.partition(".")[0],
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
            )


def _client(registry: str) -> Any:
    from jobyard_cli.aws.clients import ecr

    return ecr(region_of(registry))


def _refused_by(registry: str) -> AbstractContextManager[None]:
    return refused(f"the registry {registry}", RegistryError)
