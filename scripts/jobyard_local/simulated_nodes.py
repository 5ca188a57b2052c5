"""Nodes that kwok simulates, one for each node group without a real one.

The scheduler treats them as machines of the capacity that the catalogue gives. Their pods start at once, do nothing,
and don't end by themselves: kwok's stages complete only the pods of Jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import write_kubeconfig
from jobyard_local.layout import Layout
from jobyard_local.nodes import machine_labels
from jobyard_local.processes import Process

KUBERNETES_NAMES = {"gpu": "nvidia.com/gpu", "ephemeralStorage": "ephemeral-storage"}
"""Of the resources that the catalogue calls otherwise."""


def kwok_process(layout: Layout, authority: CertificateAuthority) -> Process:
    """Return the controller that acts as the kubelet of every simulated node."""
    client = write_kubeconfig(layout, authority, "kwok", "jobyard-kwok", ["system:masters"])
    command = [
        layout.tool("kwok"),
        f"--config={layout.tools / 'kwok-stages.yaml'}",
        f"--kubeconfig={client}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--server-address=127.0.0.1:{layout.ports['kwok']}",
    ]
    return Process("kwok", command)


def simulated_node(name: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Node object of one simulated machine of a node group, as the catalogue describes it."""
    labels = {**machine_labels(group), "kubernetes.io/arch": group["architecture"], "kubernetes.io/os": "linux"}
    allocatable = {**_resources(group["allocatable"]), "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"simulated-{name}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {**labels, "kubernetes.io/hostname": f"simulated-{name}", "type": "kwok"},
        },
        "spec": {"taints": [dict(taint) for taint in group["taints"]]},
        "status": {"allocatable": allocatable, "capacity": {**_resources(group["capacity"]), "pods": "110"}},
    }


def _resources(quantities: Mapping[str, Any]) -> dict[str, str]:
    return {KUBERNETES_NAMES.get(name, name): str(value) for name, value in quantities.items()}
