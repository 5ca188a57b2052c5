"""Who may be each identity, asked of a simulator of IAM that knows conditions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PROVIDER = "arn:aws:iam::111122223333:oidc-provider"
GITLAB, GITHUB = "git.example.com", "token.actions.githubusercontent.com"
EKS = "oidc.eks.eu-central-1.amazonaws.com/id/0123"
MAIN = "project_path:risk/risk-jobs:ref_type:branch:ref:main"
AUDIENCES = {GITLAB: "https://sts.amazonaws.com", GITHUB: "sts.amazonaws.com", EKS: "sts.amazonaws.com"}
BRANCH = {"ref": "refs/heads/main"}

TRUSTED = [
    ("jobyard-risk-ci", GITLAB, MAIN),
    # What Argo CD syncs of it is a tag; it releases from main.
    ("jobyard-risk-eu-ci", GITLAB, "project_path:risk/risk-jobs-eu:ref_type:branch:ref:main"),
    ("jobyard-risk-plan", GITLAB, "project_path:risk/risk-jobs:ref_type:branch:ref:add-a-job"),
    ("jobyard-risk-plan", GITLAB, "project_path:risk/risk-jobs:ref_type:branch:ref:zoe/add-a-job"),
    ("jobyard-care-ci", GITHUB, "repo:care/care-jobs:environment:prod"),
    ("jobyard-care-plan", GITHUB, "repo:care/care-jobs:pull_request"),
    ("jobyard-platform-ci", GITLAB, "project_path:platform/jobyard:ref_type:branch:ref:main"),
    ("jobyard-platform-catalogue", GITLAB, "project_path:platform/jobyard:ref_type:branch:ref:main"),
    ("risk-jobs", EKS, "system:serviceaccount:team-risk:jobs"),
]
REFUSED = [
    # Another branch, a tag of that name, another project, a fork, a project whose name begins alike.
    ("jobyard-risk-ci", GITLAB, "project_path:risk/risk-jobs:ref_type:branch:ref:add-a-job"),
    ("jobyard-risk-ci", GITLAB, "project_path:risk/risk-jobs:ref_type:branch:ref:main2"),
    ("jobyard-risk-ci", GITLAB, "project_path:risk/risk-jobs:ref_type:tag:ref:main"),
    ("jobyard-risk-ci", GITLAB, "project_path:care/care-jobs:ref_type:branch:ref:main"),
    ("jobyard-risk-ci", GITLAB, "project_path:mallory/risk-jobs:ref_type:branch:ref:main"),
    ("jobyard-risk-ci", GITLAB, "project_path:risk/risk-jobs-eu:ref_type:branch:ref:main"),
    ("jobyard-risk-ci", GITLAB, "project_path:Risk/risk-jobs:ref_type:branch:ref:main"),
    ("jobyard-risk-ci", GITHUB, "repo:risk/risk-jobs:ref:refs/heads/main"),
    ("jobyard-risk-eu-ci", GITLAB, "project_path:risk/risk-jobs-eu:ref_type:branch:ref:v1.4.0"),
    ("jobyard-risk-plan", GITLAB, "project_path:risk/risk-jobs-eu:ref_type:branch:ref:main"),
    ("jobyard-risk-plan", GITLAB, "project_path:risk/risk-jobs:ref_type:tag:ref:main"),
    ("jobyard-risk-plan", GITLAB, "project_path:mallory/risk-jobs:ref_type:branch:ref:main"),
    ("jobyard-care-ci", GITHUB, "repo:care/care-jobs:pull_request"),
    ("jobyard-care-ci", GITHUB, "repo:care/care-jobs:ref:refs/heads/main"),
    ("jobyard-care-ci", GITHUB, "repo:care/care-jobs:environment:dev"),
    ("jobyard-care-ci", GITHUB, "repo:mallory/care-jobs:environment:prod"),
    ("jobyard-care-plan", GITHUB, "repo:care/other:pull_request"),
    ("jobyard-platform-ci", GITLAB, MAIN),
    ("jobyard-platform-catalogue", GITLAB, MAIN),
    ("jobyard-platform-catalogue", GITLAB, "project_path:platform/jobyard:ref_type:branch:ref:add-a-team"),
    ("risk-jobs", EKS, "system:serviceaccount:team-care:jobs"),
    ("risk-jobs", EKS, "system:serviceaccount:team-risk-eu:jobs"),
    ("risk-jobs", GITLAB, "system:serviceaccount:team-risk:jobs"),
]


def with_token(may_be: Callable[..., str], role: str, issuer: str, subject: str, **others: str) -> str:
    claims = {"sub": subject, "aud": AUDIENCES[issuer], **(BRANCH if issuer == GITHUB else {}), **others}
    known = {f"{issuer}:{claim}": value for claim, value in claims.items()}
    return may_be(f"{PROVIDER}/{issuer}", "sts:AssumeRoleWithWebIdentity", role, known)


@pytest.mark.parametrize(("role", "issuer", "subject"), TRUSTED)
def test_a_role_trusts_its_own(may_be: Callable[..., str], role: str, issuer: str, subject: str) -> None:
    assert with_token(may_be, role, issuer, subject) == "Allowed"


@pytest.mark.parametrize(("role", "issuer", "subject"), REFUSED)
def test_a_role_trusts_nobody_else(may_be: Callable[..., str], role: str, issuer: str, subject: str) -> None:
    assert with_token(may_be, role, issuer, subject) == "ImplicitlyDenied"


@pytest.mark.parametrize(("role", "issuer", "subject"), TRUSTED)
def test_a_token_for_somebody_else_than_aws_is_worth_nothing(
    may_be: Callable[..., str], role: str, issuer: str, subject: str
) -> None:
    assert with_token(may_be, role, issuer, subject, aud="https://vault.example.com") == "ImplicitlyDenied"


@pytest.mark.parametrize("ref", ["refs/heads/add-a-job", "refs/tags/main", "refs/pull/7/merge"])
def test_on_github_an_environment_is_worth_nothing_on_another_branch(may_be: Callable[..., str], ref: str) -> None:
    subject = "repo:care/care-jobs:environment:prod"
    assert with_token(may_be, "jobyard-care-ci", GITHUB, subject, ref=ref) == "ImplicitlyDenied"


@pytest.mark.parametrize(
    ("who", "expected"),
    [("jobyard-mwaa", "Allowed"), ("jobyard-risk-ci", "ImplicitlyDenied"), ("jobyard-care", "ImplicitlyDenied")],
)
def test_only_airflow_may_be_a_launcher(may_be: Callable[..., str], who: str, expected: str) -> None:
    assert may_be(f"arn:aws:iam::111122223333:role/{who}", "sts:AssumeRole", "risk-starts", {}) == expected


@pytest.mark.parametrize(
    ("account", "airflow", "expected"),
    [
        ("111122223333", "ml-prod", "Allowed"),
        ("111122223333", "ml-dev", "ImplicitlyDenied"),
        ("999900001111", "ml-prod", "ImplicitlyDenied"),
    ],
)
def test_only_this_environments_mwaa_may_be_airflow(
    may_be: Callable[..., str], account: str, airflow: str, expected: str
) -> None:
    source = f"arn:aws:airflow:eu-central-1:{account}:environment/{airflow}"
    context = {"aws:SourceAccount": account, "aws:SourceArn": source}
    for service in ("airflow.amazonaws.com", "airflow-env.amazonaws.com"):
        assert may_be(service, "sts:AssumeRole", "jobyard-mwaa", context) == expected
    assert may_be("lambda.amazonaws.com", "sts:AssumeRole", "jobyard-mwaa", context) == "ImplicitlyDenied"


@pytest.mark.parametrize(
    ("cluster", "namespace", "account", "expected"),
    [
        ("ml", "team-risk", "111122223333", "Allowed"),
        ("ml", "team-care", "111122223333", "ImplicitlyDenied"),
        ("ml", "team-risk-eu", "111122223333", "ImplicitlyDenied"),
        ("other", "team-risk", "111122223333", "ImplicitlyDenied"),
        ("ml", "team-risk", "999900001111", "ImplicitlyDenied"),
    ],
)
def test_pod_identity_gives_a_role_to_its_teams_pods_alone(
    may_be: Callable[..., str], cluster: str, namespace: str, account: str, expected: str
) -> None:
    context = {
        "aws:SourceAccount": account,
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
    }
    assert may_be("pods.eks.amazonaws.com", "sts:AssumeRole", "risk-jobs", context) == expected
