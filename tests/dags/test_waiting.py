"""Which run of another job is waited for, and how; that the wait ends is shown by the scheduler, in live/."""

from datetime import timedelta
from typing import Any

import pendulum
import pytest
from jobyard.compat import AirflowFailException
from jobyard.errors import JobError, UnknownNameError
from jobyard.waiting import LastRun
from support import Bucket, context, job, task


def waiting(bucket: Bucket, **other: Any) -> LastRun:
    """Return what says which run of care's job `ingest` is waited for; `other` is what that job says."""
    bucket.release({"ingest": job(**other)}, team="care")
    return LastRun(bucket.folder, "care.ingest")


def run_for(last: LastRun, end: str) -> str:
    """Return the logical date waited for by a run whose data interval ends then, both in UTC."""
    moment = pendulum.parse(end)
    given = context(data_interval_start=moment, data_interval_end=moment)
    return pendulum.instance(last(moment, given)).in_timezone("UTC").isoformat()


def test_the_first_tasks_wait_and_hold_no_worker(bucket: Bucket) -> None:
    tasks = {"a": task(), "b": task(needs=["a"]), "c": task()}
    waits = [{"job": "care.ingest", "timeout": 21600}, {"job": "risk.other", "timeout": 60}]
    dag = bucket.dag(job(wait_for=waits, tasks=tasks))
    names = {"wait-for.care.ingest", "wait-for.risk.other"}
    assert {name: dag.get_task(name).upstream_task_ids for name in "abc"} == {"a": names, "b": {"a"}, "c": names}
    sensor = dag.get_task("wait-for.care.ingest")
    assert (sensor.external_dag_id, sensor.allowed_states, sensor.failed_states) == ("care.ingest", ["success"], [])
    assert (sensor.mode, sensor.deferrable) == ("reschedule", False)
    assert timedelta(seconds=float(sensor.timeout)) == timedelta(hours=6)


@pytest.mark.parametrize(
    ("schedule", "timezone", "end", "expected"),
    [
        # The same clock: the very same interval.
        ("0 2 * * *", "UTC", "2026-11-03T02:00Z", "2026-11-02T02:00:00+00:00"),
        # An hour earlier: the interval that has just ended; an hour later: the one before, as no other has ended.
        ("0 1 * * *", "UTC", "2026-11-03T02:00Z", "2026-11-02T01:00:00+00:00"),
        ("0 3 * * *", "UTC", "2026-11-03T02:00Z", "2026-11-01T03:00:00+00:00"),
        # Of an hourly job the last hour, of a weekly one the last whole week.
        ("0 * * * *", "UTC", "2026-11-03T02:00Z", "2026-11-03T01:00:00+00:00"),
        ("@weekly", "UTC", "2026-11-03T02:00Z", "2026-10-25T00:00:00+00:00"),
        # Midnight in Jakarta is 17:00 UTC.
        ("@daily", "Asia/Jakarta", "2026-11-02T17:00Z", "2026-11-01T17:00:00+00:00"),
        ("@daily", "Asia/Jakarta", "2026-11-02T16:59Z", "2026-10-31T17:00:00+00:00"),
        # The day on which New York's clocks go back has 25 hours.
        ("0 0 * * *", "America/New_York", "2026-11-02T05:00Z", "2026-11-01T04:00:00+00:00"),
        ("0 0 * * *", "America/New_York", "2026-11-02T04:59Z", "2026-10-31T04:00:00+00:00"),
    ],
)
def test_the_run_waited_for_is_the_last_one_whose_data_ends_no_later(
    bucket: Bucket, schedule: str, timezone: str, end: str, expected: str
) -> None:
    assert run_for(waiting(bucket, schedule=schedule, timezone=timezone), end) == expected


def test_the_release_is_read_at_each_look_so_a_new_schedule_counts(bucket: Bucket) -> None:
    last = waiting(bucket, schedule="0 2 * * *")
    assert run_for(last, "2026-11-03T02:00Z") == "2026-11-02T02:00:00+00:00"
    waiting(bucket, schedule="0 1 * * *")
    assert run_for(last, "2026-11-03T02:00Z") == "2026-11-02T01:00:00+00:00"


@pytest.mark.parametrize("schedule", [None, "@once", "@continuous", {"after": ["risk.score"]}])
def test_a_job_without_a_clock_cannot_be_waited_for(bucket: Bucket, schedule: Any) -> None:
    with pytest.raises(JobError) as raised:
        run_for(waiting(bucket, schedule=schedule, max_active_runs=1), "2026-11-03T02:00Z")
    assert str(raised.value) == (
        "job 'care.ingest' has no cron schedule; follow it with `schedule: {after: [care.ingest]}`"
    )
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("care.ingst", "unknown job of team 'care' 'ingst' (did you mean 'ingest'? available: ingest)"),
        ("nobody.ingest", "unknown job of team 'nobody' 'ingest' (none available)"),
    ],
)
def test_a_job_that_is_not_there_ends_the_wait_for_good(bucket: Bucket, name: str, message: str) -> None:
    waiting(bucket)
    with pytest.raises(UnknownNameError) as raised:
        run_for(LastRun(bucket.folder, name), "2026-11-03T02:00Z")
    assert str(raised.value) == message
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize("name", ["../care", "care", "care.ingest.x", "Care.ingest", 5, None])
def test_a_name_that_is_no_jobs_makes_a_broken_job(bucket: Bucket, name: Any) -> None:
    dag = bucket.dag(job(wait_for=[{"job": name, "timeout": 60}]))
    assert "broken" in dag.tags
