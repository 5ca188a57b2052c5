"""What the platform's own job collected of the demo: true figures, in tables that nobody else may change."""

from __future__ import annotations

import io
import json

import polars as pl
import pytest
import requests
from botocore.exceptions import ClientError
from jobyard_local import airflow, metrics, services
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import LARGE, SCORING, TRAINING
from jobyard_local.demo.team_repo import TEAM
from jobyard_local.platform import LocalPlatform

from tests.end_to_end.following import day_before, run_to_its_end

TASKS = {(TRAINING, "features"), (TRAINING, "train"), (SCORING, "features"), (SCORING, "inference")}
LARGE_TASKS = 6
"""Instances of the demo's job for large machines. These are simulated, and no kubelet has its pods."""


def read(platform: LocalPlatform, name: str) -> bytes:
    body: bytes = platform.s3().get_object(Bucket=metrics.BUCKET, Key=f"metrics/{name}")["Body"].read()
    return body


def of_real_machines(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of the team's jobs but for that for large machines."""
    return table.filter(pl.col("team") == TEAM, pl.col("job") != LARGE)


@pytest.fixture(scope="module")
def tables(demo: FinishedDemo) -> dict[str, pl.DataFrame]:
    """The tables of the day on which the demo ran, by name."""
    platform = demo.story.platform
    manifest = json.loads(read(platform, f"days/{demo.story.today}.json"))
    assert manifest["counts"] == {"tries_without_pod": 0}
    return {
        name: pl.read_parquet(io.BytesIO(read(platform, entry["file"]))) for name, entry in manifest["tables"].items()
    }


def test_every_task_of_the_demo_has_its_run_try_and_pod(tables: dict[str, pl.DataFrame]) -> None:
    runs = tables["runs"].filter(pl.col("team") == TEAM)
    assert set(runs.select("job", "state").rows()) == {(job, "success") for job in (LARGE, SCORING, TRAINING)}
    assert runs.height == 3
    for name in ("tries", "pods"):
        rows = of_real_machines(tables[name])
        assert set(rows.select("job", "task").rows()) == TASKS, name
        assert rows.height == len(TASKS), name
        assert tables[name].filter(pl.col("job") == LARGE).height == LARGE_TASKS, name
    assert tables["replaced_pods"].filter(pl.col("team") == TEAM).height == 0
    # Also where the triggerer follows the pod: from before its container started until after it has ended.
    lives = tables["tries"].join(tables["pods"], on=["team", "job", "run_id", "task", "map_index", "try_number"])
    assert of_real_machines(lives).select(
        whole=(pl.col("started") < pl.col("started_right")) & (pl.col("ended") >= pl.col("ended_right")),
        queued=pl.col("queued").is_null() | (pl.col("queued") <= pl.col("started")),
    ).rows() == [(True, True)] * len(TASKS)


def test_the_peaks_are_those_of_the_kernel(demo: FinishedDemo, tables: dict[str, pl.DataFrame]) -> None:
    """Beside what the demo read from the kubelets' cgroups ten times a second."""
    watched = {pod.uid: pod for pod in demo.pods}
    pods = of_real_machines(tables["pods"])
    assert all(samples >= 1 for samples in pods["samples"])
    assert all(seconds > 0 for seconds in pods["cpu_seconds"])
    peaks = {uid: (peak, watched[uid].peak_bytes) for uid, peak in pods.select("uid", "memory_peak").rows()}
    # Prometheus never has more than the kernel, and of pods that ended between two samples less: cAdvisor looks less
    # often at a pod that was idle for a while, as one whose image is pulled.
    assert all(peak <= kernel for peak, kernel in peaks.values()), peaks
    near = [uid for uid, (peak, kernel) in peaks.items() if peak >= 0.98 * kernel]
    assert len(near) >= len(TASKS) - 1, peaks


def test_pods_that_no_kubelet_had_are_counted_and_have_no_usage(tables: dict[str, pl.DataFrame]) -> None:
    pods = tables["pods"].filter(pl.col("job") == LARGE)
    assert set(pods["samples"]) == {0}
    assert pods["memory_peak"].null_count() == LARGE_TASKS
    assert set(pods["node_group"]) == {"high-memory"}


def test_what_the_machines_cost_is_what_pods_cost_and_what_was_idle(tables: dict[str, pl.DataFrame]) -> None:
    pods, nodes = tables["pods"], tables["nodes"]
    assert nodes["cost"].null_count() == 0
    assert all(cost > 0 for cost in pods["cost"])
    assert sum(pods["cost"]) + sum(nodes["idle"]) == sum(nodes["cost"])


def test_the_models_figures_are_kept_though_no_task_uses_them(
    demo: FinishedDemo, tables: dict[str, pl.DataFrame]
) -> None:
    trained = tables["models"].filter(pl.col("job") == TRAINING, pl.col("task") == "train")
    figures = dict(trained.select("name", "value").rows())
    assert figures["auc"] == pytest.approx(demo.model["auc"])


def test_everyone_reads_the_page_and_nothing_else(platform: LocalPlatform) -> None:
    url = metrics.page_url(platform.layout)
    page = requests.get(url, timeout=60)
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    script = requests.get(url.replace("index.html", f"data/teams/{TEAM}.js"), timeout=60)
    assert script.status_code == 200
    assert SCORING in script.text
    secret = requests.get(url.replace("page/index.html", f"teams/{TEAM}/advice.json"), timeout=60)
    assert secret.status_code == 403


def test_teams_pods_can_neither_read_nor_change_what_was_collected(platform: LocalPlatform, demo: FinishedDemo) -> None:
    client = services.s3_client(platform.layout, platform.job_credentials)
    key = f"metrics/days/{demo.story.today}.json"
    for attack in (
        lambda: client.get_object(Bucket=metrics.BUCKET, Key=key),
        lambda: client.put_object(Bucket=metrics.BUCKET, Key=key, Body=b"{}"),
        lambda: client.delete_object(Bucket=metrics.BUCKET, Key=key),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            attack()


def test_the_jobs_key_changes_no_release_and_no_data(platform: LocalPlatform) -> None:
    client = services.s3_client(platform.layout, platform.metrics_credentials)
    for bucket, key in (
        ("jobyard-airflow", f"dags/{TEAM}/jobs.json"),
        ("jobyard-airflow", "dags/jobyard/__init__.py"),
        ("jobyard-data", f"models/{TEAM}/consultations-quality/latest.json"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=bucket, Key=key, Body=b"{}")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_object(Bucket="jobyard-airflow", Key="dags/jobyard/kubeconfig.yaml")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.get_object(Bucket="jobyard-data", Key=f"models/{TEAM}/consultations-quality/latest.json")


def test_pods_reach_an_airflow_that_lets_the_job_read_alone(platform: LocalPlatform) -> None:
    url = platform.layout.airflow_url_for_pods
    assert requests.get(f"{url}/api/v2/dags", timeout=60).status_code == 401
    assert requests.get(f"{url}/auth/token", timeout=60).status_code in (401, 403)
    login = {"username": airflow.READER, "password": airflow.reader_password(platform.layout)}
    token = requests.post(f"{url}/auth/token", json=login, timeout=60).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    dag = f"{url}/api/v2/dags/{TEAM}.{SCORING}"
    assert requests.get(dag, headers=headers, timeout=60).status_code == 200
    assert requests.patch(dag, headers=headers, json={"is_paused": True}, timeout=60).status_code == 403
    run = {"dag_run_id": "attack", "logical_date": None}
    assert requests.post(f"{dag}/dagRuns", headers=headers, json=run, timeout=60).status_code == 403
    for path in ("variables", "connections"):
        changed = requests.post(f"{url}/api/v2/{path}", headers=headers, json={"key": "a", "value": "b"}, timeout=60)
        assert changed.status_code == 403, path


def test_airflows_own_backfill_collects_a_past_day(platform: LocalPlatform, demo: FinishedDemo) -> None:
    day = day_before(str(demo.story.today), 3)
    platform.airflow.backfill(metrics.DAG, f"{day}T00:00:00Z", f"{day}T23:59:59Z")
    (run,) = [run for run in platform.airflow.runs(metrics.DAG) if run["run_type"] == "backfill"]
    tasks = run_to_its_end(platform, metrics.DAG, run["dag_run_id"])
    assert [task["state"] for task in tasks] == ["success"]
    manifest = json.loads(read(platform, f"days/{day}.json"))
    assert manifest["complete"]
    assert manifest["tables"]["runs"]["rows"] == 0
