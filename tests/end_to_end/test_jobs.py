"""Jobs whose tasks go by each other's results, as the team's data scientists add them: parallel training, a gate.

All are added first, so that their runs go on while the tests before them follow others.
"""

from __future__ import annotations

import ast
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pytest
import yaml
from feature_generation.features import MEASUREMENTS
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.data import raw_days
from jobyard_local.demo.story import HISTORY_DAYS, SCORING, SECONDS
from jobyard_local.platform import DATA_BUCKET, LocalPlatform
from jobyard_local.usage import PodUsage

from tests.end_to_end.following import (
    day_before,
    job_file,
    most_at_once,
    read_json,
    read_table,
    release,
    run_to_its_end,
)
from tests.support.waiting import wait_until

TEAM = team_repo.TEAM
PARALLEL, RETRAINING, LEAVING = "train-in-parallel", "retrain", "leave-results"
MODELS = f"models/{TEAM}/consultations-quality"
PATH = "/airflow/xcom/return.json"
LEFT = {
    "longest": """print('"' + 4093 * 'a', end='"')""",
    "too-long": """print('"' + 4094 * 'ä', end='"')""",
    "no-json": """print({'auc': 1})""",
}
"""Task to what its container runs, with its output going to the file for results."""


def job_that_leaves_results() -> str:
    """A job.yaml: a task for each of `LEFT`, and one that gets the result which is as long as may be."""
    tasks: dict[str, dict[str, Any]] = {
        name: {
            "image": "inference",
            "command": ["python", "-c", f"import sys; sys.stdout = open('{PATH}', 'w'); {code}"],
        }
        for name, code in LEFT.items()
    }
    tasks["reader"] = {
        "image": "inference",
        "needs": ["longest"],
        "command": ["python", "-c", "import sys; print(len(sys.argv[1]), 'characters arrived')"],
        "args": ["{{ outputs.longest }}"],
    }
    bad = [name for name in LEFT if name != "longest"]
    used = " ".join(f"{{{{ outputs['{name}'] }}}}" for name in bad)
    tasks["never"] = {"image": "inference", "needs": bad, "args": [used]}
    defaults = {"retries": {"attempts": 0}, "resources": {"cpu": "100m", "memory": "128Mi"}}
    # YAML is a superset of JSON.
    return json.dumps({"apiVersion": "jobyard/v1", "schedule": None, "defaults": defaults, "tasks": tasks}, indent=1)


@pytest.fixture(scope="module")
def pods(demo: FinishedDemo) -> Iterator[Mapping[str, PodUsage]]:
    """Every pod of the team from here on."""
    with demo.story.watch() as watcher:
        yield watcher.pods


@pytest.fixture(scope="module", autouse=True)
def runs(demo: FinishedDemo, pods: Mapping[str, PodUsage]) -> dict[str, str]:
    """The jobs, added and started: job to run."""
    airflow = demo.story.platform.airflow
    job_file(demo, LEAVING).parent.mkdir()
    job_file(demo, LEAVING).write_text(job_that_leaves_results())
    demo.story.add_job(demo.tree, PARALLEL, "parallel-training")
    started = {PARALLEL: airflow.trigger(f"{TEAM}.{PARALLEL}", "settings", f"{demo.day}T00:00:00Z")}
    demo.story.add_job(demo.tree, RETRAINING, "retrain-on-drift")
    # Its schedule is a clock's: Airflow starts the run of the last day by itself.
    started[RETRAINING] = airflow.wait_for_first_run(f"{TEAM}.{RETRAINING}", SECONDS)["dag_run_id"]
    started[LEAVING] = airflow.trigger(f"{TEAM}.{LEAVING}", "results", None)
    return started


def test_a_training_for_each_setting_two_at_a_time_and_the_best_one_scores(
    demo: FinishedDemo, platform: LocalPlatform, runs: dict[str, str], pods: Mapping[str, PodUsage]
) -> None:
    tasks = run_to_its_end(platform, f"{TEAM}.{PARALLEL}", runs[PARALLEL])
    assert {task["state"] for task in tasks} == {"success"}
    settings = yaml.safe_load(job_file(demo, PARALLEL).read_text())["tasks"]["train"]["foreach"]
    items = [ast.literal_eval(task["rendered_map_index"]) for task in tasks if task["task_id"] == "train"]
    assert {item["name"]: item for item in items} == {setting["name"]: setting for setting in settings}
    trainings = [pod for pod in pods.values() if (pod.job, pod.task) == (PARALLEL, "train")]
    assert len(trainings) == len(settings)
    # Two at once, unless a busy machine starts one when another has ended; tests/dags/live counts them.
    assert most_at_once(trainings) <= 2
    trained = [read_json(platform, f"{MODELS}-{setting['name']}/latest.json") for setting in settings]
    assert len({pointer["auc"] for pointer in trained}) > 1
    assert demo.story.model() == max(trained, key=lambda pointer: pointer["auc"])
    assert demo.story.model()["dt"] == demo.day


def test_a_result_that_is_too_long_or_none_fails_its_task_with_the_reason(
    platform: LocalPlatform, runs: dict[str, str]
) -> None:
    dag, run = f"{TEAM}.{LEAVING}", runs[LEAVING]
    states = {task["task_id"]: task["state"] for task in run_to_its_end(platform, dag, run)}
    bad = [name for name in LEFT if name != "longest"]
    assert {name: states[name] for name in bad} == dict.fromkeys(bad, "failed")
    assert (states["longest"], states["reader"], states["never"]) == ("success", "success", "upstream_failed")
    assert "4093 characters arrived" in platform.airflow.log(dag, run, "reader")
    logs = {name: platform.airflow.log(dag, run, name) for name in bad}
    assert f"the output in {PATH} must be smaller than 4096 bytes; store larger data in S3" in logs["too-long"]
    assert f"the output in {PATH} is not JSON: Expecting property name" in logs["no-json"]
    assert "it begins \"{'auc': 1}" in logs["no-json"]


def test_without_drift_the_training_is_skipped_and_has_no_pod(
    demo: FinishedDemo, platform: LocalPlatform, runs: dict[str, str], pods: Mapping[str, PodUsage]
) -> None:
    dag, run = f"{TEAM}.{RETRAINING}", runs[RETRAINING]
    tasks = run_to_its_end(platform, dag, run)
    assert {task["task_id"]: task["state"] for task in tasks} == {
        "features": "success",
        "drift": "success",
        "train": "skipped",
        "score": "skipped",
    }
    assert "Gate: drift.psi is " in (log := platform.airflow.log(dag, run, "train"))
    assert "wanted: above 0.2" in log
    assert sorted(pod.task for pod in pods.values() if pod.job == RETRAINING) == ["drift", "features"]


def test_with_drift_a_job_after_another_trains_for_that_jobs_day(demo: FinishedDemo, platform: LocalPlatform) -> None:
    airflow, dag = platform.airflow, f"{TEAM}.{RETRAINING}"
    day = day_before(str(demo.story.today), 12)
    assert demo.story.model()["dt"] > day
    land_larger_measurements(demo, platform, day)
    file = job_file(demo, RETRAINING)
    by_clock = next(line for line in file.read_text().splitlines() if line.startswith("schedule:"))
    file.write_text(file.read_text().replace(by_clock, f"schedule: {{after: [{TEAM}.{SCORING}]}}"))
    release(demo, "Look for drift whenever scores are there")
    wait_until(lambda: "Asset" in str(airflow.call("GET", f"dags/{dag}")["timetable_summary"]))
    airflow.backfill(f"{TEAM}.{SCORING}", f"{day}T00:00:00Z", f"{day}T23:59:59Z")
    wait_until(lambda: len(airflow.runs(dag)) == 2)
    (run,) = [run["dag_run_id"] for run in airflow.runs(dag) if run["run_type"] == "asset_triggered"]
    tasks = run_to_its_end(platform, dag, run)
    assert {task["state"] for task in tasks} == {"success"}
    assert demo.story.model()["dt"] > day
    model = read_json(platform, f"{MODELS}/by-day/dt={day}.json")
    assert model["days"] == [day_before(day, back) for back in range(6, -1, -1)]
    assert model["model"] == f"{MODELS}/dt={day}/model.ubj"
    predictions = read_table(platform, f"predictions/{TEAM}/consultations/dt={day}/predictions.parquet")
    assert set(predictions["model_dt"]) == {day}


def land_larger_measurements(demo: FinishedDemo, platform: LocalPlatform, last: str) -> None:
    """The raw rows of the week up to a day once more, as from a microscope that magnifies by half more."""
    raw = {str(day): text for day, text in raw_days(demo.story.today, HISTORY_DAYS)}
    for day in (day_before(last, back) for back in range(7)):
        rows = pd.read_csv(io.StringIO(raw[day]))
        rows[list(MEASUREMENTS)] *= 1.5
        key = f"raw/{TEAM}/consultations/dt={day}/rows.csv"
        platform.s3().put_object(Bucket=DATA_BUCKET, Key=key, Body=rows.to_csv(index=False).encode())
