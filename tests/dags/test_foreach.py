"""One instance of a task for each item."""

import json
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from support import Bucket, job, states, task

pytestmark = pytest.mark.usefixtures("database")
URL = "registry.example.com/risk/train@sha256:0123"
RETRIES = {"attempts": 3, "delay": 0, "backoff": "none", "max_delay": None}


def train(items: list[Any] | None = None, output_of: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return the entry of a task with an instance for each item."""
    each = {"items": items, "output_of": output_of, "concurrency": None}
    needs = [output_of] if output_of else []
    return task(**{"image": URL, "args": ["{{ item | tojson }}"], "foreach": each, "needs": needs, **changes})


def split(**changes: Any) -> dict[str, Any]:
    """Return the entry of the task that leaves the list."""
    return task(**{"image": URL, "output": True, "retries": RETRIES, **changes})


def given(cluster: FakeCluster, name: str = "train") -> list[Any]:
    """Return the argument that each pod of the task was given, in order."""
    pods = [pod for pod in cluster.created if pod["metadata"]["labels"]["jobyard.dev/task"] == name]
    return sorted((json.loads(pod["spec"]["containers"][0]["args"][0]) for pod in pods), key=str)


def test_each_item_has_a_pod_of_its_own(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    items = [{"name": "north", "depth": 3}, 0, 2.5, "south", "{{ ds }}"]
    assert states(bucket, tasks={"train": train(items)}) == {"train": ["success"] * 5, "job.finished": "success"}
    assert given(cluster) == sorted(items, key=str)


def test_an_item_is_in_arguments_command_and_environment(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    entry = train(
        [{"name": "north", "depth": 3}],
        args=["{{ item.name }}", "{{ item['depth'] + 1 }}", "{{ ti.map_index }}"],
        command=["{{ item.name }}"],
        env={"REGION": "{{ item.name }}"},
    )
    assert states(bucket, tasks={"train": entry})["train"] == ["success"]
    container = cluster.container("train")
    assert (container["args"], container["command"]) == (["north", "4", "0"], ["north"])
    assert {"name": "REGION", "value": "north"} in container["env"]


def test_airflows_page_names_an_instance_by_its_item(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.states = [ended(0)]
    items = ["north", {"a": 1}, "{{ macros }}", "x" * 200]
    instances = bucket.dag(job(tasks={"train": train(items)})).test().get_task_instances()
    names = {ti.map_index: ti.rendered_map_index for ti in instances if ti.task_id == "train"}
    assert names == {0: "north", 1: "{'a': 1}", 2: "{{ macros }}", 3: "x" * 97 + "..."}


def test_how_many_run_at_once(bucket: Bucket) -> None:
    each = {"items": [1, 2, 3], "output_of": None, "concurrency": 2}
    dag = bucket.dag(job(tasks={"train": train(foreach=each)}))
    assert dag.get_task("train").max_active_tis_per_dagrun == 2


def test_the_items_may_be_what_another_task_left(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.leave(split='["north", {"name": "south"}]', train="")
    found = states(bucket, tasks={"split": split(), "train": train(output_of="split")})
    assert found == {"split": "success", "train": ["success", "success"], "job.finished": "success"}
    assert given(cluster) == ["north", {"name": "south"}]


def test_an_empty_list_skips_the_task_and_what_needs_it(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.leave(split="[]", report="")
    tasks = {
        "split": split(),
        "train": train(output_of="split"),
        "publish": task(image=URL, needs=["train"]),
        "report": task(image=URL, needs=["train"], trigger_rule="none_failed"),
    }
    found = states(bucket, tasks=tasks)
    assert found == {
        "split": "success",
        "train": "skipped",
        "publish": "skipped",
        "report": "success",
        "job.finished": "success",
    }
    assert cluster.ran() == ["split", "report"]


@pytest.mark.parametrize("left", ['{"a": 1}', '"north"'])
def test_an_output_that_is_no_list_fails_the_task_that_left_it_for_good(
    bucket: Bucket, cluster: FakeCluster, left: str
) -> None:
    cluster.leave(split=left, train="")
    found = states(bucket, tasks={"split": split(), "train": train(output_of="split")})
    assert found == {"split": "failed", "train": "upstream_failed", "job.finished": "upstream_failed"}
    assert cluster.ran() == ["split"]


@pytest.mark.parametrize("items", [["a"], ["a", "b"]])
def test_a_task_behind_has_the_list_of_all_results(bucket: Bucket, cluster: FakeCluster, items: list[str]) -> None:
    def end(pod: dict[str, Any]) -> dict[str, Any]:
        [item] = pod["spec"]["containers"][0]["args"]
        return ended(0, json.dumps({"auc": json.loads(item)}))

    cluster.ends["train"] = end
    cluster.leave(choose="")
    choose = task(image=URL, args=["{{ outputs['train'] | tojson }}"], needs=["train"])
    found = states(bucket, tasks={"train": train(items, output=True), "choose": choose})
    assert found == {"train": ["success"] * len(items), "choose": "success"}
    assert given(cluster, "choose") == [[{"auc": item} for item in items]]


def test_an_instance_for_each_result_of_each_instance(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.ends["train"] = lambda pod: ended(0, pod["spec"]["containers"][0]["args"][0])
    cluster.leave(score="")
    tasks = {"train": train(["a", "b"], output=True), "score": train(output_of="train")}
    assert states(bucket, tasks=tasks)["score"] == ["success", "success"]
    assert given(cluster, "score") == ["a", "b"]


def test_one_instance_that_fails(bucket: Bucket, cluster: FakeCluster) -> None:
    cluster.ends["train"] = lambda pod: ended(int(pod["spec"]["containers"][0]["args"][0] == '"bad"'), '"model"')
    cluster.leave(rest="")
    retries = {**RETRIES, "attempts": 0}
    tasks = {
        "train": train(["good", "bad"], output=True, retries=retries),
        "all": task(image=URL, needs=["train"]),
        "rest": task(image=URL, args=["{{ outputs['train'] | tojson }}"], needs=["train"], trigger_rule="all_done"),
    }
    found = states(bucket, tasks=tasks)
    assert found == {
        "train": ["failed", "success"],
        "all": "upstream_failed",
        "rest": "success",
        "job.finished": "upstream_failed",
    }
    assert given(cluster, "rest") == [["model"]]


def test_a_list_of_an_unknown_task_makes_the_job_a_broken_one(bucket: Bucket) -> None:
    dag = bucket.dag(job(tasks={"split": split(), "train": train(output_of="spilt", needs=["split"])}))
    assert dag.description == "Broken: unknown task in foreach: 'spilt' (did you mean 'split'? available: split)"
