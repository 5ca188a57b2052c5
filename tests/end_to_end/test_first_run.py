"""The whole path on a platform that is up, in this order: what the demo left, then what a team and its platform meet.

The tests share one platform and go on from each other; the last ones kill it, repair it and take it away.
"""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from feature_generation.features import make_features
from jobyard_cli.demo import team_repo
from jobyard_cli.demo.commands import Told
from jobyard_cli.demo.data import raw_days
from jobyard_cli.demo.story import HISTORY_DAYS, SCORING
from jobyard_cli.local import argocd
from jobyard_cli.local.control_plane import Kubectl
from jobyard_cli.local.errors import CommandFailed
from jobyard_cli.local.nodes import PAUSE_IMAGE
from jobyard_cli.local.platform import AIRFLOW_BUCKET, DATA_BUCKET, LocalPlatform, build
from jobyard_cli.local.settings import cache_dir
from jobyard_cli.steps import Steps

Shown = Callable[[], AbstractContextManager[Steps]]
DAG = f"{team_repo.TEAM}.{SCORING}"
RELEASE = f"dags/{team_repo.TEAM}/jobs.json"


@pytest.fixture
def platform(told: Told) -> LocalPlatform:
    return told.story.platform


def read_table(platform: LocalPlatform, key: str) -> pd.DataFrame:
    body = platform.s3().get_object(Bucket=DATA_BUCKET, Key=key)["Body"].read()
    return pd.read_parquet(io.BytesIO(body))


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.1)


def day_before(day: str, days: int) -> str:
    return str(date.fromisoformat(day) - timedelta(days=days))


def run_to_its_end(platform: LocalPlatform, dag: str, run: str, timeout: float) -> list[dict[str, Any]]:
    return deque(platform.airflow.wait_for_run(dag, run, timeout), maxlen=1).pop()


def test_every_patient_of_the_day_has_a_prediction(told: Told) -> None:
    raw = dict(raw_days(told.story.today, HISTORY_DAYS))[date.fromisoformat(told.day)]
    patients = pd.read_csv(io.StringIO(raw))
    predictions = told.story.predictions(told.day)
    assert list(predictions.columns) == ["patient_id", "probability", "prediction", "model_dt"]
    assert sorted(predictions["patient_id"]) == sorted(patients["patient_id"])
    assert predictions["probability"].between(0, 1).all()
    sick = predictions.merge(patients, on="patient_id")["diagnosis"] == "malignant"
    assert ((predictions.merge(patients, on="patient_id")["prediction"] == 1) == sick).mean() > 0.8


def test_the_job_makes_the_same_features_as_the_same_code_here(told: Told, platform: LocalPlatform) -> None:
    raw = dict(raw_days(told.story.today, HISTORY_DAYS))[date.fromisoformat(told.day)]
    here = make_features(pd.read_csv(io.StringIO(raw)))
    there = read_table(platform, f"feature-store/{team_repo.TEAM}/consultations/dt={told.day}/features.parquet")
    pd.testing.assert_frame_equal(there, here, check_dtype=False)


def test_airflow_reaches_the_cluster_as_the_team_and_no_further(platform: LocalPlatform) -> None:
    key = "dags/jobyard/kubeconfig.yaml"
    config = platform.s3().get_object(Bucket=AIRFLOW_BUCKET, Key=key)["Body"].read()
    parsed = yaml.safe_load(config)
    (context,) = parsed["contexts"]
    assert context["name"] == team_repo.TEAM
    assert context["context"]["namespace"] == f"team-{team_repo.TEAM}"
    path = platform.state / "airflow-kubeconfig.yaml"
    path.touch(mode=0o600)
    path.write_bytes(config)
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
        with pytest.raises(CommandFailed, match="(?i)forbidden"):
            airflow(*forbidden)


def test_a_backfill_scores_a_past_day(told: Told, platform: LocalPlatform) -> None:
    day = day_before(told.day, 4)
    key = f"predictions/{team_repo.TEAM}/consultations/dt={day}/predictions.parquet"
    assert "Contents" not in platform.s3().list_objects_v2(Bucket=DATA_BUCKET, Prefix=key)
    platform.airflow.backfill(DAG, f"{day}T00:00:00Z", f"{day}T23:59:59Z")
    (run,) = [run for run in platform.airflow.runs(DAG) if run["run_type"] == "backfill"]
    tasks = run_to_its_end(platform, DAG, run["dag_run_id"], timeout=120)
    assert {task["task_id"]: task["state"] for task in tasks} == {"features": "success", "inference": "success"}
    assert len(read_table(platform, key)) == len(told.story.predictions(told.day))


def test_a_broken_job_is_pointed_at_and_never_reaches_the_bucket(told: Told, platform: LocalPlatform) -> None:
    before = platform.s3().head_object(Bucket=AIRFLOW_BUCKET, Key=RELEASE)["VersionId"]
    file = told.tree / "dags" / SCORING / "job.yaml"
    right = file.read_text()
    file.write_text(right.replace("node_group: high-cpu", "node_group: high-cpus").replace("needs: [", "need: ["))
    try:
        with pytest.raises(CommandFailed) as caught:
            told.story.publish(told.tree)
    finally:
        file.write_text(right)
    message = str(caught.value)
    assert f"dags/{SCORING}/job.yaml:12:17: unknown node group 'high-cpus' (did you mean 'high-cpu'?" in message
    assert f"dags/{SCORING}/job.yaml:16:5: unknown key 'need'" in message
    assert "nothing was released" in message
    assert "Traceback" not in message
    assert platform.s3().head_object(Bucket=AIRFLOW_BUCKET, Key=RELEASE)["VersionId"] == before


def test_an_image_that_is_not_there_fails_its_task_with_the_pods_event(told: Told, platform: LocalPlatform) -> None:
    urls = json.loads(platform.airflow.call("GET", f"variables/jobyard_images_{team_repo.TEAM}")["value"])
    missing = f"{urls['feature-generation'].partition('@')[0]}@sha256:{'0' * 64}"
    platform.airflow.set_variable(
        f"jobyard_images_{team_repo.TEAM}", json.dumps({**urls, "feature-generation": missing})
    )
    try:
        run = platform.airflow.trigger(DAG, "missing-image", datetime.now(UTC).isoformat())
        tasks = run_to_its_end(platform, DAG, run, timeout=120)
    finally:
        platform.airflow.set_variable(f"jobyard_images_{team_repo.TEAM}", json.dumps(urls))
    assert {task["task_id"]: task["state"] for task in tasks} == {"features": "failed", "inference": "upstream_failed"}
    log = platform.airflow.log(DAG, run, "features")
    assert "Pod event: Failed: Failed to pull image" in log
    assert missing in log


def test_a_killed_platform_is_repaired_and_its_jobs_run(told: Told, platform: LocalPlatform, shown: Shown) -> None:
    for record in (platform.state / "run").glob("*.json"):
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: not any(platform.processes().values()))
    with shown() as steps:
        platform.up(build(platform.source, cache_dir(), steps), steps)
    assert all(platform.processes().values())
    assert all(application.settled for application in argocd.statuses(platform.kubectl))
    run = platform.airflow.trigger(DAG, "after-the-kill", datetime.now(UTC).isoformat())
    tasks = run_to_its_end(platform, DAG, run, timeout=180)
    assert {task["state"] for task in tasks} == {"success"}, platform.airflow.log(DAG, run, tasks[0]["task_id"])


def test_down_leaves_nothing_behind_even_while_a_pod_runs(platform: LocalPlatform) -> None:
    state, bridge = str(platform.state), platform.layout.bridge
    namespaces_before = _network_namespaces()
    platform.kubectl("create", "namespace", "somebody")
    platform.kubectl("wait", "--namespace=somebody", "--for=create", "serviceaccount/default", "--timeout=30s")
    platform.kubectl("run", "pause", "--namespace=somebody", f"--image={PAUSE_IMAGE}", "--image-pull-policy=Never")
    platform.kubectl("wait", "--namespace=somebody", "--for=condition=Ready", "pod/pause", "--timeout=60s")
    assert _processes_of(state)
    platform.down(purge=True)
    assert not _processes_of(state)
    assert not platform.state.exists()
    assert state not in Path("/proc/mounts").read_text()
    assert not Path("/sys/class/net", bridge).exists()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{bridge}"))
    assert _network_namespaces() == namespaces_before


def _network_namespaces() -> set[str]:
    folder = Path("/run/netns")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def _processes_of(state: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [line for line in found if f"{state}/" in line]
