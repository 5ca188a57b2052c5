"""The catalogue of node groups as managed node groups of EKS, for clusters with the cluster autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from jobyard_cli.documents import load
from jobyard_cli.errors import JobyardError
from jobyard_cli.platform_files import NotThePlatformRepo, UnreadableValues
from jobyard_cli.quantities import parse_quantity

AUTOSCALER = "k8s.io/cluster-autoscaler"
TEMPLATE = f"{AUTOSCALER}/node-template"


class UnknownEnvironment(JobyardError):
    """There is no file for the environment."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"unknown environment '{name}' (values/environments has: {', '.join(known) or 'nothing'})")


def eksctl_text(values: Path, environment: str, groups: Mapping[str, Any]) -> str:
    """What `eksctl create nodegroup --config-file` takes, for the cluster of one environment.

    Raises:
        NotThePlatformRepo: the folder of the environments is not there.
        UnknownEnvironment: it has no file of that name.
        UnreadableValues: the file is no YAML, or does not name its cluster and region.
    """
    cluster, region = _cluster(values / "environments", environment)
    head = f"# Made from values/node-groups.yaml by `jobyard node-groups --environment {environment}`.\n"
    return head + yaml.safe_dump(eksctl_config(groups, cluster, region), sort_keys=False, width=120)


def _cluster(folder: Path, name: str) -> tuple[str, str]:
    """The environment's cluster and region."""
    if not folder.is_dir():
        raise NotThePlatformRepo(folder)
    known = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if name not in known:
        raise UnknownEnvironment(name, list(known))
    file = known[name]
    document = load(file, str(file))
    if document.findings:
        raise UnreadableValues("\n".join(str(finding) for finding in document.findings))
    return _text(document.data, file, "environment.cluster.name"), _text(document.data, file, "environment.region")


def _text(data: Any, file: Path, path: str) -> str:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    if not isinstance(data, str):
        raise UnreadableValues(f"{file}: must have a text under '{path}'")
    return data


def eksctl_config(groups: Mapping[str, Any], cluster: str, region: str) -> dict[str, Any]:
    """A ClusterConfig of eksctl's with one managed node group for each group of the catalogue."""
    return {
        "apiVersion": "eksctl.io/v1alpha5",
        "kind": "ClusterConfig",
        "metadata": {"name": cluster, "region": region},
        "managedNodeGroups": [_managed(name, group, cluster) for name, group in groups.items()],
    }


def _managed(name: str, group: Mapping[str, Any], cluster: str) -> dict[str, Any]:
    return {
        "name": name,
        "amiFamily": "AmazonLinux2023",
        "instanceTypes": list(group["instanceTypes"]),
        "spot": group["capacityType"] == "spot",
        "minSize": group["minNodes"],
        "desiredCapacity": group["minNodes"],
        "maxSize": group["maxNodes"],
        "labels": dict(group["labels"]),
        "taints": [dict(taint) for taint in group["taints"]],
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


def _autoscaler_tags(group: Mapping[str, Any], cluster: str) -> dict[str, str]:
    """What the autoscaler can't see of a group without a node: it starts one only where a pod then fits.

    eksctl would make the taints' tags too, but without their effects, and the autoscaler passes over such.
    """
    gpu = group["allocatable"].get("gpu")
    return {
        f"{AUTOSCALER}/enabled": "true",
        f"{AUTOSCALER}/{cluster}": "owned",
        **{f"{TEMPLATE}/label/{key}": value for key, value in group["labels"].items()},
        **{f"{TEMPLATE}/taint/{taint['key']}": f"{taint['value']}:{taint['effect']}" for taint in group["taints"]},
        f"{TEMPLATE}/resources/ephemeral-storage": group["allocatable"]["ephemeralStorage"],
        **({f"{TEMPLATE}/resources/nvidia.com/gpu": str(gpu)} if gpu else {}),
    }
