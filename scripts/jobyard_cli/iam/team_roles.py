"""Roles of one team: its pipelines, Airflow as the team, and its jobs."""

from __future__ import annotations

from collections.abc import Iterator

from jobyard.contract import namespace

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import Project, release_branch
from jobyard_cli.iam.pipeline_roles import Images, release_role, review_role
from jobyard_cli.iam.role import Role, Statement, allow, key
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.data import AREAS
from jobyard_cli.platform.kubeconfig import launcher_name

AIRFLOW = "Airflow"
"""Key of the role that Airflow has."""
READ_DATA = ("raw",)
WRITE_DATA = AREAS
"""First parts of a team's keys in the data bucket, `<part>/<team>/…`, as the example images have them."""
NO_DATA = "No rights: the environment's file names no `dataBucket`."


def team_roles(account: Account, team: str, values: Written, project: Project, images: Images) -> Iterator[Role]:
    """Yield all roles of a team.

    Raises:
        UnknownPipelinesError: `revision` in the team's file is not a branch, tag or commit.
    """
    yield release_role(account, team, project, release_branch(values.get("revision", "main")), images)
    yield review_role(account, team, project)
    yield _launcher(account, team, launcher_name(values, team))
    for number, name in enumerate(values.get("iamRoles", {}).get("serviceAccounts", []), start=1):
        yield _jobs(account, team, name, number)


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
    """Return the name of Airflow's execution role."""
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
    tags = {"eks-cluster-name": account.cluster, "kubernetes-namespace": namespace(team)}
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
