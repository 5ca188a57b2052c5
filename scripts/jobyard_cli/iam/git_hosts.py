"""Pipelines of a repository as IAM knows them: by the tokens that its git host signs (OpenID Connect)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from jobyard_cli.errors import JobyardError
from jobyard_cli.iam.account import Account
from jobyard_cli.iam.role import Statement

AUDIENCES = {"gitlab": "https://sts.amazonaws.com", "github": "sts.amazonaws.com"}
"""What a pipeline asks its token for (`aud`)."""
EXAMPLES = {
    "gitlab": "https://git.example.com/risk/jobs.git",
    "github": "https://github.com/risk/risk-jobs.git",
}
"""What the address of a repository looks like."""
GITHUB = "github.com"
GITHUBS_ISSUER = "token.actions.githubusercontent.com"
SCP = re.compile(r"[A-Za-z0-9_-]+@([A-Za-z0-9.-]+):(?!/)(.+)")
HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
PATH = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+")
REVISION = re.compile(r"[A-Za-z0-9_./+@-]+")
NO_BRANCH = re.compile(r"v?[0-9]+(\.[0-9]+)+.*|[0-9a-f]{40}|[0-9a-f]{64}")
"""Tags and commits, on which no pipeline releases."""


class UnknownPipelinesError(JobyardError):
    """IAM can't know the pipelines of such an address or revision."""


@dataclass(frozen=True)
class Project:
    """A repository on its git host."""

    ci: str
    host: str
    path: str

    @property
    def issuer(self) -> str:
        """Return the issuer of its pipelines' tokens, without `https://`."""
        if self.ci == "gitlab":
            return self.host
        if self.host == GITHUB:
            return GITHUBS_ISSUER
        return f"{self.host}/_services/token"

    @property
    def audience(self) -> str:
        """Return the audience of its pipelines' tokens for AWS."""
        return AUDIENCES[self.ci]

    def release_claims(self, branch: str, environment: str) -> dict[str, str]:
        """Return the claims of a pipeline that releases from a branch into an environment.

        On GitHub a job that names its environment is that environment to others, whatever its branch; so its branch
        is asked for too, where IAM knows of it.
        """
        if self.ci == "gitlab":
            return {"sub": f"project_path:{self.path}:ref_type:branch:ref:{branch}"}
        claims = {"sub": f"repo:{self.path}:environment:{environment}"}
        if self.issuer == GITHUBS_ISSUER:
            claims["ref"] = f"refs/heads/{branch}"
        return claims

    def branch_claims(self, branch: str) -> dict[str, str]:
        """Return the claims of a pipeline on a branch that is in no environment, such as a scheduled one."""
        if self.ci == "gitlab":
            return self.release_claims(branch, "")
        return {"sub": f"repo:{self.path}:ref:refs/heads/{branch}"}

    def review_subject(self) -> tuple[str, str]:
        """Return the operator and subject that match merge request pipelines.

        GitLab names the request's own branch, which may be any of this project's; of a fork it names the fork.
        """
        if self.ci == "github":
            return "StringEquals", f"repo:{self.path}:pull_request"
        return "StringLike", f"project_path:{self.path}:ref_type:branch:ref:*"


def project(address: str, ci: str = "") -> Project:
    """Return the repository at an address: on GitHub by default for github.com, else on GitLab.

    Raises:
        UnknownPipelinesError: it is on no git host whose tokens IAM takes.
    """
    host, path = _parts(address)
    path = path.strip("/").removesuffix(".git")
    kind = ci or ("github" if host == GITHUB else "gitlab")
    if not HOST.fullmatch(host) or not PATH.fullmatch(path) or (kind == "github" and path.count("/") != 1):
        raise UnknownPipelinesError(
            f"must be the address of a repository on a {kind} host, such as {EXAMPLES[kind]}; got '{address}'"
        )
    return Project(kind, host, path)


def _parts(address: str) -> tuple[str, str]:
    if match := SCP.fullmatch(address):
        return match[1], match[2]
    parts = urlsplit(address)
    if parts.scheme == "https" and ":" in parts.netloc.rpartition("@")[2]:
        raise UnknownPipelinesError(f"must be on a git host without a port, as IAM accepts no other; got '{address}'")
    if parts.scheme not in ("https", "ssh", "git"):
        return "", parts.path
    return parts.hostname or "", parts.path


def release_branch(revision: str) -> str:
    """Return the branch whose pipeline releases: what Argo CD syncs, or `main` if that is a tag or a commit.

    Raises:
        UnknownPipelinesError: it is not a branch, tag or commit.
    """
    if not REVISION.fullmatch(revision):
        raise UnknownPipelinesError(f"must be a branch, tag or commit; got '{revision}'")
    if NO_BRANCH.fullmatch(revision):
        return "main"
    return revision


def trusts(account: Account, project: Project, operator: str, **claims: str) -> Statement:
    """Return a trust policy's statement for pipelines whose tokens have these claims and AWS as audience."""
    return trusts_tokens(account, project.issuer, project.audience, operator, **claims)


def trusts_tokens(account: Account, issuer: str, audience: str, operator: str, **claims: str) -> Statement:
    """Return a trust policy's statement for anyone with a token of the issuer for the audience, with these claims."""
    condition = {"StringEquals": {f"{issuer}:aud": audience}}
    for claim, value in claims.items():
        condition.setdefault(operator, {})[f"{issuer}:{claim}"] = value
    return {
        "Effect": "Allow",
        "Principal": {"Federated": account.identity_provider(issuer)},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
