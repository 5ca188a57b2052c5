"""Where an environment's images are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard.contract import LONGEST_TASK, NO_QUEUEING, POD_REPLACEMENTS
from jobyard.platform_entries import PodLimits

from jobyard_cli.images import ecr
from jobyard_cli.images.errors import ImageError
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment


class MissingRegistryError(ImageError):
    """Nothing says where an environment's images are."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"{ENVIRONMENTS}/{environment}.yaml must name a registry: write `registry: <address>` under `environment`, "
            "or `account` and `region`, or give --registry"
        )


def pod_limits(environment: Environment) -> PodLimits:
    """Return what the library needs of the environment's settings of a pod; charts/platform reads the same."""
    values = environment.values
    limits = PodLimits(
        image_registries=image_registries(values),
        longest_task=values.get("longestTask", LONGEST_TASK),
        deferred=values.get("deferred", True),
        pod_replacements=values.get("podReplacements", POD_REPLACEMENTS),
    )
    # Left out where an environment does not use them, so that the file stays as it was.
    if (queueing := values.get("queueing", NO_QUEUEING)) != NO_QUEUEING:
        limits["queueing"] = queueing
    if values.get("fillMachines", False):
        limits["fill_machines"] = True
    return limits


def image_registries(values: Mapping[str, Any]) -> list[str]:
    """Return the registries from which an environment's pods may pull images, as its file configures them."""
    if stated := values.get("imageRegistries"):
        return [str(registry) for registry in stated]
    if registry := _registry(values):
        return [registry]
    return []


def _registry(values: Mapping[str, Any]) -> str | None:
    if "registry" in values:
        return str(values["registry"])
    if "account" in values and "region" in values:
        return ecr.host_of(str(values["account"]), str(values["region"]))
    return None


def registry_of(environment: Environment) -> str:
    """Return the registry that the environment's file names, else its account's ECR.

    Raises:
        MissingRegistryError: the file says neither.
    """
    if registry := _registry(environment.values):
        return registry
    raise MissingRegistryError(environment.name)
