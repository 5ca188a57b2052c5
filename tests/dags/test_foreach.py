"""One instance of a task for each item."""

from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from support import Bucket, states, task

pytestmark = pytest.mark.usefixtures("database")
URL = "registry.example.com/risk/train@sha256:0123"


def train(items: list[Any] | None = None, output_of: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return the entry of a task with an instance for each item."""
    each = {"items": items, "output_of": output_of, "concurrency": None}
    return task(**{"image": URL, "args": ["{{ item }}"], "foreach": each, **changes})


def arguments(cluster: FakeCluster, name: str = "train") -> list[list[str]]:
    """Return what the containers of the task's pods were given, sorted."""
    labelled = [(pod["metadata"]["labels"]["jobyard.dev/task"], pod) for pod in cluster.created]
    return sorted(pod["spec"]["containers"][0]["args"] for task_name, pod in labelled if task_name == name)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["north", "south"], [["north"], ["south"]]),
        ([1, 2.5, 0], [["0"], ["1"], ["2.5"]]),
    ],
)
def test_each_item_has_a_pod(bucket: Bucket, cluster: FakeCluster, items: list[Any], expected: list[Any]) -> None:
    cluster.states = [ended(0)]
    assert states(bucket, tasks={"train": train(items)}) == {"train": ["success"] * len(items)}
    assert arguments(cluster) == expected
