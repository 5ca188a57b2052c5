"""The environment variables of the metrics job, with all problems at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobyard_metrics.errors import SettingsError
from jobyard_metrics.objects import FolderStore, ObjectStore, S3Store
from jobyard_metrics.sources.airflow_api import AirflowApi, Login, MwaaApi, RestApi

AIRFLOW_URL, AIRFLOW_MWAA = "JOBYARD_AIRFLOW_URL", "JOBYARD_AIRFLOW_MWAA"
USERNAME, PASSWORD, TOKEN = "JOBYARD_AIRFLOW_USERNAME", "JOBYARD_AIRFLOW_PASSWORD", "JOBYARD_AIRFLOW_TOKEN"
PROMETHEUS_URL, PROMETHEUS_WORKSPACE = "JOBYARD_PROMETHEUS_URL", "JOBYARD_PROMETHEUS_WORKSPACE"
STORE, RELEASES, PRICES = "JOBYARD_METRICS_STORE", "JOBYARD_RELEASES", "JOBYARD_PRICES"
REGION = "AWS_REGION"
PATIENCE, HISTORY = "JOBYARD_PATIENCE_SECONDS", "JOBYARD_HISTORY_DAYS"
ENVIRONMENT, TEAMS_READ = "JOBYARD_ENVIRONMENT", "JOBYARD_TEAMS_READ"
AIRFLOW_PAGE, ARGOCD_PAGE = "JOBYARD_AIRFLOW_PAGE", "JOBYARD_ARGOCD_PAGE"
ARGOCD_NAMESPACE = "JOBYARD_ARGOCD_NAMESPACE"

PATIENCE_SECONDS = 1800
"""For all requests to Airflow, and as much for all to Prometheus."""
HISTORY_DAYS = 90


@dataclass(frozen=True)
class Settings:
    """Where everything is; empty texts stand for what is not set."""

    airflow_url: str
    airflow_mwaa: str
    login: Login
    prometheus_url: str
    prometheus_workspace: str
    region: str
    store: str
    releases: str
    prices: Path | None
    patience: int
    history: int
    environment: str
    teams_read: str
    airflow_page: str
    argocd_page: str
    argocd_namespace: str

    @property
    def prometheus(self) -> str:
        """Return the address below which Prometheus' API is."""
        if not self.prometheus_workspace:
            return self.prometheus_url
        return f"https://aps-workspaces.{self.region}.amazonaws.com/workspaces/{self.prometheus_workspace}"


def read(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the environment variables hold.

    Raises:
        SettingsError: some are missing or invalid; all of them.
    """
    values = {name: value.strip() for name, value in environment.items()}
    problems = [*_either(values, AIRFLOW_URL, AIRFLOW_MWAA), *_either(values, PROMETHEUS_URL, PROMETHEUS_WORKSPACE)]
    problems += [f"{name} must be set" for name in (STORE, RELEASES) if not values.get(name)]
    urls = (AIRFLOW_URL, PROMETHEUS_URL, AIRFLOW_PAGE, ARGOCD_PAGE)
    problems += [*_invalid(values, urls, r"https?://[^/\s]+(/\S*)?", "an http:// or https:// address")]
    places = r"s3://[^/\s]+(/\S*)?|/.*"
    problems += [*_invalid(values, (STORE, RELEASES), places, "s3://<bucket>/<prefix> or an absolute path")]
    problems += [*_invalid(values, (PATIENCE, HISTORY), "[1-9][0-9]{0,5}", "a whole number from 1 to 999999")]
    problems += [*_invalid(values, (TEAMS_READ,), "own|all", "own or all"), *_incomplete(values)]
    if problems:
        raise SettingsError(problems)
    return Settings(
        airflow_url=values.get(AIRFLOW_URL, ""),
        airflow_mwaa=values.get(AIRFLOW_MWAA, ""),
        login=Login(values.get(USERNAME, ""), values.get(PASSWORD, ""), values.get(TOKEN, "")),
        prometheus_url=values.get(PROMETHEUS_URL, ""),
        prometheus_workspace=values.get(PROMETHEUS_WORKSPACE, ""),
        region=values.get(REGION, ""),
        store=values[STORE],
        releases=values[RELEASES],
        prices=Path(values[PRICES]) if values.get(PRICES) else None,
        patience=int(values.get(PATIENCE) or PATIENCE_SECONDS),
        history=int(values.get(HISTORY) or HISTORY_DAYS),
        environment=values.get(ENVIRONMENT, ""),
        teams_read=values.get(TEAMS_READ) or "own",
        airflow_page=values.get(AIRFLOW_PAGE, "").rstrip("/"),
        argocd_page=values.get(ARGOCD_PAGE, "").rstrip("/"),
        argocd_namespace=values.get(ARGOCD_NAMESPACE) or "argocd",
    )


def _either(values: Mapping[str, str], one: str, other: str) -> list[str]:
    given = [name for name in (one, other) if values.get(name)]
    return [] if len(given) == 1 else [f"exactly one of {one} and {other} must be set; got {len(given)}"]


def _invalid(values: Mapping[str, str], names: tuple[str, ...], pattern: str, rule: str) -> list[str]:
    wrong = [name for name in names if values.get(name) and not re.fullmatch(pattern, values[name])]
    return [f"{name} must be {rule}; got {values[name][:100]!r}" for name in wrong]


def _incomplete(values: Mapping[str, str]) -> list[str]:
    """Values that need others beside them."""
    found = []
    if bool(values.get(USERNAME)) != bool(values.get(PASSWORD)):
        found.append(f"{USERNAME} and {PASSWORD} must be set together")
    if values.get(PROMETHEUS_WORKSPACE) and not values.get(REGION):
        found.append(f"{REGION} must be set with {PROMETHEUS_WORKSPACE}")
    if values.get(PRICES) and not Path(values[PRICES]).is_file():
        found.append(f"{PRICES} must be a file; got {values[PRICES][:100]!r}")
    return found


def open_store(address: str, region: str) -> ObjectStore:
    """Return the objects at an address, `s3://<bucket>/<prefix>` or an absolute path.

    boto3 itself reads AWS_ENDPOINT_URL_S3 and the credentials.
    """
    if not address.startswith("s3://"):
        return FolderStore(Path(address))
    parts = urlsplit(address)
    return S3Store(_client("s3", region), parts.netloc, parts.path)


def open_airflow(settings: Settings) -> AirflowApi:
    """Return the Airflow of the settings."""
    if settings.airflow_mwaa:
        return MwaaApi(_client("mwaa", settings.region), settings.airflow_mwaa)
    return RestApi(settings.airflow_url, settings.login)


def _client(service: str, region: str) -> Any:
    import boto3
    from botocore.config import Config

    # Prepared for a slow service as the other sources are: each try may take a minute.
    config = Config(retries={"mode": "standard", "total_max_attempts": 10}, read_timeout=120)
    return boto3.client(service, region_name=region or None, config=config)  # type: ignore[call-overload]
