"""Where an environment's images are."""

from __future__ import annotations

from jobyard_cli.container_images import ecr
from jobyard_cli.container_images.errors import ImageError
from jobyard_cli.environments import ENVIRONMENTS, Environment


class NoRegistry(ImageError):
    """Nothing says where an environment's images are."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"{ENVIRONMENTS}/{environment}.yaml names no registry: write `registry: <address>` under `environment`, or "
            "`account` and `region`, or give --registry"
        )


def registry_of(environment: Environment) -> str:
    """The registry that the environment's file names, else its account's ECR.

    Raises:
        NoRegistry: the file says neither.
    """
    values = environment.values
    if "registry" in values:
        return str(values["registry"])
    if "account" in values and "region" in values:
        return ecr.host_of(str(values["account"]), str(values["region"]))
    raise NoRegistry(environment.name)
