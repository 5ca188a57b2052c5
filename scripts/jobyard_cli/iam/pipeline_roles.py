"""Roles of a team's pipelines: the one that releases, and those of its merge requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobyard.contract import images_variable, release_path

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import Project, trusts
from jobyard_cli.iam.metrics_reading import team_reads
from jobyard_cli.iam.role import Role, Statement, allow, key

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeImages")
PUSH = (
    *PULL,
    "ecr:DescribeRepositories",
    "ecr:CreateRepository",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)
OP = (
    "Airflow role Op: without `variablesPrefix` in the environment's file, the pipeline writes its Variable through "
    "Airflow's API, where Op may change every team's Variables and read every connection. "
    "Give the environment a `variablesPrefix`."
)
NO_REGISTRY = "No right to push images: the environment's registry is not ECR, and knows the pipeline by other means."


@dataclass(frozen=True)
class Images:
    """ARNs of the team's image repositories: where this environment has them, and where others do."""

    own: Sequence[str]
    elsewhere: Sequence[str]


def release_role(account: Account, team: str, project: Project, branch: str, images: Images) -> Role:
    """Return the role of the pipeline that releases from a branch."""
    return Role(
        key(team, "Ci"),
        team,
        f"jobyard-{team}-ci",
        f"pipeline of team {team} that releases its jobs, on {branch}",
        [trusts(account, project, "StringEquals", **project.release_claims(branch, account.environment))],
        [
            *_reads_releases(account, team),
            allow("Release", ["s3:PutObject"], _release_arns(account, team)),
            *_copies(images),
            *_own_variable(account, team),
            _asks_airflow(account),
        ],
        list(_notes(account, images)),
    )


def _notes(account: Account, images: Images) -> Iterator[str]:
    if not account.variables:
        yield OP
    if not images.own:
        yield NO_REGISTRY


def releases_own_jobs(account: Account, team: str, images: Images) -> Iterator[Statement]:
    """Yield what the platform's pipeline needs to release the platform's own jobs, with their images."""
    keys = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    yield allow("OwnRelease", keys, _release_arns(account, team))
    yield allow(
        "ListOwnRelease",
        ["s3:ListBucket"],
        [account.bucket_arn(account.bucket)],
        StringEquals={"s3:prefix": _release(team)},
    )
    yield from _copies(images)
    yield from _own_variable(account, team)


def _reads_releases(account: Account, team: str) -> Iterator[Statement]:
    yield allow("ReadReleases", ["s3:GetObject", "s3:GetObjectVersion"], _release_arns(account, team))
    # Its own key alone, so that no list shows another team's.
    yield allow(
        "ListReleases",
        ["s3:ListBucket", "s3:ListBucketVersions"],
        [account.bucket_arn(account.bucket)],
        StringEquals={"s3:prefix": _release(team)},
    )


def _copies(images: Images) -> Iterator[Statement]:
    if images.own or images.elsewhere:
        # A token is for the whole registry; what it is good for, the next statements say.
        yield allow("LogInToRegistry", ["ecr:GetAuthorizationToken"], ["*"])
    if images.own:
        yield allow("Images", PUSH, images.own)
    if images.elsewhere:
        yield allow("ImagesElsewhere", PULL, images.elsewhere)


def _own_variable(account: Account, team: str) -> Iterator[Statement]:
    if account.variables:
        name = account.arn("ssm", f"parameter{account.variables}/{images_variable(team)}")
        yield allow("ImagesVariable", ["ssm:GetParameter", "ssm:PutParameter"], [name])


def _asks_airflow(account: Account) -> Statement:
    role = "Viewer" if account.variables else "Op"
    return allow("AskAirflow", ["airflow:InvokeRestApi"], [account.arn("airflow", f"role/{account.airflow}/{role}")])


def review_role(account: Account, team: str, project: Project) -> Role:
    """Return the role of merge request pipelines, which only read: anyone who may open a merge request has it."""
    operator, subject = project.review_subject()
    readable = account.object_arns(account.bucket, [_release(team), "dags/jobyard/*"])
    prefix = {"s3:prefix": _release(team)}
    return Role(
        key(team, "Plan"),
        team,
        f"jobyard-{team}-plan",
        f"pipelines of team {team}'s merge requests",
        [trusts(account, project, operator, sub=subject)],
        [
            allow("Read", ["s3:GetObject"], readable),
            allow("ListRelease", ["s3:ListBucket"], [account.bucket_arn(account.bucket)], StringEquals=prefix),
            *team_reads(account, team),
        ],
    )


def _release(team: str) -> str:
    """Key of the team's release in Airflow's bucket."""
    return f"dags/{release_path(team)}"


def _release_arns(account: Account, team: str) -> list[str]:
    return account.object_arns(account.bucket, [_release(team)])
