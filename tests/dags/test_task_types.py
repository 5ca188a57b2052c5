"""Tasks without a pod."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

import pytest
import yaml
from jobyard.compat import AirflowFailException
from jobyard.connections import OwnConnections, connection_arguments, refuse_shared_connections
from jobyard.errors import ConnectionUnusableError
from jobyard.template_guard import unguarded
from support import LIBRARY, PLATFORM, Bucket, context, job, run, states

RETRIES = {"attempts": 0, "delay": 0, "backoff": "none", "max_delay": None}


def typed(kind: str = "wait-for-s3-key", **changes: Any) -> dict[str, Any]:
    """Return a task's entry as the compiler writes it for a task with a type."""
    entry = {
        "type": kind,
        "arguments": {"bucket_key": "s3://raw/{{ ds }}/_SUCCESS"},
        "needs": [],
        "retries": RETRIES,
        "timeout": None,
        "trigger_rule": "all_success",
    }
    return {**entry, **changes}


def one(bucket: Bucket, **changes: Any) -> Any:
    """Return the operator of a job's only task."""
    return bucket.dag(job(tasks={"arrived": typed(**changes)})).get_task("arrived")


def test_the_platforms_arguments_name_the_loaders_team_and_the_tasks_are_added(bucket: Bucket) -> None:
    sensor = one(bucket)
    assert type(sensor).__name__ == "S3KeySensor"
    assert (sensor.aws_conn_id, sensor.mode) == ("jobyard_aws_risk", "reschedule")
    assert unguarded(sensor.bucket_key) == "s3://raw/{{ ds }}/_SUCCESS"


def test_templates_of_its_arguments_are_rendered_within_bounds(bucket: Bucket) -> None:
    sensor = one(bucket)
    sensor.render_template_fields(context())
    assert sensor.bucket_key == "s3://raw/2026-11-02/_SUCCESS"
    reaching = one(bucket, arguments={"bucket_key": "s3://raw/{{ conn.aws.password }}"})
    with pytest.raises(Exception, match="'conn' is undefined"):
        reaching.render_template_fields(context())


def test_an_argument_that_ends_as_a_file_of_templates_would_is_no_file(bucket: Bucket) -> None:
    sensor = one(bucket, arguments={"bucket_key": "s3://raw/select.sql"})
    sensor.render_template_fields(context())
    assert (sensor.bucket_key, sensor.template_ext) == ("s3://raw/select.sql", ())


@pytest.mark.parametrize(("timeout", "expected"), [(None, 86_400), (3_600, 3_600)])
def test_a_sensors_timeout_counts_from_its_first_look(bucket: Bucket, timeout: int | None, expected: int) -> None:
    sensor = one(bucket, timeout=timeout)
    assert timedelta(seconds=float(sensor.timeout)) == timedelta(seconds=expected)
    assert sensor.execution_timeout is None


@pytest.mark.parametrize("timeout", [None, 3_600])
def test_the_timeout_of_another_type_is_airflows(bucket: Bucket, timeout: int | None) -> None:
    types = {"query": {"operator": SQL, "arguments": ["sql"], "fixed": {"conn_id": "jobyard_sql_<team>"}}}
    bucket.write("jobyard/platform.json", {**PLATFORM, "task_types": types})
    checked = one(bucket, kind="query", arguments={"sql": "SELECT 1"}, timeout=timeout)
    assert checked.execution_timeout == (timedelta(seconds=timeout) if timeout else None)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            typed("wait-for-s3"),
            "unknown task type 'wait-for-s3' (did you mean 'wait-for-s3-key'? available: gone, wait-for-s3-key)",
        ),
        (
            typed(arguments={"aws_conn_id": "care"}),
            "unknown argument of task type 'wait-for-s3-key': 'aws_conn_id' (available: bucket_key)",
        ),
        (
            typed("gone", arguments={}),
            "operator airflow.providers.nowhere.NoOperator is not installed in this environment: "
            "No module named 'airflow.providers.nowhere'",
        ),
    ],
)
def test_what_the_platform_does_not_have_makes_a_broken_job_that_says_so(
    bucket: Bucket, entry: dict[str, Any], reason: str
) -> None:
    dag = bucket.dag(job(tasks={"arrived": entry}))
    assert "broken" in dag.tags
    assert reason in dag.description


class FakeS3(BaseHTTPRequestHandler):
    """As much of S3 as a sensor asks: whether an object is there."""

    there: set[str] = set()

    def do_HEAD(self) -> None:
        """Answer for one object."""
        self.send_response(200 if self.path in self.there else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def fake_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A fake S3 server, which team risk's AWS connection leads to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeS3)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    address = f"http%3A%2F%2F127.0.0.1%3A{server.server_port}"
    monkeypatch.setenv("AIRFLOW_CONN_JOBYARD_AWS_RISK", f"aws://x:x@/?region_name=us-east-1&endpoint_url={address}")
    yield address
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("database", "fake_s3")
def test_an_object_that_is_there_ends_the_wait(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeS3, "there", {"/raw/x/_SUCCESS"})
    arrived = typed(arguments={"bucket_key": "s3://raw/x/_SUCCESS"})
    assert states(bucket, tasks={"arrived": arrived}) == {"arrived": "success", "job.finished": "success"}


@pytest.mark.usefixtures("database", "fake_s3")
def test_an_object_that_is_not_there_is_looked_for_again(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = one(bucket, arguments={"bucket_key": "s3://raw/x/_SUCCESS"})
    assert not sensor.poke(context())
    monkeypatch.setattr(FakeS3, "there", {"/raw/x/_SUCCESS"})
    assert sensor.poke(context())


UNUSABLE = {
    "": "it does not exist",
    "aws://": "it is empty",
    "aws://?region_name=us-east-1": "it has neither role_arn nor keys",
    "aws://key@": "it has neither role_arn nor keys",
    "aws://?profile_name=default": "it has neither role_arn nor keys",
    "http://localhost": "it has neither role_arn nor keys",
}


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("connection", "reason"), UNUSABLE.items())
def test_a_connection_that_gives_no_identity_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, connection: str, reason: str
) -> None:
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_JOBYARD_AWS_RISK", connection)
    with pytest.raises(ConnectionUnusableError, match=f"^Airflow connection 'jobyard_aws_risk': {reason}") as raised:
        OwnConnections({"aws_conn_id": "jobyard_aws_risk"})(context())
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "connection", ["aws://key:secret@", "aws://?role_arn=arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Frisk-jobs"]
)
def test_a_connection_that_says_whose_rights_it_gives_is_taken(
    monkeypatch: pytest.MonkeyPatch, connection: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_JOBYARD_AWS_RISK", connection)
    OwnConnections({"aws_conn_id": "jobyard_aws_risk"})(context())


@pytest.mark.usefixtures("database")
def test_no_task_looks_as_the_worker_itself(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "the-workers-own")
    looked: list[Any] = []
    for method in ("poke", "execute"):
        monkeypatch.setattr(S3KeySensor, method, lambda *given: looked.append(given))
    ways = {"reschedule": {"mode": "reschedule"}, "poke": {"mode": "poke"}, "deferrable": {"deferrable": True}}
    kind = PLATFORM["task_types"]["wait-for-s3-key"]
    types = {name: {**kind, "fixed": {**kind["fixed"], **way}} for name, way in ways.items()}
    bucket.write("jobyard/platform.json", {**PLATFORM, "task_types": types})
    retries = {**RETRIES, "attempts": 2}
    other = {"bucket_key": "s3://airflow/dags/fraud/jobs.json"}
    ran = run(bucket, tasks={name: typed(name, arguments=other, retries=retries) for name in ways})
    # No further try would find the connection.
    assert {name: ran[name] for name in ways} == dict.fromkeys(ways, ("failed", 1))
    assert looked == []


S3 = "airflow.providers.amazon.aws.sensors.s3.S3KeySensor"
SQL = "airflow.providers.common.sql.operators.sql.SQLCheckOperator"
COPY = "airflow.providers.amazon.aws.transfers.http_to_s3.HttpToS3Operator"
NEEDED = "which must be fixed to one of the team's (jobyard_<kind>_<team>), not"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"operator": S3}, f"its operator takes a connection as 'aws_conn_id', {NEEDED} None"),
        ({"operator": S3, "fixed": {"aws_conn_id": None}}, f"'aws_conn_id', {NEEDED} None"),
        ({"operator": S3, "fixed": {"aws_conn_id": "aws_default"}}, f"'aws_conn_id', {NEEDED} 'aws_default'"),
        ({"operator": SQL}, f"'conn_id', {NEEDED} None"),
        # Of two connections the platform has fixed one.
        ({"operator": COPY, "fixed": {"http_conn_id": "jobyard_http_<team>"}}, f"'aws_conn_id', {NEEDED} None"),
        (
            {"operator": S3, "arguments": ["aws_conn_id"], "fixed": {"aws_conn_id": "jobyard_aws_<team>"}},
            "its argument 'aws_conn_id' names a connection, which only the platform may give",
        ),
    ],
)
def test_a_type_whose_operator_would_take_a_shared_connection_is_none(
    bucket: Bucket, entry: dict[str, Any], reason: str
) -> None:
    types = {"shared": {"arguments": ["bucket_key"], **entry}}
    bucket.write("jobyard/platform.json", {**PLATFORM, "task_types": types})
    dag = bucket.dag(job(tasks={"arrived": typed("shared", arguments={})}))
    assert dag.description is not None
    assert dag.description.startswith("Broken: task type 'shared' can't be used: its ")
    assert dag.description.endswith(reason)


def test_no_type_of_the_platforms_catalogue_takes_a_shared_connection() -> None:
    catalogue = yaml.safe_load((LIBRARY.parent / "values" / "task-types.yaml").read_text())["taskTypes"]
    assert catalogue
    for entry in catalogue.values():
        module, _, name = entry["operator"].rpartition(".")
        operator = getattr(import_module(module), name)
        refuse_shared_connections(operator, entry["with"]["properties"], entry["fixed"])
        assert connection_arguments(operator)
