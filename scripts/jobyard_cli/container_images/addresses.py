"""Where an environment's images are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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


def pod_limits(environment: Environment) -> dict[str, Any]:
    """What the library needs of the environment's bounds of a pod, as charts/platform reads them too."""
    values = environment.values
    own = [] if not _has_registry(values) else [registry_of(environment)]
    limits = {"image_registries": list(values.get("imageRegistries") or own)}
    return {**limits, **({"longest_task": values["longestTask"]} if "longestTask" in values else {})}


def _has_registry(values: Mapping[str, Any]) -> bool:
    return "registry" in values or {"account", "region"} <= values.keys()


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
