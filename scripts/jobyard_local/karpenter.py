"""Karpenter beside the cluster, with machines that kwok simulates: its decisions are the real ones.

The machines have the names, sizes and prices of EC2's, as Karpenter's module lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import ADMIN_GROUP, Kubectl, wait_established, write_kubeconfig
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, answers
from jobyard_local.settings import REAL_NODE_GROUPS

NAMESPACE = "karpenter"
NODE_CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "simulated"}
"""What stands for EC2's node classes."""
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}
"""As the list calls them -> as nodes are labelled."""
CONSOLIDATE_SECONDS = 5
"""How long a machine is empty here before it goes."""
POOL_LABEL = "karpenter.sh/nodepool"
"""Which of Karpenter's node pools a machine belongs to; other machines don't have it."""


@dataclass(frozen=True)
class Karpenter:
    """One Karpenter: the folder of the built programs, one of its own, and its ports on loopback."""

    tools: Path
    folder: Path
    metrics_port: int
    probe_port: int

    @property
    def kinds(self) -> Path:
        """The folder of its kinds' definitions."""
        return self.tools / "karpenter-crds"

    def process(self, kubeconfig: Path, node_groups: Mapping[str, Any]) -> Process:
        """Write the list of machines, and return the process; the kubeconfig is an administrator's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        machines = self.folder / "instance-types.json"
        listed = json.loads((self.tools / "karpenter-instance-types.json").read_text())
        machines.write_text(json.dumps(linux_machines(listed, node_groups)))
        environment = {
            "KUBECONFIG": str(kubeconfig),
            "DISABLE_LEADER_ELECTION": "true",
            "SYSTEM_NAMESPACE": NAMESPACE,
            "METRICS_PORT": str(self.metrics_port),
            "HEALTH_PROBE_PORT": str(self.probe_port),
            "KUBERNETES_MIN_VERSION": "1.19.0-0",
            "INSTANCE_TYPES_FILE_PATH": str(machines),
        }
        ready = answers(f"http://127.0.0.1:{self.probe_port}/readyz")
        return Process("karpenter", [str(self.tools / "karpenter")], ready=ready, environment=environment)


def linux_machines(listed: Iterable[Mapping[str, Any]], node_groups: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the machines of the module's list that run Linux, with the architecture as nodes are labelled.

    The list has no GPUs, and the disk of no EC2NodeClass: those of the catalogue's machines are put in.
    """
    more = dict(_resources_of(node_groups))
    machines = []
    for machine in listed:
        architecture = ARCHITECTURES.get(machine["architecture"])
        if architecture and "linux" in machine["operatingSystems"]:
            resources = {**machine["resources"], **more.get(machine["name"], {})}
            machines.append({**machine, "architecture": architecture, "resources": resources})
    return machines


def _resources_of(node_groups: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each instance type of the catalogue with what its group's machines have besides cores and memory."""
    for group in node_groups.values():
        capacity = group["capacity"]
        resources = {"ephemeral-storage": capacity["ephemeralStorage"]}
        if gpu := capacity.get("gpu"):
            resources["nvidia.com/gpu"] = str(gpu)
        for name in group["instanceTypes"]:
            yield name, resources


def node_class(delay_seconds: int = 1) -> dict[str, Any]:
    """Return the class of the simulated machines, which take that long to join the cluster."""
    return {
        "apiVersion": f"{NODE_CLASS['group']}/v1alpha1",
        "kind": NODE_CLASS["kind"],
        "metadata": {"name": NODE_CLASS["name"]},
        "spec": {"nodeRegistrationDelay": f"{delay_seconds}s"},
    }


def values() -> dict[str, Any]:
    """Return what the environment's file says of Karpenter; the real nodes are fixed, as no pod runs elsewhere."""
    return {
        "nodeClass": NODE_CLASS,
        "fixedNodeGroups": [*REAL_NODE_GROUPS],
        "consolidateAfter": f"{CONSOLIDATE_SECONDS}s",
    }


def beside(layout: Layout) -> Karpenter:
    """Return the Karpenter of a platform with a cluster of its own."""
    ports = layout.ports
    return Karpenter(layout.tools, layout.state / "karpenter", ports["karpenter-metrics"], ports["karpenter-probe"])


def install(kubectl: Kubectl, karpenter: Karpenter) -> None:
    """Apply what the cluster needs, and wait until it serves Karpenter's kinds."""
    kubectl("apply", "--server-side", "-f", str(karpenter.kinds))
    wait_established(kubectl, "Karpenter's")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, node_class())


def process(layout: Layout, authority: CertificateAuthority, node_groups: Mapping[str, Any]) -> Process:
    """Return the process on a platform with a cluster of its own."""
    client = write_kubeconfig(layout, authority, "karpenter", "jobyard-karpenter", [ADMIN_GROUP])
    return beside(layout).process(client, node_groups)
