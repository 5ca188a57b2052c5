"""How long a node existed, where Prometheus saw little of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from jobyard_metrics import cost, nodes
from jobyard_metrics.frames import empty, frame
from jobyard_metrics.pods import LOST_REASON
from jobyard_metrics.prices import Machine
from jobyard_metrics.sources.prometheus import Usage

START = datetime(2026, 11, 25, tzinfo=UTC)
END = START + timedelta(days=1)
LABELS = {"label_node_kubernetes_io_instance_type": "m6i.xlarge", "label_karpenter_sh_capacity_type": "on-demand"}


def after(minutes: float) -> datetime:
    """Return the time that many minutes after the day began."""
    return START + timedelta(minutes=minutes)


def one_node(created: datetime, seen: datetime | None) -> pl.DataFrame:
    """Return the row of a node of 4 cores that Prometheus saw last at `seen`; None: at no step of the query."""
    usage = Usage()
    node = usage.nodes["short"]
    node.facts["kube_node_created"] = [({}, created.timestamp())]
    node.facts["kube_node_labels"] = [(LABELS, 1.0)]
    node.facts["kube_node_status_allocatable"] = [({"resource": "cpu"}, 4.0)]
    node.seen = seen.timestamp() if seen else None
    return frame("nodes", nodes.rows(usage, START, END))


def pods_on(node: str, *times: tuple[datetime, datetime | None], reason: str | None = "Completed") -> pl.DataFrame:
    """Return the rows of pods of 1 core with their start and end."""
    placed = {"node": node, "requested_cpu": 1.0, "reason": reason}
    rows = [{**placed, "name": str(at), "scheduled": begin, "ended": end} for at, (begin, end) in enumerate(times)]
    return frame("pods", rows)


def test_a_node_that_was_gone_before_the_next_step_ended_where_it_was_created() -> None:
    assert one_node(after(10), None).select("started", "ended").rows() == [(after(10), after(10))]


def test_a_node_existed_until_its_last_pod_ended() -> None:
    machines = one_node(after(10), after(11))
    ran = pods_on("short", (after(10), after(12)), (after(12), after(14)), (after(10), None))
    assert nodes.extended(machines, ran)["ended"].to_list() == [after(14)]
    # So each of its pods costs something, one after the last scrape too.
    price = {"m6i.xlarge": Machine(4, 16 * 2**30, 0, {"on-demand": 192_000_000})}
    priced, _ = cost.apply(ran, nodes.extended(machines, ran), price)
    assert all(amount > 0 for amount in priced["cost"])


def test_a_nodes_end_stays_where_its_pods_ended_before_or_have_no_known_end() -> None:
    machines = one_node(after(10), after(11))
    for ran in (
        pods_on("short", (after(10), after(10.5)), (after(10), None)),
        pods_on("other", (after(10), after(20))),
    ):
        assert nodes.extended(machines, ran)["ended"].to_list() == [after(11)]
    assert nodes.extended(machines, empty("pods")).equals(machines)


@pytest.mark.parametrize("reason", [LOST_REASON, None])
def test_a_pod_that_was_lost_with_its_node_does_not_say_when_that_ended(reason: str | None) -> None:
    machines = one_node(after(10), after(11))
    ran = pods_on("short", (after(10), after(20)), reason=reason)
    assert nodes.extended(machines, ran)["ended"].to_list() == [after(11)]
