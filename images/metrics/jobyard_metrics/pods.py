"""The rows of `tables.PODS`: what Prometheus has of each pod, joined to the try of Airflow's that it ran."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from jobyard_metrics.sources.airflow import Try
from jobyard_metrics.sources.earlier_pods import LOST, OUT_OF_MEMORY
from jobyard_metrics.sources.prometheus import NAMESPACE, WHOLE_POD, Container, CpuUse, Key, Pod, Usage
from jobyard_metrics.values import from_epoch, rounded, whole

LABEL_CHARACTERS = 63
SCRAPE = timedelta(minutes=5)
"""A pod or node that Prometheus had so shortly before the end of the day was there until the end."""
OOM = "OOMKilled"
"""The reason of a container that the kernel killed for its memory."""
LOST_REASON = "Lost"
"""That of a pod which was lost with its machine, or ended by Kubernetes, where the pod itself does not say why."""
_GPUS = ("nvidia_com_gpu", "amd_com_gpu")
_LIMITS = "kube_pod_container_resource_limits"
_NO_USE = CpuUse(None, None, None, None)


def label_value(text: str) -> str:
    """Return a text as KubernetesPodOperator writes it into a label.

    airflow/providers/cncf/kubernetes/pod_generator.py, `make_safe_label_value`, the same in 9.0.1 and 10.21.0.
    """
    safe = re.sub(r"^[^a-z0-9A-Z]*|[^a-zA-Z0-9_\-\.]|[^a-z0-9A-Z]*$", "", text)
    if len(safe) > LABEL_CHARACTERS or safe != text:
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:9]
        return f"{safe[: LABEL_CHARACTERS - len(digest) - 1]}-{digest}"
    return safe


class Tries:
    """The tries of Airflow's, to be found by the labels of their pods."""

    def __init__(self, tries: Iterable[Try]) -> None:
        self._exact: dict[tuple[Any, ...], Try] = {}
        self._similar: dict[tuple[Any, ...], list[Try]] = defaultdict(list)
        for one in tries:
            task = (one.team, one.job, one.task, one.map_index)
            self._exact[*task, one.try_number, label_value(one.run_id)] = one
            self._similar[*task, one.try_number].append(one)

    def of(self, task: tuple[str, str, str, int], number: int, run_label: str, pod: Mapping[str, Any]) -> Try | None:
        """Return the try with these labels, or else the one of the same task and number that ran at the time."""
        exact = self._exact.get((*task, number, run_label))
        return exact or next((one for one in self._similar.get((*task, number), []) if _overlaps(one, pod)), None)


@dataclass(frozen=True)
class Cluster:
    """What is known of the stretch of time [start, end) beside the pods: their use, the tries, and the nodes' rows."""

    usage: Usage
    tries: Tries
    nodes: Mapping[str, Mapping[str, Any]]
    """By name."""
    start: datetime
    end: datetime
    replaced: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Why Airflow says that a pod was replaced in its try, by the pod's team and name."""


def rows(cluster: Cluster) -> Iterator[dict[str, Any]]:
    """Yield a row for each pod of a team that existed in the time, without its cost."""
    following = _following(cluster.usage)
    for (namespace, name), pods in cluster.usage.pods.items():
        newest = max(pods.values(), key=lambda pod: pod.value("kube_pod_created") or 0)
        for pod in pods.values():
            # cAdvisor does not tell pods of the same name apart.
            used = (namespace, name) if pod is newest else None
            next_pod = following.get((namespace, name, pod.uid))
            life = _Life(pod, cluster.replaced.get((_team(namespace), name)) or _cause(pod, next_pod), next_pod)
            if row := _row(cluster, life, namespace, used):
                yield {**row, "name": name}


@dataclass(frozen=True)
class _Life:
    """A pod, and that its try went on after it."""

    pod: Pod
    cause: str | None
    """Why it was replaced."""
    following: Pod | None
    """The next pod of the try."""


def _following(usage: Usage) -> Mapping[tuple[str, str, str], Pod]:
    """The next pod of the same try, by namespace, name and uid of each pod that has one."""
    tries: dict[Any, list[tuple[float, tuple[str, str, str], Pod]]] = defaultdict(list)
    for (namespace, name), pods in usage.pods.items():
        for pod in pods.values():
            task, run, number = _labels(pod, _team(namespace))
            created = pod.value("kube_pod_created")
            if created and task[2] and run and number is not None:
                tries[task, run, number].append((created, (namespace, name, pod.uid), pod))
    pairs = (pair for made in tries.values() for pair in pairwise(sorted(made, key=lambda one: one[:2])))
    return {key: following for (_, key, _), (_, _, following) in pairs}


def _cause(pod: Pod, following: Pod | None) -> str | None:
    """That the pod ran out of memory, if the next one has more: a try raises it for nothing else."""
    limit, more = (_by_resource(one, _LIMITS).get("memory") if one else None for one in (pod, following))
    return OUT_OF_MEMORY if limit and more and more > limit else None


def _team(namespace: str) -> str:
    return namespace.removeprefix(NAMESPACE)


def _row(cluster: Cluster, life: _Life, namespace: str, used: Key | None) -> dict[str, Any] | None:
    pod = life.pod
    containers = cluster.usage.containers.get(used, {}) if used else {}
    cpu = cluster.usage.cpu.get(used, _NO_USE) if used else _NO_USE
    times = _times(pod, containers)
    task, run, number = _labels(pod, _team(namespace))
    found = cluster.tries.of(task, number or 0, run or "", times)
    times["ended"] = _ended(life, times, found, cpu, cluster.end)
    if _is_outside(times, cluster.start, cluster.end):
        return None
    return {
        "uid": pod.uid,
        "team": task[0],
        "job": task[1] or None,
        "run_id": found.run_id if found else run,
        "task": task[2] or None,
        "map_index": task[3],
        "try_number": number,
        "reason": _reason(life),
        **_placed(pod, cluster.nodes),
        **{column: _clipped(time, cluster.start, cluster.end) for column, time in times.items()},
        **_resources(pod),
        **_used(containers, cpu, times, cluster.start),
        "cost": None,
    }


def _placed(pod: Pod, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    node = pod.label("kube_pod_info", "node")
    row = nodes.get(node or "", {})
    return {
        "node": node,
        "node_group": row.get("node_group"),
        "instance_type": row.get("instance_type"),
        "capacity_type": row.get("capacity_type"),
        "image": pod.label("kube_pod_container_info", "image_spec") or pod.label("kube_pod_container_info", "image"),
    }


def _labels(pod: Pod, team: str) -> tuple[tuple[str, str, str, int], str | None, int | None]:
    """The task (team, job, task, index), the run's label and the try's number; the namespace says which team."""

    def label(name: str) -> str | None:
        return pod.label("kube_pod_labels", f"label_{name}")

    index, number = _small(label("map_index")), _small(label("try_number"))
    task = (team, label("jobyard_dev_job") or "", label("jobyard_dev_task") or "", -1 if index is None else index)
    return task, label("run_id"), number


def _small(written: str | None) -> int | None:
    """The whole number of a label, if it fits into 32 bits."""
    is_number = written is not None and re.fullmatch("[0-9]{1,9}", written, re.ASCII)
    return whole(int(written)) if written and is_number else None


def _times(pod: Pod, containers: Mapping[str, Container]) -> dict[str, datetime | None]:
    # The pod's own cgroup is older: it is there while images are pulled.
    starts = [one.started for name, one in containers.items() if one.started and name != WHOLE_POD]
    return {
        "created": from_epoch(pod.value("kube_pod_created")),
        "scheduled": from_epoch(pod.value("kube_pod_status_scheduled_time")),
        "started": from_epoch(pod.value("kube_pod_container_state_started") or min(starts, default=None)),
        "ended": from_epoch(pod.value("kube_pod_completion_time")),
    }


def _ended(
    life: _Life, times: Mapping[str, datetime | None], found: Try | None, cpu: CpuUse, end: datetime
) -> datetime | None:
    """When the pod ended: as the kubelet says, else as Airflow says of its try, else when it was last seen.

    The try of a pod that was replaced ends with another pod; this one ended before that was made.
    """
    if times["ended"]:
        return times["ended"]
    is_last = life.cause is None and life.following is None
    if is_last and found and found.ended and (times["created"] is None or found.ended > times["created"]):
        return found.ended
    seen = from_epoch(max(life.pod.seen or 0, cpu.last or 0))
    latest = end if seen and seen >= end - SCRAPE else seen
    made = from_epoch(life.following.value("kube_pod_created")) if life.following else None
    return min(filter(None, (latest, made)), default=None)


def _is_outside(times: Mapping[str, datetime | None], start: datetime, end: datetime) -> bool:
    created, ended = times["created"], times["ended"]
    return (created is not None and created >= end) or (ended is not None and ended <= start)


def _overlaps(one: Try, pod: Mapping[str, Any]) -> bool:
    created, ended = pod["created"], pod["ended"]
    if one.started is None or created is None:
        return False
    return (one.ended is None or created < one.ended) and (ended is None or ended > one.started)


def _clipped(time: datetime | None, start: datetime, end: datetime) -> datetime | None:
    return None if time is None else min(max(time, start), end)


def _reason(life: _Life) -> str | None:
    """The pod's own reason, such as Evicted, says more than its container's.

    A pod that was replaced may have been gone before Prometheus saw how it ended.
    """
    pod = life.pod
    if life.cause == OUT_OF_MEMORY:
        return OOM
    return (
        pod.label("kube_pod_status_reason", "reason")
        or (LOST_REASON if life.cause == LOST else None)
        or pod.label("kube_pod_container_status_terminated_reason", "reason")
        or pod.label("kube_pod_container_status_last_terminated_reason", "reason")
    )


def _resources(pod: Pod) -> dict[str, Any]:
    requests = _by_resource(pod, "kube_pod_container_resource_requests")
    limits = _by_resource(pod, _LIMITS)
    gpus = [requests[name] for name in _GPUS if name in requests]
    return {
        "requested_cpu": requests.get("cpu"),
        "requested_memory": rounded(requests.get("memory")),
        "requested_gpu": rounded(sum(gpus)),
        "memory_limit": rounded(limits.get("memory")),
    }


def _by_resource(pod: Pod, metric: str) -> dict[str, float]:
    """The sum over containers; a container has a series for before and after its pod got a node."""
    by_container: dict[tuple[str, str], float] = {}
    for labels, value in pod.facts.get(metric, []):
        if value is not None:
            by_container[labels.get("container", ""), labels.get("resource", "")] = value
    found: dict[str, float] = {}
    for (_, resource), value in sorted(by_container.items()):
        found[resource] = found.get(resource, 0) + value
    return found


def _used(
    containers: Mapping[str, Container], cpu: CpuUse, times: Mapping[str, datetime | None], start: datetime
) -> dict[str, Any]:
    """What the pod used in the day; where memory was never sampled, nothing is known of it."""
    sampled = {name: container for name, container in containers.items() if container.samples}
    began = times["started"] is not None and times["started"] >= start
    parts = [container for name, container in sampled.items() if name != WHOLE_POD]
    whole = sampled.get(WHOLE_POD, Container())
    return {
        "samples": max((min(container.samples, 2**31 - 1) for container in sampled.values()), default=0),
        "cpu_seconds": cpu.seconds if sampled else None,
        "cpu_peak": cpu.peak if sampled else None,
        "cpu_p95": cpu.p95 if sampled else None,
        "throttled_seconds": _sum(_throttled(container, began) for container in parts or [whole]),
        "memory_peak": rounded(_larger(whole.memory_peak, _sum(one.memory_peak for one in parts))),
        "memory_working_set": rounded(_larger(whole.memory_working_set, _sum(one.memory_working_set for one in parts))),
    }


def _larger(whole: float | None, parts: float | None) -> float | None:
    """Of the pod's own figure and the sum of its containers': either may have been sampled for longer."""
    return max((value for value in (whole, parts) if value is not None), default=None)


def _throttled(container: Container, began: bool) -> float | None:
    """The counter's growth in the day; it begins at 0 with its container."""
    if container.throttled_last is None:
        return None
    return container.throttled_last - (0 if began else container.throttled_first or 0)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
