"""What the DAG builder needs to know of the platform, from the catalogue of node groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCHEMA_VERSION = 1


def platform_data(node_groups: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """The content of `dags/jobyard/platform.json`: for each node group what a pod needs to land there.

    `startup_timeout` is in seconds, from no node at all to a running pod.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "environment": environment,
        "kubeconfig": "kubeconfig.yaml",
        "xcom_sidecar_image": None,
        "node_groups": {name: _placement(group) for name, group in node_groups.items()},
    }


def _placement(group: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "node_selector": {**group["labels"], "kubernetes.io/arch": group["architecture"]},
        "tolerations": [{**taint, "operator": "Equal"} for taint in group["taints"]],
        "startup_timeout": group["startupTimeout"],
    }
