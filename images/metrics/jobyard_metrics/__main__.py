"""`python -m jobyard_metrics --day 2026-11-25`: collects one UTC day. README.md lists the environment variables."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import yaml

from jobyard_metrics import settings as environment
from jobyard_metrics.day import Result, Sources, collect_day
from jobyard_metrics.errors import MetricsError, SettingsError
from jobyard_metrics.objects import ObjectStore
from jobyard_metrics.patience import Patience
from jobyard_metrics.prices import Prices, PricesError, parse
from jobyard_metrics.settings import Settings
from jobyard_metrics.sources.airflow import Airflow
from jobyard_metrics.sources.prometheus_api import PrometheusApi, SigV4

PRICES = "jobyard/prices.yaml"
"""The object with the prices, below the place of the releases."""
OUTPUT = Path("/airflow/xcom/return.json")
"""Where a task of Jobyard leaves its output, whose numbers are kept with those of all jobs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Collect the day, print what there was, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobyard_metrics", description="Collects one UTC day.")
    today = datetime.now(UTC).date()
    parser.add_argument(
        "--day", type=date.fromisoformat, default=today - timedelta(days=1), help="YYYY-MM-DD; by default yesterday"
    )
    day = parser.parse_args(arguments).day
    try:
        if day > today:
            raise SettingsError([f"--day must not be after {today}, today in UTC; got {day}"])
        settings = environment.read(os.environ)
        sources = open_sources(settings)
        result = collect_day(sources, environment.open_store(settings.store, settings.region), day, settings)
    except MetricsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    _report(result, sources)
    return 0


def open_sources(settings: Settings) -> Sources:
    """Return the sources that the settings name."""
    airflow = Airflow(environment.open_airflow(settings), Patience(settings.patience))
    prometheus = PrometheusApi(settings.prometheus, Patience(settings.patience), _signer(settings))
    releases = environment.open_store(settings.releases, settings.region)
    return Sources(airflow, prometheus, releases, _prices(settings, releases))


def _prices(settings: Settings, releases: ObjectStore) -> Prices:
    """Return the prices of the settings' file, or else of the object beside the releases, if there is one.

    Raises:
        SettingsError: they are not as values/prices.schema.json defines them.
    """
    if settings.prices:
        body = settings.prices.read_bytes()
    else:
        found = releases.get(PRICES)
        body = found.body if found else b""
    if not body:
        return {}
    try:
        return parse(yaml.safe_load(body))
    except (PricesError, yaml.YAMLError) as error:
        raise SettingsError([f"the prices can't be read: {error}"]) from error


def _signer(settings: Settings) -> SigV4 | None:
    if not settings.prometheus_workspace:
        return None
    import boto3

    return SigV4(boto3.Session().get_credentials(), settings.region)


def _report(result: Result, sources: Sources) -> None:
    manifest = result.manifest
    facts = {
        **{f"rows.{table}": rows for table, rows in manifest.rows.items()},
        **manifest.counts,
        "requests.airflow": sources.airflow.requests_made,
        "requests.prometheus": sources.prometheus.requests_made,
        "cpu_seconds": round(time.process_time(), 1),
    }
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{manifest.day}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    # The kubelet makes this file, and shows its content as the pod's termination message.
    if OUTPUT.is_file():
        OUTPUT.write_text(json.dumps(facts))


if __name__ == "__main__":
    sys.exit(main())
