"""Nodes that kwok simulates: the scheduler treats them as machines. Their pods start at once and do nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import write_kubeconfig
from jobyard_local.layout import Layout
from jobyard_local.nodes import machine_labels
from jobyard_local.processes import Process

KUBERNETES_NAMES = {"gpu": "nvidia.com/gpu", "ephemeralStorage": "ephemeral-storage"}
"""Of the resources that the catalogue calls otherwise."""
SECONDS, SECONDS_VARIABLE = 20, "SIMULATED_SECONDS"
"""After which a simulated pod succeeds, and the variable of its container that may say another number of them."""

ENDED = """
{{ $status := .status }}
containerStatuses:
{{ range $index, $container := .spec.containers }}
{{ $started := (index $status.containerStatuses $index).state.running.startedAt }}
- name: {{ $container.name | Quote }}
  image: {{ $container.image | Quote }}
  ready: false
  restartCount: 0
  state:
    terminated: {exitCode: 0, reason: Completed, startedAt: {{ $started | Quote }}, finishedAt: {{ Now | Quote }}}
{{ end }}
phase: Succeeded
"""
"""A pod's status once it has succeeded, as a template of kwok's."""


def kwok_process(layout: Layout, authority: CertificateAuthority, *, pods_end: bool = False) -> Process:
    """Return the controller that acts as the kubelet of every simulated node.

    By kwok's own stages, pods go on until they are deleted, except for those of Jobs. With `pods_end` they succeed.
    """
    client = write_kubeconfig(layout, authority, "kwok", "jobyard-kwok", ["system:masters"])
    stages = [layout.tools / "kwok-stages.yaml"]
    if pods_end:
        stages.append(_write_pods_end(layout.state / "kwok-pods-end.yaml"))
    command = [
        layout.tool("kwok"),
        *(f"--config={file}" for file in stages),
        f"--kubeconfig={client}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        f"--server-address=127.0.0.1:{layout.ports['kwok']}",
    ]
    return Process("kwok", command)


def _write_pods_end(file: Path) -> Path:
    """Write the stage in which a pod succeeds, and return its file."""
    named = f".spec.containers[0].env[]? | select(.name == {json.dumps(SECONDS_VARIABLE)}) | .value"
    unended = [
        {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
        {"key": ".status.phase", "operator": "In", "values": ["Running"]},
    ]
    spec = {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": unended},
        "delay": {"durationMilliseconds": SECONDS * 1000, "durationFrom": {"expressionFrom": f'{named} + "s"'}},
        "next": {"statusTemplate": ENDED},
    }
    stage = {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": "pod-ends"}, "spec": spec}
    file.write_text(yaml.safe_dump(stage))
    return file


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
