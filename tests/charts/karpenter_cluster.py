"""A cluster whose machines a real Karpenter makes and takes away, as the platform's chart tells it; kwok plays them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobyard_local import control_plane
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import Kubectl, wait_established
from jobyard_local.karpenter import NAMESPACE, Karpenter, node_class
from jobyard_local.layout import PREFERRED_PORTS, Layout
from jobyard_local.processes import Supervisor
from jobyard_local.simulated_nodes import kwok_process

from tests.charts.conftest import CATALOGUE
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

Object = dict[str, Any]
TEAM = "team-risk"
SECONDS = 300.0
"""In which machines come or go: a quarter of a minute, and minutes on a busy machine."""


class KarpenterCluster:
    """Pods on it, and the machines that they are on."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        self._added: dict[str, Object] = {}

    def add(self, *pods: Object) -> None:
        """Make pods."""
        self._added |= {pod["metadata"]["name"]: pod for pod in pods}
        self.kubectl.apply(*pods)

    def remove(self, *names: str) -> None:
        """Delete these pods, and wait until they are gone."""
        options = [f"--namespace={TEAM}", "--grace-period=0", "--ignore-not-found"]
        self.kubectl("delete", "pods", *options, *names)

    def pods(self) -> dict[str, Object]:
        """Every pod by name."""
        found = self.kubectl.json("get", "pods", f"--namespace={TEAM}")["items"]
        return {pod["metadata"]["name"]: pod for pod in found}

    def machines(self) -> dict[str, dict[str, str]]:
        """The labels of each machine by name."""
        found = self.kubectl.json("get", "nodes")["items"]
        return {node["metadata"]["name"]: node["metadata"]["labels"] for node in found}

    def of_group(self, group: str) -> list[str]:
        """The machines of a node group."""
        return [name for name, labels in self.machines().items() if labels.get("jobyard.dev/node-group") == group]

    def machine_of(self, pod: str) -> str | None:
        """The machine on which a pod runs; None while it has none, or is no longer there."""
        return _machine(self.pods().get(pod, {}))

    def wait_for_running(self, names: Sequence[str]) -> None:
        """Wait until all these pods run.

        Kubernetes may evict a pod as soon as it has its node, for the taint that the node had until it was registered.
        Such a pod is made again, as the operator replaces one that is lost.
        """

        def run() -> bool:
            there = self.pods()
            if lost := [self._added[name] for name in names if name not in there]:
                self.kubectl.apply(*lost)
            return all(_machine(there.get(name, {})) for name in names)

        wait_until(run, SECONDS)


def _machine(pod: Object) -> str | None:
    return pod["spec"].get("nodeName") if pod.get("status", {}).get("phase") == "Running" else None


@contextmanager
def karpenter_cluster(programs: Path, state: Path, pools: Sequence[Object]) -> Iterator[KarpenterCluster]:
    """A control plane, kwok and Karpenter with these node pools, stopped at the end."""
    ports = dict(zip(PREFERRED_PORTS, free_ports(len(PREFERRED_PORTS)), strict=True))
    layout = Layout(state, programs, ports, "127.0.0.1")
    authority, supervisor, kubectl = CertificateAuthority(state / "pki"), Supervisor(state), Kubectl(layout)
    karpenter = Karpenter(programs, state / "karpenter", *free_ports(2))
    try:
        for process in [*control_plane.processes(layout, authority), kwok_process(layout, authority)]:
            supervisor.start(process)
        kubectl("apply", "--server-side", "-f", str(karpenter.kinds))
        wait_established(kubectl, "Karpenter's")
        kubectl.apply(*_namespaces(), node_class(), *pools)
        supervisor.start(karpenter.process(layout.admin_kubeconfig, CATALOGUE))
        yield KarpenterCluster(kubectl)
    finally:
        supervisor.stop(supervisor.names())


def _namespaces() -> Iterator[Object]:
    for name in (NAMESPACE, TEAM):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jobs", "namespace": TEAM}}
