"""Where an environment's metrics are: a bucket and a prefix, which its file names under `environment.metrics`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard_cli.check.parts import mapping
from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import load
from jobyard_cli.platform.environments import ENVIRONMENTS
from jobyard_cli.platform.metrics import metrics_bucket, metrics_prefix


class NoMetricsError(JobyardError):
    """The environment's file does not say that metrics are collected, or where they are."""

    def __init__(self, environment: str, lacks: str) -> None:
        super().__init__(f"{ENVIRONMENTS}/{environment}.yaml {lacks}")


@dataclass(frozen=True)
class Address:
    """What the keys of all objects with metrics begin with, in which bucket, in which region."""

    bucket: str
    prefix: str
    region: str | None = None

    def key(self, name: str) -> str:
        """Return the key of an object, by its name below the prefix."""
        return f"{self.prefix}/{name}"


def metrics_address(environment: str, values: Mapping[str, Any]) -> Address:
    """Return where an environment's metrics are, by what its file says under `environment`.

    Raises:
        NoMetricsError: the platform collects no metrics there, or the file names no bucket for them.
    """
    if not isinstance(values.get("metrics"), Mapping):
        raise NoMetricsError(
            environment,
            "has no `metrics`, so the platform collects nothing there; its engineers add it (docs/values.md)",
        )
    bucket = metrics_bucket(values)
    if not bucket:
        raise NoMetricsError(environment, "must name a bucket for the metrics: write `metrics.bucket` or `dataBucket`")
    return Address(bucket, metrics_prefix(values), values.get("region"))


def measured_environments(platform: Path, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Return what the files of those environments that collect metrics say under `environment`.

    The files are not validated, as a plan must be fast.
    """
    measured: dict[str, Mapping[str, Any]] = {}
    for name in names:
        file = f"{ENVIRONMENTS}/{name}.yaml"
        values = mapping(load(platform / file, file).data).get("environment")
        if isinstance(values, Mapping) and "metrics" in values:
            measured[name] = values
    return measured
