"""The whole path on a platform that is up, in this order: what the demo left, then what a team and its platform meet.

The tests go on from each other.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime

import pandas as pd
import pytest
import yaml
from feature_generation.features import make_features
from jobyard_cli.platform.teams import PLATFORM_TEAM
from jobyard_cli.system.errors import ProgramError
from jobyard_local.control_plane import Kubectl, write_private
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.data import raw_days
from jobyard_local.demo.story import HISTORY_DAYS, LARGE, SCORING
from jobyard_local.platform import AIRFLOW_BUCKET, DATA_BUCKET, LocalPlatform

from tests.end_to_end.following import day_before, read_table, run_to_its_end

DAG = f"{team_repo.TEAM}.{SCORING}"
RELEASE = f"dags/{team_repo.TEAM}/jobs.json"


def test_every_patient_of_the_day_has_a_prediction(demo: FinishedDemo) -> None:
    raw = dict(raw_days(demo.story.today, HISTORY_DAYS))[date.fromisoformat(demo.day)]
    patients = pd.read_csv(io.StringIO(raw))
    predictions = demo.story.predictions(demo.day)
    assert list(predictions.columns) == ["patient_id", "probability", "prediction", "model_dt"]
    assert sorted(predictions["patient_id"]) == sorted(patients["patient_id"])
    assert predictions["probability"].between(0, 1).all()
    sick = predictions.merge(patients, on="patient_id")["diagnosis"] == "malignant"
    assert ((predictions.merge(patients, on="patient_id")["prediction"] == 1) == sick).mean() > 0.8


def test_the_job_makes_the_same_features_as_the_same_code_here(demo: FinishedDemo, platform: LocalPlatform) -> None:
    raw = dict(raw_days(demo.story.today, HISTORY_DAYS))[date.fromisoformat(demo.day)]
    here = make_features(pd.read_csv(io.StringIO(raw)))
    there = read_table(platform, f"feature-store/{team_repo.TEAM}/consultations/dt={demo.day}/features.parquet")
    pd.testing.assert_frame_equal(there, here, check_dtype=False)


def test_machines_came_for_the_large_tasks_and_went_when_nothing_ran_on_them(demo: FinishedDemo) -> None:
    group = demo.story.platform.node_groups["high-memory"]
    assert {machine.node_group for machine in demo.machines} == {"high-memory"}
    assert {machine.instance_type for machine in demo.machines} <= {*group["instanceTypes"]}
    assert all(machine.seconds for machine in demo.machines)
    tasks = demo.story.platform.airflow.tasks(f"{team_repo.TEAM}.{LARGE}", f"first-{LARGE}")
    trained = [task for task in tasks if task["task_id"] == "train"]
    assert [(task["state"], task["try_number"]) for task in trained] == [("success", 1)] * 6


def test_airflow_reaches_the_cluster_as_the_team_and_no_further(platform: LocalPlatform) -> None:
    key = "dags/jobyard/kubeconfig.yaml"
    config = platform.s3().get_object(Bucket=AIRFLOW_BUCKET, Key=key)["Body"].read()
    parsed = yaml.safe_load(config)
    namespaces = {context["name"]: context["context"]["namespace"] for context in parsed["contexts"]}
    assert namespaces == {team: f"team-{team}" for team in (PLATFORM_TEAM, team_repo.TEAM)}
    path = platform.state / "airflow-kubeconfig.yaml"
    write_private(path, yaml.safe_dump({**parsed, "current-context": team_repo.TEAM}))
    airflow = Kubectl(platform.layout, path)
    airflow("get", "pods")
    for forbidden in (
        ["get", "pods", "--namespace=kube-system"],
        ["get", "nodes"],
        ["get", "secrets"],
        ["get", "secrets", "--all-namespaces"],
        ["create", "serviceaccount", "another"],
        ["create", "clusterrolebinding", "me", "--clusterrole=cluster-admin", "--user=airflow"],
    ):
        with pytest.raises(ProgramError, match="(?i)forbidden"):
            airflow(*forbidden)


def test_a_backfill_scores_a_past_day(demo: FinishedDemo, platform: LocalPlatform) -> None:
    day = day_before(demo.day, 4)
    key = f"predictions/{team_repo.TEAM}/consultations/dt={day}/predictions.parquet"
    assert "Contents" not in platform.s3().list_objects_v2(Bucket=DATA_BUCKET, Prefix=key)
    platform.airflow.backfill(DAG, f"{day}T00:00:00Z", f"{day}T23:59:59Z")
    (run,) = [run for run in platform.airflow.runs(DAG) if run["run_type"] == "backfill"]
    tasks = run_to_its_end(platform, DAG, run["dag_run_id"])
    assert {task["task_id"]: task["state"] for task in tasks} == {"features": "success", "inference": "success"}
    assert len(read_table(platform, key)) == len(demo.story.predictions(demo.day))


def test_a_broken_job_is_pointed_at_and_never_reaches_the_bucket(demo: FinishedDemo, platform: LocalPlatform) -> None:
    before = platform.s3().head_object(Bucket=AIRFLOW_BUCKET, Key=RELEASE)["VersionId"]
    file = demo.tree / "dags" / SCORING / "job.yaml"
    right = file.read_text()
    file.write_text(right.replace("node_group: high-cpu", "node_group: high-cpus").replace("needs: [", "need: ["))
    try:
        with pytest.raises(ProgramError) as caught:
            demo.story.publish(demo.tree)
    finally:
        file.write_text(right)
    message = str(caught.value)
    assert f"dags/{SCORING}/job.yaml:12:17: unknown node group 'high-cpus' (did you mean 'high-cpu'?" in message
    assert f"dags/{SCORING}/job.yaml:16:5: unknown key 'need'" in message
    assert "nothing was released" in message
    assert "Traceback" not in message
    assert platform.s3().head_object(Bucket=AIRFLOW_BUCKET, Key=RELEASE)["VersionId"] == before


def test_an_image_that_is_not_there_fails_its_task_with_the_pods_event(
    demo: FinishedDemo, platform: LocalPlatform
) -> None:
    urls = json.loads(platform.airflow.call("GET", f"variables/jobyard_images_{team_repo.TEAM}")["value"])
    missing = f"{urls['feature-generation'].partition('@')[0]}@sha256:{'0' * 64}"
    platform.airflow.set_variable(
        f"jobyard_images_{team_repo.TEAM}", json.dumps({**urls, "feature-generation": missing})
    )
    try:
        run = platform.airflow.trigger(DAG, "missing-image", datetime.now(UTC).isoformat())
        tasks = run_to_its_end(platform, DAG, run)
    finally:
        platform.airflow.set_variable(f"jobyard_images_{team_repo.TEAM}", json.dumps(urls))
    assert {task["task_id"]: task["state"] for task in tasks} == {"features": "failed", "inference": "upstream_failed"}
    log = platform.airflow.log(DAG, run, "features")
    assert "Pod event: Failed: Failed to pull image" in log
    assert missing in log
