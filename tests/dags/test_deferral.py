"""Tasks that hold no worker while their pods run: which those are, and what the workers before and after do."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import PENDING, RUNNING, FakeCluster, container, ended
from jobyard.compat import AIRFLOW_3, TaskDeferred
from jobyard.errors import FinalError, PodFailedError, PodLostError, PodQueueTimedOutError, PodTimedOutError
from jobyard.following import here
from jobyard.following.target import Ending, Kind, LogPosition
from jobyard.operator import JobPodOperator
from support import PLATFORM, Bucket, context, job, task

URL = "registry.example.com/risk/inference@sha256:0123"
PLUGINS = Path(__file__).parents[2] / "dags" / "jobyard" / "plugin"
OOM = {
    "phase": "Failed",
    "containerStatuses": [container(terminated={"exitCode": 137, "reason": "OOMKilled", "message": None})],
}
GROWS = {"percent": 200, "add": None, "at_most": "4Gi"}
MEMORY = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
LIST = {"items": ["a", "b"], "output_of": None, "concurrency": 1}
OVER_QUOTA = {
    "message": 'pods "x" is forbidden: exceeded quota: team, requested: pods=1, used: pods=9, limited: pods=9'
}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Airflow's plugins folder, with the trigger."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    yield
    sys.modules.pop("jobyard_trigger", None)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that follows no pod for long."""
    monkeypatch.setattr(here, "QUEUED_SECONDS", 0.1)
    monkeypatch.setattr(here, "WAITING_SECONDS", 0.3)
    monkeypatch.setattr(here, "RUNNING_SECONDS", 0.6)


def operator(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, **entry: Any) -> JobPodOperator:
    """Return the operator of a job's only task, whose log a test can read."""
    monkeypatch.setattr(JobPodOperator, "log", logging.getLogger("task"))
    found = bucket.dag(job(tasks={"score": task(**{"image": URL, **entry})})).get_task("score")
    assert isinstance(found, JobPodOperator)
    return found


def deferred(operator: JobPodOperator) -> Any:
    """Run the task as the first worker does; return what it says of how to go on."""
    with pytest.raises(TaskDeferred) as raised:
        operator.execute(context())
    assert raised.value.method_name == "resume"
    return raised.value


def resume(operator: JobPodOperator, before: Any, ending: Ending) -> object:
    """Run the task as the worker after the triggerer does."""
    return operator.resume(context(), event=ending.arguments(), **before.kwargs)


@pytest.mark.parametrize(
    ("entry", "changes", "expected"),
    [
        ({}, {}, True),
        ({"timeout": None}, {}, True),
        ({"timeout": 61}, {}, True),
        ({"timeout": 60}, {}, False),
        ({"pool": "risk.gpu"}, {}, False),
        ({}, {"max_active_tasks": 3}, False),
        ({"foreach": LIST}, {}, AIRFLOW_3),
        ({"foreach": {**LIST, "concurrency": None}}, {}, True),
    ],
)
def test_tasks_that_take_long_and_whose_limits_airflow_keeps_are_deferred(
    bucket: Bucket, entry: dict[str, Any], changes: dict[str, Any], expected: bool
) -> None:
    found = bucket.dag(job(tasks={"score": task(**{"image": URL, **entry})}, **changes)).get_task("score")
    arguments = getattr(found, "partial_kwargs", None) or vars(found)
    assert arguments["deferred"] is expected


@pytest.mark.parametrize(
    ("platform", "entry", "changes", "expected"),
    [
        ({"queueing": "kueue"}, {"timeout": 60}, {}, (False, True)),
        ({"queueing": "kueue"}, {"timeout": 61}, {}, (True, True)),
        ({"queueing": "kueue"}, {"timeout": 60, "pool": "risk.gpu"}, {}, (False, False)),
        ({"queueing": "kueue"}, {"timeout": 60}, {"max_active_tasks": 3}, (False, False)),
        ({"queueing": "kueue", "deferred": False}, {"timeout": 60}, {}, (False, False)),
        ({}, {"timeout": 60}, {}, (False, False)),
    ],
)
def test_while_it_waits_for_quota_a_short_task_is_deferred_too(
    bucket: Bucket,
    platform: dict[str, Any],
    entry: dict[str, Any],
    changes: dict[str, Any],
    expected: tuple[bool, bool],
) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, **platform})
    found = bucket.dag(job(tasks={"score": task(**{"image": URL, **entry})}, **changes)).get_task("score")
    assert (found.deferred, found.deferred_in_queue) == expected


def test_an_environment_can_want_none(bucket: Bucket) -> None:
    bucket.write("jobyard/platform.json", {**PLATFORM, "deferred": False, "pod_replacements": 2})
    found = bucket.dag(job()).get_task("score")
    assert (found.deferred, found.replacements) == (False, 2)


@pytest.mark.usefixtures("plugin")
def test_the_page_says_who_follows_the_pods(bucket: Bucket) -> None:
    def page(**changes: Any) -> str:
        return str(bucket.dag(job(**changes)).doc_md)

    assert "Airflow's triggerer follows the pods of this job: they hold no worker while they wait and run.\n" in page()
    assert "hold a worker each." in page(tasks={"a": task(), "b": task(timeout=30)})
    assert "holds a worker from when it is asked for until it ends, as Airflow does not count" in page(
        max_active_tasks=2
    )
    bucket.write("jobyard/platform.json", {**PLATFORM, "deferred": False})
    assert "as the environment's file says `deferred: false`." in page()


def test_without_the_plugin_the_page_says_so_and_the_worker_follows_the_pod(
    bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = operator(bucket, monkeypatch)
    assert found.deferred and not found.is_deferred()
    assert "the plugin `jobyard_trigger` is not in Airflow's plugins folder." in str(found.dag.doc_md)
    cluster.states = [PENDING, RUNNING, RUNNING, ended(0)]
    found.execute(context())
    assert cluster.pods == {}


@pytest.mark.usefixtures("plugin", "hasty")
class TestDeferred:
    """Tasks in an environment with the plugin."""

    def test_a_pod_that_soon_ends_needs_no_triggerer(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(here, "WAITING_SECONDS", 30.0)
        cluster.states = [PENDING, RUNNING, ended(0)]
        operator(bucket, monkeypatch).execute(context())
        assert cluster.pods == {}

    def test_of_one_that_runs_on_the_triggerer_gets_what_it_needs(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(here, "RUNNING_SECONDS", 5.0)
        cluster.states = [RUNNING]
        found = operator(bucket, monkeypatch, timeout=7200)
        before = deferred(found)
        [pod] = cluster.pods
        path, target = before.trigger.serialize()
        assert path == "jobyard_trigger.PodTrigger"
        assert target == before.kwargs["target"]
        assert (target["pod"], target["uid"], target["timeout"]) == (pod, f"uid-of-{pod}", 7200)
        assert (target["context"], target["namespace"], target["environment"]) == ("risk", "team-risk", "local")
        assert target["manifest"] is None
        # One line has been written, and is not to be written again.
        assert target["log"] == {"time": "2026-11-03T00:00:00.000000001Z", "lines": 1, "part": 0}
        assert resume(found, before, Ending(Kind.SUCCEEDED, log_complete=True)) is None
        assert cluster.pods == {}
        assert found.pod_name == pod

    def test_its_end_decides(self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster.states = [RUNNING]
        found = operator(bucket, monkeypatch)
        before = deferred(found)
        with pytest.raises(PodFailedError, match="returned a failure: exit code 3"):
            resume(found, before, Ending(Kind.FAILED, "exit code 3", log_complete=True))
        with pytest.raises(PodTimedOutError, match="too long"):
            resume(found, before, Ending(Kind.TIMED_OUT, "too long", log_complete=True))

    def test_what_was_not_written_of_the_log_is_written_after(
        self,
        bucket: Bucket,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO, "task")
        cluster.states = [PENDING]
        found = operator(bucket, monkeypatch)
        before = deferred(found)
        cluster.log = "first\nsecond\nthird\n"
        resume(found, before, Ending(Kind.SUCCEEDED, log=LogPosition("2026-11-03T00:00:00.000000001Z", 1)))
        assert [line for line in caplog.messages if line.startswith("[base]")] == ["[base] second", "[base] third"]

    def test_a_pod_that_the_triggerer_could_not_follow_is_followed_here(
        self,
        bucket: Bucket,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        cluster.states = [RUNNING]
        found = operator(bucket, monkeypatch)
        before = deferred(found)
        cluster.states = [RUNNING, ended(0)]
        resume(found, before, Ending(Kind.UNKNOWN, "SyntaxError: invalid syntax"))
        assert "The triggerer could not follow the pod: SyntaxError: invalid syntax" in caplog.text
        assert len(cluster.created) == 1
        assert cluster.pods == {}

    def test_a_pod_that_wrote_too_much_for_the_triggerer_is_followed_here_until_it_writes_less(
        self,
        bucket: Bucket,
        cluster: FakeCluster,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level(logging.INFO, "task")
        cluster.states = [RUNNING]
        found = operator(bucket, monkeypatch)
        before = deferred(found)
        caplog.clear()
        cluster.log = "first\nsecond\nthird\n"
        with pytest.raises(TaskDeferred) as raised:
            resume(found, before, Ending(Kind.BEHIND, "too much", log=LogPosition("2026-11-03T00:00:00.000000001Z", 1)))
        assert "A worker follows the pod for a while: too much" in caplog.messages
        assert [line for line in caplog.messages if line.startswith("[base]")] == ["[base] second", "[base] third"]
        assert raised.value.kwargs is not None
        assert raised.value.kwargs["target"]["log"]["lines"] == 3
        cluster.states = [ended(0)]
        resume(found, raised.value, Ending(Kind.SUCCEEDED, log_complete=True))
        assert len(cluster.created) == 1

    def test_a_lost_pod_is_replaced_by_one_that_is_deferred_too(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster.states = [RUNNING]
        found = operator(bucket, monkeypatch)
        before = deferred(found)
        monkeypatch.setattr(found, "image", "registry.example.com/risk/newer@sha256:4567")
        with pytest.raises(TaskDeferred) as raised:
            resume(found, before, Ending(Kind.LOST, "the node was removed", node="ip-10-0-0-1", log_complete=True))
        first, second = cluster.created
        assert [first["metadata"]["name"]] == [pod["name"] for pod in raised.value.kwargs["progress"]["pods"]]
        # In the same try the Variable with the images' addresses says nothing new.
        assert second["spec"]["containers"][0]["image"] == URL
        exhausted = {**raised.value.kwargs["progress"], "lost": 5}
        raised.value.kwargs["progress"] = exhausted
        with pytest.raises(PodLostError):
            resume(found, raised.value, Ending(Kind.LOST, "once more", log_complete=True))

    def test_one_that_waits_for_quota_is_left_to_the_triggerer_which_knows_how_long_it_may(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(here, "WAITING_SECONDS", 60.0)
        cluster.states = [PENDING]
        cluster.gates = [{"name": "kueue.x-k8s.io/admission"}]
        found = operator(bucket, monkeypatch, queue_timeout=3600)
        before = deferred(found)
        assert before.kwargs["target"]["queue_timeout"] == 3600
        assert [pod["spec"]["activeDeadlineSeconds"] for pod in cluster.created] == [7200 + 600]
        bucket.write("jobyard/platform.json", {**PLATFORM, "queueing": "kueue"})
        short = operator(bucket, monkeypatch, timeout=30)
        assert deferred(short).kwargs["target"]["queue_timeout"] is None
        waited = "the pod has waited for quota of high-memory: 4 more cores for longer than its queue_timeout of 3600 s"
        with pytest.raises(PodQueueTimedOutError) as raised:
            resume(found, before, Ending(Kind.QUEUE_TIMED_OUT, waited, log_complete=True))
        assert str(raised.value) == waited
        assert not isinstance(raised.value, FinalError)

    def test_a_pod_over_the_quota_is_left_to_the_triggerer(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = cluster.answer
        refused: Any = lambda method, url, body: (403, OVER_QUOTA) if method == "POST" else answer(method, url, body)  # noqa: E731
        cluster.answer = refused  # type: ignore[method-assign]
        before = deferred(operator(bucket, monkeypatch))
        target = before.kwargs["target"]
        assert target["uid"] == ""
        assert target["manifest"]["metadata"]["name"] == target["pod"]
        assert target["manifest"]["spec"]["containers"][0]["image"] == URL


def test_more_memory_after_running_out_of_it(
    bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.states = [RUNNING, OOM, RUNNING, OOM, RUNNING, ended(0)]
    found = operator(bucket, monkeypatch, resources=MEMORY, on_oom=GROWS)
    found.execute(context())
    limits = [pod["spec"]["containers"][0]["resources"]["limits"]["memory"] for pod in cluster.created]
    requests = [pod["spec"]["containers"][0]["resources"]["requests"]["memory"] for pod in cluster.created]
    assert limits == requests == ["1Gi", "2Gi", "4Gi"]
    assert "ran out of memory at 1Gi. The next one has 2Gi, in the same try" in caplog.text
    assert "It took 4Gi of memory to succeed: write `memory: 4Gi` into the job" in caplog.text
    assert found.earlier_pods is not None
    assert [pod["ended"].partition(":")[0] for pod in found.earlier_pods] == ["out of memory", "out of memory"]


@pytest.mark.parametrize(
    ("entry", "pods", "words"),
    [
        ({"on_oom": GROWS}, 3, "Its limit was 4Gi: raise 'memory', or let it grow with 'on_oom'"),
        ({}, 1, "Its limit was 1Gi: raise 'memory', or let it grow with 'on_oom'"),
    ],
)
def test_memory_that_does_not_do_is_a_failed_try(
    bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], pods: int, words: str
) -> None:
    cluster.states = [OOM]
    with pytest.raises(PodFailedError, match=words):
        operator(bucket, monkeypatch, resources=MEMORY, **entry).execute(context())
    assert len(cluster.created) == pods
