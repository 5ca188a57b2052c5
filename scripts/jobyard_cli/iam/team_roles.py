"""Roles of one team: its pipelines, Airflow as the team, and its jobs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobyard.contract import namespace

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.git_hosts import Project, release_branch
from jobyard_cli.iam.pipeline_roles import Images, release_role, review_role
from jobyard_cli.iam.pods import trusts_pods
from jobyard_cli.iam.role import Role, Statement, allow, key
from jobyard_cli.iam.secrets_roles import team_secrets_role
from jobyard_cli.parsing.documents import Written
from jobyard_cli.platform.data import AREAS
from jobyard_cli.platform.kubeconfig import launcher_name

AIRFLOW = "Airflow"
"""Key of the role that Airflow has."""
RAW = ("raw",)
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
    yield launcher(account, team, launcher_name(values, team))
    names = values.get("iamRoles", {})
    for number, name in enumerate(names.get("serviceAccounts", []), start=1):
        yield _jobs(account, team, name, number, writable=(*_raw(name, names), *WRITE_DATA))
    if account.external_secrets:
        yield team_secrets_role(account, team)


def _raw(name: str, names: Written) -> tuple[str, ...]:
    return RAW if name in names.get("writeRaw", []) else ()


def launcher(account: Account, team: str, name: str) -> Role:
    """Return the role that Airflow assumes to start the team's pods."""
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


def _jobs(account: Account, team: str, name: str, number: int, writable: Iterable[str]) -> Role:
    notes = []
    if not account.data_bucket:
        notes.append(NO_DATA)
    return Role(
        key(team, f"Jobs{number}"),
        team,
        name,
        f"jobs of team {team}",
        list(trusts_pods(account, namespace(team))),
        list(_data(account, team, writable)),
        notes,
    )


def _data(account: Account, team: str, writable_parts: Iterable[str]) -> Iterator[Statement]:
    if not account.data_bucket:
        return
    bucket = account.data_bucket
    readable, writable = _keys(team, (*RAW, *WRITE_DATA)), account.object_arns(bucket, _keys(team, writable_parts))
    yield allow("ReadData", ["s3:GetObject"], account.object_arns(bucket, readable))
    yield allow("WriteData", ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], writable)
    yield allow("ListData", ["s3:ListBucket"], [account.bucket_arn(bucket)], StringLike={"s3:prefix": readable})


def _keys(team: str, parts: Iterable[str]) -> list[str]:
    """Return patterns of the team's keys in these parts of the data bucket."""
    return [f"{part}/{team}/*" for part in parts]
