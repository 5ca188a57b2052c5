"""Roles of the platform: its own pipeline, and Airflow on MWAA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobyard.contract import release_path

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import Project, trusts
from jobyard_cli.iam.metrics_roles import metrics_roles
from jobyard_cli.iam.pipeline_roles import Images, releases_own_jobs
from jobyard_cli.iam.role import Role, Statement, allow, deny
from jobyard_cli.iam.secrets_roles import operator_role
from jobyard_cli.iam.team_roles import AIRFLOW, airflow_name
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.kubeconfig import launcher_name
from jobyard_cli.platform.teams import PLATFORM_TEAM

PLATFORM = PLATFORM_TEAM
"""Part of the roles that are not a team's; the platform's own jobs have its name."""
Teams = Mapping[str, Written]


@dataclass(frozen=True)
class OwnJobs:
    """What the reserved team has, and where its images are."""

    team: Written
    images: Images


def platform_roles(
    account: Account, teams: Teams, project: Project, branch: str, own: OwnJobs | None = None
) -> Iterator[Role]:
    """Yield the roles that exist once; `own` is None where the environment has no metrics."""
    launched = {**teams, PLATFORM_TEAM: own.team} if own else teams
    yield Role(
        AIRFLOW, PLATFORM, airflow_name(), "Airflow on MWAA", [_trusts_mwaa(account)], list(_airflow(account, launched))
    )
    yield Role(
        "PlatformCi",
        PLATFORM,
        "jobyard-platform-ci",
        f"pipeline of the platform's repository, on {branch}",
        [trusts(account, project, "StringEquals", **project.release_claims(branch, account.environment))],
        list(_publishes(account, teams, own)),
    )
    yield Role(
        "PlatformCatalogue",
        PLATFORM,
        "jobyard-platform-catalogue",
        f"scheduled pipeline of the platform's repository, on {branch}, that lists the released jobs",
        [trusts(account, project, "StringEquals", **project.branch_claims(branch))],
        list(_lists_jobs(account, teams)),
    )
    if account.external_secrets:
        yield operator_role(account, teams)
    if own:
        yield from metrics_roles(account, own.team)


def _publishes(account: Account, teams: Teams, own: OwnJobs | None) -> Iterator[Statement]:
    files = account.object_arns(account.bucket, ["dags/.airflowignore", "dags/jobyard/*", "dags/*.py"])
    yield allow("Publish", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], files)
    yield _lists_dags(account, ["dags/", "dags/jobyard/"])
    airflow = account.arn("airflow", f"role/{account.airflow}/{account.airflow_role}")
    yield allow("MakePools", ["airflow:InvokeRestApi"], [airflow])
    # `*` stands for slashes too, so what is allowed above reaches below a team's prefix.
    change = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    if own:
        # A denial can't leave the platform's own release out; those of teams are denied with their folders.
        yield from releases_own_jobs(account, PLATFORM_TEAM, own.images)
    else:
        yield deny("NoRelease", change, account.object_arns(account.bucket, [f"dags/{release_path('*')}"]))
    if teams:
        read = ["s3:GetObject", "s3:GetObjectVersion"]
        folders = [f"dags/{team}/*" for team in sorted(teams)]
        yield deny("NoTeamsFolder", [*read, *change], account.object_arns(account.bucket, folders))


def _lists_jobs(account: Account, teams: Teams) -> Iterator[Statement]:
    """Read each team's release, and nothing else."""
    yield _lists_dags(account, "dags/")
    if teams:
        releases = [f"dags/{release_path(team)}" for team in sorted(teams)]
        yield allow("ReadReleases", ["s3:GetObject"], account.object_arns(account.bucket, releases))


def _lists_dags(account: Account, prefixes: str | list[str]) -> Statement:
    bucket = account.bucket_arn(account.bucket)
    return allow("ListDags", ["s3:ListBucket"], [bucket], StringEquals={"s3:prefix": prefixes})


def _trusts_mwaa(account: Account) -> Statement:
    return {
        "Effect": "Allow",
        "Principal": {"Service": ["airflow.amazonaws.com", "airflow-env.amazonaws.com"]},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": account.number},
            "ArnLike": {"aws:SourceArn": account.arn("airflow", f"environment/{account.airflow}")},
        },
    }


def _airflow(account: Account, teams: Teams) -> Iterator[Statement]:
    yield from _what_mwaa_needs(account)
    yield allow("DescribeCluster", ["eks:DescribeCluster"], [account.arn("eks", f"cluster/{account.cluster}")])
    if account.variables:
        yield allow("ReadVariables", ["ssm:GetParameter"], [account.arn("ssm", f"parameter{account.variables}/*")])
    if teams:
        yield allow("BeATeam", ["sts:AssumeRole"], _launchers(account, teams))


def _launchers(account: Account, teams: Teams) -> Iterator[str]:
    """Yield the ARN of the role that Airflow assumes to start a team's pods, for each team."""
    for team, values in sorted(teams.items()):
        yield account.role(launcher_name(values, team))


def _what_mwaa_needs(account: Account) -> Iterator[Statement]:
    """What AWS's guide says that every execution role needs, with a key of AWS's own."""
    bucket = [account.bucket_arn(account.bucket), *account.object_arns(account.bucket, ["*"])]
    logs = account.arn("logs", f"log-group:airflow-{account.airflow}-*")
    yield allow("Metrics", ["airflow:PublishMetrics"], [account.arn("airflow", f"environment/{account.airflow}")])
    yield allow("ReadBucket", ["s3:GetObject*", "s3:GetBucket*", "s3:List*"], bucket)
    yield allow("Logs", _LOGS, [logs])
    unbounded = ["logs:DescribeLogGroups", "s3:GetAccountPublicAccessBlock", "cloudwatch:PutMetricData"]
    yield allow("NotOfAResource", unbounded, ["*"])
    yield allow("Queues", _QUEUES, [account.arn_at(account.region, "*", "sqs", "airflow-celery-*")])
    # The queue's key is in an account of AWS's, hence every key but this account's.
    keys = {"NotResource": [account.arn_at("*", account.number, "kms", "key/*")]}
    through = {"StringLike": {"kms:ViaService": [f"sqs.{account.region}.amazonaws.com"]}}
    yield {"Sid": "QueuesKey", "Effect": "Allow", "Action": _KEYS, **keys, "Condition": through}


_LOGS = (
    "logs:CreateLogStream",
    "logs:CreateLogGroup",
    "logs:PutLogEvents",
    "logs:GetLogEvents",
    "logs:GetLogRecord",
    "logs:GetLogGroupFields",
    "logs:GetQueryResults",
)
_QUEUES = (
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
)
_KEYS = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:Encrypt"]
