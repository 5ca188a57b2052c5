"""What the platform's own job has on a local platform: a bucket, a key for S3, a login for Airflow, its release.

On AWS the first two are a role of IAM's, and the login is MWAA's; here each is as narrow.
"""

from __future__ import annotations

import json
from typing import Any

from jobyard.contract import images_variable, release_path
from jobyard_cli.platform.files import PRICES
from jobyard_cli.platform.metrics import PREFIX
from jobyard_cli.platform.own_jobs import LOGIN
from jobyard_cli.platform.teams import PLATFORM_TEAM

from jobyard_local import airflow
from jobyard_local.cluster import namespace
from jobyard_local.layout import Layout
from jobyard_local.services import Credentials

APPLICATIONS = ("platform-team", f"team-{PLATFORM_TEAM}")
"""The reserved team's bounds, as charts/platform names their Application, and its chart."""
BUCKET = "jobyard-metrics"
DAG = f"{PLATFORM_TEAM}.metrics"
IMAGE = "metrics"
IMAGES = images_variable(PLATFORM_TEAM)
"""The Airflow Variable with the address of the job's image."""


def values(layout: Layout) -> dict[str, Any]:
    """Return what the environment's file says of metrics, and of Airflow as the job's pod reaches it."""
    metrics = {"bucket": BUCKET, "prometheusUrl": layout.prometheus_url, "airflowUrl": layout.airflow_url}
    return {"airflowUrl": layout.airflow_url_for_pods, "metrics": {**metrics, "teamsRead": "all"}}


def page_url(layout: Layout) -> str:
    """Return the address of the page, which everyone on this machine may read."""
    return f"{layout.s3_url}/{BUCKET}/{PREFIX}/page/index.html"


def login(layout: Layout) -> dict[str, Any]:
    """Return the Secret with the job's user name and password for Airflow."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": LOGIN, "namespace": namespace(PLATFORM_TEAM)},
        "stringData": {"username": airflow.READER, "password": airflow.reader_password(layout)},
    }


def store_policy(key: Credentials) -> str:
    """Return the policy of the job's bucket: the job keeps all of it, and everyone reads the page."""
    arn = f"arn:aws:s3:::{BUCKET}"
    keep = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    return _policy(
        _allow(key.access_key, keep, f"{arn}/{PREFIX}/*"),
        _allow(key.access_key, ["s3:ListBucket"], arn),
        _allow("*", ["s3:GetObject"], f"{arn}/{PREFIX}/page/*"),
    )


def releases_policy(bucket: str, key: Credentials) -> str:
    """Return the policy of Airflow's bucket: the job reads the releases of all teams, and the prices."""
    arn = f"arn:aws:s3:::{bucket}"
    objects = [f"{arn}/dags/{release_path('*')}", f"{arn}/dags/{PRICES}"]
    return _policy(_allow(key.access_key, ["s3:GetObject"], *objects), _allow(key.access_key, ["s3:ListBucket"], arn))


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _allow(principal: str, actions: list[str], *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": [principal]}, "Action": actions, "Resource": list(resources)}
