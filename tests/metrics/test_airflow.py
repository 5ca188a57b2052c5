"""What the metrics job makes of Airflow's lists, however they change or fail meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from jobyard_metrics.errors import (
    SourceUnavailableError,
    TooLargeError,
    UnreadableAnswerError,
    UnstableAnswersError,
)
from jobyard_metrics.sources.airflow import AirflowDay

from tests.metrics.fake_airflow import DAY, NEXT_DAY, NOON, FakeAirflow, at, instance, run


def day(airflow: FakeAirflow, uses: bool | None = False) -> AirflowDay:
    return airflow.source.day(DAY, NEXT_DAY, lambda team, job, task: uses)


def numbers(found: AirflowDay) -> dict[str, Any]:
    return {row["name"]: row["value"] for row in found.models}


@pytest.mark.parametrize("version", [2, 3])
def test_a_day_is_what_ended_in_it(version: int) -> None:
    airflow = FakeAirflow(version)
    airflow.runs = [
        run(),
        run(run_id="earlier", ended=-721),
        run(run_id="later", ended=720),
        run(run_id="now", ended=None),
    ]
    airflow.instances = [instance(ended=-720), instance(task="last", ended=719.9999), instance(task="next", ended=720)]
    airflow.dags = [{"dag_id": "risk.score", "is_paused": False}]
    found = day(airflow)
    assert [one["run_id"] for one in found.runs] == ["scheduled__1"]
    assert sorted(one.task for one in found.tries) == ["last", "train"]
    assert [one.task for one in found.others] == ["next"]
    assert found.dags["risk", "score"]["is_paused"] is False
    [row] = found.runs
    assert (row["team"], row["job"], row["run_type"], row["state"]) == ("risk", "score", "scheduled", "success")
    assert row["interval_end"] == row["queued"] == NOON


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("page", [100, 30])
def test_pages_are_joined_in_few_requests(version: int, page: int) -> None:
    airflow = FakeAirflow(version, page)
    airflow.instances = [instance(f"team{number % 200}.job", f"task{number}") for number in range(4000)]
    airflow.runs = [run(f"team{number % 200}.job", f"run{number}") for number in range(1000)]
    found = day(airflow)
    assert (len(found.tries), len(found.runs)) == (4000, 1000)
    assert airflow.requests_made <= {100: 60, 30: 180}[page]


def test_a_list_that_changes_is_read_again() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(task=f"task{number}", ended=number / 10) for number in range(300)]

    def clear(number: int) -> None:
        if number == 3:
            # Someone clears a task: it has no end now, and all after it move up.
            airflow.instances[5]["end_date"] = None

    airflow.before = clear
    found = day(airflow)
    assert len(found.tries) == len({one.task for one in found.tries}) == 299


def test_rows_that_come_meanwhile_are_there_once() -> None:
    airflow = FakeAirflow(2)
    airflow.instances = [instance(task=f"task{number}") for number in range(250)]

    def add(number: int) -> None:
        if number == 4:
            airflow.instances.insert(0, instance(task="new"))

    airflow.before = add
    found = day(airflow)
    assert len(found.tries) == len({one.task for one in found.tries}) == 251


def test_a_list_that_never_holds_still_fails_the_day() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(task=f"task{number}", ended=number / 60) for number in range(300)]
    airflow.before = lambda number: airflow.instances.insert(0, instance(task=f"new{number}", ended=0))
    with pytest.raises(UnstableAnswersError, match="changed during each of 3 readings; run the day again"):
        day(airflow)


def test_a_busy_airflow_is_asked_again() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance()]

    def fail(number: int) -> None:
        if number % 3:
            raise SourceUnavailableError("503")

    airflow.before = fail
    assert len(day(airflow).tries) == 1


def test_an_airflow_that_stays_away_fails_the_day_at_the_deadline() -> None:
    airflow = FakeAirflow()

    def fail(number: int) -> None:
        if number > 2:
            raise SourceUnavailableError("Airflow at http://airflow.example.com can't be reached")

    airflow.before = fail
    with pytest.raises(SourceUnavailableError, match="can't be reached"):
        day(airflow)
    assert 500 < airflow.time <= 600


def test_pages_that_are_too_large_are_halved() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(task=f"task{number}") for number in range(100)]
    call = airflow.call

    def limited(method: str, path: str, query: Any = None, body: Any = None) -> Any:
        if body and body.get("page_limit", 0) > 30:
            raise TooLargeError("6 MB")
        return call(method, path, query, body)

    airflow.call = limited  # type: ignore[method-assign]
    assert len(day(airflow).tries) == 100


@pytest.mark.parametrize(
    "answer", [None, [], "<html>", {}, {"dag_runs": None, "total_entries": 1}, {"dag_runs": [1], "total_entries": 1}]
)
def test_garbage_fails_the_day(answer: Any) -> None:
    airflow = FakeAirflow()
    airflow.call = lambda *_, **__: answer  # type: ignore[method-assign]
    with pytest.raises(UnreadableAnswerError, match="must answer POST dags/~/dagRuns/list with an? "):
        day(airflow)


def test_each_try_counts_in_the_day_in_which_it_ended() -> None:
    airflow = FakeAirflow()
    # Its third try ended in the day, its second too, its first the day before.
    airflow.instances = [instance(try_number=3, ended=30)]
    ends = {1: -800, 2: 10, 3: 30}
    airflow.history = [instance(try_number=number, state="failed", ended=ended) for number, ended in ends.items()]
    found = [(one.try_number, one.state, one.ended.isoformat()) for one in day(airflow).tries if one.ended]
    assert found == [(3, "success", at(30)), (2, "up_for_retry", at(10))]
    assert airflow.asked.count("GET dags/risk.score/dagRuns/scheduled__1/taskInstances/train/tries") == 1


@pytest.mark.parametrize(
    "newest",
    [
        instance(try_number=2, ended=750),
        instance(try_number=2, ended=None, state="running"),
        instance(try_number=2, ended=10, state="queued"),
        instance(try_number=1, ended=10, state="up_for_retry"),
    ],
)
def test_a_try_whose_retry_is_yet_to_end_counts(newest: dict[str, Any]) -> None:
    airflow = FakeAirflow()
    airflow.instances = [newest]
    airflow.history = [instance(try_number=1, state="failed", ended=10)]
    assert [(one.try_number, one.state) for one in day(airflow).tries] == [(1, "up_for_retry")]


@pytest.mark.parametrize("state", ["up_for_reschedule", "deferred", "running", None])
def test_what_still_goes_on_has_not_ended(state: str | None) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(state=state)]
    assert day(airflow).tries == []


@pytest.mark.parametrize(("queued", "known"), [(0, True), (1, True), (3, False)])
def test_a_deferred_task_has_its_first_start_and_not_when_it_was_queued_last(queued: float, known: bool) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(ended=5, start_date=at(1), queued_when=at(queued), duration=7.0)]
    [one] = day(airflow).tries
    assert (one.started, one.ended) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=5))
    assert one.queued == (NOON + timedelta(minutes=queued) if known else None)


LOST = {"name": "train-1", "ended": "lost: Evicted: The node was low on resource: memory."}
KILLED = {"name": "train-2", "ended": "out of memory: container 'base' was killed"}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("state", ["success", "failed", "up_for_retry"])
@pytest.mark.parametrize("written", [json.dumps, list])
def test_the_pods_that_a_try_replaced_are_read_from_the_list(
    version: int, state: str, written: Callable[[list[dict[str, str]]], object]
) -> None:
    airflow = FakeAirflow(version)
    airflow.instances = [instance(state=state, rendered_fields={"earlier_pods": written([LOST, KILLED])})]
    found = day(airflow)
    assert [one.try_number for one, _ in found.earlier_pods] == [1, 1]
    assert [(pod.name, pod.cause, pod.reason) for _, pod in found.earlier_pods] == [
        ("train-1", "lost", "Evicted: The node was low on resource: memory."),
        ("train-2", "out of memory", "container 'base' was killed"),
    ]


def test_the_replaced_pods_of_a_try_that_ended_after_the_day_are_known() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(ended=750, rendered_fields={"earlier_pods": [LOST]})]
    found = day(airflow)
    assert ([*found.tries], [pod.name for _, pod in found.earlier_pods]) == ([], ["train-1"])


@pytest.mark.parametrize(
    "field",
    [
        None,
        "None",
        [],
        {},
        7,
        "Truncated. You can change this behaviour in [core]max_templated_field_length. \"[{'name': 'train-1'\"... ",
        [None, "lost: x", {}, {"name": "x"}, {"name": 1, "ended": "lost: x"}, {"name": "x", "ended": None}],
        [{"name": "x", "ended": "evil: x"}, {"name": "", "ended": "lost: x"}],
    ],
)
def test_whatever_else_the_field_holds_names_no_pod(field: object) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(rendered_fields={"earlier_pods": field})]
    assert day(airflow).earlier_pods == []


def test_an_instance_of_a_foreach_has_its_own_tries() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(map_index=3, try_number=2, dag_run_id="manual__2026-11-25T00:00:00+00:00")]
    day(airflow)
    run_id = "manual__2026-11-25T00%3A00%3A00%2B00%3A00"
    assert f"GET dags/risk.score/dagRuns/{run_id}/taskInstances/train/3/tries" in airflow.asked


def test_only_jobs_own_tasks_count() -> None:
    airflow = FakeAirflow()
    jobs = ["risk.score", "no-team", ".x", "x."]
    airflow.runs = [run(job) for job in jobs]
    tasks = ["train", "wait-for.risk.other", "job.finished"]
    airflow.instances = [instance(job, task) for job in jobs for task in tasks]
    found = day(airflow)
    assert [(one["team"], one["job"]) for one in found.runs] == [("risk", "score")]
    assert [one.task for one in found.tries] == ["train"]


@pytest.mark.parametrize("measured", [{"auc": 0.9, "drift.psi": 0.1}, '{"auc": 0.9, "drift.psi": 0.1}'])
def test_numbers_are_read_from_the_list(measured: object) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(rendered_fields={"measured": measured})]
    found = day(airflow, uses=True)
    assert numbers(found) == {"auc": 0.9, "drift.psi": 0.1}
    assert not any("xcomEntries" in path for path in airflow.asked)
    assert {row["interval_start"].isoformat() for row in found.models} == {at(-1440)}


OUTPUT = "dags/risk.score/dagRuns/scheduled__1/taskInstances/train/xcomEntries/jobyard_output"


@pytest.mark.parametrize(
    ("rendered", "uses", "asks"),
    [
        ({}, True, True),
        ({}, None, True),
        ({}, False, True),
        (None, False, True),
        ({"measured": "Truncated. You can change this behaviour"}, True, True),
        ({"measured": "Truncated. You can change this behaviour"}, False, True),
        ({"measured": None}, False, True),
        ({"image": "x"}, True, True),
        ({"image": "x"}, False, False),
        ({"image": "x"}, None, False),
    ],
)
def test_an_output_is_read_where_the_list_may_lack_its_numbers(rendered: object, uses: bool | None, asks: bool) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(rendered_fields=rendered)]
    output = {"auc": 0.9, "ok": True, "folds": [1, {"psi": 2}], "name": "x", "long": [1] * 21}
    airflow.xcoms[OUTPUT] = json.dumps(output)
    expected = {"auc": 0.9, "folds.0": 1, "folds.1.psi": 2}
    assert numbers(day(airflow, uses)) == (expected if asks else {})
    assert (f"GET {OUTPUT}" in airflow.asked) == asks


@pytest.mark.parametrize("output", [None, "", "{", '"\\"0.5\\""', "[" * 9999, '{"auc": NaN}'])
def test_any_output_is_read(output: object) -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(rendered_fields=None)]
    airflow.xcoms[OUTPUT] = output
    assert numbers(day(airflow, uses=True)) == {'"\\"0.5\\""': {"": 0.5}, '{"auc": NaN}': {"auc": None}}.get(
        str(output), {}
    )


def test_a_failed_task_measures_nothing() -> None:
    airflow = FakeAirflow()
    airflow.instances = [instance(state="failed", rendered_fields={"measured": {"auc": 1}})]
    assert day(airflow).models == []


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "x" * 10_000, "\ud800", "ナ\u202e"])
def test_any_text_is_data(text: str) -> None:
    airflow = FakeAirflow()
    airflow.runs = [run(f"risk.{text}", run_id=text, state=text, run_type=text)]
    airflow.instances = [instance(f"risk.{text}", task=text, state=text, dag_run_id=text)]
    found = day(airflow)
    kept = text.replace("\ud800", "?")
    assert [(one["job"], one["run_id"], one["state"]) for one in found.runs] == [(kept, kept, kept)]
    assert [(one.job, one.task, one.state) for one in found.tries] == [(kept, kept, kept)]
