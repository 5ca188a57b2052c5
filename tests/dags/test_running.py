"""Tasks that run, against a Kubernetes API that does what a test says."""

import json
import logging
from typing import Any

import pytest
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from fake_cluster import PENDING, RUNNING, FakeCluster, ended, event, waiting
from jobyard.compat import AirflowException, AirflowFailException
from jobyard.errors import PodCannotStartError, PodInterruptedError, PodLostError, PodNotStartedError
from jobyard.operator import JobPodOperator, first_try_since_cleared
from support import AIRFLOW_3, Bucket, context, core_dag, job, run, task

URL = "registry.example.com/risk/inference@sha256:0123"
NOT_FOUND = f'Failed to pull image "{URL}": {URL}: not found'
RETRIES: dict[str, Any] = {"attempts": 3, "delay": 0, "backoff": "none", "max_delay": None}


@pytest.fixture
def operator(bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> JobPodOperator:
    """A task's operator whose log a test can read."""
    monkeypatch.setattr(JobPodOperator, "log", logging.getLogger("task"))
    found = bucket.dag(job(tasks={"score": task(image=URL)})).get_task("score")
    assert isinstance(found, JobPodOperator)
    return found


def execute(operator: JobPodOperator, try_number: int = 1) -> None:
    """Run the task as a worker does, in this process."""
    given = context()
    given["ti"].try_number = try_number
    operator.execute(given)


def test_a_pod_that_succeeds(operator: JobPodOperator, cluster: FakeCluster) -> None:
    cluster.states = [PENDING, waiting("ContainerCreating"), RUNNING, ended(0)]
    execute(operator)
    assert len(cluster.created) == 1
    assert cluster.pods == {}


def test_a_pod_that_fails(operator: JobPodOperator, cluster: FakeCluster) -> None:
    cluster.states = [PENDING, RUNNING, ended(1)]
    with pytest.raises(AirflowException, match="returned a failure") as raised:
        execute(operator)
    assert not isinstance(raised.value, AirflowFailException)
    assert cluster.pods == {}


def test_a_pod_that_its_machine_gave_up_is_replaced_in_the_same_try(
    operator: JobPodOperator, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    evicted = {**ended(137), "reason": "Evicted", "message": "The node was low on resource: memory."}
    cluster.states = [PENDING, RUNNING, evicted, PENDING, RUNNING, ended(0)]
    execute(operator)
    first, second = (pod["metadata"]["name"] for pod in cluster.created)
    assert first != second
    assert cluster.pods == {}
    assert "Evicted: The node was low on resource: memory.; replacement 1 of 5, in the same try" in caplog.text
    assert operator.earlier_pods == [
        {"name": first, "ended": "lost: Evicted: The node was low on resource: memory."},
    ]


def test_so_many_pods_are_replaced_and_no_more(operator: JobPodOperator, cluster: FakeCluster) -> None:
    cluster.states = [{**ended(137), "reason": "Evicted", "message": "The node was low on resource: memory."}]
    with pytest.raises(PodLostError, match="was lost, as were the 5 before it in this try: Evicted"):
        execute(operator)
    assert len(cluster.created) == 6
    assert cluster.pods == {}


def test_a_pod_that_a_node_took_with_it_is_replaced(operator: JobPodOperator, cluster: FakeCluster) -> None:
    # A node that goes, spot or consolidated, takes the pod object too: every further look is a 404.
    looks = iter(range(1, 1000))
    cluster.states = [PENDING, RUNNING, RUNNING, RUNNING, ended(0)]
    cluster.on_read = lambda: cluster.pods.clear() if next(looks) == 3 else None
    execute(operator)
    assert len(cluster.created) == 2


def test_an_image_that_is_not_there_fails_with_the_pods_event_in_the_log(
    operator: JobPodOperator, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.states = [PENDING, waiting("ImagePullBackOff", "Back-off pulling image")]
    cluster.events = [event("Failed", NOT_FOUND), event("Failed", "Error: ErrImagePull")]
    with pytest.raises(PodCannotStartError) as raised:
        execute(operator)
    assert str(raised.value) == f"container 'base' cannot start: ImagePullBackOff: {NOT_FOUND}"
    assert f"Pod event: Failed: {NOT_FOUND}" in caplog.messages
    assert cluster.pods == {}


def test_a_pod_that_never_gets_a_node(
    operator: JobPodOperator, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.startup_timeout_seconds = 0
    cluster.events = [event("FailedScheduling", "0/5 nodes are available")]
    with pytest.raises(PodNotStartedError, match="last warning: FailedScheduling: 0/5 nodes are available"):
        execute(operator)
    assert cluster.pods == {}


@pytest.mark.parametrize("look", [1, 3])
def test_a_task_that_is_stopped_while_its_pod_runs_has_not_succeeded(
    operator: JobPodOperator, cluster: FakeCluster, look: int
) -> None:
    looks = iter(range(1, 1000))
    cluster.states = [PENDING, RUNNING]
    cluster.winding_up = ended(143)
    cluster.on_read = lambda: operator.on_kill() if next(looks) == look else None
    with pytest.raises(PodInterruptedError) as raised:
        execute(operator)
    assert not isinstance(raised.value, AirflowFailException)


def test_a_task_that_is_stopped_after_its_pod_succeeded_has_succeeded(
    operator: JobPodOperator, cluster: FakeCluster
) -> None:
    cluster.states = [RUNNING]
    cluster.winding_up = ended(0)
    looks = iter(range(1, 1000))
    cluster.on_read = lambda: operator.on_kill() if next(looks) == 3 else None
    execute(operator)


def test_a_try_takes_up_the_pod_that_a_lost_try_left_running(
    bucket: Bucket, operator: JobPodOperator, cluster: FakeCluster
) -> None:
    operator.pod_manager.create_pod(operator.build_pod_request_obj(context()))
    cluster.pods[next(iter(cluster.pods))]["status"] = RUNNING
    cluster.states = [RUNNING, ended(0)]
    execute(operator, try_number=2)
    assert len(cluster.created) == 1


def test_unreadable_events_do_not_fail_the_task(
    operator: JobPodOperator, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    answer = cluster.answer
    cluster.answer = lambda method, url, body: (403, {}) if "/events" in url else answer(method, url, body)  # type: ignore[method-assign]
    cluster.states = [PENDING, RUNNING, ended(0)]
    execute(operator)
    assert "Could not read the pod's events" in caplog.text


@pytest.mark.usefixtures("database")
class TestByAirflow:
    """Whole runs, by Airflow's own machinery: templates, the guard around `execute`, what ends a task."""

    def test_a_run(self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_VAR_JOBYARD_IMAGES_RISK", json.dumps({"inference": URL}))
        cluster.states = [RUNNING, RUNNING, RUNNING, ended(0)]
        states = run(bucket, schedule="@daily", tasks={"a": task(), "b": task(needs=["a"])})
        assert states == {"a": ("success", 1), "b": ("success", 1)}
        [one, other] = [pod["spec"]["containers"][0] for pod in cluster.created]
        assert one["image"] == other["image"] == URL
        assert one["args"][0] == "--date" and one["args"][1].startswith("20")

    def test_a_tasks_log_has_no_warning_of_airflows_about_the_library(
        self, bucket: Bucket, cluster: FakeCluster, caplog: pytest.LogCaptureFixture
    ) -> None:
        cluster.states = [ended(0)]
        assert run(bucket, tasks={"score": task(image=URL)}) == {"score": ("success", 1)}
        assert "cannot be called outside" not in caplog.text

    def test_an_image_that_is_not_there_is_not_tried_again(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.states = [waiting("ErrImagePull", NOT_FOUND)]
        states = run(bucket, tasks={"score": task(image=URL, retries=RETRIES)})
        assert states == {"score": ("failed", 1)}

    def test_an_image_without_a_url_is_not_tried_again(self, bucket: Bucket, cluster: FakeCluster) -> None:
        assert run(bucket, tasks={"score": task(retries=RETRIES)}) == {"score": ("failed", 1)}
        assert cluster.created == []

    def test_a_broken_job_fails(self, bucket: Bucket) -> None:
        assert run(bucket, tasks={"score": task(node_group="gone")}) == {"broken": ("failed", 1)}


@pytest.mark.usefixtures("database")
def test_airflow_says_which_tries_were_before_a_clear(
    bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.states = [ended(0)]
    dag = bucket.dag(job(tasks={"score": task(image=URL, retries=RETRIES)}))
    [instance] = dag.test().get_task_instances()
    assert first_try_since_cleared(instance, RETRIES["attempts"]) == 1
    # The DAG is in no database here.
    options = {} if AIRFLOW_3 else {"dag": dag}
    if AIRFLOW_3:
        monkeypatch.setattr("airflow.models.dagbag.DBDagBag.get_dag_for_run", lambda *_, **__: core_dag(dag))
    with create_session() as session:
        found = session.merge(instance)
        clear_task_instances([found], session, **options)
        session.flush()
        assert first_try_since_cleared(found, RETRIES["attempts"]) == instance.try_number + 1
