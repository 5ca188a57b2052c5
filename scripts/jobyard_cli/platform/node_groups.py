"""The catalogue of node groups as managed node groups of EKS, for clusters with the cluster autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from jobyard.quantities import parse_quantity

from jobyard_cli.errors import JobyardError
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.environments import ENVIRONMENTS, Environment
from jobyard_cli.platform.machines import Machine, of_the_largest_size

AUTOSCALER = "k8s.io/cluster-autoscaler"
TEMPLATE = f"{AUTOSCALER}/node-template"


class MissingClusterError(JobyardError):
    """The environment's file does not say where its cluster is."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            f"{ENVIRONMENTS}/{environment}.yaml must say where the cluster is; write under `environment`:\n"
            "  region: eu-central-1\n"
            "  cluster: {name: jobyard-prod}"
        )


def eksctl_text(environment: Environment, groups: Mapping[str, Written], known: Mapping[str, Machine]) -> str:
    """Return a file for `eksctl create nodegroup --config-file`, for the environment's cluster.

    `known` are the machines of values/prices.yaml.

    Raises:
        MissingClusterError: the environment's file does not name its cluster and region.
    """
    cluster, region = environment.values.get("cluster"), environment.values.get("region")
    if cluster is None or region is None:
        raise MissingClusterError(environment.name)
    head = f"# Made from values/node-groups.yaml by `jobyard node-groups --environment {environment.name}`.\n"
    return head + yaml.safe_dump(eksctl_config(groups, known, cluster["name"], region), sort_keys=False, width=120)


def eksctl_config(
    groups: Mapping[str, Written], known: Mapping[str, Machine], cluster: str, region: str
) -> dict[str, Any]:
    """Return eksctl's ClusterConfig with one managed node group for each group of the catalogue.

    Its machines are those of the largest size: the cluster autoscaler reckons with one size for all of a group.
    """
    return {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": cluster, "region": region},
        "managedNodeGroups": [_managed(name, group, known, cluster) for name, group in groups.items()],
    }


def _managed(name: str, group: Written, known: Mapping[str, Machine], cluster: str) -> dict[str, object]:
    return {
        "name": name,
        "amiFamily": "AmazonLinux2023",
        "instanceTypes": of_the_largest_size(known, group["instanceTypes"]),
        "spot": group["capacityType"] == "spot",
        "minSize": group["minNodes"],
        "desiredCapacity": group["minNodes"],
        "maxSize": group["maxNodes"],
        "labels": dict(group["labels"]),
        "taints": list(group["taints"]),
        "privateNetworking": True,
        "volumeType": "gp3",
        "volumeSize": int(parse_quantity(group["capacity"]["ephemeralStorage"]) / 2**30),
        "volumeEncrypted": True,
        # Pods get no answer from the instance's metadata, and so not the machine's role.
        "disableIMDSv1": True,
        "disablePodIMDS": True,
        "tags": _autoscaler_tags(group, cluster),
        # The autoscaler reads the scaling group's tags, and EKS puts a node group's own tags elsewhere.
        "propagateASGTags": True,
    }


def _autoscaler_tags(group: Written, cluster: str) -> dict[str, str]:
    """What the autoscaler can't see of a group without a node: it starts one only where a pod then fits.

    eksctl would make the taints' tags too, but without their effects, and the autoscaler passes over such.
    """
    tags = {f"{AUTOSCALER}/enabled": "true", f"{AUTOSCALER}/{cluster}": "owned"}
    for key, value in group["labels"].items():
        tags[f"{TEMPLATE}/label/{key}"] = value
    for taint in group["taints"]:
        tags[f"{TEMPLATE}/taint/{taint['key']}"] = f"{taint['value']}:{taint['effect']}"
    allocatable = group["allocatable"]
    tags[f"{TEMPLATE}/resources/ephemeral-storage"] = allocatable["ephemeralStorage"]
    if gpu := allocatable.get("gpu"):
        tags[f"{TEMPLATE}/resources/nvidia.com/gpu"] = str(gpu)
    return tags
