"""Roles of the platform's own job, which collects metrics."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard.contract import namespace, release_path

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.metrics_reading import lists_metrics
from jobyard_cli.iam.pods import trusts_pods
from jobyard_cli.iam.role import Role, Statement, allow, key
from jobyard_cli.iam.team_roles import launcher
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.files import PRICES
from jobyard_cli.platform.kubeconfig import launcher_name
from jobyard_cli.platform.teams import PLATFORM_TEAM

AIRFLOW_ROLE = "Viewer"
"""Of Airflow's: the only one of MWAA's that reads every DAG and changes nothing. IAM knows roles, not requests."""
NO_BUCKET = "No right to store anything: the environment's file names neither `metrics.bucket` nor `dataBucket`."


def metrics_roles(account: Account, values: Written) -> Iterator[Role]:
    """Yield the roles of the reserved team: Airflow where it starts the job's pod, and the pod."""
    yield launcher(account, PLATFORM_TEAM, launcher_name(values, PLATFORM_TEAM))
    for number, name in enumerate(values.get("iamRoles", {}).get("serviceAccounts", []), start=1):
        yield Role(
            key(PLATFORM_TEAM, f"Jobs{number}"),
            PLATFORM_TEAM,
            name,
            "the platform's own job, which collects metrics",
            list(trusts_pods(account, namespace(PLATFORM_TEAM))),
            list(_collects(account)),
            [] if account.metrics_bucket else [NO_BUCKET],
        )


def _collects(account: Account) -> Iterator[Statement]:
    yield allow(
        "AskAirflow", ["airflow:InvokeRestApi"], [account.arn("airflow", f"role/{account.airflow}/{AIRFLOW_ROLE}")]
    )
    if account.prometheus_workspace:
        workspace = account.arn("aps", f"workspace/{account.prometheus_workspace}")
        yield allow("QueryPrometheus", ["aps:QueryMetrics"], [workspace])
    readable = account.object_arns(account.bucket, [f"dags/{release_path('*')}", f"dags/{PRICES}"])
    yield allow("ReadReleases", ["s3:GetObject"], readable)
    bucket = account.bucket_arn(account.bucket)
    yield allow("ListReleases", ["s3:ListBucket"], [bucket], StringLike={"s3:prefix": "dags/*"})
    if account.metrics_bucket:
        keys = [f"{account.metrics_prefix}/*"]
        change = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        yield allow("StoreMetrics", change, account.object_arns(account.metrics_bucket, keys))
        yield lists_metrics(account, keys)
