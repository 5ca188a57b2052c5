"""The client of an environment's Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobyard_cli.airflow.api import AirflowClient
from jobyard_cli.airflow.mwaa import MwaaTransport
from jobyard_cli.airflow.transport import RestTransport
from jobyard_cli.aws import clients as aws


def names_airflow(values: Mapping[str, Any], url: str | None = None) -> bool:
    """Return whether the address that was given, or else the environment's file, says where Airflow is."""
    return bool(url or values.get("airflowUrl") or values.get("airflow"))


def airflow_client(values: Mapping[str, Any], url: str | None = None) -> AirflowClient:
    """Return the Airflow at the address that was given, or else at that of the environment's file.

    Raises:
        AwsClientError: AWS's own settings on this machine can't be used.
    """
    if address := url or values.get("airflowUrl"):
        # An address that was given may be of another version than the environment's.
        version = "" if url else str(values.get("airflowVersion", ""))
        return AirflowClient(RestTransport(address, version))
    return AirflowClient(MwaaTransport(aws.mwaa(values.get("region")), values["airflow"]))
