"""What a job gets that does not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping

from jobyard_cli.parsing.documents import Written

JOB_DEFAULTS: Written = {
    "description": "",
    "owner": "",
    "timezone": "UTC",
    # Airflow needs a start; with catchup off nothing before today is run because of it.
    "start_date": "2026-01-01",
    "end_date": None,
    "catchup": False,
    "max_active_runs": 1,
    "tags": [],
}
RETRIES: Written = {"attempts": 2, "delay": "5m", "backoff": "none", "max_delay": None}
RESOURCES: Written = {"cpu": "500m", "memory": "1Gi"}
LEAST: Mapping[str, str] = {"cpu": "10m", "memory": "32Mi"}
"""What a container has to ask for at least, as the LimitRange of charts/bounds has it."""
MEMORY_RATIO = 2
"""How many times the memory asked for the limit may be, likewise."""
WAIT_TIMEOUT = "1d"
