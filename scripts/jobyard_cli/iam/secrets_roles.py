"""Roles of the External Secrets operator: its own, and for each team the one as which it reads that team's secrets."""

from __future__ import annotations

from collections.abc import Iterable

from jobyard_cli.iam.account import Account
from jobyard_cli.iam.pods import trusts_pods
from jobyard_cli.iam.role import Role, allow, key

OPERATOR = "ExternalSecrets"
"""Key of the operator's own role."""
OPERATOR_NAME = "jobyard-secrets"
NAMESPACE, SERVICE_ACCOUNT = "external-secrets", "external-secrets"
"""Whose pods are the operator, as its own chart installs it."""
ASSUME = ["sts:AssumeRole", "sts:TagSession"]
"""EKS Pod Identity tags sessions, and the tags stay on those of the roles that they assume."""


def operator_role(account: Account, teams: Iterable[str]) -> Role:
    """Return the operator's own role, which may be each team's and reads nothing itself."""
    team_arns = [account.role(_name(team)) for team in sorted(teams)]
    return Role(
        OPERATOR,
        "platform",
        OPERATOR_NAME,
        "the External Secrets operator",
        list(trusts_pods(account, NAMESPACE, SERVICE_ACCOUNT)),
        [allow("BeATeam", ASSUME, team_arns)] if team_arns else [],
    )


def team_secrets_role(account: Account, team: str) -> Role:
    """Return the role that the operator assumes to read the team's secrets."""
    operator = {"AWS": account.role(OPERATOR_NAME)}
    secrets = account.arn("secretsmanager", f"secret:jobyard/{team}/*")
    return Role(
        key(team, "Secrets"),
        team,
        _name(team),
        f"the External Secrets operator where it reads secrets of team {team}",
        [{"Effect": "Allow", "Principal": operator, "Action": ASSUME}],
        [allow("ReadSecrets", ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"], [secrets])],
        after=[OPERATOR],
    )


def _name(team: str) -> str:
    return f"jobyard-{team}-secrets"
