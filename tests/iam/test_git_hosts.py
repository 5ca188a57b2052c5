"""Addresses of repositories as IAM's trust has them."""

from __future__ import annotations

import pytest
from jobyard_cli.iam.git_hosts import UnknownPipelinesError, project, release_branch


@pytest.mark.parametrize(
    ("address", "ci", "issuer", "path"),
    [
        ("https://git.example.com/risk/risk-jobs.git", "", "git.example.com", "risk/risk-jobs"),
        ("https://git.example.com/ml/risk/jobs", "gitlab", "git.example.com", "ml/risk/jobs"),
        ("https://token@git.example.com/risk/jobs.git", "gitlab", "git.example.com", "risk/jobs"),
        ("git@git.example.com:risk/jobs.git", "gitlab", "git.example.com", "risk/jobs"),
        ("ssh://git@git.example.com:2222/risk/jobs.git", "gitlab", "git.example.com", "risk/jobs"),
        ("https://github.com/risk/jobs.git", "", "token.actions.githubusercontent.com", "risk/jobs"),
        ("git@github.com:risk/jobs.git", "github", "token.actions.githubusercontent.com", "risk/jobs"),
        ("https://ghe.example.com/risk/jobs", "github", "ghe.example.com/_services/token", "risk/jobs"),
    ],
)
def test_an_address_tells_who_signs_the_tokens_of_which_project(address: str, ci: str, issuer: str, path: str) -> None:
    found = project(address, ci)
    assert (found.issuer, found.path) == (issuer, path)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/srv/git/risk.git",
        "file:///srv/git/risk.git",
        "http://git.example.com/risk/jobs",
        "https://localhost/risk/jobs",
        "https://git.example.com/jobs.git",
        "https://git.example.com/risk/*",
        "git@git.example.com:risk/*",
        "https://git.example.com/risk/jobs:ref_type:branch:ref:main",
    ],
)
def test_an_address_whose_pipelines_iam_can_not_know_is_refused(address: str) -> None:
    with pytest.raises(UnknownPipelinesError, match="must be the address of a repository on a gitlab host"):
        project(address, "gitlab")


def test_an_enterprise_servers_branch_is_unknown_to_iam() -> None:
    claims = project("https://ghe.example.com/risk/jobs", "github").release_claims("main", "prod")
    assert claims == {"sub": "repo:risk/jobs:environment:prod"}


@pytest.mark.parametrize(
    ("revision", "branch"),
    [
        ("main", "main"),
        ("release/2026", "release/2026"),
        ("v1.4.0", "main"),
        ("1.4", "main"),
        ("0123456789abcdef0123456789abcdef01234567", "main"),
    ],
)
def test_a_pipeline_releases_from_a_branch_whatever_argo_cd_syncs(revision: str, branch: str) -> None:
    assert release_branch(revision) == branch


@pytest.mark.parametrize("revision", ["*", "${aws:username}", "ma in", "main:x"])
def test_what_is_no_branch_is_refused(revision: str) -> None:
    with pytest.raises(UnknownPipelinesError, match="must be a branch, tag or commit"):
        release_branch(revision)
