"""The platform's own job on AWS: its rights, whole, and attempts at more; and what teams read of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from jobyard_cli.iam.metrics_reading import SHARED
from jobyard_cli.iam.role import Role, document
from jobyard_cli.iam.roles import all_roles
from jobyard_cli.iam.template import cloudformation
from jobyard_cli.platform.environments import Environment
from jobyard_cli.platform.metrics import store_problems

from tests.iam.conftest import PLATFORM_REPO, TEAMS, VALUES
from tests.iam.test_template import lint

JOB, PLATFORM, LAUNCHER, MWAA = "jobyard-platform-metrics", "jobyard-platform-ci", "jobyard-platform", "jobyard-mwaa"
PLAN, CARE_PLAN, CI, JOBS = "jobyard-risk-plan", "jobyard-care-plan", "jobyard-risk-ci", "risk-jobs"
WORKSPACE = "ws-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
METRICS = {"prometheusUrl": "https://aps-workspaces.eu-central-1.amazonaws.com", "prometheusWorkspace": WORKSPACE}
OWN = {"iamRoles": {"launcher": LAUNCHER, "serviceAccounts": [JOB]}}
S3, DATA = "arn:aws:s3:::airflow", "arn:aws:s3:::data"
AIRFLOW = "arn:aws:airflow:eu-central-1:111122223333:role"
APS = "arn:aws:aps:eu-central-1:111122223333:workspace"
SSM = "arn:aws:ssm:eu-central-1:111122223333:parameter"
IAM = "arn:aws:iam::111122223333:role"
ECR = "arn:aws:ecr:eu-central-1:111122223333:repository"
Try = tuple[str, str, str]


def with_metrics(**metrics: str) -> Environment:
    return Environment("prod", {**VALUES, "metrics": {**METRICS, **metrics}}, TEAMS, platform_team=OWN)


@pytest.fixture(scope="module")
def roles() -> dict[str, Role]:
    """The roles of an environment with metrics, in place of those that the other tests share."""
    return {role.short_name: role for role in all_roles(with_metrics(), PLATFORM_REPO).roles}


ALLOWED: list[Try] = [
    (JOB, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/Viewer"),
    (JOB, "aps:QueryMetrics", f"{APS}/{WORKSPACE}"),
    *((JOB, "s3:GetObject", f"{S3}/dags/{team}/jobs.json") for team in (*TEAMS, "team-that-went", "platform")),
    *((JOB, action, f"{DATA}/metrics/days/2026-11-25.json") for action in (
        "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload",
    )),
    (JOB, "s3:PutObject", f"{DATA}/metrics/page/index.html"),
    (JOB, "s3:GetObject", f"{S3}/dags/jobyard/prices.yaml"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/platform/jobs.json"),
    (PLATFORM, "s3:GetObject", f"{S3}/dags/platform/jobs.json"),
    (PLATFORM, "s3:DeleteObject", f"{S3}/dags/platform.py"),
    (PLATFORM, "ssm:PutParameter", f"{SSM}/airflow/variables/jobyard_images_platform"),
    (PLATFORM, "ecr:PutImage", f"{ECR}/platform/metrics"),
    (MWAA, "sts:AssumeRole", f"{IAM}/{LAUNCHER}"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/teams/risk/advice.json"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/page/index.html"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/page/data/summary.js"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/page/data/teams/risk.js"),
]  # fmt: skip
FORBIDDEN: list[Try] = [
    # Another team's data, in the bucket that the metrics are in too.
    *((JOB, "s3:GetObject", f"{DATA}/{area}/risk/claims/rows.csv") for area in (
        "raw", "feature-store", "models", "predictions",
    )),
    (JOB, "s3:PutObject", f"{DATA}/models/risk/quality/latest.json"),
    (JOB, "s3:GetObject", f"{DATA}/metrics-of-others/days/2026-11-25.json"),
    # A release, and code that Airflow would run.
    *((JOB, action, f"{S3}/dags/{key}") for action in ("s3:PutObject", "s3:DeleteObject") for key in (
        "risk/jobs.json", "platform/jobs.json", "platform.py", "jobyard/loader.py",
    )),
    (JOB, "s3:GetObject", f"{S3}/dags/jobyard/kubeconfig.yaml"),
    (JOB, "s3:GetObjectVersion", f"{S3}/dags/risk/jobs.json"),
    (JOB, "s3:GetObject", f"{S3}/requirements.txt"),
    # Secrets, Airflow's Variables, other roles.
    (JOB, "ssm:GetParameter", f"{SSM}/airflow/variables/risk_password"),
    (JOB, "ssm:PutParameter", f"{SSM}/airflow/variables/jobyard_images_risk"),
    (JOB, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:airflow-1"),
    (JOB, "sts:AssumeRole", f"{IAM}/batch/risk-jobs"),
    (JOB, "sts:AssumeRole", f"{IAM}/{MWAA}"),
    *((JOB, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/{role}") for role in ("User", "Op", "Admin")),
    (JOB, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-dev/Viewer"),
    (JOB, "airflow:CreateWebLoginToken", f"{AIRFLOW}/ml-prod/Viewer"),
    (JOB, "airflow:CreateCliToken", "arn:aws:airflow:eu-central-1:111122223333:environment/ml-prod"),
    *((JOB, action, f"{APS}/{WORKSPACE}") for action in ("aps:RemoteWrite", "aps:DeleteWorkspace", "aps:GetSeries")),
    (JOB, "aps:QueryMetrics", f"{APS}/ws-00000000-0000-0000-0000-000000000000"),
    (JOB, "ecr:BatchGetImage", f"{ECR}/risk/inference"),
    (JOB, "eks:DescribeCluster", "arn:aws:eks:eu-central-1:111122223333:cluster/ml"),
    # Teams: nothing of another one's, and nothing to write.
    (PLAN, "s3:GetObject", f"{DATA}/metrics/teams/care/advice.json"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/teams/risk-eu/advice.json"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/page/data/teams/care.js"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/page/data/teams/risk-eu.js"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/pods/dt=2026-11-25/0123.parquet"),
    (PLAN, "s3:GetObject", f"{DATA}/metrics/days/2026-11-25.json"),
    (PLAN, "s3:PutObject", f"{DATA}/metrics/teams/risk/advice.json"),
    (CARE_PLAN, "s3:GetObject", f"{DATA}/metrics/teams/risk/advice.json"),
    *((who, "s3:GetObject", f"{DATA}/metrics/teams/risk/advice.json") for who in (CI, JOBS, MWAA, PLATFORM, LAUNCHER)),
    *((who, "s3:PutObject", f"{DATA}/metrics/page/index.html") for who in (CI, JOBS, MWAA, PLATFORM)),
    *((who, "s3:PutObject", f"{S3}/dags/platform/jobs.json") for who in (CI, PLAN, JOBS, JOB, MWAA)),
    (PLATFORM, "s3:DeleteObject", f"{S3}/dags/platform/jobs.json"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/team-that-went/jobs.json"),
    (PLATFORM, "ssm:PutParameter", f"{SSM}/airflow/variables/jobyard_images_risk"),
    (PLATFORM, "ecr:PutImage", f"{ECR}/risk/inference"),
    (PLATFORM, "sts:AssumeRole", f"{IAM}/{LAUNCHER}"),
    (MWAA, "sts:AssumeRole", f"{IAM}/{JOB}"),
]  # fmt: skip
LISTS = [
    (JOB, DATA, "metrics/days/", True),
    (JOB, DATA, "metrics/", True),
    (JOB, DATA, "", False),
    (JOB, DATA, "models/risk/", False),
    (JOB, S3, "dags/", True),
    (JOB, S3, "", False),
    (JOB, S3, "dags/risk/jobs.json", True),
    (JOB, S3, "plugins", False),
    (PLAN, DATA, "metrics/teams/risk/advice.json", True),
    (PLAN, DATA, "metrics/teams/", False),
    (PLAN, DATA, "metrics/teams/care/", False),
    (PLATFORM, S3, "dags/platform/jobs.json", True),
]


@pytest.mark.parametrize(("who", "action", "what"), ALLOWED)
def test_an_identity_may_do_its_work(may: Callable[..., str], who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "Allowed"


@pytest.mark.parametrize(("who", "action", "what"), FORBIDDEN)
def test_an_identity_may_do_nothing_else(may: Callable[..., str], who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "ImplicitlyDenied"


@pytest.mark.parametrize("key", ["risk/jobs.json", "risk/evil.py", "care/jobs.json"])
def test_the_platforms_pipeline_is_still_kept_from_teams(may: Callable[..., str], key: str) -> None:
    assert may(PLATFORM, "s3:PutObject", f"{S3}/dags/{key}") == "ExplicitlyDenied"


@pytest.mark.parametrize(("who", "bucket", "prefix", "expected"), LISTS)
def test_lists(may: Callable[..., str], who: str, bucket: str, prefix: str, expected: bool) -> None:
    answer = may(who, "s3:ListBucket", bucket, {"s3:prefix": prefix})
    assert answer == ("Allowed" if expected else "ImplicitlyDenied")


def test_the_jobs_rights_are_these_and_no_others(roles: dict[str, Role]) -> None:
    assert document(roles[JOB].statements)["Statement"] == [
        allowed("AskAirflow", ["airflow:InvokeRestApi"], [f"{AIRFLOW}/ml-prod/Viewer"]),
        allowed("QueryPrometheus", ["aps:QueryMetrics"], [f"{APS}/{WORKSPACE}"]),
        allowed("ReadReleases", ["s3:GetObject"], [f"{S3}/dags/*/jobs.json", f"{S3}/dags/jobyard/prices.yaml"]),
        allowed("ListReleases", ["s3:ListBucket"], [S3], {"StringLike": {"s3:prefix": "dags/*"}}),
        allowed(
            "StoreMetrics",
            ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            [f"{DATA}/metrics/*"],
        ),
        allowed("ListMetrics", ["s3:ListBucket"], [DATA], {"StringLike": {"s3:prefix": ["metrics/*"]}}),
    ]


def allowed(
    sid: str, actions: list[str], resources: list[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**statement, "Condition": condition} if condition else statement


def test_the_launcher_has_no_right_at_all_in_aws(roles: dict[str, Role]) -> None:
    assert (list(roles[LAUNCHER].statements), list(roles[LAUNCHER].groups)) == ([], ["jobyard:platform:launchers"])


@pytest.mark.parametrize(
    ("namespace", "expected"), [("team-platform", "Allowed"), ("team-risk", "ImplicitlyDenied"), ("argocd", None)]
)
def test_pods_of_the_reserved_teams_namespace_alone_are_the_job(
    may_be: Callable[..., str], namespace: str, expected: str | None
) -> None:
    claims = {
        "aws:SourceAccount": "111122223333",
        "aws:RequestTag/eks-cluster-name": "ml",
        "aws:RequestTag/kubernetes-namespace": namespace,
    }
    answer = may_be("pods.eks.amazonaws.com", "sts:AssumeRole", JOB, claims)
    assert answer == (expected or "ImplicitlyDenied")


def test_without_metrics_there_is_no_such_role() -> None:
    names = {role.short_name for role in all_roles(Environment("prod", VALUES, TEAMS), PLATFORM_REPO).roles}
    assert not names & {JOB, LAUNCHER}


def test_a_team_reads_all_where_the_environment_says_so() -> None:
    found = {role.short_name: role for role in all_roles(with_metrics(teamsRead="all"), PLATFORM_REPO).roles}
    [read] = [one for one in found[PLAN].statements if one["Sid"] == "ReadMetrics"]
    assert read["Resource"] == [f"{DATA}/metrics/*"]


def test_a_bucket_and_a_prefix_of_its_own() -> None:
    environment = with_metrics(bucket="figures", prefix="jobyard/prod")
    found = {role.short_name: role for role in all_roles(environment, PLATFORM_REPO).roles}
    [stored] = [one for one in found[JOB].statements if one["Sid"] == "StoreMetrics"]
    assert stored["Resource"] == ["arn:aws:s3:::figures/jobyard/prod/*"]


@pytest.mark.parametrize(
    ("metrics", "field"),
    [
        ({"bucket": "airflow"}, "bucket"),
        ({"bucket": "airflow", "prefix": "dags"}, "bucket"),
        ({"prefix": "models"}, "prefix"),
        ({"prefix": "raw/metrics"}, "prefix"),
        ({"bucket": "data", "prefix": "predictions"}, "prefix"),
    ],
)
def test_the_job_may_not_store_over_code_or_teams_data(metrics: dict[str, str], field: str) -> None:
    assert [name for name, _ in store_problems({**VALUES, "metrics": {**METRICS, **metrics}})] == [field]


@pytest.mark.parametrize("metrics", [{}, {"bucket": "figures", "prefix": "raw"}, {"prefix": "model"}])
def test_other_stores_are_fine(metrics: dict[str, str]) -> None:
    assert list(store_problems({**VALUES, "metrics": {**METRICS, **metrics}})) == []


def test_the_template_is_valid_and_every_action_is_one_that_aws_has(tmp_path: Path) -> None:
    assert lint(cloudformation("prod", all_roles(with_metrics(), PLATFORM_REPO)), tmp_path) == ""


def test_the_shared_files_are_those_of_the_page() -> None:
    build = pytest.importorskip("jobyard_metrics.page.build")
    shared = {name.partition("/")[0] for name in SHARED if not name.startswith("data/")}
    assert {name.partition("/")[0] for name, _ in build._static()} | {"index.html"} == shared
