"""The environment variables of the metrics job."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobyard_metrics import settings
from jobyard_metrics.__main__ import main
from jobyard_metrics.errors import SettingsError

LEAST = {
    "JOBYARD_AIRFLOW_URL": "http://airflow.example.com",
    "JOBYARD_PROMETHEUS_URL": "http://prometheus.example.com:9090",
    "JOBYARD_METRICS_STORE": "s3://data/metrics",
    "JOBYARD_RELEASES": "s3://airflow/dags",
}


def test_the_least_settings() -> None:
    found = settings.read(LEAST)
    assert (found.prometheus, found.patience, found.history) == ("http://prometheus.example.com:9090", 1800, 90)
    assert (found.teams_read, found.argocd_namespace) == ("own", "argocd")


def test_amazons_prometheus_has_the_address_of_its_workspace() -> None:
    given = {**LEAST, "JOBYARD_PROMETHEUS_URL": "", "JOBYARD_PROMETHEUS_WORKSPACE": "ws-1", "AWS_REGION": "eu-west-1"}
    assert settings.read(given).prometheus == "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1"


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    given = {
        "JOBYARD_AIRFLOW_MWAA": "prod",
        "JOBYARD_AIRFLOW_URL": "airflow.example.com",
        "JOBYARD_AIRFLOW_USERNAME": "admin",
        "JOBYARD_PROMETHEUS_WORKSPACE": "ws-1",
        "JOBYARD_METRICS_STORE": "metrics",
        "JOBYARD_PRICES": str(tmp_path / "prices.yaml"),
        "JOBYARD_HISTORY_DAYS": "0",
        "JOBYARD_TEAMS_READ": "none",
    }
    with pytest.raises(SettingsError) as raised:
        settings.read(given)
    assert raised.value.problems == (
        "exactly one of JOBYARD_AIRFLOW_URL and JOBYARD_AIRFLOW_MWAA must be set; got 2",
        "JOBYARD_RELEASES must be set",
        "JOBYARD_AIRFLOW_URL must be an http:// or https:// address; got 'airflow.example.com'",
        "JOBYARD_METRICS_STORE must be s3://<bucket>/<prefix> or an absolute path; got 'metrics'",
        "JOBYARD_HISTORY_DAYS must be a whole number from 1 to 999999; got '0'",
        "JOBYARD_TEAMS_READ must be own or all; got 'none'",
        "JOBYARD_AIRFLOW_USERNAME and JOBYARD_AIRFLOW_PASSWORD must be set together",
        "AWS_REGION must be set with JOBYARD_PROMETHEUS_WORKSPACE",
        f"JOBYARD_PRICES must be a file; got '{tmp_path / 'prices.yaml'}'",
    )


def test_the_command_refuses_invalid_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in LEAST:
        monkeypatch.delenv(name, raising=False)
    assert main(["--day", "2026-11-25"]) == 2
    assert capsys.readouterr().err.startswith("error: the settings are invalid:\n- exactly one of JOBYARD_AIRFLOW_URL")


def test_a_day_that_has_not_begun_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--day", "9999-12-31"]) == 2
    assert "--day must not be after " in capsys.readouterr().err


def test_every_setting_is_in_the_readme() -> None:
    readme = (Path(settings.__file__).parents[1] / "README.md").read_text()
    names = [value for value in vars(settings).values() if isinstance(value, str) and value.startswith("JOBYARD_")]
    assert len(names) == 17
    assert [name for name in names if f"`{name}`" not in readme] == []
