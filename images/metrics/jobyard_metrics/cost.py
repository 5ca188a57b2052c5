"""What each pod cost, and what was idle: the price of a node divided among the pods that asked for a part of it.

A pod's share of its node is that of its dominant resource: the largest of its requests for CPU, memory and GPUs, each
divided by what the node can allocate (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011). It pays its share of the
node's price from the time it is scheduled to its end. Where the shares at a moment add up to more than the node, all of
them are scaled down to add up to it. The rest is idle.

All of it is integer arithmetic. A pod's amount is rounded down and idle is what remains, so that for every node

    sum of its pods' cost + idle == cost

holds exactly. A node's cost is the difference of two running totals, so that days add up exactly as well.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from jobyard_metrics.prices import Prices, hourly
from jobyard_metrics.tables import NODES

HOUR = 3_600_000
"""Milliseconds."""

WHOLE = 2**40
"""A share of a whole node: shares are integers of 1/WHOLE."""

FINE = 2**80
"""Running totals are integers of 1/FINE, so that rounding them down costs nothing that shows."""

SLIVER = FINE * HOUR >> 32
"""What is added before an amount is rounded down, so that what a running total lost does not cost a whole nanodollar.
The pods of a node together get less than one nanodollar by it, up to four thousand million of them."""

_DIMENSIONS = (("requested_cpu", "cpu"), ("requested_memory", "memory"), ("requested_gpu", "gpu"))


@dataclass
class Node:
    """One row of nodes: what it has, when it existed (milliseconds), and the stays of its pods."""

    allocatable: Mapping[str, float]
    start: int
    end: int
    price: int
    stays: list[Stay] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """Nanodollars."""
        return _total(self.price, self.end) - _total(self.price, self.start)


@dataclass(frozen=True)
class Stay:
    """A pod's time on a node in milliseconds, with its share of the node in 1/WHOLE."""

    pod: int
    start: int
    end: int
    share: int


def apply(pods: pl.DataFrame, nodes: pl.DataFrame, prices: Prices) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return both frames with the day's cost: `cost` of pods; `price`, `cost` and `idle` of nodes.

    `pods` and `nodes` are one day's rows of `tables.PODS` and `tables.NODES`, with times clipped to the day. A pod pays
    for the part of its time in which its node existed. Amounts are null where the node is unknown, has no price or no
    times; a pod without requests costs 0, and what it used is idle.
    """
    known = _nodes(nodes, prices)
    _add_stays(known, pods, nodes["node"].to_list())
    spent: dict[int, int] = defaultdict(int)
    costs, idle = {}, {}
    for row, node in known.items():
        amounts = _amounts(node)
        costs[row], idle[row] = node.cost, node.cost - sum(amounts)
        for stay, amount in zip(node.stays, amounts, strict=True):
            spent[stay.pod] += amount
    return (
        pods.with_columns(_column("cost", spent, pods.height)),
        nodes.with_columns(
            pl.Series("price", _prices(nodes, prices), NODES["price"]),
            _column("cost", costs, nodes.height),
            _column("idle", idle, nodes.height),
        ),
    )


def share(requested: Mapping[str, float | None], allocatable: Mapping[str, float | None]) -> float:
    """Return the dominant share of `requested` cpu, memory and gpu: 0.25 for a quarter of the node.

    What the node does not have counts for nothing, and neither does a request that is not known.
    """
    parts = [0.0]
    for name, all_of_it in allocatable.items():
        wanted = requested.get(name)
        if wanted and all_of_it and 0 < wanted < math.inf and 0 < all_of_it < math.inf:
            parts.append(wanted / all_of_it)
    return max(parts)


def _prices(nodes: pl.DataFrame, prices: Prices) -> list[int | None]:
    types = nodes.select("instance_type", "capacity_type").iter_rows()
    return [hourly(prices, instance_type, capacity_type) for instance_type, capacity_type in types]


def _nodes(nodes: pl.DataFrame, prices: Prices) -> dict[int, Node]:
    """Return the nodes that have a price and times, by row."""
    starts, ends = _milliseconds(nodes, "started"), _milliseconds(nodes, "ended")
    has = nodes.select("cpu", "memory", "gpu").to_dicts()
    known = {}
    for row, price in enumerate(_prices(nodes, prices)):
        start, end = starts[row], ends[row]
        if price is not None and start is not None and end is not None:
            known[row] = Node(has[row], start, max(start, end), price)
    return known


def _add_stays(known: Mapping[int, Node], pods: pl.DataFrame, names: Sequence[str | None]) -> None:
    """Add each pod to every row of its node's name: a name may come back within the day."""
    rows = defaultdict(list)
    for row in known:
        rows[names[row]].append(row)
    starts = _milliseconds(pods, "scheduled", "started")
    ends = _milliseconds(pods, "ended")
    requests = pods.select(**{name: column for column, name in _DIMENSIONS}).to_dicts()
    for pod, name in enumerate(pods["node"]):
        start = starts[pod]
        if name is None or start is None:
            continue
        for row in rows.get(name, ()):
            node = known[row]
            part = round(min(share(requests[pod], node.allocatable), 1e6) * WHOLE)
            node.stays.append(_stay(node, pod, start, ends[pod], part))


def _stay(node: Node, pod: int, start: int, end: int | None, part: int) -> Stay:
    """Return the part of a pod's time in which the node existed; a pod without an end runs until the node's."""
    first = min(max(start, node.start), node.end)
    last = node.end if end is None else min(end, node.end)
    return Stay(pod, first, max(first, last), part)


def _amounts(node: Node) -> list[int]:
    """Return what each stay costs, in nanodollars, rounded down.

    The sweep goes through the moments at which a pod comes or goes, and keeps the running total of what one unit of
    share costs; a stay costs its share times the total's growth. Together the stays of a moment pay at most its price,
    as a unit costs the price divided by all units, or by a whole node's if pods ask for less.
    """
    totals, total, units, before = {}, 0, 0, node.start
    for moment, change in sorted(_changes(node.stays).items()):
        total += node.price * (moment - before) * FINE // max(units, WHOLE)
        totals[moment], before = total, moment
        units += change
    paid = [(totals[stay.end] - totals[stay.start]) * stay.share for stay in node.stays]
    return [(amount + SLIVER) // (FINE * HOUR) for amount in paid]


def _changes(stays: Iterable[Stay]) -> dict[int, int]:
    """Return by how much the sum of shares changes at each moment."""
    changes: dict[int, int] = defaultdict(int)
    for stay in stays:
        changes[stay.start] += stay.share
        changes[stay.end] -= stay.share
    return changes


def _total(price: int, moment: int) -> int:
    """Return the whole nanodollars that a machine would have cost from 1970 to a moment in milliseconds."""
    return price * moment // HOUR


def _column(name: str, amounts: Mapping[int, int], height: int) -> pl.Series:
    """Return amounts by row as a column, with null where a row has none."""
    return pl.Series(name, [amounts.get(row) for row in range(height)], pl.Int64)


def _milliseconds(frame: pl.DataFrame, *columns: str) -> list[int | None]:
    """Return the first of the columns that is not null, as milliseconds since 1970."""
    return frame.select(pl.coalesce(columns).dt.epoch("ms").alias("time"))["time"].to_list()
