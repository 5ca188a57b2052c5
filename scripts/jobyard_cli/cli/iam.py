"""`jobyard iam`: the IAM roles of an environment."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import EnvironmentName, PlatformRepository
from jobyard_cli.errors import UsageError

BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+")


class RolesFormat(StrEnum):
    """A template to deploy, or its content for another tool."""

    cloudformation = "cloudformation"
    json = "json"


class CI(StrEnum):
    """The CI system that runs the pipelines of the platform's repository."""

    gitlab = "gitlab"
    github = "github"


def iam(
    environment: EnvironmentName,
    output: Annotated[RolesFormat, typer.Option("--format", help="Output format.")] = RolesFormat.cloudformation,
    only: Annotated[
        list[str] | None, typer.Option(help="Print only these roles: `platform`, or a team. Can be repeated.")
    ] = None,
    platform_repo: Annotated[
        str, typer.Option(help="URL of the platform repository.", show_default="that of its remote `origin`")
    ] = "",
    platform_ci: Annotated[
        CI | None,
        typer.Option(help="CI system of the platform repository.", show_default="github on github.com, else gitlab"),
    ] = None,
    platform_branch: Annotated[str, typer.Option(help="Branch that its pipeline publishes.")] = "main",
    permissions_boundary: Annotated[
        str, typer.Option(help="ARN of a policy that bounds every role.", show_default=False)
    ] = "",
    repo: PlatformRepository = Path(),
) -> None:
    """Print the IAM roles of an environment: Airflow's, the pipelines', and each team's."""
    from jobyard_cli.iam import roles, template
    from jobyard_cli.platform.environments import environment_names, load_environment
    from jobyard_cli.system import git

    if permissions_boundary and not BOUNDARY.fullmatch(permissions_boundary):
        example = "arn:aws:iam::111122223333:policy/boundary"
        raise UsageError(
            f"--permissions-boundary must be the ARN of a policy, such as {example}; got '{permissions_boundary}'"
        )
    chosen = load_environment(repo, environment)
    others = [load_environment(repo, name) for name in environment_names(repo) if name != environment]
    address = platform_repo or git.origin(repo)
    found = roles.all_roles(chosen, address, platform_ci or "", platform_branch, others)
    if only:
        found = roles.only(found, only)
    if output is RolesFormat.json:
        print(template.as_json(found), end="")
    else:
        print(template.cloudformation(environment, found, permissions_boundary), end="")
    for role in found.roles:
        for note in role.notes:
            print(f"{role.name}: {note}", file=sys.stderr)
