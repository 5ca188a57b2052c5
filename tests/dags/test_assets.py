"""What one job writes and another waits for."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from fake_cluster import FakeCluster, ended
from jobyard.compat import AIRFLOW_3
from support import NO_RETRIES, Bucket, core_dag, job, run_once, states_of, task

URL = "registry.example.com/risk/inference@sha256:0123"
START, END = "data_interval_start", "data_interval_end"
# A run of a day of its own for each test.
DAYS = (timedelta(days=number) for number in count())


def waited_for(bucket: Bucket, schedule: Any) -> list[str]:
    """Return the assets that must all be updated before the job runs, as Airflow's timetable has them."""
    timetable = core_dag(bucket.dag(job(schedule=schedule))).timetable
    kind = "asset" if AIRFLOW_3 else "dataset"
    condition = getattr(timetable, f"{kind}_condition")
    assert type(condition).__name__ in ("AssetAll", "DatasetAll", "SerializedAssetAll")
    return [asset.uri for _, asset in getattr(condition, f"iter_{kind}s")()]


def uris(assets: Any) -> list[str]:
    """Return the assets' addresses."""
    return [asset.uri for asset in assets]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({"after": ["risk.features"]}, ["x-jobyard://risk/features"]),
        ({"after": ["risk.a", "care.b"]}, ["x-jobyard://risk/a", "x-jobyard://care/b"]),
        ({"assets": ["s3://raw/claims"]}, ["s3://raw/claims"]),
        ({"after": ["risk.a"], "assets": ["x-table://claims"]}, ["x-jobyard://risk/a", "x-table://claims"]),
    ],
)
def test_a_schedule_after_others(bucket: Bucket, schedule: Any, expected: list[str]) -> None:
    assert sorted(waited_for(bucket, schedule)) == sorted(expected)


def test_the_one_last_task_writes_the_jobs_own_asset(bucket: Bucket) -> None:
    dag = bucket.dag(job(tasks={"a": task(), "b": task(needs=["a"], outputs=["s3://models/x"])}))
    assert dag.task_ids == ["a", "b"]
    assert uris(dag.get_task("a").outlets) == []
    assert uris(dag.get_task("b").outlets) == ["s3://models/x", "x-jobyard://risk/score"]


SEVERAL = {"items": [1], "output_of": None, "concurrency": None}
TYPED = {"type": "wait-for-s3-key", "arguments": {"bucket_key": "s3://x/y"}}


@pytest.mark.parametrize("tasks", [{"a": task(), "b": task()}, {"a": task(foreach=SEVERAL)}, {"a": task(**TYPED)}])
def test_else_a_task_of_its_own_does_when_all_have_ended(bucket: Bucket, tasks: dict[str, Any]) -> None:
    finished = bucket.dag(job(tasks=tasks)).get_task("job.finished")
    assert finished.upstream_task_ids == set(tasks)
    assert (uris(finished.outlets), finished.trigger_rule.value) == (
        ["x-jobyard://risk/score"],
        "none_failed_min_one_success",
    )


def test_a_tasks_inputs_and_outputs_are_airflows(bucket: Bucket) -> None:
    inputs, outputs = ["s3://raw/claims", "x-care://claims"], ["s3://features/claims/v1", "x-risk://claims"]
    tasks = {
        "a": task(inputs=inputs, outputs=outputs),
        "b": task(**TYPED, inputs=inputs, outputs=outputs),
        "c": task(foreach=SEVERAL, inputs=inputs, outputs=outputs, needs=["a", "b"]),
    }
    dag = bucket.dag(job(tasks=tasks))
    for name in tasks:
        assert uris(dag.get_task(name).inlets) == inputs
        assert uris(dag.get_task(name).outlets) == outputs


@pytest.mark.parametrize(
    "uri",
    [
        "x-jobyard://care/report",
        "jobyard://care/report",
        "airflow://x",
        "file:///etc/passwd",
        "s3://",
        "s3:///key",
        "s3://raw/a b",
        "s3://raw/claims\n",
        "s3://user:password@raw/claims",
        "S3://raw/claims",
        "x-://a",
        "x-table:claims",
        "",
    ],
)
def test_no_job_names_what_is_no_asset(bucket: Bucket, uri: str) -> None:
    reason = f"Broken: an asset must be s3://bucket/key or x-<name>://…; got {uri!r}"
    for entry in (
        job(tasks={"a": task(outputs=[uri])}),
        job(tasks={"a": task(inputs=[uri])}),
        job(schedule={"assets": [uri]}),
    ):
        assert bucket.dag(entry).description == reason


@pytest.mark.parametrize(
    "uri",
    [
        "s3://models",
        "s3://modelsx/a",
        "s3://other/models/a",
        "s3://raw/claims",
        "s3://shared/scores/a",
        "s3://shared/scores-of-care",
        "x-care://scores",
        "x-risk-ml://scores",
        "x-ris://scores",
    ],
)
@pytest.mark.parametrize("entry", [task(), task(**TYPED), task(foreach=SEVERAL)], ids=["pod", "typed", "foreach"])
def test_a_team_writes_only_assets_of_its_own(bucket: Bucket, uri: str, entry: dict[str, Any]) -> None:
    dag = bucket.dag(job(tasks={"a": {**entry, "outputs": ["s3://models/mine", uri]}}))
    own = "s3://bucket/, s3://features/, s3://models/, s3://shared/scores, x-risk://"
    assert dag.description == f"Broken: the team must not write asset {uri!r}; it may write: {own}"
    assert [task.outlets for task in dag.tasks] == [[]]


@pytest.mark.parametrize("uri", ["s3://models/../care/a", "s3://models/./a", "s3://models//a", "x-risk://a/.."])
def test_an_asset_has_one_way_to_be_written(bucket: Bucket, uri: str) -> None:
    dag = bucket.dag(job(tasks={"a": task(outputs=[uri])}))
    assert dag.description == (f"Broken: an asset's path must not have a part that is empty, '.' or '..'; got {uri!r}")


@pytest.mark.parametrize("uri", ["s3://shared/scores", "s3://models/a/b", "s3://models/a/", "x-risk://a"])
def test_a_teams_own_assets_and_those_that_the_platform_shares(bucket: Bucket, uri: str) -> None:
    dag = bucket.dag(job(tasks={"a": task(outputs=[uri])}))
    assert uris(dag.get_task("a").outlets) == [uri.rstrip("/"), "x-jobyard://risk/score"]


@pytest.mark.parametrize("uri", ["s3://care/models", "s3://care/models/", "s3://care", "x-care://scores"])
def test_a_job_waits_for_any_teams_asset_and_turns_none_off(bucket: Bucket, uri: str) -> None:
    dag = bucket.dag(job(schedule={"assets": [uri]}, tasks={"a": task(inputs=[uri])}))
    [inlet] = dag.get_task("a").inlets
    # Airflow 3 turns off one of two assets that share a URI or a name, so the other's job would fail when it writes it.
    assert getattr(inlet, "name", inlet.uri) == inlet.uri


def events(bucket: Bucket, **entry: Any) -> tuple[dict[str, Any], list[tuple[str, str, dict[str, Any]]]]:
    """Have Airflow run the job once; return the tasks' states, and each event: its task, asset and what it carries."""
    from airflow.utils.session import create_session

    dag = bucket.dag(job(**entry))
    if AIRFLOW_3:
        from airflow.models.asset import AssetEvent as Event
    else:
        from airflow.models.dataset import DatasetEvent as Event

        # As the scheduler does before any run.
        dag.bulk_write_to_db([dag])
    run = run_once(dag, datetime(2026, 11, 3, 2, tzinfo=UTC) + next(DAYS))
    with create_session() as session:
        rows = session.query(Event).filter_by(source_run_id=run.run_id)
        found = sorted((row.source_task_id, row.uri, row.extra) for row in rows)
    return states_of(run), found


@pytest.mark.usefixtures("database")
class TestByAirflow:
    """Whole runs, and the events that Airflow then has."""

    def test_the_event_says_which_data_the_run_was_for(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.states = [ended(0)]
        tasks = {"a": task(image=URL, outputs=["s3://features/x"]), "b": task(image=URL, needs=["a"])}
        _, [first, last] = events(bucket, tasks=tasks)
        assert (first[:2], last[:2]) == (("a", "s3://features/x"), ("b", "x-jobyard://risk/score"))
        assert first[2] == last[2]
        begin, end = (datetime.fromisoformat(first[2][name]) for name in (START, END))
        assert (begin.hour, end - begin) == (2, timedelta(days=1))

    def test_a_task_that_is_no_pod_says_it_too(
        self, bucket: Bucket, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

        monkeypatch.setattr(S3KeySensor, "poke", lambda sensor, context: True)
        monkeypatch.setenv("AIRFLOW_CONN_JOBYARD_AWS_RISK", "aws://key:secret@")
        _, [(_, uri, extra), last] = events(bucket, tasks={"arrived": task(**TYPED, outputs=["s3://features/raw"])})
        assert (uri, last[:2]) == ("s3://features/raw", ("job.finished", "x-jobyard://risk/score"))
        assert extra == last[2] and set(extra) == {START, END}

    def test_a_run_with_a_last_task_skipped_has_succeeded(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift="0.1", report="")
        tasks = {"drift": task(image=URL, output=True), "train": gated(), "report": task(image=URL, needs=["drift"])}
        found, [event] = events(bucket, tasks=tasks)
        assert found == {"drift": "success", "train": "skipped", "report": "success", "job.finished": "success"}
        assert event[:2] == ("job.finished", "x-jobyard://risk/score")

    def test_a_run_with_every_last_task_skipped_announces_nothing(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(drift="0.1")
        tasks = {"drift": task(image=URL, output=True), "train": gated(), "other": gated()}
        found, none = events(bucket, tasks=tasks)
        assert (found["job.finished"], none) == ("skipped", [])
        found, none = events(bucket, tasks={"drift": tasks["drift"], "train": gated()})
        assert (found, none) == ({"drift": "success", "train": "skipped"}, [])

    def test_a_run_with_a_last_task_failed_announces_nothing(self, bucket: Bucket, cluster: FakeCluster) -> None:
        cluster.leave(good="")
        cluster.ends["bad"] = lambda pod: ended(1)
        tasks = {name: task(image=URL, retries=NO_RETRIES, outputs=["s3://models/y"]) for name in ("bad", "good")}
        found, [event] = events(bucket, tasks=tasks)
        assert found == {"bad": "failed", "good": "success", "job.finished": "upstream_failed"}
        assert event[:2] == ("good", "s3://models/y")


def gated() -> dict[str, Any]:
    """Return the entry of a task behind a gate that is closed."""
    gate = {"output_of": "drift", "value": None, "test": "above", "bound": 0.2}
    return task(image=URL, needs=["drift"], gate=gate)
