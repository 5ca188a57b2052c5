"""A Prometheus with a recorded day: samples as kube-state-metrics and the kubelets' cAdvisor export them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobyard_local.processes import Process, Supervisor, answers

from tests.support.ports import free_ports

DAY_START = 1_795_564_800
"""2026-11-25, 00:00 in UTC, in seconds after 1970 began."""
SCRAPE = 15
NODE = "node-a"
GIB = 2**30


@dataclass
class Recording:
    """Samples by series, to be written in the format that promtool reads."""

    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, metric: str, labels: Mapping[str, str], samples: Iterator[tuple[float, float]]) -> None:
        """Add samples of (seconds after the day began, value)."""
        quoted = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
        self.series.setdefault(f"{metric}{{{quoted}}}", []).extend(samples)

    def constant(self, metric: str, labels: Mapping[str, str], first: float, last: float, value: float = 1) -> None:
        """Add the same value at each scrape from `first` to `last`, in seconds after the day began."""
        self.add(metric, labels, iter([(time, value) for time in scrapes(first, last)]))

    def node(self, first: float = -7200, last: float = 93_600, name: str = NODE, **labels: str) -> None:
        """Add a node of 4 cores and 16 GiB."""
        group = {"label_jobyard_dev_node_group": "default", "label_node_kubernetes_io_instance_type": "m6i.xlarge"}
        self.constant("kube_node_info", {"node": name, "provider_id": "x"}, first, last)
        self.constant("kube_node_labels", {"node": name, **group, **labels}, first, last)
        self.constant("kube_node_created", {"node": name}, first, last, DAY_START + first)
        for resource, unit, value in (("cpu", "core", 4), ("memory", "byte", 16 * GIB)):
            of = {"node": name, "resource": resource, "unit": unit}
            self.constant("kube_node_status_allocatable", of, first, last, value)

    def pod(self, pod: Pod) -> None:
        """Add what kube-state-metrics and cAdvisor have of a pod."""
        first, last, of = pod.created, pod.ended, pod.key
        placed = {**of, "node": pod.node}
        self.constant("kube_pod_info", placed, first, last)
        self.constant("kube_pod_labels", {**of, **pod.labels}, first, last)
        self.constant("kube_pod_created", of, first, last, DAY_START + pod.created)
        self.constant("kube_pod_status_scheduled_time", of, first, last, DAY_START + pod.created + 3)
        container = {**of, "container": "base"}
        image = {"image": "registry/inference:1", "image_spec": "registry/inference@sha256:1"}
        self.constant("kube_pod_container_info", {**container, **image}, first, last)
        self.constant("kube_pod_container_state_started", container, first, last, DAY_START + pod.started)
        for resource, unit, value in (("cpu", "core", pod.cpu), ("memory", "byte", pod.memory)):
            requested = {**container, "node": pod.node, "resource": resource, "unit": unit}
            self.constant("kube_pod_container_resource_requests", requested, first, last, value)
            self.constant("kube_pod_container_resource_limits", requested, first, last, value)
        if pod.reason:
            ended = {**container, "reason": pod.reason}
            self.constant("kube_pod_container_status_terminated_reason", ended, last - SCRAPE, last)
            self.constant("kube_pod_completion_time", of, last - SCRAPE, last, DAY_START + last - 5)
        self._usage(pod)

    def _usage(self, pod: Pod) -> None:
        of = {"namespace": pod.key["namespace"], "pod": pod.key["pod"], "container": "base", "id": f"/{pod.name}"}
        times = scrapes(pod.started + 1, pod.ended)[: pod.samples]
        cpu = [(time, pod.rate * (time - pod.started)) for time in times]
        self.add("container_cpu_usage_seconds_total", of, iter(cpu))
        throttled = [(time, 0.1 * (time - pod.started)) for time in times]
        self.add("container_cpu_cfs_throttled_seconds_total", of, iter(throttled))
        peak = [(time, pod.peak * (index + 1) / len(times)) for index, time in enumerate(times)]
        self.add("container_memory_max_usage_bytes", of, iter(peak))
        self.add("container_memory_working_set_bytes", of, iter([(time, value / 2) for time, value in peak]))
        self.add("container_start_time_seconds", of, iter([(time, DAY_START + pod.started) for time in times]))

    def whole(self, pod: Pod, peak: float) -> None:
        """Add the pod's own cgroup, which outlives its containers by a scrape and has the peak."""
        of = {"namespace": pod.key["namespace"], "pod": pod.key["pod"], "id": f"/pod-{pod.name}"}
        times = scrapes(pod.created, pod.ended + SCRAPE)
        cpu = [(time, pod.rate * max(time - pod.started, 0)) for time in times]
        self.add("container_cpu_usage_seconds_total", of, iter(cpu))
        self.add("container_memory_max_usage_bytes", of, iter([(time, peak) for time in times]))
        self.add("container_memory_working_set_bytes", of, iter([(time, peak / 2) for time in times]))
        self.add("container_start_time_seconds", of, iter([(time, DAY_START + pod.created) for time in times]))

    def text(self) -> str:
        """Return all of it as OpenMetrics has it, in the order of metrics."""
        by_metric: dict[str, list[str]] = {}
        for series, samples in self.series.items():
            lines = [f"{series} {value} {DAY_START + time:.3f}" for time, value in samples]
            by_metric.setdefault(series.partition("{")[0], []).extend(lines)
        parts = [f"# TYPE {metric} unknown\n" + "\n".join(lines) for metric, lines in by_metric.items()]
        return "\n".join([*parts, "# EOF\n"])


@dataclass
class Pod:
    """A pod of team risk; times are seconds after the day began."""

    name: str
    created: float
    ended: float
    started: float = 0
    run_label: str = "run-1"
    namespace: str = "team-risk"
    node: str = NODE
    job: str = "score"
    task: str = "train"
    try_number: str = "1"
    cpu: float = 1
    memory: float = 4 * GIB
    rate: float = 0.5
    """Cores that it uses."""
    peak: float = GIB
    samples: int = 10_000
    """At most."""
    reason: str = "Completed"
    extra: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.started or self.created + 20

    @property
    def key(self) -> dict[str, str]:
        """The labels that name it."""
        return {"namespace": self.namespace, "pod": self.name, "uid": f"uid-{self.name}"}

    @property
    def labels(self) -> dict[str, str]:
        """Its own labels, as kube-state-metrics has them."""
        return {
            "label_jobyard_dev_team": "risk",
            "label_jobyard_dev_job": self.job,
            "label_jobyard_dev_task": self.task,
            "label_run_id": self.run_label,
            "label_try_number": self.try_number,
            **self.extra,
        }


def scrapes(first: float, last: float) -> list[float]:
    """The times of the scrapes from `first` to `last`."""
    return [float(time) for time in range(-int(-first // SCRAPE) * SCRAPE, int(last) + 1, SCRAPE)]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextmanager
def prometheus(recording: Recording, folder: Path) -> Iterator[str]:
    """Run a Prometheus with the recording; yields its address."""
    samples, data = folder / "samples.txt", folder / "data"
    samples.write_text(recording.text())
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(samples), str(data)]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("{}")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}"]
    server = ["prometheus", *options, f"--web.listen-address={address}", "--storage.tsdb.retention.time=100y"]
    supervisor = Supervisor(folder)
    supervisor.start(Process("prometheus", server, answers(f"http://{address}/-/ready")))
    try:
        yield f"http://{address}"
    finally:
        supervisor.stop(supervisor.names(), grace=0)
