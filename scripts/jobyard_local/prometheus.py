"""Prometheus, and kube-state-metrics, which tells it what the API server knows of pods and nodes.

Prometheus is Debian's package, which costs seconds; as a Go program it would be built for minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from jobyard_local.certificates import CertificateAuthority
from jobyard_local.control_plane import KUBE_STATE_METRICS, PROMETHEUS, write_kubeconfig
from jobyard_local.layout import Layout
from jobyard_local.nodes import RealNode
from jobyard_local.processes import Process, answers

SCRAPE_SECONDS = 1
"""How often Prometheus asks. docs/sampling.md has what longer intervals miss of short pods."""
RETENTION = ("7d", "512MB")
"""How long Prometheus keeps samples, and at most how much of them."""
POD_LABELS = (
    "jobyard.dev/team",
    "jobyard.dev/job",
    "jobyard.dev/task",
    "jobyard.dev/environment",
    "jobyard.dev/cost-center",
    "dag_id",
    "task_id",
    "run_id",
    "map_index",
    "try_number",
)
"""Those that the job operator gives a pod: ours, and Airflow's, which say of which try it is."""
NODE_LABELS = (
    "jobyard.dev/node-group",
    "node.kubernetes.io/instance-type",
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
)
CADVISOR = (
    "container_(cpu_(usage_seconds|cfs_(periods|throttled_periods|throttled_seconds))_total"
    "|memory_(max_usage|usage|working_set|rss)_bytes|oom_events_total|start_time_seconds)"
)
"""What is kept of /metrics/cadvisor; the rest would be ten times as much."""
KUBELET = "kubelet_(image_pull_duration_seconds|pod_start_(total_)?duration_seconds|running_(pods|containers)).*"


def rights() -> Iterator[dict[str, Any]]:
    """Yield the ClusterRoles and bindings of both: each has what it asks for, and nothing else."""
    yield from _right(PROMETHEUS, ["nodes/metrics"], ["get"])
    yield from _right(KUBE_STATE_METRICS, ["nodes", "pods"], ["list", "watch"])


def _right(user: str, resources: Sequence[str], verbs: Sequence[str]) -> Iterator[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    kind = {"apiVersion": f"{group}/v1", "metadata": {"name": user}}
    rule = {"apiGroups": [""], "resources": [*resources], "verbs": [*verbs]}
    yield {**kind, "kind": "ClusterRole", "rules": [rule]}
    role = {"apiGroup": group, "kind": "ClusterRole", "name": user}
    subjects = [{"apiGroup": group, "kind": "User", "name": user}]
    yield {**kind, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": subjects}


def processes(layout: Layout, authority: CertificateAuthority, nodes: Sequence[RealNode]) -> list[Process]:
    """Write the configuration and return both, in the order in which they start."""
    return [_kube_state_metrics(layout, authority), _prometheus(layout, authority, nodes)]


def _kube_state_metrics(layout: Layout, authority: CertificateAuthority) -> Process:
    kubeconfig = write_kubeconfig(layout, authority, "kube-state-metrics", KUBE_STATE_METRICS)
    own = layout.ports["kube-state-metrics-own"]
    command = [
        layout.tool("kube-state-metrics"),
        f"--kubeconfig={kubeconfig}",
        "--host=127.0.0.1",
        f"--port={layout.ports['kube-state-metrics']}",
        "--telemetry-host=127.0.0.1",
        f"--telemetry-port={own}",
        "--resources=nodes,pods",
        f"--metric-labels-allowlist=nodes=[{','.join(NODE_LABELS)}],pods=[{','.join(POD_LABELS)}]",
    ]
    return Process("kube-state-metrics", command, ready=answers(f"http://127.0.0.1:{own}/readyz"))


def _prometheus(layout: Layout, authority: CertificateAuthority, nodes: Sequence[RealNode]) -> Process:
    config = layout.state / "prometheus.yaml"
    config.write_text(yaml.safe_dump(_config(layout, authority, nodes), sort_keys=False))
    time, size = RETENTION
    command = [
        "prometheus",
        f"--config.file={config}",
        # Like the S3 server it listens where this machine and the pods both reach it.
        f"--web.listen-address={layout.host}:{layout.ports['prometheus']}",
        f"--storage.tsdb.path={layout.state / 'prometheus'}",
        f"--storage.tsdb.retention.time={time}",
        f"--storage.tsdb.retention.size={size}",
        "--storage.tsdb.wal-segment-size=10MB",
        "--log.level=warn",
    ]
    return Process("prometheus", command, ready=answers(f"{layout.prometheus_url}/-/ready"))


def _config(layout: Layout, authority: CertificateAuthority, nodes: Sequence[RealNode]) -> dict[str, Any]:
    client = authority.issue("prometheus", PROMETHEUS)
    tls = {
        "ca_file": str(authority.root.certificate),
        "cert_file": str(client.certificate),
        "key_file": str(client.key),
    }
    kubelet = {"scheme": "https", "tls_config": tls, "static_configs": [_target(node) for node in nodes]}
    states = {"targets": [f"127.0.0.1:{layout.ports['kube-state-metrics']}"]}
    jobs = [
        {"job_name": "cadvisor", "metrics_path": "/metrics/cadvisor", **kubelet, **_keep(CADVISOR)},
        {"job_name": "kubelet", "scrape_interval": "15s", **kubelet, **_keep(KUBELET)},
        # What it says of pods is about them, whatever says it.
        {"job_name": "kube-state-metrics", "honor_labels": True, "static_configs": [states]},
    ]
    every = f"{SCRAPE_SECONDS}s"
    return {"global": {"scrape_interval": every, "scrape_timeout": every}, "scrape_configs": jobs}


def _target(node: RealNode) -> dict[str, Any]:
    return {"targets": [node.address], "labels": {"node": node.name}}


def _keep(names: str) -> dict[str, Any]:
    rule = {"source_labels": ["__name__"], "regex": names, "action": "keep"}
    return {"metric_relabel_configs": [rule]}
