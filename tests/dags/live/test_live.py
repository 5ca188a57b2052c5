"""What only a running scheduler shows.

Airflow begins with every job at once when it has started, so a test mostly waits for what is already on its way.
What needs somebody's hand comes first.
"""

import json

import pytest
from hand_made import ATTACKS
from jobyard.compat import AIRFLOW_3
from live.collected import Collected
from live.conftest import SLOTS, Platform
from live.releases import (
    BACKFILLED,
    DAY,
    DS,
    FEATURES,
    FLOOD,
    HOSTILE,
    ITEMS,
    LABELS,
    NEWEST,
    START,
    URGENT_LAST,
    care,
    fraud,
    healthy,
)

ASSET = "asset" if AIRFLOW_3 else "dataset"
# Airflow 3 names a run by the moment from which it can run, Airflow 2 by the beginning of its data.
RUN = "scheduled__2026-03-01T19:00:00+00:00" if AIRFLOW_3 else "scheduled__2026-02-28T19:00:00+00:00"
NEWEST_RUN = NEWEST["end" if AIRFLOW_3 else "start"].strftime("scheduled__%Y-%m-%dT00:00:00+00:00")
OWNER = "risk-ml@example.com"


def events(platform: Platform, uri: str) -> int:
    """Return how often the asset was written."""
    query = f"SELECT COUNT(*) FROM {ASSET}_event JOIN {ASSET} ON {ASSET}.id = {ASSET}_id WHERE uri = %s"
    return int(platform.airflow.ask(query, uri)[0][0])


def log(platform: Platform, dag_id: str, task: str, try_number: int) -> str:
    """Return the address of the task's log on Airflow's page, or how it begins."""
    page = f"{platform.airflow.url}/dags/{dag_id}"
    run = RUN.replace(":", "%3A").replace("+", "%2B")
    return (
        f"{page}/runs/{run}/tasks/{task}?try_number={try_number}"
        if AIRFLOW_3
        else f"{page}/grid?dag_run_id={run}&task_id={task}&"
    )


def test_a_backfill_gives_each_run_its_own_data_interval(platform: Platform) -> None:
    first, last = BACKFILLED[0], BACKFILLED[-1]
    platform.airflow.wait_for_dag("risk.past")
    platform.airflow.command(
        ["backfill", "create", "--dag-id", "risk.past", "--from-date", first, "--to-date", last]
        if AIRFLOW_3
        else ["dags", "backfill", "--start-date", first, "--end-date", last, "risk.past"]
    )
    platform.airflow.wait_for_run("risk.past", *["success"] * len(BACKFILLED))
    expected = [[f"{day} 00:00:00+00:00", day, day] for day in BACKFILLED]
    assert sorted(platform.cluster.arguments("risk.past")) == expected


def test_a_broken_job_is_seen_and_its_failed_run_alerts(platform: Platform) -> None:
    platform.airflow.wait_for_dag("risk.broken")
    [(paused, description)] = platform.airflow.ask(
        "SELECT is_paused, description FROM dag WHERE dag_id = %s", "risk.broken"
    )
    assert paused
    assert description == "Broken: unknown node group 'gone' (available: default, graviton)"
    assert platform.airflow.ask("SELECT * FROM import_error") == []
    platform.airflow.unpause("risk.broken")
    platform.airflow.wait_for_run("risk.broken", "failed")
    alert = platform.one_alert("broken")
    assert (alert["job"], alert["event"], alert["task"], alert["try"]) == ("risk.broken", "failed", "broken", "1 of 1")


@pytest.mark.parametrize("job", ["risk.first", "risk.second", "risk.third", "care.fourth"])
def test_jobs_that_follow_each_other_run_over_the_first_ones_data(platform: Platform, job: str) -> None:
    platform.airflow.wait_for_run(job, "success")
    assert platform.cluster.arguments(job) == [[START, DAY, DS]]


def test_a_job_does_not_follow_one_that_failed(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.fails", "failed")
    assert events(platform, "x-jobyard://risk/fails") == 0
    assert platform.airflow.runs("risk.after-fails") == {}


def test_a_job_with_several_last_tasks_has_succeeded_once(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.after-features", "success")
    assert events(platform, "x-jobyard://risk/features") == 1
    assert platform.cluster.arguments("risk.after-features") == [[START, DAY, DS]]


def test_a_job_on_two_assets_waits_for_both(platform: Platform) -> None:
    # It follows the job that wrote the one asset, so whatever that asset starts has been started.
    platform.airflow.wait_for_run("risk.after-features", "success")
    platform.airflow.wait_for_run("risk.labels", "running")
    assert (events(platform, FEATURES), events(platform, LABELS)) == (1, 0)
    assert platform.airflow.runs("risk.both") == {}
    platform.cluster.end("risk.labels")
    platform.airflow.wait_for_run("risk.both", "success")
    assert platform.cluster.arguments("risk.labels") == [[START, DAY, DS]]
    assert platform.cluster.arguments("risk.both") == [[START, DAY, DS]]


def test_instances_of_a_task_run_no_more_at_once_than_the_job_allows(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.models", "success")
    assert sorted(arguments[3] for arguments in platform.cluster.arguments("risk.models")) == ITEMS
    assert platform.cluster.most_at_once["risk.models"] == 2


def test_what_a_pod_leaves_stays_what_it_is(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.left", "success")
    arguments = [[json.loads(one) for one in found[3:]] for found in platform.cluster.arguments("risk.left")]
    assert sorted((one[0] for one in arguments if len(one) == 1), key=str) == sorted(HOSTILE, key=str)
    [last] = [one for one in arguments if len(one) == 2]
    assert last == [HOSTILE, HOSTILE]
    # All that Airflow itself reads: how many items there are, and that each left something.
    kept = platform.airflow.ask("SELECT value FROM xcom WHERE dag_id = 'risk.left' AND key = 'return_value'")
    assert sorted(str(stored(value)) for [value] in kept) == ["True", "True", "True", "[0, 1, 2]"]


def stored(value: object) -> object:
    """Return what Airflow has in its table as JSON: as bytes in Airflow 2, in Airflow 3 perhaps as JSON in JSON."""
    while isinstance(value, str | memoryview):
        value = json.loads(bytes(value) if isinstance(value, memoryview) else value)
    return value


def test_a_template_without_an_end_ends_with_its_task(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.endless", "failed")
    assert platform.cluster.arguments("risk.endless") == []
    words = "the templates of a task must take at most 100,000 steps in all"
    platform.airflow.wait(lambda: platform.airflow.has_logged(words), f"line {words!r} in Airflow's logs")


def test_a_last_task_of_several_instances_starts_what_follows_once(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.after-models", "success")
    assert events(platform, "x-jobyard://risk/models") == 1
    assert platform.cluster.arguments("risk.after-models") == [[START, DAY, DS]]


def test_a_job_waits_for_another_ones_run_without_a_worker(platform: Platform) -> None:
    query = "SELECT state FROM task_instance WHERE dag_id = 'care.waits' AND task_id = 'wait-for.risk.slow'"
    platform.airflow.wait(lambda: platform.airflow.ask(query) == [("up_for_reschedule",)], "wait without a worker")
    assert platform.cluster.arguments("care.waits") == []
    platform.cluster.end("risk.slow")
    platform.airflow.wait_for_run("risk.slow", "success")
    platform.airflow.wait_for_run("care.waits", "success")
    assert platform.cluster.arguments("care.waits") == [[START, DAY, DS]]


def test_a_run_that_failed_alerts_once_whatever_number_of_tasks_failed(platform: Platform) -> None:
    alert = platform.one_alert("failed")
    assert alert.pop("log").startswith(log(platform, "risk.fails", "other", 3))
    assert alert == {
        "job": "risk.fails",
        "event": "failed",
        "run": RUN,
        "task": "one, other",
        "try": "3 of 3",
        "owner": OWNER,
        "reason": "task_failure",
    }


def test_every_try_before_the_last_alerts_once(platform: Platform) -> None:
    platform.airflow.wait_for_run("risk.fails", "failed")
    alerts = platform.webhook.alerts("retried")
    assert [(alert["task"], alert["try"]) for alert in alerts] == [("other", "1 of 3"), ("other", "2 of 3")]
    for number, alert in enumerate(alerts, start=1):
        assert alert["log"].startswith(log(platform, "risk.fails", "other", number))
        assert (alert["event"], alert["run"]) == ("failed and is tried again", RUN)
        assert alert["owner"] == OWNER
        assert "returned a failure" in alert["reason"]


def test_a_run_that_succeeded_alerts_once(platform: Platform) -> None:
    alert = platform.one_alert("succeeded")
    assert alert.pop("log").startswith(log(platform, "risk.first", "score", 1))
    assert alert == {
        "job": "risk.first",
        "event": "succeeded",
        "run": RUN,
        "task": "score",
        "owner": OWNER,
        "reason": "success",
    }


def test_an_alert_that_cannot_be_sent_fails_nothing(platform: Platform) -> None:
    platform.airflow.wait_for_run("care.fourth", "success")
    words = "Could not send the alert to webhook 'nobody'"
    platform.airflow.wait(lambda: platform.airflow.has_logged(words), f"line {words!r} in Airflow's logs")


def test_a_run_that_misses_its_deadline_alerts_once_while_it_runs(platform: Platform) -> None:
    platform.airflow.wait(lambda: platform.airflow.runs("risk.late").get(NEWEST_RUN) == "running", "run that holds")
    # On a slow machine the run before may miss it too.
    platform.airflow.wait(lambda: platform.alerts("late", NEWEST_RUN), "alert of the missed deadline")
    assert platform.airflow.runs("risk.late")[NEWEST_RUN] == "running"
    expected = {"job": "risk.late", "event": "missed its deadline", "run": NEWEST_RUN, "owner": OWNER}
    # Airflow 3 says no more than which run it is.
    assert platform.alerts("late", NEWEST_RUN) == [expected if AIRFLOW_3 else {**expected, "task": "score"}]
    platform.cluster.end("risk.late")
    platform.airflow.wait_for_run("risk.late", "success", "success")


def test_a_job_with_any_number_of_tasks_holds_no_slots(platform: Platform) -> None:
    query = "SELECT state, COUNT(*) FROM task_instance WHERE dag_id = 'wide.flood' AND state IS NOT NULL GROUP BY state"
    waiting = {"deferred": FLOOD}
    platform.airflow.wait(lambda: dict(platform.airflow.ask(query)) == waiting, "job whose pods all run")
    platform.airflow.wait_for_dag("care.any-time")
    platform.airflow.command(["dags", "trigger", "care.any-time"])
    platform.airflow.wait_for_run("care.any-time", "success")
    assert dict(platform.airflow.ask(query)) == waiting
    pools = "SELECT DISTINCT pool FROM task_instance WHERE dag_id LIKE %s"
    assert [platform.airflow.ask(pools, f"{team}.%") for team in SLOTS] == [[(team,)] for team in SLOTS]


def test_of_a_teams_waiting_tasks_the_most_urgent_starts_first(platform: Platform) -> None:
    query = "SELECT task_id FROM task_instance WHERE dag_id = 'queue.order' AND state = %s"
    platform.airflow.wait(lambda: platform.airflow.ask(query, "running") == [("hold",)], "task that holds the slot")
    platform.airflow.wait(lambda: len(platform.airflow.ask(query, "scheduled")) == 3, "tasks that wait")
    platform.cluster.end("queue.order")
    platform.airflow.wait_for_run("queue.order", "success")
    ran = [arguments[3] for arguments in platform.cluster.arguments("queue.order")]
    assert ran == ["hold", *reversed(URGENT_LAST), "then", "then"]


def test_the_metrics_job_reads_what_ran(platform: Platform) -> None:
    airflow = platform.airflow
    deferred = "SELECT state FROM task_instance WHERE dag_id = 'risk.loses' AND task_id = 'score'"
    airflow.wait(lambda: airflow.ask(deferred) == [("deferred",)], "deferred task")
    platform.cluster.end("risk.loses")
    ran = {"first": "success", "measures": "success", "models": "success", "loses": "success", "fails": "failed"}
    for job, state in ran.items():
        airflow.wait_for_run(f"risk.{job}", state)
    [(first,)] = airflow.ask("SELECT (MIN(end_date) AT TIME ZONE 'UTC')::date FROM task_instance")
    ended = "SELECT COUNT(*) FROM task_instance WHERE state IN ('success', 'failed') AND task_id NOT LIKE %s"
    [(least,)] = airflow.ask(ended, "%.%")
    collected = Collected(airflow.start_api(), first)
    assert collected.tries("fails") == [
        ("one", 0, 1, "failed"),
        ("one", 1, 1, "failed"),
        ("other", -1, 1, "up_for_retry"),
        ("other", -1, 2, "up_for_retry"),
        ("other", -1, 3, "failed"),
    ]
    assert collected.tries("models") == [("train", index, 1, "success") for index in range(len(ITEMS))]
    [run] = collected.runs("first")
    assert (run["run_id"], run["run_type"], run["state"]) == (RUN, "scheduled", "success")
    assert run["interval_start"].isoformat(sep=" ") == START
    assert run["started"] < run["ended"]
    assert (run["queued"] is not None) == AIRFLOW_3
    check_deferred(platform, collected)
    measured = [("train", -1, "auc", 0.9), ("train", -1, "drift.psi", 0.25), ("train", -1, "rows", 12)]
    assert collected.measured("measures") == measured
    assert len([one for one in collected.all_tries() if one.state != "up_for_retry"]) >= least > 9
    assert len(collected.all_tries()) == len({(one.instance, one.try_number) for one in collected.all_tries()})
    assert all(one.started <= one.ended for one in collected.all_tries() if one.started and one.ended)
    # The lists have no order in Airflow 2.
    found = [sorted(one.instance for one in day.tries) for day in collected.days]
    assert [sorted(one.instance for one in day.tries) for day in collected.through_mwaa] == found
    [dags] = {frozenset(day.dags) for day in collected.days[-1:]}
    assert {("risk", "first"), ("care", "waits")} <= dags


def check_deferred(platform: Platform, collected: Collected) -> None:
    """A deferred try has its whole life, its only number, and the pod that it lost."""
    found = collected.the_try("loses")
    times = "SELECT MIN(dttm), MAX(dttm) FROM log WHERE dag_id = 'risk.loses' AND task_id = 'score' AND event = %s"
    [(first, last)] = platform.airflow.ask(times, "running")
    assert first < last
    assert found.started and found.ended
    assert abs(found.started - first) < abs(found.started - last)
    assert found.ended > last
    # Airflow has replaced when it was queued for its start.
    assert found.queued is None
    assert found.try_number == 1
    pods = [(pod.name, pod.cause, pod.reason) for pod in collected.earlier_pods("loses")]
    [lost, _] = platform.cluster.names("risk.loses")
    assert pods == [(lost, "lost", "Evicted: The node was low on resource: memory.")]


@pytest.mark.parametrize("path", ["failed", "succeeded"])
def test_no_alert_of_a_run_came_twice(platform: Platform, path: str) -> None:
    # By now Airflow has done all that there is to do.
    platform.one_alert(path)


def test_a_release_made_by_hand_stops_nobody_before_and_after_a_restart(platform: Platform) -> None:
    airflow = platform.airflow
    airflow.wait_for_run("fraud.healthy", "success")
    query = "SELECT COUNT(*) FROM dag WHERE dag_id LIKE %s AND description LIKE %s", "fraud.%", "Broken: %"
    airflow.wait(lambda: airflow.ask(*query) == [(len(ATTACKS),)], "DAG for each job that does not fit")
    assert airflow.ask("SELECT * FROM import_error") == []
    airflow.close()
    # What is new has to be read by the DAG processor, and run by the scheduler and the API server.
    platform.bucket.release({**fraud(), "again": healthy("fraud")}, team="fraud")
    platform.bucket.release({**care(), "again": healthy("care")}, team="care")
    airflow.start()
    for dag_id in ("fraud.again", "care.again"):
        airflow.wait_for_run(dag_id, "success")
    assert airflow.ask(*query) == [(len(ATTACKS),)]
    assert airflow.ask("SELECT * FROM import_error") == []
