"""What pods and nodes were, from kube-state-metrics, and what pods used, from the kubelets' cAdvisor.

https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics and
https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md. kube-state-metrics is scraped with
`honor_labels: true`, and exports the labels of pods and nodes that this module reads (`--metric-labels-allowlist`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import polars as pl

from jobyard_metrics.sources.prometheus_api import Labels, PrometheusApi, Series

NAMESPACE = "team-"
"""What the namespaces of teams begin with; the rest is the team's name."""
_OF_TEAMS = f'namespace=~"{NAMESPACE}.+"'
_CONTAINERS = f'{_OF_TEAMS},pod!="",container!="POD"'
"""Also the pods' own cgroups, which have no container: they outlive the containers, so that a short pod's last peak is
in a later sample."""
WHOLE_POD = ""
"""What stands for the pod's own cgroup among the names of containers."""

POD_FACTS = (
    "kube_pod_info",
    "kube_pod_labels",
    "kube_pod_created",
    "kube_pod_status_scheduled_time",
    "kube_pod_completion_time",
    "kube_pod_container_info",
    "kube_pod_container_state_started",
    "kube_pod_container_status_terminated_reason",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_resource_requests",
    "kube_pod_container_resource_limits",
)
NODE_FACTS = ("kube_node_info", "kube_node_labels", "kube_node_created", "kube_node_status_allocatable")
FIGURES: Mapping[str, str] = {
    "memory_peak": "max_over_time(container_memory_max_usage_bytes{$of}[$range])",
    "memory_working_set": "max_over_time(container_memory_working_set_bytes{$of}[$range])",
    "samples": "count_over_time(container_memory_working_set_bytes{$of}[$range])",
    "throttled_first": "min_over_time(container_cpu_cfs_throttled_seconds_total{$of}[$range])",
    "throttled_last": "max_over_time(container_cpu_cfs_throttled_seconds_total{$of}[$range])",
    "started": "min_over_time(container_start_time_seconds{$of}[$range])",
}
"""Of each container, and each pod's own cgroup, in a stretch of time."""

_FACTS_LENGTH = timedelta(hours=6)
_SAMPLES_LENGTH = timedelta(hours=1)
"""With 200 pods at a time, sampled every 2 s, an answer has about 700,000 samples."""
_SEEN = "max_over_time(timestamp({metric})[$range:{step}])"
_PODS_STEP, _NODES_STEP = "15s", "1m"

Key = tuple[str, str]
"""A pod's namespace and name."""


@dataclass
class Container:
    """What one container of a pod, or the whole pod, used in the day; times are seconds after 1970 began."""

    memory_peak: float | None = None
    memory_working_set: float | None = None
    samples: int = 0
    throttled_first: float | None = None
    throttled_last: float | None = None
    started: float | None = None


@dataclass
class Pod:
    """What is known of a pod: facts by metric, each with the labels and the value of its newest series."""

    uid: str
    facts: dict[str, list[tuple[Labels, float | None]]] = field(default_factory=lambda: defaultdict(list))
    seen: float | None = None
    """When kube-state-metrics last had it."""

    def value(self, metric: str) -> float | None:
        """Return the largest value of a metric that has one for each container, or one alone."""
        values = [value for _, value in self.facts.get(metric, []) if value is not None]
        return max(values, default=None)

    def label(self, metric: str, name: str) -> str | None:
        """Return a label of the first series, by container, that has it."""
        found = sorted(self.facts.get(metric, []), key=lambda fact: _container_order(fact[0]))
        return next((labels[name] for labels, _ in found if labels.get(name)), None)


@dataclass
class Node:
    """What is known of a node."""

    facts: dict[str, list[tuple[Labels, float | None]]] = field(default_factory=lambda: defaultdict(list))
    seen: float | None = None


@dataclass(frozen=True)
class CpuUse:
    """Of a pod in a day, in cores and seconds."""

    seconds: float | None
    peak: float | None
    p95: float | None
    last: float | None
    """When it was sampled last, in seconds after 1970 began."""


@dataclass
class Usage:
    """All of a day."""

    pods: dict[Key, dict[str, Pod]] = field(default_factory=lambda: defaultdict(dict))
    """By namespace and name, then by uid: a name may come again."""
    containers: dict[Key, dict[str, Container]] = field(default_factory=lambda: defaultdict(dict))
    nodes: dict[str, Node] = field(default_factory=lambda: defaultdict(Node))
    cpu_samples: list[pl.DataFrame] = field(default_factory=list)
    start: float = 0
    """The first second of the day."""

    @cached_property
    def cpu(self) -> Mapping[Key, CpuUse]:
        """Return what each pod used of the processors."""
        return cpu_of(self.cpu_samples, self._started(), self.start)

    def _started(self) -> Mapping[tuple[str, str, str], float]:
        """When each container that began in the day did, by namespace, pod and container."""
        found = {}
        for key, containers in self.containers.items():
            for name, container in containers.items():
                if container.started is not None and container.started >= self.start:
                    found[*key, name] = container.started
        return found


def collect(api: PrometheusApi, start: datetime, end: datetime) -> Usage:
    """Return what Prometheus has of [start, end).

    Raises:
        SourceError: it refused, answered something else than its API defines, or stayed unavailable.
    """
    usage = Usage(start=start.timestamp())
    for series in api.stretches(_last(POD_FACTS, _OF_TEAMS), start, end, _FACTS_LENGTH):
        _add_pods(usage, series)
    reasons = f"max_over_time(kube_pod_status_reason{{{_OF_TEAMS}}}[$range]) == 1"
    for series in api.stretches(reasons, start, end, _FACTS_LENGTH):
        _add_pods(usage, series, "kube_pod_status_reason")
    for series in api.stretches(_seen("kube_pod_info", _OF_TEAMS, _PODS_STEP), start, end, _FACTS_LENGTH):
        _add_last_seen(usage, series)
    for series in api.stretches(_figures(), start, end, _FACTS_LENGTH):
        _add_figures(usage, series)
    cpu = f"container_cpu_usage_seconds_total{{{_CONTAINERS}}}[$range]"
    usage.cpu_samples = [_samples(series) for series in api.stretches(cpu, start, end, _SAMPLES_LENGTH)]
    for series in api.stretches(_last(NODE_FACTS), start, end, _FACTS_LENGTH):
        _add_nodes(usage, series)
    for series in api.stretches(_seen("kube_node_info", "", _NODES_STEP), start, end, _FACTS_LENGTH):
        for one in series:
            node = usage.nodes[one.labels.get("node", "")]
            node.seen = _largest(node.seen, one.value)
    return usage


def _last(metrics: Iterable[str], selector: str = "") -> str:
    """A query for several metrics at once, which keeps their names."""
    names = f'__name__=~"{"|".join(metrics)}"'
    return f"last_over_time({{{names}{',' if selector else ''}{selector}}}[$range])"


def _seen(metric: str, selector: str, step: str) -> str:
    return _SEEN.format(metric=f"{metric}{{{selector}}}", step=step)


def _figures() -> str:
    """A query for all figures, each with a label that names it, as functions drop the names of metrics."""
    by = "max by (namespace, pod, container)"
    named = (
        f'label_replace({by} ({expression.replace("$of", _CONTAINERS)}), "figure", "{name}", "", "")'
        for name, expression in FIGURES.items()
    )
    return " or ".join(named)


def _add_pods(usage: Usage, series: Iterable[Series], name: str = "") -> None:
    """Facts of a later stretch replace those of an earlier one."""
    newer: dict[tuple[Key, str, str], list[tuple[Labels, float | None]]] = defaultdict(list)
    for one in series:
        labels = one.labels
        key = (labels.get("namespace", ""), labels.get("pod", ""))
        newer[key, labels.get("uid", ""), name or labels.get("__name__", "")].append((labels, one.value))
    for (key, uid, metric), facts in newer.items():
        usage.pods[key].setdefault(uid, Pod(uid)).facts[metric] = facts


def _add_last_seen(usage: Usage, series: Iterable[Series]) -> None:
    for one in series:
        labels = one.labels
        pods = usage.pods[labels.get("namespace", ""), labels.get("pod", "")]
        pod = pods.setdefault(labels.get("uid", ""), Pod(labels.get("uid", "")))
        pod.seen = _largest(pod.seen, one.value)


def _add_figures(usage: Usage, series: Iterable[Series]) -> None:
    for one in series:
        labels = one.labels
        containers = usage.containers[labels.get("namespace", ""), labels.get("pod", "")]
        container = containers.setdefault(labels.get("container", ""), Container())
        name, value = labels.get("figure", ""), one.value
        if name == "samples":
            container.samples += round(value or 0)
        elif name in ("throttled_first", "started"):
            setattr(container, name, _smallest(getattr(container, name), value))
        elif name in FIGURES:
            setattr(container, name, _largest(getattr(container, name), value))


def _add_nodes(usage: Usage, series: Iterable[Series]) -> None:
    newer: dict[tuple[str, str], list[tuple[Labels, float | None]]] = defaultdict(list)
    for one in series:
        newer[one.labels.get("node", ""), one.labels.get("__name__", "")].append((one.labels, one.value))
    for (node, metric), facts in newer.items():
        usage.nodes[node].facts[metric] = facts


_SERIES = ["namespace", "pod", "container", "id"]
_SAMPLES = {**dict.fromkeys(_SERIES, pl.String), "time": pl.Float64, "value": pl.Float64}


def _samples(series: Iterable[Series]) -> pl.DataFrame:
    rows = [row for one in series for row in _sample_rows(one)]
    return pl.DataFrame(rows, schema=_SAMPLES, orient="row")


def _sample_rows(one: Series) -> Iterator[tuple[str | float, ...]]:
    head = tuple(one.labels.get(name, "") for name in _SERIES)
    for time, value in one.samples:
        if value is not None:
            yield *head, time, value


def cpu_of(
    samples: list[pl.DataFrame], started: Mapping[tuple[str, str, str], float], start: float
) -> dict[Key, CpuUse]:
    """Return what each pod used of the processors, from samples of counters of seconds.

    A counter begins at 0 with its container, so the first sample of a container that began in the day (`started`, by
    namespace, pod and container) counts whole. The rates are those between two samples; of a container with one sample
    alone the mean since its start. Of the pod's own counter and the sum of its containers' the larger counts: on a busy
    node either may be sampled last long before the pod ends.
    """
    if not samples:
        return {}
    data = _growth(pl.concat(samples).unique(subset=[*_SERIES, "time"]).sort([*_SERIES, "time"]), started)
    since_start = pl.col("time").last() - pl.col("started").last()
    mean = pl.when((pl.len() == 1) & (since_start >= 1)).then(pl.col("value").last() / since_start)
    by_container = data.group_by(_SERIES[:3]).agg(
        used=pl.col("used").sum(),
        peak=pl.coalesce(pl.col("rate").max(), mean),
        p95=pl.coalesce(pl.col("rate").quantile(0.95, "linear"), mean),
        last=pl.col("time").max(),
    )
    # In order, as sums of floating-point numbers depend on it.
    is_whole = (pl.col("container") == WHOLE_POD).alias("is_whole")
    by_pod = by_container.sort(_SERIES[:3]).group_by(*_SERIES[:2], is_whole, maintain_order=True)
    summed = by_pod.agg(pl.col("used").sum(), _sum_or_null("peak"), _sum_or_null("p95"), pl.col("last").max())
    larger = summed.group_by(_SERIES[:2], maintain_order=True).agg(pl.col("used", "peak", "p95", "last").max())
    return {(row[0], row[1]): CpuUse(*row[2:]) for row in larger.iter_rows()}


def _growth(counters: pl.DataFrame, started: Mapping[tuple[str, str, str], float]) -> pl.DataFrame:
    """Add `started`, and to each sample what was `used` since the one before, and at which `rate`."""
    starts = pl.DataFrame(
        [(*key, value) for key, value in started.items()],
        schema={**dict.fromkeys(_SERIES[:3], pl.String), "started": pl.Float64},
        orient="row",
    )
    data = counters.join(starts, on=_SERIES[:3], how="left", maintain_order="left")
    before, value = pl.col("value").shift(1).over(_SERIES), pl.col("value")
    first = pl.when(pl.col("started").is_not_null()).then(value).otherwise(0.0)
    # A counter that is smaller than before began again.
    later = pl.when(value < before).then(value).otherwise(value - before)
    used = pl.when(before.is_null()).then(first).otherwise(later)
    elapsed = pl.col("time") - pl.col("time").shift(1).over(_SERIES)
    return data.with_columns(used=used, rate=used / elapsed)


def _sum_or_null(name: str) -> pl.Expr:
    return pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)


def _container_order(labels: Labels) -> tuple[bool, str]:
    """KubernetesPodOperator's own container, `base`, comes first."""
    name = labels.get("container", "")
    return name != "base", name


def _largest(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _smallest(one: float | None, other: float | None) -> float | None:
    return min((value for value in (one, other) if value is not None), default=None)
