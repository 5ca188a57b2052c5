"""What end-to-end tests do to follow a platform that works by itself."""

from __future__ import annotations

import io
import json
import time
from collections import deque
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pandas as pd
from jobyard_cli.local.platform import DATA_BUCKET, LocalPlatform


def read_object(platform: LocalPlatform, key: str) -> bytes:
    return platform.s3().get_object(Bucket=DATA_BUCKET, Key=key)["Body"].read()


def read_table(platform: LocalPlatform, key: str) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(read_object(platform, key)))


def read_json(platform: LocalPlatform, key: str) -> Any:
    return json.loads(read_object(platform, key))


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.1)


def day_before(day: str, days: int) -> str:
    return str(date.fromisoformat(day) - timedelta(days=days))


def run_to_its_end(platform: LocalPlatform, dag: str, run: str, timeout: float) -> list[dict[str, Any]]:
    return deque(platform.airflow.wait_for_run(dag, run, timeout), maxlen=1).pop()
