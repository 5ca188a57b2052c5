"""Tasks that are no pods."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support import Bucket, context, job, states

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
    assert sensor.bucket_key.endswith("s3://raw/{{ ds }}/_SUCCESS")


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


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (
            typed("wait-for-s3"),
            "unknown task type 'wait-for-s3' (did you mean 'wait-for-s3-key'? there are: gone, wait-for-s3-key)",
        ),
        (
            typed(arguments={"aws_conn_id": "care"}),
            "unknown argument of task type 'wait-for-s3-key': 'aws_conn_id' (there are: bucket_key)",
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
