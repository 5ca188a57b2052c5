"""The order in which tasks wait, and the pools whose slots they take."""

from types import SimpleNamespace
from typing import Any

import pytest
from jobyard.compat import DAG
from support import Bucket, core_dag, job, task
from test_task_types import typed

SEVERAL = {"items": [1, 2], "output_of": None, "concurrency": None}
EVERY_KIND: dict[str, Any] = {
    "a": task(priority_class="risk.low-1000"),
    "b": task(priority_class="risk.high-9999", foreach=SEVERAL, needs=["a"]),
    "c": {**typed(), "needs": ["a"]},
}
WAIT = [{"job": "care.report", "timeout": 60}]


def queued(dag: DAG) -> dict[str, tuple[str, int]]:
    """Return the pool and the weight of each task, as the scheduler has them."""
    weights = {task.task_id: task.weight_rule.get_weight(SimpleNamespace(task=task)) for task in core_dag(dag).tasks}
    return {task.task_id: (task.pool, weights[task.task_id]) for task in dag.tasks}


def test_every_task_of_a_job_waits_by_its_priority_in_the_teams_pool(bucket: Bucket) -> None:
    dag = bucket.dag(job(tasks=EVERY_KIND, wait_for=WAIT))
    # What starts no pod is as urgent as the most urgent pod: it takes a moment, and others wait for it.
    assert queued(dag) == {
        "a": ("risk", 1),
        "b": ("risk", 100),
        "c": ("risk", 100),
        "job.finished": ("risk", 100),
        "wait-for.care.report": ("risk", 100),
    }


def test_a_job_without_pods_and_a_broken_one_take_the_teams_slots_too(bucket: Bucket) -> None:
    assert queued(bucket.dag(job(tasks={"c": typed()}))) == {"c": ("risk", 1), "job.finished": ("risk", 1)}
    assert queued(bucket.dag(job(tasks={"a": task(node_group="gone")}))) == {"broken": ("risk", 1)}


def test_the_number_of_tasks_behind_one_makes_it_no_more_urgent(bucket: Bucket) -> None:
    wide = {"first": task(), **{f"t{number}": task(needs=["first"]) for number in range(50)}}
    found = queued(bucket.dag(job(tasks=wide)))
    assert {weight for _, weight in found.values()} == {12}


@pytest.mark.parametrize(
    ("value", "weight"), [(1000, 1), (1001, 1), (1091, 2), (2000, 12), (9998, 99), (9999, 100), (1, 1), (10**9, 100)]
)
def test_the_weight_is_the_place_in_the_teams_own_band(bucket: Bucket, value: int, weight: int) -> None:
    dag = bucket.dag(job(tasks={"a": task(priority_class=f"risk.normal-{value}")}))
    assert queued(dag) == {"a": ("risk", weight)}


@pytest.mark.parametrize(
    "name",
    ["care.high-19999", "risk-ml.high-9999", "high-9999", "risk.high", "risk.high-99999999999"],
)
def test_no_task_takes_another_teams_priority(bucket: Bucket, name: str) -> None:
    dag = bucket.dag(job(tasks={"a": task(priority_class=name)}))
    assert dag.description == f"Broken: a priority class must be risk.<level>-<value>; got {name!r}"


@pytest.mark.parametrize("name", ["care", "care.warehouse", "default_pool", "risk", "risk.warehouse"])
def test_no_task_waits_in_a_pool_that_the_platform_does_not_give_the_team(bucket: Bucket, name: str) -> None:
    for entry in (task(pool=name), typed(pool=name), task(pool=name, foreach=SEVERAL)):
        dag = bucket.dag(job(tasks={"a": entry}))
        assert str(dag.description).startswith(f"Broken: unknown pool of team 'risk': {name!r} (")
        assert "available: risk.gpu" in str(dag.description)


@pytest.mark.parametrize("changes", [{"priority_class": ""}, {"pool": "risk."}])
def test_a_name_that_none_of_them_can_have_makes_a_broken_job(bucket: Bucket, changes: dict[str, str]) -> None:
    dag = bucket.dag(job(tasks={"a": task(**changes)}))
    assert (dag.task_ids, str(dag.description)[:17]) == (["broken"], "Broken: tasks.a.p")


def test_a_team_that_the_platform_does_not_know_has_broken_jobs(bucket: Bucket) -> None:
    bag = bucket.parse(bucket.release({"score": job()}, team="fraud"))
    assert bag.import_errors == {}
    reason = "unknown team in environment 'local': 'fraud' (available: care, risk)"
    assert bag.dags["fraud.score"].description == f"Broken: {reason}"
