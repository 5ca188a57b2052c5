"""What end-to-end tests do to give a platform a job, and to follow what it does by itself."""

from __future__ import annotations

import io
import json
from collections import deque
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from jobyard_local.demo import team_repo
from jobyard_local.demo.commands import FinishedDemo
from jobyard_local.demo.story import SECONDS
from jobyard_local.platform import DATA_BUCKET, LocalPlatform
from jobyard_local.services import GitRepository
from jobyard_local.usage import PodUsage


def job_file(demo: FinishedDemo, job: str) -> Path:
    return demo.tree / "dags" / job / "job.yaml"


def release(demo: FinishedDemo, message: str) -> None:
    """What a merge of the work tree as it is does."""
    team_repo.commit(demo.tree, message)
    GitRepository(demo.story.platform.layout, team_repo.NAME).push(demo.tree)
    demo.story.publish(demo.tree)


def read_object(platform: LocalPlatform, key: str) -> bytes:
    return platform.s3().get_object(Bucket=DATA_BUCKET, Key=key)["Body"].read()


def read_table(platform: LocalPlatform, key: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(read_object(platform, key)))


def read_json(platform: LocalPlatform, key: str) -> Any:
    return json.loads(read_object(platform, key))


def day_before(day: str, days: int) -> str:
    return str(date.fromisoformat(day) - timedelta(days=days))


def run_to_its_end(platform: LocalPlatform, dag: str, run: str) -> list[dict[str, Any]]:
    return deque(platform.airflow.wait_for_run(dag, run, SECONDS), maxlen=1).pop()


def most_at_once(pods: list[PodUsage]) -> int:
    """How many of the pods ran at the same moment; the kubelet's times are whole seconds."""
    spans = [(pod.started, pod.finished) for pod in pods if pod.started and pod.finished]
    return max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
