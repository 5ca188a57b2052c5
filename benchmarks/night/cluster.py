"""The cluster of a night: a real control plane, Kueue and Karpenter, with machines and pods that kwok plays, fast."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jobyard_local import control_plane, kueue, machine
from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import Kubectl, wait_established
from jobyard_local.karpenter import NAMESPACE, Karpenter, node_class
from jobyard_local.layout import Layout
from jobyard_local.processes import Process, Supervisor
from jobyard_local.simulated_nodes import kwok_process
from jobyard_metrics.prices import NANODOLLARS

from night.built_karpenter import SPEED
from night.cost import Machines
from night.scenario import ROOT, Object, Scenario, node_pools_and_queues

START_SECONDS = 60
"""From Karpenter's call to EC2 until the machine takes pods."""
MEMORY = {"GOGC": "400"}
"""Environment of the Go programs: more memory for less of the processor, of which the night has little."""
OVERHEAD = {"cpu": 100, "memory": 10}
"""Thousandths of a core, and MiB, that Karpenter's provider of simulated machines takes off."""


@dataclass(frozen=True)
class Cluster:
    """Where it is reached."""

    kubectl: Kubectl
    url: str
    certificate: tuple[str, str]
    authority: str


@contextmanager
def running(tools: Path, karpenter: Path, state: Path, scenario: Scenario) -> Iterator[Cluster]:
    """Start everything in a new folder; stop it at the end."""
    layout = Layout.choose(state, tools, 0)
    authority, supervisor, kubectl = CertificateAuthority(state / "pki"), Supervisor(state), Kubectl(layout)
    try:
        for process in control_plane.processes(layout, authority):
            supervisor.start(_tuned(process, layout))
        supervisor.start(kwok_process(layout, authority))
        queues = kueue.beside(layout, authority)
        kueue.install(kubectl, queues)
        autoscaler = _autoscaler(layout)
        kubectl("apply", "--server-side", "-f", str(autoscaler.kinds))
        wait_established(kubectl, "Karpenter's")
        supervisor.start(_kueue(layout, queues))
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, _machines(scenario))
        _apply(kubectl, scenario)
        process = autoscaler.process(layout.admin_kubeconfig, scenario.groups)
        offers = json.dumps([*_offers(scenario)])
        (autoscaler.folder / "instance-types.json").write_text(offers)
        supervisor.start(_faster(process, karpenter, scenario))
        files = [authority.folder / "admin.crt", authority.folder / "admin.key"]
        yield Cluster(kubectl, layout.api_url, (str(files[0]), str(files[1])), str(authority.root.certificate))
    finally:
        supervisor.stop(supervisor.names())


def _autoscaler(layout: Layout) -> Karpenter:
    metrics = machine.free_port(18200, layout.ports.values())
    probe = machine.free_port(metrics + 1, layout.ports.values())
    return Karpenter(layout.tools, layout.state / "karpenter", metrics, probe)


def _apply(kubectl: Kubectl, scenario: Scenario) -> None:
    objects = node_pools_and_queues(scenario)
    first = [one for one in objects if one["kind"] in ("Namespace", "ResourceFlavor")]
    kubectl.apply(*first)
    rest = [one for one in objects if one not in first]
    kubectl.apply(*rest)


def _machines(scenario: Scenario) -> Object:
    played = node_class()
    return {**played, "spec": {"nodeRegistrationDelay": f"{START_SECONDS // scenario.speed}s"}}


def _tuned(process: Process, layout: Layout) -> Process:
    """Return a process of the control plane that asks the API server as fast as the night goes."""
    process = replace(process, environment={**process.environment, **MEMORY})
    if process.name == "kube-controller-manager":
        return replace(process, command=[*process.command, "--kube-api-qps=500", "--kube-api-burst=500"])
    if process.name == "kube-scheduler":
        return replace(process, command=[*process.command, f"--config={_scheduler(layout)}"])
    return process


def _scheduler(layout: Layout) -> Path:
    """Write the scheduler's configuration: a pod that found no machine is tried again after a second at most."""
    connection = {"kubeconfig": str(layout.state / "kubeconfig" / "scheduler.yaml"), "qps": 500, "burst": 500}
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": connection,
        "leaderElection": {"leaderElect": False},
        "podInitialBackoffSeconds": 1,
        "podMaxBackoffSeconds": 1,
    }
    file = layout.state / "scheduler.yaml"
    file.write_text(yaml.safe_dump(configuration))
    return file


def _kueue(layout: Layout, queues: kueue.Kueue) -> Process:
    process = kueue.process(layout, queues)
    file = queues.folder / "configuration.yaml"
    configuration: dict[str, Any] = yaml.safe_load(file.read_text())
    more = {"clientConnection": {"qps": 500, "burst": 500}}
    file.write_text(yaml.safe_dump({**configuration, **more}))
    return replace(process, environment={**process.environment, **MEMORY})


def _faster(process: Process, program: Path, scenario: Scenario) -> Process:
    environment = {
        **process.environment,
        **MEMORY,
        SPEED: str(scenario.speed),
        "BATCH_IDLE_DURATION": f"{1000 // scenario.speed}ms",
        "BATCH_MAX_DURATION": f"{10_000 // scenario.speed}ms",
    }
    return replace(process, command=[str(program)], environment=environment)


def _offers(scenario: Scenario) -> Iterator[Object]:
    """Yield the node groups' instance types as Karpenter's provider reads them: with our prices, and what pods get."""
    machines = Machines.read(ROOT)
    groups = {name: group for group in scenario.groups.values() for name in group["instanceTypes"]}
    for name, group in groups.items():
        offers = {offer: kind for kind in ("on-demand", "spot") for offer in machines.offers(kind, [name])}
        offer = next(iter(offers))
        resources = {
            "cpu": f"{offer.cpu + OVERHEAD['cpu']}m",
            "memory": f"{offer.memory + OVERHEAD['memory']}Mi",
            "ephemeral-storage": group["allocatable"]["ephemeralStorage"],
            "pods": str(machines.known[name].pods),
        }
        if offer.gpu:
            resources["nvidia.com/gpu"] = str(offer.gpu)
        yield {
            "name": name,
            "architecture": offer.architecture,
            "operatingSystems": ["linux"],
            "offerings": [_offering(kind, one.price) for one, kind in offers.items()],
            "resources": resources,
        }


def _offering(kind: str, price: int) -> Object:
    requirements = {"karpenter.sh/capacity-type": kind, "topology.kubernetes.io/zone": "us-east-1a"}
    listed = [{"key": key, "operator": "In", "values": [value]} for key, value in requirements.items()]
    return {"Price": price / NANODOLLARS, "Available": True, "Requirements": listed}
