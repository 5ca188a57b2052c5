"""What each identity may, asked of a simulator of IAM that knows conditions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jobyard_cli.iam.role import Role, document

S3 = "arn:aws:s3:::airflow"
DATA = "arn:aws:s3:::data"
REPOSITORY = "arn:aws:ecr:eu-central-1:111122223333:repository"
VARIABLE = "arn:aws:ssm:eu-central-1:111122223333:parameter/airflow/variables"
AIRFLOW = "arn:aws:airflow:eu-central-1:111122223333:role"
IAM = "arn:aws:iam::111122223333:role"
CI, PLAN, PLATFORM, LISTER, MWAA, JOBS = (
    "jobyard-risk-ci",
    "jobyard-risk-plan",
    "jobyard-platform-ci",
    "jobyard-platform-catalogue",
    "jobyard-mwaa",
    "risk-jobs",
)
CARE_CI, INGESTION = "jobyard-care-ci", "risk-ingestion"
Try = tuple[str, str, str]
OURS = {"AWS": "arn:aws:iam::111122223333:root"}
TRUSTING = document([{"Effect": "Allow", "Principal": OURS, "Action": "*", "Resource": "*"}])
"""The policy of another account's resource that lets this account in."""

ALLOWED: list[Try] = [
    (CI, "s3:GetObject", f"{S3}/dags/risk/jobs.json"),
    (CI, "s3:PutObject", f"{S3}/dags/risk/jobs.json"),
    (CI, "s3:GetObjectVersion", f"{S3}/dags/risk/jobs.json"),
    (CARE_CI, "s3:PutObject", f"{S3}/dags/care/jobs.json"),
    (CI, "ecr:GetAuthorizationToken", "*"),
    (CI, "ecr:CreateRepository", f"{REPOSITORY}/risk/inference"),
    (CI, "ecr:PutImage", f"{REPOSITORY}/risk/inference"),
    (CI, "ecr:BatchGetImage", f"{REPOSITORY}/risk/inference"),
    (CI, "ssm:PutParameter", f"{VARIABLE}/jobyard_images_risk"),
    (CI, "ssm:GetParameter", f"{VARIABLE}/jobyard_images_risk"),
    (CI, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/Viewer"),
    (PLAN, "s3:GetObject", f"{S3}/dags/risk/jobs.json"),
    (PLAN, "s3:GetObject", f"{S3}/dags/jobyard/platform.json"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/.airflowignore"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/jobyard/loader.py"),
    (PLATFORM, "s3:DeleteObject", f"{S3}/dags/jobyard/old.py"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/jobyard/platform.json"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/jobyard/token_plugin.py"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/risk.py"),
    (PLATFORM, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/Op"),
    (PLATFORM, "s3:DeleteObject", f"{S3}/dags/team-that-went.py"),
    *((LISTER, "s3:GetObject", f"{S3}/dags/{team}/jobs.json") for team in ("care", "risk", "risk-eu")),
    (MWAA, "s3:GetObject", f"{S3}/dags/risk/jobs.json"),
    (MWAA, "s3:GetObjectVersion", f"{S3}/requirements.txt"),
    (MWAA, "s3:ListBucket", S3),
    (MWAA, "airflow:PublishMetrics", "arn:aws:airflow:eu-central-1:111122223333:environment/ml-prod"),
    (MWAA, "logs:PutLogEvents", "arn:aws:logs:eu-central-1:111122223333:log-group:airflow-ml-prod-Task:log-stream:x"),
    (MWAA, "sqs:SendMessage", "arn:aws:sqs:eu-central-1:999900001111:airflow-celery-1"),
    (MWAA, "ssm:GetParameter", f"{VARIABLE}/jobyard_images_care"),
    (MWAA, "eks:DescribeCluster", "arn:aws:eks:eu-central-1:111122223333:cluster/ml"),
    (MWAA, "sts:AssumeRole", f"{IAM}/batch/risk-starts"),
    (MWAA, "sts:AssumeRole", f"{IAM}/jobyard-care"),
    (JOBS, "s3:GetObject", f"{DATA}/raw/risk/claims/dt=2026-11-01/rows.csv"),
    (INGESTION, "s3:PutObject", f"{DATA}/raw/risk/claims/dt=2026-11-01/rows.parquet"),
    (INGESTION, "s3:PutObject", f"{DATA}/feature-store/risk/claims/dt=2026-11-01/features.parquet"),
    (JOBS, "s3:PutObject", f"{DATA}/feature-store/risk/claims/dt=2026-11-01/features.parquet"),
    (JOBS, "s3:PutObject", f"{DATA}/models/risk/quality/latest.json"),
    (JOBS, "s3:GetObject", f"{DATA}/models/risk/quality/latest.json"),
    (JOBS, "s3:PutObject", f"{DATA}/notebooks/risk/report/dt=2026-11-01/run.ipynb"),
    (JOBS, "s3:DeleteObject", f"{DATA}/predictions/risk/claims/dt=2026-11-01/predictions.parquet"),
]
FORBIDDEN: list[Try] = [
    # Another team's release, and one whose name begins alike.
    *((CI, "s3:GetObject", f"{S3}/dags/{team}/jobs.json") for team in ("care", "risk-eu")),
    *((CI, "s3:PutObject", f"{S3}/dags/{team}/jobs.json") for team in ("care", "risk-eu")),
    *((who, "s3:PutObject", f"{S3}/dags/risk/jobs.json") for who in (CARE_CI, "jobyard-risk-eu-ci", PLAN, MWAA, JOBS)),
    # Code that Airflow would run.
    *((CI, "s3:PutObject", f"{S3}/{key}") for key in (
        "dags/risk.py", "dags/risk/evil.py", "dags/jobyard/loader.py", "dags/jobyard/token_plugin.py",
        "dags/.airflowignore", "dags/risk/jobs.json/x.py", "plugins.zip", "requirements.txt", "startup.sh",
    )),
    (CI, "s3:GetObject", f"{S3}/dags/jobyard/kubeconfig.yaml"),
    (CI, "s3:PutObject", "arn:aws:s3:::other/dags/risk/jobs.json"),
    (CI, "s3:DeleteObject", f"{S3}/dags/risk/jobs.json"),
    (CI, "s3:DeleteObjectVersion", f"{S3}/dags/risk/jobs.json"),
    (CI, "s3:PutObjectAcl", f"{S3}/dags/risk/jobs.json"),
    (CI, "s3:PutBucketVersioning", S3),
    (CI, "ecr:PutImage", f"{REPOSITORY}/care/inference"),
    (CI, "ecr:PutImage", f"{REPOSITORY}/risk-eu/inference"),
    (CI, "ecr:BatchGetImage", f"{REPOSITORY}/care/inference"),
    (CI, "ecr:DeleteRepository", f"{REPOSITORY}/risk/inference"),
    (CI, "ecr:SetRepositoryPolicy", f"{REPOSITORY}/risk/inference"),
    (CI, "ssm:PutParameter", f"{VARIABLE}/jobyard_images_care"),
    (CI, "ssm:PutParameter", f"{VARIABLE}/jobyard_images_risk-eu"),
    (CI, "ssm:GetParameter", f"{VARIABLE}/care_secret"),
    (CI, "ssm:DeleteParameter", f"{VARIABLE}/jobyard_images_risk"),
    *((CI, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/{role}") for role in ("User", "Op", "Admin")),
    (CI, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-dev/Viewer"),
    (CI, "sts:AssumeRole", f"{IAM}/batch/risk-starts"),
    (PLAN, "s3:GetObject", f"{S3}/dags/care/jobs.json"),
    (PLAN, "s3:PutObject", f"{S3}/dags/jobyard/platform.json"),
    (PLAN, "ecr:GetAuthorizationToken", "*"),
    (PLAN, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/Viewer"),
    (PLATFORM, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-prod/Admin"),
    (PLATFORM, "airflow:InvokeRestApi", f"{AIRFLOW}/ml-dev/Op"),
    (PLATFORM, "s3:PutObject", f"{S3}/requirements.txt"),
    (PLATFORM, "s3:PutObject", "arn:aws:s3:::other/dags/jobyard/loader.py"),
    (PLATFORM, "sts:AssumeRole", f"{IAM}/jobyard-care"),
    *((LISTER, "s3:GetObject", f"{S3}/dags/{key}") for key in (
        "jobyard/kubeconfig.yaml", "risk.py", "team-that-went/jobs.json", "risk/other.json",
    )),
    (LISTER, "s3:PutObject", f"{S3}/dags/risk/jobs.json"),
    (LISTER, "s3:PutObject", f"{S3}/dags/jobyard/loader.py"),
    (LISTER, "s3:GetObjectVersion", f"{S3}/dags/risk/jobs.json"),
    (MWAA, "s3:PutObject", f"{S3}/dags/jobyard/loader.py"),
    (MWAA, "s3:ListAllMyBuckets", "*"),
    (MWAA, "s3:GetObject", f"{DATA}/raw/risk/claims/rows.csv"),
    (MWAA, "sts:AssumeRole", f"{IAM}/jobyard-risk-ci"),
    (MWAA, "sts:AssumeRole", f"{IAM}/batch/risk-jobs"),
    (MWAA, "sts:AssumeRole", "arn:aws:iam::999900001111:role/jobyard-care"),
    (MWAA, "ssm:GetParameter", "arn:aws:ssm:eu-central-1:111122223333:parameter/other/password"),
    (MWAA, "ssm:PutParameter", f"{VARIABLE}/jobyard_images_care"),
    (MWAA, "logs:PutLogEvents", "arn:aws:logs:eu-central-1:111122223333:log-group:other:log-stream:x"),
    (JOBS, "s3:GetObject", f"{DATA}/raw/care/claims/rows.csv"),
    (JOBS, "s3:GetObject", f"{DATA}/raw/care/risk/rows.csv"),
    (JOBS, "s3:GetObject", f"{DATA}/raw/risk-eu/claims/rows.csv"),
    (JOBS, "s3:PutObject", f"{DATA}/raw/risk/claims/rows.csv"),
    (INGESTION, "s3:PutObject", f"{DATA}/raw/care/claims/dt=2026-11-01/rows.parquet"),
    (INGESTION, "s3:PutObject", f"{DATA}/raw/risk-eu/claims/dt=2026-11-01/rows.parquet"),
    (JOBS, "s3:PutObject", f"{DATA}/models/care/quality/latest.json"),
    (JOBS, "s3:GetObject", f"{S3}/dags/risk/jobs.json"),
]  # fmt: skip
EXPLICITLY_FORBIDDEN: list[Try] = [
    (PLATFORM, "s3:PutObject", f"{S3}/dags/risk/jobs.json"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/risk/evil.py"),
    (PLATFORM, "s3:DeleteObject", f"{S3}/dags/care/jobs.json"),
    (PLATFORM, "s3:DeleteObjectVersion", f"{S3}/dags/care/jobs.json"),
    (PLATFORM, "s3:GetObject", f"{S3}/dags/risk-eu/jobs.json"),
    (PLATFORM, "s3:PutObject", f"{S3}/dags/team-that-went/jobs.json"),
]
LISTS = [
    (CI, "s3:ListBucket", "dags/risk/jobs.json", True),
    (CI, "s3:ListBucketVersions", "dags/risk/jobs.json", True),
    (PLAN, "s3:ListBucket", "dags/risk/jobs.json", True),
    (PLATFORM, "s3:ListBucket", "dags/", True),
    (LISTER, "s3:ListBucket", "dags/", True),
    (LISTER, "s3:ListBucket", "", False),
    (LISTER, "s3:ListBucketVersions", "dags/", False),
    *((CI, action, prefix, False) for action in ("s3:ListBucket", "s3:ListBucketVersions")
      for prefix in ("", "dags/", "dags/risk/", "dags/care/jobs.json", "dags/risk-eu/jobs.json", "dags/risk/jobs.jso")),
    (PLAN, "s3:ListBucketVersions", "dags/risk/jobs.json", False),
    (PLAN, "s3:ListBucket", "dags/", False),
    (PLATFORM, "s3:ListBucketVersions", "dags/", False),
    (PLATFORM, "s3:ListBucket", "", False),
]  # fmt: skip
DATA_LISTS = [
    ("feature-store/risk/claims/", True),
    ("raw/risk/", True),
    ("", False),
    ("raw/", False),
    ("raw/care/", False),
    ("raw/risk", False),
    ("models/risk-eu/", False),
]


@pytest.mark.parametrize(("who", "action", "what"), ALLOWED)
def test_an_identity_may_do_its_work(may: Callable[..., str], who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "Allowed"


@pytest.mark.parametrize(("who", "action", "what"), FORBIDDEN)
def test_an_identity_may_do_nothing_else(may: Callable[..., str], who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "ImplicitlyDenied"


@pytest.mark.parametrize(("who", "action", "what"), EXPLICITLY_FORBIDDEN)
def test_the_platforms_pipeline_is_kept_from_teams_whatever_else_it_gets(
    may: Callable[..., str], who: str, action: str, what: str
) -> None:
    assert may(who, action, what) == "ExplicitlyDenied"


@pytest.mark.parametrize(("who", "action", "prefix", "expected"), LISTS)
def test_a_list_shows_an_identity_its_own_keys_alone(
    may: Callable[..., str], who: str, action: str, prefix: str, expected: bool
) -> None:
    answer = may(who, action, S3, {"s3:prefix": prefix})
    assert answer == ("Allowed" if expected else "ImplicitlyDenied")


@pytest.mark.parametrize("who", [CI, PLAN, PLATFORM, LISTER])
def test_a_list_of_the_whole_bucket_is_refused(may: Callable[..., str], who: str) -> None:
    assert may(who, "s3:ListBucket", S3) == "ImplicitlyDenied"


@pytest.mark.parametrize(("prefix", "expected"), DATA_LISTS)
def test_a_job_lists_its_teams_data_alone(may: Callable[..., str], prefix: str, expected: bool) -> None:
    answer = may(JOBS, "s3:ListBucket", DATA, {"s3:prefix": prefix})
    assert answer == ("Allowed" if expected else "ImplicitlyDenied")


@pytest.mark.parametrize(
    ("key", "through", "expected"),
    [
        ("999900001111:key/queue", "sqs.eu-central-1.amazonaws.com", "Allowed"),
        ("999900001111:key/queue", "s3.eu-central-1.amazonaws.com", "ImplicitlyDenied"),
        ("111122223333:key/own", "sqs.eu-central-1.amazonaws.com", "ImplicitlyDenied"),
    ],
)
def test_airflow_uses_no_key_but_that_of_its_queue(
    may: Callable[..., str], key: str, through: str, expected: str
) -> None:
    owner = key.partition(":")[0]
    arn = f"arn:aws:kms:eu-central-1:{key}"
    assert may(MWAA, "kms:Decrypt", arn, {"kms:ViaService": through}, owner, TRUSTING) == expected


@pytest.mark.parametrize(
    ("who", "action", "repository", "expected"),
    [
        (CI, "ecr:BatchGetImage", "risk/inference", "Allowed"),
        (CI, "ecr:PutImage", "risk/inference", "ImplicitlyDenied"),
        (CI, "ecr:BatchGetImage", "care/inference", "ImplicitlyDenied"),
        (CARE_CI, "ecr:BatchGetImage", "risk/inference", "ImplicitlyDenied"),
        (CARE_CI, "ecr:BatchGetImage", "care/inference", "ImplicitlyDenied"),
    ],
)
def test_a_pipeline_copies_its_teams_images_from_another_environment_and_writes_none_there(
    may: Callable[..., str], who: str, action: str, repository: str, expected: str
) -> None:
    arn = f"arn:aws:ecr:eu-west-1:444455556666:repository/{repository}"
    assert may(who, action, arn, None, "444455556666", TRUSTING) == expected


def test_a_launcher_has_no_right_at_all_in_aws(roles: dict[str, Role]) -> None:
    launchers = [role for role in roles.values() if role.groups]
    assert [role.name for role in launchers] == ["jobyard-care", "batch/risk-starts", "jobyard-risk-eu"]
    assert all(not role.statements for role in launchers)
    assert [role.groups for role in launchers] == [
        [f"jobyard:{team}:launchers"] for team in ("care", "risk", "risk-eu")
    ]
