"""Roles of one team: its pipelines, Airflow as the team, and its jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import Project, release_branch, trusts
from jobyard_cli.iam.role import Role, Statement, allow
from jobyard_cli.kubeconfig import launcher_name

AIRFLOW = "Airflow"
"""Key of the role that Airflow has."""
READ_DATA = ("raw",)
WRITE_DATA = ("feature-store", "models", "predictions")
"""First parts of a team's keys in the data bucket, `<part>/<team>/…`, as the example images have them."""
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
NO_DATA = "No rights: the environment's file names no `dataBucket`."


@dataclass(frozen=True)
class Images:
    """ARNs of the team's image repositories: where this environment has them, and where others do."""

    own: Sequence[str]
    elsewhere: Sequence[str]


def team_roles(
    account: Account, team: str, values: Mapping[str, Any], project: Project, images: Images
) -> Iterator[Role]:
    """All roles of a team.

    Raises:
        NoPipelines: what Argo CD syncs of the team's repository is no name of a branch.
    """
    yield _ci(account, team, project, release_branch(values.get("revision", "main")), images)
    yield _plan(account, team, project)
    yield _launcher(account, team, launcher_name(values, team))
    for number, name in enumerate(values.get("iamRoles", {}).get("serviceAccounts", []), start=1):
        yield _jobs(account, team, name, number)


def key(team: str, kind: str) -> str:
    """A role's name in a template, which takes letters and digits alone; a team's name has no capital Z of its own."""
    return f"{team.replace('-', 'Z')}{kind}"


def release(team: str) -> str:
    """Key of the team's release in Airflow's bucket."""
    return f"dags/{team}/jobs.json"


def _ci(account: Account, team: str, project: Project, branch: str, images: Images) -> Role:
    return Role(
        key(team, "Ci"),
        team,
        f"jobyard-{team}-ci",
        f"pipeline of team {team} that releases its jobs, on {branch}",
        [trusts(account, project, "StringEquals", **project.release_claims(branch, account.environment))],
        [
            *_reads_releases(account, team),
            allow("Release", ["s3:PutObject"], account.s3(account.bucket, release(team))),
            *_copies(images),
            *_own_variable(account, team),
            _asks_airflow(account, "Viewer" if account.variables else "Op"),
        ],
        [*([] if account.variables else [OP]), *([] if images.own else [NO_REGISTRY])],
    )


def _reads_releases(account: Account, team: str) -> Iterator[Statement]:
    yield allow("ReadReleases", ["s3:GetObject", "s3:GetObjectVersion"], account.s3(account.bucket, release(team)))
    # Its own key alone, so that no list shows another team's.
    yield allow(
        "ListReleases",
        ["s3:ListBucket", "s3:ListBucketVersions"],
        account.s3(account.bucket),
        StringEquals={"s3:prefix": release(team)},
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
        name = account.arn("ssm", f"parameter{account.variables}/jobyard_images_{team}")
        yield allow("ImagesVariable", ["ssm:GetParameter", "ssm:PutParameter"], [name])


def _asks_airflow(account: Account, role: str) -> Statement:
    return allow("AskAirflow", ["airflow:InvokeRestApi"], [account.arn("airflow", f"role/{account.airflow}/{role}")])


def _plan(account: Account, team: str, project: Project) -> Role:
    operator, subject = project.review_subject()
    own = {"s3:prefix": release(team)}
    return Role(
        key(team, "Plan"),
        team,
        f"jobyard-{team}-plan",
        f"pipelines of team {team}'s merge requests",
        [trusts(account, project, operator, sub=subject)],
        [
            allow("Read", ["s3:GetObject"], account.s3(account.bucket, release(team), "dags/jobyard/*")),
            allow("ListRelease", ["s3:ListBucket"], account.s3(account.bucket), StringEquals=own),
        ],
    )


def _launcher(account: Account, team: str, name: str) -> Role:
    airflow = {"AWS": account.role(airflow_name())}
    return Role(
        key(team, "Launcher"),
        team,
        name,
        f"Airflow where it starts pods of team {team}",
        [{"Effect": "Allow", "Principal": airflow, "Action": "sts:AssumeRole"}],
        # A token for the cluster is a signed sts:GetCallerIdentity, which needs no right.
        groups=[f"jobyard:{team}:launchers"],
        after=[AIRFLOW],
    )


def airflow_name() -> str:
    """Name of Airflow's execution role."""
    return "jobyard-mwaa"


def _jobs(account: Account, team: str, name: str, number: int) -> Role:
    return Role(
        key(team, f"Jobs{number}"),
        team,
        name,
        f"jobs of team {team}",
        list(_trusts_pods(account, team)),
        list(_data(account, team)),
        [] if account.data_bucket else [NO_DATA],
    )


def _trusts_pods(account: Account, team: str) -> Iterator[Statement]:
    """Service accounts of the team's namespace: with EKS Pod Identity, and with a token where the issuer is known."""
    tags = {"eks-cluster-name": account.cluster, "kubernetes-namespace": f"team-{team}"}
    own = {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}
    yield {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:SourceAccount": account.number, **own}},
    }
    if account.issuer:
        yield {
            "Effect": "Allow",
            "Principal": {"Federated": account.arn("iam", f"oidc-provider/{account.issuer}", region="")},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {
                "StringEquals": {f"{account.issuer}:aud": "sts.amazonaws.com"},
                "StringLike": {f"{account.issuer}:sub": f"system:serviceaccount:team-{team}:*"},
            },
        }


def _data(account: Account, team: str) -> Iterator[Statement]:
    if not account.data_bucket:
        return
    bucket, own = account.data_bucket, [f"{part}/{team}/*" for part in WRITE_DATA]
    every = [f"{part}/{team}/*" for part in READ_DATA] + own
    yield allow("ReadData", ["s3:GetObject"], account.s3(bucket, *every))
    yield allow("WriteData", ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], account.s3(bucket, *own))
    yield allow("ListData", ["s3:ListBucket"], account.s3(bucket), StringLike={"s3:prefix": every})
