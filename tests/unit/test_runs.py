"""`jobyard runs`, `logs`, `trigger`, `backfill` and `clear`, against a small Airflow of each generation over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobyard_cli.airflow.transport import AirflowPermissionError
from jobyard_cli.aws import clients as aws
from jobyard_cli.runs import logs, target, wait

from tests.support.command import Jobyard
from tests.support.fake_airflow import FakeAirflow, served

JOB = """\
apiVersion: jobyard/v1
schedule: "0 2 * * *"
timezone: Asia/Jakarta
params:
  full: {type: boolean, default: false}
  rows: 3
tasks:
  train: {image: inference}
"""
BY_HAND = "apiVersion: jobyard/v1\nschedule: null\ntasks: {train: {image: inference}}\n"
FIRST, SECOND = "2026-11-19T19:00:00+00:00", "2026-11-20T19:00:00+00:00"
"""The logical dates of the days 2026-11-20 and 2026-11-21 in Jakarta."""
RUN = f"scheduled__{SECOND}"


@pytest.fixture(params=[2, 3])
def airflow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """Has the job `score` with one run, and another team's."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"JOBYARD_AIRFLOW_{name}", raising=False)
    monkeypatch.setattr(target, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(wait, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(wait, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(logs, "PAUSE_SECONDS", 0.0)
    fake = FakeAirflow(request.param, {"risk.score": False, "risk.hand": False, "care.score": False})
    fake.add_run("care.score", "manual__care", "2026-11-21T00:00:00+00:00")
    fake.add_run(
        "risk.score",
        RUN,
        SECOND,
        run_type="scheduled",
        state="failed",
        start_date="2026-11-21T19:00:00Z",
        end_date="2026-11-21T20:02:03Z",
        data_interval_start=SECOND,
        data_interval_end="2026-11-21T19:00:00Z",
    )
    fake.add_task(RUN, "train", "failed", 2)
    fake.add_task(RUN, "fold", "upstream_failed", 0, 0)
    fake.add_task(RUN, "fold", "upstream_failed", 0, 1)
    with served(fake):
        yield fake


@pytest.fixture
def ask(airflow: FakeAirflow, jobyard: Jobyard, add_job: Callable[..., Path]) -> Jobyard:
    """A command, at that Airflow."""
    add_job("score", JOB)
    add_job("hand", BY_HAND)
    add_job("fresh")

    def run(command: str, *arguments: str) -> tuple[int, str, str]:
        return jobyard(command, "--airflow-url", airflow.url, *arguments)

    return run


def test_the_newest_runs_of_the_team_are_shown(airflow: FakeAirflow, ask: Jobyard) -> None:
    kind = "dataset_triggered" if airflow.generation == 2 else "asset_triggered"
    airflow.add_run("risk.hand", "assets__1", None, run_type=kind, state="running")
    code, out, err = ask("runs")
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        ["JOB", "RUN", "KIND", "DAY", "STATE", "START", "DURATION"],
        ["hand", "assets__1", "asset", "-", "running", "-", "-"],
        ["score", RUN, "scheduled", "2026-11-21", "02:00", "failed", "2026-11-22", "02:00", "1h02m"],
    ]
    assert ask("runs", "score", "--state", "success") == (0, "no runs\n", "")
    assert RUN in ask("runs", "--limit", "1", "--state", "failed")[1]


def test_a_run_is_shown_with_its_tasks(ask: Jobyard) -> None:
    code, out, _ = ask("runs", "score", RUN)
    assert code == 0
    assert out.splitlines() == [
        f"run {RUN} of score: scheduled, of 2026-11-21 02:00 WIB, failed",
        "TASK     STATE            TRY  START             DURATION",
        "train    failed           2    2026-11-21 02:00  3m20s",
        "fold[0]  upstream_failed  -    -                 -",
        "fold[1]  upstream_failed  -    -                 -",
    ]


def test_runs_are_json_for_a_program(ask: Jobyard) -> None:
    (run,) = json.loads(ask("runs", "score", "--format", "json")[1])["runs"]
    assert (run["run"], run["state"], run["seconds"]) == (RUN, "failed", 3723.0)
    whole = json.loads(ask("runs", "score", RUN, "--format", "json")[1])
    assert [(task["task"], task["map_index"], task["try"]) for task in whole["tasks"]] == [
        ("train", -1, 2),
        ("fold", 0, 0),
        ("fold", 1, 0),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["runs", "scorr"], 2, "unknown job 'scorr' (did you mean 'score'?"),
        (["runs", "fresh"], 1, "job 'fresh' is not released yet: "),
        (["runs", "score", RUN[:-1]], 2, f"job 'score' has no run '{RUN[:-1]}' (did you mean '{RUN}'?)"),
        (["logs", "score", "trian"], 2, f"unknown task 'trian' (did you mean 'train'? run {RUN} has: fold, train)"),
        (["logs", "score", "fold"], 2, "task fold has 2 instances: choose one with --map-index (0 to 1)"),
        (["logs", "score", "fold", "--map-index", "2"], 2, "task fold has no instance 2: --map-index may be 0 to 1"),
        (["logs", "score", "train", "--map-index", "0"], 2, "task train has no foreach: leave --map-index out"),
        (["logs", "score", "fold", "--map-index", "0"], 1, f"task fold[0] of run {RUN} has not started"),
        (["logs", "score", "train", "--try", "3"], 2, f"task train of run {RUN} has had 2 tries; got --try 3"),
        (["logs", "hand", "train"], 1, "job 'hand' has no run yet: `jobyard trigger hand` starts one"),
        (["trigger", "score", "--day", "20.11.2026"], 2, "--day must be a date such as 2026-11-20; got '20.11.2026'"),
        (["trigger", "score", "--day", "2025-11-20"], 2, "the job starts on 2026-01-01 (`start_date`)"),
        (
            ["trigger", "score", "--day", "2126-11-20"],
            2,
            "the data interval of 2126-11-20 is not over",
        ),
        (["backfill", "hand", "--from", "2026-11-20", "--to", "2026-11-21"], 2, "job 'hand' has no cron schedule"),
        (
            ["backfill", "score", "--from", "2026-11-21", "--to", "2026-11-20"],
            2,
            "--to must not be before --from; got --from 2026-11-21 --to 2026-11-20",
        ),
        (["clear", "score", "trian", "--run", RUN], 2, "unknown task 'trian' (did you mean 'train'?"),
        (["clear", "score", "--run", RUN, "--downstream"], 2, "--downstream needs a TASK"),
    ],
)
def test_a_mistake_is_named_with_what_would_be_right(
    airflow: FakeAirflow, ask: Jobyard, arguments: list[str], code: int, message: str
) -> None:
    ended = ask(*arguments)
    assert ended[:2] == (code, "")
    assert ended[2].startswith(message)
    assert airflow.posts("/dagRuns") == airflow.posts("backfills") == []


def test_all_mistakes_are_named_at_once(ask: Jobyard) -> None:
    code, _, err = ask("trigger", "score", "--param", "rows=x", "--param", "ful=true", "--param", "full")
    assert code == 2
    assert err.splitlines() == [
        "--param must be NAME=VALUE; got 'full'",
        "--param rows: 'x' is not of type 'integer'",
        "unknown parameter 'ful' (did you mean 'full'? the job has: full, rows)",
    ]
    _, _, err = ask("backfill", "score", "--from", "yesterday", "--to", "2026-11-31")
    assert err.splitlines() == [
        "--from must be a date such as 2026-11-20; got 'yesterday'",
        "--to must be a date such as 2026-11-20; got '2026-11-31'",
    ]


def test_without_an_airflow_the_options_are_named(jobyard: Jobyard) -> None:
    message = "give --environment, or the address of Airflow with --airflow-url\n"
    assert jobyard("runs") == (2, "", message)


def test_an_airflow_that_is_away_is_named(jobyard: Jobyard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "PATIENCE_SECONDS", 0.0)
    code, _, err = jobyard("runs", "--airflow-url", "http://127.0.0.1:9")
    assert code == 1
    assert err.startswith("Airflow at http://127.0.0.1:9 can't be reached: ")


@pytest.mark.parametrize(
    ("arguments", "path", "permission", "role"),
    [
        (["runs", "score"], "dagRuns/list", "can_read on DAGs, DAG Runs, Task Instances and Task Logs", "Viewer"),
        (["runs", "score"], "dags/risk.score", "can_read on DAGs", "Viewer"),
        (["trigger", "hand"], "risk.hand/dagRuns", "can_create on DAG Runs and can_edit on the DAG", "User"),
        (
            ["clear", "score", "--run", RUN],
            "clearTaskInstances",
            "can_edit on DAG Runs, on Task Instances and on the DAG",
            "User",
        ),
    ],
)
def test_what_is_not_permitted_is_named(
    airflow: FakeAirflow, ask: Jobyard, arguments: list[str], path: str, permission: str, role: str
) -> None:
    airflow.forbidden.add(path)
    code, _, err = ask(*arguments)
    assert code == 1
    assert f"this needs the Airflow permission {permission}" in err
    assert f"IAM must allow airflow:InvokeRestApi on role/<environment>/{role}," in err


def test_the_log_of_the_newest_try_is_shown(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.logs = {(RUN, "train", -1, 1): ["first try"], (RUN, "train", -1, 2): ["epoch 0", "epoch 1"]}
    assert ask("logs", "score", "train") == (0, "epoch 0\nepoch 1\n", "")
    assert ask("logs", "score", "train", "--try", "1", "--run", RUN) == (0, "first try\n", "")


def test_a_log_is_followed_through_its_tries_until_the_task_has_failed(airflow: FakeAirflow, ask: Jobyard) -> None:
    (task,) = [task for task in airflow.tasks[RUN] if task["task_id"] == "train"]
    task.update(state="running", try_number=1)
    lines = airflow.logs[(RUN, "train", -1, 1)] = ["epoch 0"]
    answer, polls = airflow.answer, 0

    def go_on(method: str, path: str, query: object, body: object) -> object:
        nonlocal polls
        if path.endswith("taskInstances/list"):
            polls += 1
            if polls == 3:
                lines.append("epoch 1")
            elif polls == 4:
                task.update(state="up_for_retry")
            elif polls == 5:
                task.update(state="failed", try_number=2)
                airflow.logs[(RUN, "train", -1, 2)] = ["epoch 0", "no rows"]
        return answer(method, path, query, body)  # type: ignore[arg-type]

    airflow.answer = go_on  # type: ignore[method-assign, assignment]
    code, out, err = ask("logs", "score", "train", "-f")
    assert (code, out.splitlines()) == (1, ["epoch 0", "epoch 1", "epoch 0", "no rows"])
    assert err.splitlines() == ["train: try 2", "train: failed"]


def test_a_log_that_was_not_there_at_first_is_shown_whole(airflow: FakeAirflow, ask: Jobyard) -> None:
    (task,) = [task for task in airflow.tasks[RUN] if task["task_id"] == "train"]
    task.update(state="running", try_number=1)
    key = (RUN, "train", -1, 1)
    airflow.logs[key] = ["the worker does not answer"]

    def end() -> None:
        task.update(state="success")
        airflow.logs[key] = ["epoch 0", "epoch 1"]

    log = airflow.answer

    def after_the_first(method: str, path: str, query: object, body: object) -> object:
        answered = log(method, path, query, body)  # type: ignore[arg-type]
        if "/logs/" in path:
            end()
        return answered

    airflow.answer = after_the_first  # type: ignore[method-assign, assignment]
    code, out, _ = ask("logs", "score", "train", "--follow")
    assert (code, out.splitlines()) == (0, ["the worker does not answer", "epoch 0", "epoch 1"])


def test_a_run_of_a_day_is_started_with_its_interval_and_typed_params(airflow: FakeAirflow, ask: Jobyard) -> None:
    code, out, err = ask("trigger", "score", "--day", "2026-11-20", "--param", "full=true", "--param", "rows=5")
    assert (code, err) == (0, "")
    assert out.startswith(f"run manual__{FIRST} of score: manual, of 2026-11-20 02:00 WIB, queued\n")
    assert airflow.posts("/dagRuns") == [
        {
            "dag_run_id": f"manual__{FIRST}",
            "logical_date": FIRST,
            "data_interval_start": FIRST,
            "data_interval_end": SECOND,
            "conf": {"full": True, "rows": 5},
        }
    ]


def test_a_day_that_has_a_run_is_named_with_it(airflow: FakeAirflow, ask: Jobyard) -> None:
    code, _, err = ask("trigger", "score", "--day", "2026-11-21")
    assert code == 1
    assert err == (
        f"job 'score' has a run of that day: {RUN} (failed). To run it again: `jobyard clear score --run '{RUN}'`\n"
    )


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_run_is_waited_for(airflow: FakeAirflow, ask: Jobyard, state: str) -> None:
    def begin() -> None:
        airflow.add_task(airflow.runs[-1]["dag_run_id"], "train", "running")

    def end() -> None:
        airflow.tasks[airflow.runs[-1]["dag_run_id"]][0]["state"] = state
        airflow.runs[-1]["state"] = state

    airflow.then = [begin, end]
    code, out, _ = ask("trigger", "hand", "--wait")
    assert code == (1 if state == "failed" else 0)
    run = airflow.runs[-1]["dag_run_id"]
    assert out.splitlines()[1:] == ["train running", f"train {state}", f"run {run}: {state}"]


def test_a_paused_job_is_not_started_unless_it_may_be_unpaused(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.dags["risk.hand"] = True
    code, _, err = ask("trigger", "hand")
    assert (code, airflow.posts("/dagRuns")) == (1, [])
    assert err.startswith("job 'hand' is paused in Airflow: a run would wait until somebody unpauses risk.hand.")
    assert ask("trigger", "hand", "--unpause")[0] == 0
    assert not airflow.dags["risk.hand"]


def test_a_run_whose_answer_is_lost_is_found_and_not_started_twice(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.lose.add("risk.hand/dagRuns")
    code, out, _ = ask("trigger", "hand")
    assert code == 0
    assert out.startswith("run manual__")
    assert len(airflow.posts("/dagRuns")) == 1


def test_a_run_of_which_nothing_is_known_is_not_started_twice(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.refuse["risk.hand/dagRuns"] = (504, {"detail": "late"})
    code, _, err = ask("trigger", "hand")
    assert (code, len(airflow.posts("/dagRuns"))) == (1, 1)
    assert "is not known: nothing was sent twice; look with `jobyard runs hand` before you repeat it" in err


def test_params_that_airflow_refuses_are_told(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.refuse["risk.hand/dagRuns"] = (400, {"detail": "Invalid input for param rows"})
    code, _, err = ask("trigger", "hand")
    assert code == 1
    assert "Invalid input for param rows" in err


def test_a_backfill_says_what_becomes_of_each_day(airflow: FakeAirflow, ask: Jobyard) -> None:
    days = ["--from", "2026-11-20", "--to", "2026-11-21"]
    code, out, _ = ask("backfill", "score", *days, "--reprocess", "failed", "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "2026-11-20 02:00  a new run",
        f"2026-11-21 02:00  run {RUN} is cleared (failed)",
        "2 runs to start",
    ]
    assert airflow.posts("/dagRuns") == airflow.backfills == []


def test_a_backfill_is_started_and_waited_for(airflow: FakeAirflow, ask: Jobyard) -> None:
    def end() -> None:
        for run in airflow.runs:
            run["state"] = "success"

    airflow.then = [lambda: None, lambda: None, end]
    days = ["--from", "2026-11-20", "--to", "2026-11-21"]
    code, out, err = ask("backfill", "score", *days, "--reprocess", "completed", "--wait")
    assert (code, err) == (0, "")
    assert out.endswith("2 succeeded, 0 failed\n")
    if airflow.generation == 3:
        assert airflow.posts("backfills") == [
            {
                "dag_id": "risk.score",
                "from_date": "2026-11-20T00:00:00+07:00",
                "to_date": "2026-11-21T23:59:59+07:00",
                "reprocess_behavior": "completed",
            }
        ]
        return
    assert [body["logical_date"] for body in airflow.posts("/dagRuns")] == [FIRST]
    assert [body["dag_run_id"] for body in airflow.posts("clearTaskInstances")] == [RUN]


@pytest.mark.parametrize("airflow", [2], indirect=True)
def test_a_backfill_that_has_run_leaves_the_days_as_they_are(airflow: FakeAirflow, ask: Jobyard) -> None:
    days = ["--from", "2026-11-20", "--to", "2026-11-21"]
    assert ask("backfill", "score", *days)[0] == 0
    code, out, _ = ask("backfill", "score", *days)
    assert (code, len(airflow.posts("/dagRuns"))) == (0, 1)
    assert out.splitlines()[-1] == "nothing to run"
    assert ask("backfill", "score", "--from", "2025-11-20", "--to", "2026-11-21")[0] == 2


@pytest.mark.parametrize("airflow", [3], indirect=True)
def test_a_backfill_whose_answer_is_lost_is_created_once(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.lose.add("backfills")
    days = ["--from", "2026-11-20", "--to", "2026-11-21"]
    assert ask("backfill", "score", *days)[0] == 0
    assert len(airflow.posts("backfills")) == 1
    airflow.lose.clear()
    code, _, err = ask("backfill", "score", *days)
    assert code == 1
    assert "job 'score' has a backfill that has not ended" in err


def test_what_is_cleared_is_named_before(airflow: FakeAirflow, ask: Jobyard) -> None:
    code, out, _ = ask("clear", "score", "train", "--run", RUN, "--downstream", "--yes")
    assert code == 0
    assert out.splitlines() == [
        "will clear train failed (try 2)",
        "will clear fold[0] upstream_failed",
        "will clear fold[1] upstream_failed",
        f"cleared; follow it with `jobyard runs score '{RUN}'`",
    ]
    common = {"dag_run_id": RUN, "only_failed": False, "only_running": False, "reset_dag_runs": True}
    wanted = {**common, "include_downstream": True, "task_ids": ["train"]}
    assert airflow.posts("clearTaskInstances") == [{**wanted, "dry_run": True}, {**wanted, "dry_run": False}]


def test_nothing_is_cleared_without_an_answer(airflow: FakeAirflow, ask: Jobyard) -> None:
    code, out, err = ask("clear", "score", "--run", RUN)
    assert (code, len(out.splitlines())) == (2, 3)
    assert err == "standard input is not a terminal, so that nobody can be asked: add --yes\n"
    assert [body["dry_run"] for body in airflow.posts("clearTaskInstances")] == [True]


def test_only_failed_tasks_are_cleared_if_asked(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.add_task(RUN, "report", "success")
    out = ask("clear", "score", "--run", RUN, "--failed-only", "--yes")[1]
    assert "report" not in out
    airflow.tasks[RUN] = [task for task in airflow.tasks[RUN] if task["state"] == "success"]
    assert ask("clear", "score", "--run", RUN, "--failed-only", "--yes")[1] == "nothing to clear\n"


def test_a_clearing_whose_answer_is_lost_is_not_repeated(airflow: FakeAirflow, ask: Jobyard) -> None:
    answer = airflow.answer

    def lose(method: str, path: str, query: object, body: object) -> object:
        if path.endswith("clearTaskInstances") and not body["dry_run"]:  # type: ignore[index]
            return 504, {"detail": "late"}
        return answer(method, path, query, body)  # type: ignore[arg-type]

    airflow.answer = lose  # type: ignore[method-assign, assignment]
    code, _, err = ask("clear", "score", "--run", RUN, "--yes")
    assert code == 1
    assert f"look with `jobyard runs score '{RUN}'` before you repeat it" in err
    assert [body["dry_run"] for body in airflow.posts("clearTaskInstances")] == [True, False]


def test_every_path_but_a_logs_is_as_short_as_mwaa_wants_it(airflow: FakeAirflow, ask: Jobyard) -> None:
    airflow.logs[(RUN, "train", -1, 2)] = ["line"]
    for arguments in (
        ["runs", "score", RUN],
        ["logs", "score", "train"],
        ["trigger", "hand"],
        ["clear", "score", "--run", RUN, "--yes"],
        ["backfill", "score", "--from=2026-11-20", "--to=2026-11-21"],
    ):
        assert ask(*arguments)[0] == 0, arguments
    assert {path for _, path, _ in airflow.asked if len(f"/{path}") > 64 and "/logs/" not in path} == set()


def test_mwaas_client_sends_each_call_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    assert aws.mwaa("us-east-1").meta.config.retries["total_max_attempts"] == 1


def test_mwaas_refusal_is_one_of_permission() -> None:
    from botocore.exceptions import ClientError
    from jobyard_cli.airflow.mwaa import MwaaTransport

    class Mwaa:
        def invoke_rest_api(self, **_: object) -> object:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "InvokeRestApi")

    with pytest.raises(AirflowPermissionError, match="the role needs airflow:InvokeRestApi on this environment"):
        MwaaTransport(Mwaa(), "prod").call("GET", "version")
