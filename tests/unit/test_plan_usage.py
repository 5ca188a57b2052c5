"""Warnings of a plan that compare requests with what tasks used, and how the plan reads that."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from jobyard_cli.aws import clients
from jobyard_cli.plan import usage
from jobyard_cli.plan.make import Platform, find_platform
from jobyard_cli.plan.model import Plan
from jobyard_cli.usage.address import Address
from jobyard_cli.usage.advice import Advice
from jobyard_cli.usage.read import NothingCollectedError

from tests.support.git import commit_all
from tests.unit.plan_repo import NOW, planned
from tests.unit.usage_rows import GIB, NOT_SAMPLED, Reader, Row, advice, as_json, measured_platform, row

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AddJob = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
BEFORE = "apiVersion: jobyard/v1\nschedule: null\ntasks:\n  t: {image: inference, node_group: high-memory}\n"


def task(resources: str) -> str:
    """A job whose task asks for these."""
    return BEFORE.replace("high-memory", f"high-memory, resources: {{{resources}}}")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A platform whose dev environment collects metrics; prod does not."""
    return find_platform(tmp_path, measured_platform(tmp_path / "platform", "dev"))


@pytest.fixture
def plan_of(add_job: AddJob, team_repo: Path, platform: Platform) -> Callable[..., Plan]:
    """The plan of a change of job `score` to these resources, where this is known of its task."""
    add_job("score", BEFORE)
    commit_all(team_repo)

    def plan(resources: str, *rows: Row, read: Reader | None = None) -> Plan:
        add_job("score", task(resources))
        return planned(team_repo, platform, read=read or Reader(advice(*rows)))

    return plan


def messages(plan: Plan) -> list[str]:
    return [warning.message for warning in plan.warnings]


FITS = "cpu: 2, memory: 4Gi"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (FITS, []),
        # Less than three times the peak.
        ("cpu: 2, memory: 9Gi", []),
        (
            "cpu: 2, memory: 16Gi",
            ["asks for 16Gi of memory; the last 30 runs peaked at 3.1Gi; 4Gi would fit"],
        ),
        ("cpu: 5600m, memory: 4Gi", []),
        ("cpu: 8, memory: 4Gi", ["asks for 8 CPU; the last 30 runs peaked at 1900m; 1600m would fit"]),
        # Below what would fit, but not below the peak.
        ("cpu: 2, memory: 3200Mi", []),
        (
            "cpu: 2, memory: 3Gi, memory_limit: 4Gi",
            ["asks for 3Gi of memory; the last 30 runs peaked at 3.1Gi; 4Gi would fit"],
        ),
        # A pod may use more CPU than it asks for: a short peak is not a reason to ask for more.
        ("cpu: 1500m, memory: 4Gi", []),
        ("cpu: 1, memory: 4Gi", ["asks for 1 CPU; the last 30 runs used 1450m (p95); 1600m would fit"]),
    ],
)
def test_a_request_far_above_or_below_what_was_used(
    plan_of: Callable[..., Plan], resources: str, expected: list[str]
) -> None:
    plan = plan_of(resources, row("score", "t"), row("train", "t"))
    assert messages(plan) == [f"in 'dev' task 't' {message}" for message in expected]
    assert plan.notes == [note for note in plan.notes if "use" not in note]


@pytest.mark.parametrize(
    "known",
    [
        [],
        [row("score", "t", **NOT_SAMPLED)],
        [row("score", "t", runs=3, sampled=3, fits_cpu=None, fits_memory=None)],
        [row("score", "other")],
    ],
)
def test_without_enough_runs_there_is_no_warning(plan_of: Callable[..., Plan], known: list[Row]) -> None:
    assert messages(plan_of("cpu: 8, memory: 32Gi", *known)) == []


def test_what_a_task_gets_by_default_is_never_too_much(plan_of: Callable[..., Plan]) -> None:
    small = row("score", "t", cpu_peak=0.03, fits_cpu=0.05, memory_peak=2**26, fits_memory=2**27)
    assert messages(plan_of("cpu: 500m, memory: 1Gi", small)) == []
    assert len(messages(plan_of("cpu: 600m, memory: 2Gi", small))) == 2


def test_what_fits_gets_no_warning_though_an_earlier_run_needed_more(plan_of: Callable[..., Plan]) -> None:
    calmer = row("score", "t", memory_peak=12 * GIB)
    assert messages(plan_of(FITS, calmer)) == []


def test_instances_of_a_foreach_count_together(plan_of: Callable[..., Plan]) -> None:
    instances = [row("score", "t", 0), row("score", "t", 1, memory_peak=7 * GIB, fits_memory=8 * GIB, sampled=20)]
    assert messages(plan_of("cpu: 2, memory: 16Gi", *instances)) == []
    expected = "in 'dev' task 't' asks for 24Gi of memory; the last 30 runs peaked at 7Gi; 8Gi would fit"
    assert messages(plan_of("cpu: 2, memory: 24Gi", *instances)) == [expected]


def test_the_runs_that_were_sampled_and_old_advice_are_named(plan_of: Callable[..., Plan]) -> None:
    old = Reader(advice(row("score", "t", sampled=12), written=NOW - timedelta(days=5)))
    (message,) = messages(plan_of("cpu: 2, memory: 16Gi", read=old))
    assert message == (
        "in 'dev' task 't' asks for 16Gi of memory; the last 12 sampled runs peaked at 3.1Gi; 4Gi would fit "
        "(as of 2026-11-20)"
    )


def test_one_object_is_asked_for_each_environment_with_metrics(plan_of: Callable[..., Plan]) -> None:
    read = Reader(advice())
    plan_of(FITS, read=read)
    assert read.asked == [(Address("example-metrics", "metrics", "eu-central-1"), "risk")]


def test_nothing_is_asked_for_where_no_task_changes(
    add_job: AddJob, team_repo: Path, platform: Platform, plan_of: Callable[..., Plan]
) -> None:
    read = Reader(advice(row("score", "t")))
    add_job("score", BEFORE.replace("null", "'@weekly'"))
    assert planned(team_repo, platform, read=read).warnings == []
    add_job("train", task(FITS))
    planned(team_repo, platform, read=read)
    assert len(read.asked) == 1


def test_a_plan_without_advice_says_why_in_one_line(plan_of: Callable[..., Plan]) -> None:
    read = Reader(NothingCollectedError("team risk", "s3://example-metrics/metrics"))
    plan = plan_of("cpu: 8, memory: 32Gi", read=read)
    assert plan.warnings == []
    (note,) = [note for note in plan.notes if "use" in note]
    assert note.startswith(
        "what the tasks use in 'dev' is not known: s3://example-metrics/metrics: nothing is collected"
    )
    assert "\n" not in note


def test_an_environments_file_without_a_bucket_is_a_note(add_job: AddJob, team_repo: Path, tmp_path: Path) -> None:
    add_job("score", BEFORE)
    commit_all(team_repo)
    add_job("score", task(FITS))
    folder = measured_platform(tmp_path / "platform", "dev", metrics="grafana: false")
    file = folder / "values" / "environments" / "dev.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "dataBucket" not in line))
    notes = planned(team_repo, find_platform(team_repo, folder), read=Reader(advice())).notes
    expected = "values/environments/dev.yaml must name a bucket for the metrics: write `metrics.bucket` or `dataBucket`"
    assert f"what the tasks use in 'dev' is not known: {expected}" in notes


def test_a_plan_does_not_wait_for_advice_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "SECONDS", 0.05)
    released = Event()

    def read(_address: Address, _team: str) -> Advice:
        released.wait(60)
        return advice()

    notes: list[str] = []
    reading = usage.Reading(read, "risk", dict.fromkeys(["dev", "prod"], {"metrics": {"bucket": "x"}}))
    assert reading.results(notes) == {}
    reason = "no answer within 0.05 s, with this machine's AWS credentials"
    assert notes == [f"what the tasks use in 'dev', 'prod' is not known: {reason}"]
    released.set()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_client_asks_once_and_gives_up_soon(silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv("AWS_MAX_ATTEMPTS", raising=False)
    client = clients.hasty_s3(silent_server, "us-east-1", 0.2)
    started = time.monotonic()
    with pytest.raises(Exception, match="Read timeout"):
        client.get_object(Bucket="x", Key="y")
    assert time.monotonic() - started < 5
    assert vars(client.meta.config)["retries"]["total_max_attempts"] == 1


def test_the_command_reads_the_advice_of_the_bucket(
    add_job: AddJob,
    team_repo: Path,
    jobyard: Run,
    s3: S3Client,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usage, "SECONDS", 60)
    s3.create_bucket(Bucket="example-metrics", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    body = as_json(row("score", "t"))
    s3.put_object(Bucket="example-metrics", Key="metrics/teams/risk/advice.json", Body=body)
    add_job("score", BEFORE)
    commit_all(team_repo)
    add_job("score", task("cpu: 2, memory: 16Gi"))
    code, out, err = jobyard("plan", "--platform", str(platform.repo), "--format", "json")
    assert (code, err) == (0, "")
    (warning,) = json.loads(out)["warnings"]
    assert warning["message"].endswith("asks for 16Gi of memory; the last 30 runs peaked at 3.1Gi; 4Gi would fit")
