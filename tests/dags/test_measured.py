"""The numbers of outputs: which are kept, and where Airflow's REST API has them."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.compat import AIRFLOW_3
from jobyard.contract import POD_REPLACEMENTS
from jobyard.limits import MEMORY_STEPS
from jobyard.measured import CHARACTERS, LIST_ELEMENTS, NUMBERS, PATH_CHARACTERS, numbers
from support import NO_RETRIES, Bucket, job, run, task

LIST = {"dag_ids": ["risk.score"], "page_limit": 100}
URL = "registry.example.com/risk/inference@sha256:0123"


@pytest.mark.parametrize(
    ("output", "kept"),
    [
        (None, {}),
        (0.25, {"": 0.25}),
        ({"auc": 0.81, "rows": 9}, {"auc": 0.81, "rows": 9}),
        ({"drift": {"psi": {"age": 0.1}}}, {"drift.psi.age": 0.1}),
        ({"ok": True, "name": "a", "nothing": None, "text": "1.5"}, {}),
        ({"folds": [0.8, {"auc": 0.9}]}, {"folds.0": 0.8, "folds.1.auc": 0.9}),
        ([1, [2]], {"0": 1, "1.0": 2}),
        ({"data": [0] * (LIST_ELEMENTS + 1), "auc": 1}, {"auc": 1}),
        # The first of two with one path.
        ({"a.b": 1, "a": {"b": 2}}, {"a.b": 1}),
    ],
)
def test_a_number_is_kept_by_its_dotted_path(output: object, kept: dict[str, float]) -> None:
    assert numbers(output) == (kept, 0)


@pytest.mark.parametrize(
    "path",
    [
        "{{ ds }}",
        "{% raw %}",
        "{#",
        "__classname__",
        "__type",
        "a\nb",
        "\u202eb",
        "it's",
        "a" * (PATH_CHARACTERS + 1),
    ],
)
def test_a_path_that_is_more_than_a_name_is_dropped(path: str) -> None:
    assert numbers({path: 1, "auc": 2}) == ({"auc": 2}, 1)


def test_so_many_numbers_are_kept_that_airflow_stores_them_whole() -> None:
    kept, dropped = numbers({f"{number:03}": number for number in range(NUMBERS + 5)})
    assert (len(kept), dropped) == (NUMBERS, 5)
    kept, dropped = numbers({f"{number:0100}": 0.123456789 for number in range(NUMBERS)})
    assert len(kept) + dropped == NUMBERS
    assert CHARACTERS - 120 < len(str(kept)) <= CHARACTERS


def rest_list() -> list[dict[str, Any]]:
    """Return what one request to Airflow's REST API says of all task instances of the job."""
    return list(_client().post(_path(), json=LIST).json()["task_instances"] if AIRFLOW_3 else _list_2())


def _path() -> str:
    return "/api/v2/dags/~/dagRuns/~/taskInstances/list"


def _client() -> Any:
    from airflow.api_fastapi.app import create_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from fastapi.testclient import TestClient

    app = create_app(apps="core")
    token = app.state.auth_manager.generate_jwt(SimpleAuthManagerUser(username="reader", role="viewer"))
    return TestClient(app, headers={"Authorization": f"Bearer {token}"})


def _list_2() -> list[dict[str, Any]]:
    from airflow.www.app import create_app

    # Requests without a login have this role.
    Path(os.environ["AIRFLOW_HOME"], "webserver_config.py").write_text("AUTH_ROLE_PUBLIC = 'Viewer'\n")
    client = create_app(testing=True).test_client()
    answer = client.post("/api/v1/dags/~/dagRuns/~/taskInstances/list", json=LIST)
    return list(answer.json["task_instances"])


@pytest.fixture
def fields(database: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the list has in `rendered_fields`, by task."""
    monkeypatch.setenv("AIRFLOW__API__AUTH_BACKENDS", "airflow.api.auth.backend.default")
    # Other tests run jobs of the same name, in the same database.
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"], "airflow.db"))) as connection, connection:
        for table in ("rendered_task_instance_fields", "xcom", "task_instance", "dag_run"):
            connection.execute(f"DELETE FROM {table}")

    def ask() -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for instance in rest_list():
            # The task that announces the success to other jobs does not run a pod.
            if "measured" in instance["rendered_fields"]:
                found.setdefault(instance["task_id"], []).append(instance["rendered_fields"])
        return found

    return ask


@pytest.mark.usefixtures("database")
class TestByAirflow:
    """Whole runs, and then one request."""

    def test_the_list_of_task_instances_has_the_numbers(
        self, bucket: Bucket, cluster: FakeCluster, fields: Any
    ) -> None:
        cluster.leave(
            needed=json.dumps({"auc": 0.81, "folds": [0.8, 0.82]}),
            unneeded='{"drift": {"psi": 0.31}, "{{ ds }}": 1, "note": "{{ ds }}"}',
            silent="",
            broken='{"auc": NaN}',
            each='{"rows": 3}',
        )
        each = {"items": ["a", "b"], "output_of": None, "concurrency": None}
        tasks = {
            "needed": task(image=URL, output=True),
            "unneeded": task(image=URL),
            "silent": task(image=URL, args=["{{ outputs.needed.auc }}"], needs=["needed"]),
            "broken": task(image=URL),
            "each": task(image=URL, foreach=each),
        }
        states = run(bucket, tasks=tasks)
        assert {state for state, _ in states.values()} == {"success"}
        found = fields()
        measured = {name: [one["measured"] for one in each] for name, each in found.items()}
        assert measured == {
            "needed": [{"auc": 0.81, "folds.0": 0.8, "folds.1": 0.82}],
            "unneeded": [{"drift.psi": 0.31}],
            "silent": [{}],
            "broken": [{}],
            "each": [{"rows": 3}, {"rows": 3}],
        }
        pods = {one["pod_name"] for each in found.values() for one in each}
        assert pods == {pod["metadata"]["name"] for pod in cluster.created}
        # What Airflow rendered before the task ran is as it was.
        assert found["silent"][0]["arguments"] == ["0.81"]

    def test_a_task_that_fails_has_no_numbers(self, bucket: Bucket, cluster: FakeCluster, fields: Any) -> None:
        cluster.ends["a"] = lambda pod: ended(1, '{"auc": 1}')
        assert run(bucket, tasks={"a": task(image=URL, retries=NO_RETRIES)})["a"][0] == "failed"
        [found] = fields()["a"]
        assert (found["measured"], found["pod_name"]) == (None, cluster.created[0]["metadata"]["name"])

    @pytest.mark.parametrize("exit_code", [0, 1])
    def test_the_list_has_the_pods_that_the_try_replaced(
        self, bucket: Bucket, cluster: FakeCluster, fields: Any, exit_code: int
    ) -> None:
        # As long as the kubelet makes it; fifteen pods at most.
        message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 45Mi. " * 5
        evicted = {**ended(137), "reason": "Evicted", "message": message}
        killed = ended(137)
        killed["containerStatuses"][0]["state"]["terminated"]["reason"] = "OOMKilled"
        ends = [*[evicted] * POD_REPLACEMENTS, *[killed] * MEMORY_STEPS, ended(exit_code)]
        cluster.ends["a"] = lambda pod: ends[[one["metadata"]["name"] for one in cluster.created].index(name_of(pod))]
        grow = {"percent": None, "add": "1Gi", "at_most": "20Gi"}
        entry = task(image=URL, retries=NO_RETRIES, on_oom=grow)
        assert run(bucket, tasks={"a": entry})["a"][0] == ("failed" if exit_code else "success")
        [found] = fields()["a"]
        names = [name_of(pod) for pod in cluster.created]
        assert (found["pod_name"], len(names)) == (names[-1], POD_REPLACEMENTS + MEMORY_STEPS + 1)
        assert [one["name"] for one in found["earlier_pods"]] == names[:-1]
        causes = [one["ended"].partition(": ")[0] for one in found["earlier_pods"]]
        assert causes == ["lost"] * POD_REPLACEMENTS + ["out of memory"] * MEMORY_STEPS
        assert found["earlier_pods"][0]["ended"].startswith("lost: Evicted: The node was low on resource: memory. ")

    def test_a_try_with_one_pod_names_no_other(self, bucket: Bucket, cluster: FakeCluster, fields: Any) -> None:
        cluster.leave(a="")
        run(bucket, tasks={"a": task(image=URL, retries=NO_RETRIES)})
        assert [one["earlier_pods"] for one in fields()["a"]] == [None]


def name_of(pod: dict[str, Any]) -> str:
    """Return the pod's name."""
    return str(pod["metadata"]["name"])


@pytest.mark.parametrize("field", ["measured", "pod_name", "earlier_pods"])
def test_a_release_that_sets_them_has_a_broken_job(bucket: Bucket, field: str) -> None:
    assert bucket.dag(job(tasks={"a": task(image=URL, **{field: {"x": 1}})})).task_ids == ["broken"]
