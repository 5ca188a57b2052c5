"""Where an environment's images are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.images import ecr
from jobyard_cli.images.errors import ImageError
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment

LONGEST_TASK = 7 * 24 * 60 * 60
"""Seconds that a pod may run where the environment does not say, as in charts/platform."""


class MissingRegistryError(ImageError):
    """Nothing says where an environment's images are."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"{ENVIRONMENTS}/{environment}.yaml names no registry: write `registry: <address>` under `environment`, or "
            "`account` and `region`, or give --registry"
        )


def pod_limits(environment: Environment) -> dict[str, Any]:
    """What the library needs of the environment's bounds of a pod, as charts/platform reads them too."""
    values = environment.values
    return {"image_registries": image_registries(values), "longest_task": values.get("longestTask", LONGEST_TASK)}


def image_registries(values: Mapping[str, Any]) -> list[str]:
    """Where an environment's pods may take their images from, by what its file says under `environment`."""
    if stated := values.get("imageRegistries"):
        return [str(registry) for registry in stated]
    own = _own(values)
    return [own] if own else []


def _own(values: Mapping[str, Any]) -> str | None:
    if "registry" in values:
        return str(values["registry"])
    if "account" in values and "region" in values:
        return ecr.host_of(str(values["account"]), str(values["region"]))
    return None


def registry_of(environment: Environment) -> str:
    """The registry that the environment's file names, else its account's ECR.

    Raises:
        MissingRegistryError: the file says neither.
    """
    if own := _own(environment.values):
        return own
    raise MissingRegistryError(environment.name)
