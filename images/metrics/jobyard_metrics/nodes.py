"""The rows of `tables.NODES`: every node of the cluster that existed in the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from jobyard_metrics.pods import LOST_REASON, SCRAPE
from jobyard_metrics.sources.prometheus import Node, Usage
from jobyard_metrics.sources.prometheus_api import Labels
from jobyard_metrics.values import from_epoch, rounded

GROUP_LABELS = ("label_jobyard_dev_node_group", "node_group")
TYPE_LABELS = ("label_node_kubernetes_io_instance_type", "instance_type")
CAPACITY_LABELS = (
    "label_karpenter_sh_capacity_type",
    # kube-state-metrics writes a label's name in snake case.
    "label_eks_amazonaws_com_capacity_type",
    "label_eks_amazonaws_com_capacityType",
    "capacity_type",
)
CAPACITY_TYPES = {"ON_DEMAND": "on-demand", "SPOT": "spot"}
"""EKS' words for Karpenter's."""
_GPUS = ("nvidia_com_gpu", "amd_com_gpu")


def rows(usage: Usage, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    """Yield a row for each node, without price, cost and idle; times are clipped to [start, end)."""
    for name, node in usage.nodes.items():
        created = from_epoch(_value(node, "kube_node_created")) or start
        # A node without this was gone before the next step of the query.
        seen = from_epoch(node.seen) or created
        ended = end if seen >= end - SCRAPE else seen
        if not name or created >= end or ended <= start:
            continue
        labels = _labels(node)
        capacity = _first(labels, CAPACITY_LABELS)
        yield {
            "node": name,
            "node_group": _first(labels, GROUP_LABELS),
            "instance_type": _first(labels, TYPE_LABELS),
            "capacity_type": CAPACITY_TYPES.get(capacity or "", capacity),
            "started": max(created, start),
            "ended": max(ended, created, start),
            **_allocatable(node),
            "price": None,
            "cost": None,
            "idle": None,
        }


def extended(nodes: pl.DataFrame, pods: pl.DataFrame) -> pl.DataFrame:
    """Return the nodes, each until the last of its pods ended whose end its kubelet reported.

    What Prometheus scraped of a node may end before that. A pod that was lost may be there for longer than its node.
    """
    is_reported = pl.col("reason").is_not_null() & (pl.col("reason") != LOST_REASON)
    last_pods = pods.filter(is_reported).group_by("node").agg(last_pod=pl.col("ended").max())
    with_last_pods = nodes.join(last_pods, on="node", how="left", maintain_order="left")
    # Of a node without such pods it is null, which max_horizontal skips.
    return with_last_pods.with_columns(ended=pl.max_horizontal("ended", "last_pod")).drop("last_pod")


def _value(node: Node, metric: str) -> float | None:
    return next((value for _, value in node.facts.get(metric, []) if value is not None), None)


def _labels(node: Node) -> Labels:
    """All labels of the node's series together."""
    merged: dict[str, str] = {}
    for metric in sorted(node.facts):
        for labels, _ in node.facts[metric]:
            merged.update((name, value) for name, value in labels.items() if value)
    return merged


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((labels[name] for name in names if name in labels), None)


def _allocatable(node: Node) -> dict[str, Any]:
    found: dict[str, float] = {}
    for labels, value in node.facts.get("kube_node_status_allocatable", []):
        if value is not None:
            found[labels.get("resource", "")] = value
    return {
        "cpu": found.get("cpu"),
        "memory": rounded(found.get("memory")),
        "gpu": rounded(sum(found[name] for name in _GPUS if name in found)),
    }
