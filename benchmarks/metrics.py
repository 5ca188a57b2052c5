"""The metrics job on a day of many teams: the processor's time on one core, and the requests that it makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from jobs import ROOT
from jobyard_cli.errors import JobyardError
from measure import Target
from metrics_server import JOBS, TASKS, TEAMS

PACKAGE = ROOT / "images" / "metrics"
DAY = date(2026, 11, 25)
HISTORY = 90
"""Days in the store, from which advice and the page are made."""
TARGET = Target("at most", 60, " s")
REQUESTS = Target("at most", 250)


class MetricsFailedError(JobyardError):
    """The metrics job failed."""


def section() -> str:
    """Measure, and return the result as Markdown."""
    with tempfile.TemporaryDirectory() as folder, _server() as address:
        _release(Path(folder) / "dags")
        first, _ = _collect(Path(folder), address)
        _copy_back(Path(folder) / "metrics")
        whole, printed = _collect(Path(folder), address)
    airflow, prometheus = (int(_figure(printed, f"requests.{name}")) for name in ("airflow", "prometheus"))
    rows = ", ".join(f"{_figure(printed, f'rows.{table}')} {table}" for table in ("runs", "tries", "pods", "nodes"))
    return f"""\
## Metrics of {TEAMS} teams

One day of {TEAMS} teams with {JOBS} jobs of {TASKS} tasks each ({rows}), from servers that answer as Airflow 3.3.1 and
Prometheus do, with a sample every 2 s. Processor time of `python -m jobyard_metrics` on one core, the interpreter's
start included, into a folder.

| | CPU seconds |
|---|---|
| the first day | {first:.1f} |
| with {HISTORY} days in the store | {whole:.1f} |

{TARGET.verdict(whole)} Requests: {airflow} to Airflow, one for each of the retried tries among them, and {prometheus}
to Prometheus. {REQUESTS.verdict(airflow + prometheus)}
"""


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, str(Path(__file__).with_name("metrics_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def _release(folder: Path) -> None:
    resources = {"requests": {"cpu": "1", "memory": "2Gi"}}
    names = [f"task{number}" for number in range(TASKS)]
    tasks = {name: {"image": "inference", "node_group": "default", "resources": resources} for name in names}
    job = {"owner": "a@example.com", "schedule": "0 2 * * *", "timezone": "UTC", "tasks": tasks}
    for number in range(TEAMS):
        team = f"team{number:03}"
        (folder / team).mkdir(parents=True)
        release = {"team": team, "commit": "c0ffee", "jobs": {f"job{job_number}": job for job_number in range(JOBS)}}
        (folder / team / "jobs.json").write_text(json.dumps(release))


def _collect(folder: Path, address: str) -> tuple[float, str]:
    """Return the processor seconds of one run, and what it printed."""
    prices = ROOT / "values" / "prices.yaml"
    variables = {
        "PYTHONPATH": str(PACKAGE),
        "JOBYARD_AIRFLOW_URL": address,
        "JOBYARD_PROMETHEUS_URL": address,
        "JOBYARD_METRICS_STORE": str(folder / "metrics"),
        "JOBYARD_RELEASES": str(folder / "dags"),
        "JOBYARD_HISTORY_DAYS": str(HISTORY),
        "JOBYARD_PRICES": str(prices) if prices.is_file() else "",
    }
    command = [sys.executable, "-m", "jobyard_metrics", "--day", f"{DAY:%Y-%m-%d}"]
    with subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    ) as process:
        assert process.stdout
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise MetricsFailedError(f"the metrics job failed: {printed}")
    return usage.ru_utime + usage.ru_stime, printed


def _figure(printed: str, name: str) -> str:
    return str(re.findall(rf"{re.escape(name)} (\d+)", printed)[0])


def _copy_back(store: Path) -> None:
    """Put the day into the store as each of the days before it, with its times."""
    sys.path.insert(0, str(PACKAGE))
    from jobyard_metrics import store as days
    from jobyard_metrics.objects import FolderStore

    target = FolderStore(store)
    frames = days.history(target, [DAY]).days[DAY]
    for back in range(1, HISTORY):
        shift = pl.selectors.datetime() - timedelta(days=back)
        shifted = {table: data.with_columns(shift) for table, data in frames.items()}
        days.write_day(target, DAY - timedelta(days=back), shifted, {})
