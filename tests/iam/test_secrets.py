"""Who reads which of the teams' secrets on AWS, and attempts at others."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobyard_cli.iam.role import Role
from jobyard_cli.iam.roles import all_roles
from jobyard_cli.iam.template import cloudformation
from jobyard_cli.platform.environments import Environment

from tests.iam.conftest import PLATFORM_REPO, TEAMS, VALUES, Simulate
from tests.iam.test_template import lint

OPERATOR, RISK, CARE = "jobyard-secrets", "jobyard-risk-secrets", "jobyard-care-secrets"
IAM = "arn:aws:iam::111122223333:role"
SECRETS = "arn:aws:secretsmanager:eu-central-1:111122223333:secret"
READ = "secretsmanager:GetSecretValue"
ISSUER = "oidc.eks.eu-central-1.amazonaws.com/id/0123"
Try = tuple[str, str, str]


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment("prod", {**VALUES, "externalSecrets": True}, TEAMS)


@pytest.fixture(scope="module")
def roles(environment: Environment) -> dict[str, Role]:
    """The roles of an environment with the operator, in place of those that the other tests share."""
    return {role.short_name: role for role in all_roles(environment, PLATFORM_REPO).roles}


ALLOWED: list[Try] = [
    (RISK, READ, f"{SECRETS}:jobyard/risk/database-AbCdEf"),
    (RISK, "secretsmanager:DescribeSecret", f"{SECRETS}:jobyard/risk/database-AbCdEf"),
    (CARE, READ, f"{SECRETS}:jobyard/care/database-AbCdEf"),
    *((OPERATOR, "sts:AssumeRole", f"{IAM}/jobyard-{team}-secrets") for team in TEAMS),
    (OPERATOR, "sts:TagSession", f"{IAM}/{RISK}"),
]
FORBIDDEN: list[Try] = [
    (RISK, READ, f"{SECRETS}:jobyard/care/database-AbCdEf"),
    (RISK, READ, f"{SECRETS}:jobyard/risk-eu/database-AbCdEf"),
    (RISK, READ, f"{SECRETS}:airflow/connections/warehouse-AbCdEf"),
    (RISK, READ, f"{SECRETS}:jobyard/risk"),
    (RISK, READ, f"{SECRETS.replace('111122223333', '999900001111')}:jobyard/risk/database-AbCdEf"),
    *((RISK, action, f"{SECRETS}:jobyard/risk/database-AbCdEf") for action in (
        "secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret", "secretsmanager:PutResourcePolicy",
    )),
    (RISK, "secretsmanager:ListSecrets", "*"),
    (RISK, "sts:AssumeRole", f"{IAM}/{CARE}"),
    # By itself the operator reads nothing, and is nobody else.
    (OPERATOR, READ, f"{SECRETS}:jobyard/risk/database-AbCdEf"),
    *((OPERATOR, "sts:AssumeRole", f"{IAM}/{name}") for name in ("jobyard-mwaa", "batch/risk-jobs", "jobyard-risk-ci")),
    # Nor do those that a team has.
    *((who, READ, f"{SECRETS}:jobyard/risk/database-AbCdEf") for who in (
        "risk-jobs", "risk-starts", "jobyard-risk-ci", "jobyard-risk-plan", "jobyard-platform-ci", "jobyard-mwaa",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("who", "action", "what"), ALLOWED)
def test_the_operator_reads_what_a_team_names(may: Simulate, who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "Allowed"


@pytest.mark.parametrize(("who", "action", "what"), FORBIDDEN)
def test_nobody_reads_more(may: Simulate, who: str, action: str, what: str) -> None:
    assert may(who, action, what) == "ImplicitlyDenied"


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (f"{IAM}/{OPERATOR}", "Allowed"),
        *(
            (f"{IAM}/{name}", "ImplicitlyDenied")
            for name in (CARE, "batch/risk-jobs", "jobyard-risk-ci", "jobyard-mwaa")
        ),
    ],
)
def test_only_the_operator_may_be_the_role_of_a_teams_secrets(may_be: Simulate, who: str, expected: str) -> None:
    assert may_be(who, "sts:AssumeRole", RISK, {}) == expected


@pytest.mark.parametrize(
    ("namespace", "account", "expected"),
    [
        ("external-secrets", "external-secrets", "Allowed"),
        ("external-secrets", "default", "ImplicitlyDenied"),
        ("external-secrets", "external-secrets-webhook", "ImplicitlyDenied"),
        ("team-risk", "external-secrets", "ImplicitlyDenied"),
    ],
)
def test_only_the_operators_own_account_may_be_the_operator(
    may_be: Simulate, namespace: str, account: str, expected: str
) -> None:
    tags = {
        "aws:SourceAccount": "111122223333",
        "aws:RequestTag/eks-cluster-name": "ml",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }
    assert may_be("pods.eks.amazonaws.com", "sts:AssumeRole", OPERATOR, tags) == expected
    claims = {f"{ISSUER}:sub": f"system:serviceaccount:{namespace}:{account}", f"{ISSUER}:aud": "sts.amazonaws.com"}
    provider = f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}"
    assert may_be(provider, "sts:AssumeRoleWithWebIdentity", OPERATOR, claims) == expected


def test_the_template_makes_them(environment: Environment, tmp_path: Path) -> None:
    assert lint(cloudformation("prod", all_roles(environment, PLATFORM_REPO)), tmp_path) == ""


def test_without_the_operator_no_role_is_made() -> None:
    made = all_roles(Environment("prod", VALUES, TEAMS), PLATFORM_REPO).roles
    assert not [role.name for role in made if role.name.endswith("-secrets")]
