"""`jobyard iam`: the IAM roles of an environment."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.team import PlatformRepo

BOUNDARY = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+")


class RolesFormat(StrEnum):
    """A template to deploy, or what is in it for another tool."""

    cloudformation = "cloudformation"
    json = "json"


class CI(StrEnum):
    """Whose pipelines the platform's repository has."""

    gitlab = "gitlab"
    github = "github"


def iam(
    environment: Annotated[str, typer.Option("--environment", help="Name of a file of values/environments.")],
    output: Annotated[RolesFormat, typer.Option("--format", help="What to print.")] = RolesFormat.cloudformation,
    only: Annotated[
        list[str] | None, typer.Option(help="`platform`, or a team: these roles alone. May be given again.")
    ] = None,
    platform_repo: Annotated[
        str, typer.Option(help="Address of the platform's repository.", show_default="that of its remote `origin`")
    ] = "",
    platform_ci: Annotated[
        CI | None, typer.Option(help="Whose pipelines it has.", show_default="github on github.com, else gitlab")
    ] = None,
    platform_branch: Annotated[str, typer.Option(help="Branch that its pipeline publishes.")] = "main",
    permissions_boundary: Annotated[
        str, typer.Option(help="ARN of a policy that bounds every role.", show_default=False)
    ] = "",
    repo: PlatformRepo = Path(),
) -> None:
    """Print the IAM roles of an environment: Airflow's, the pipelines', and each team's."""
    from jobyard_cli.iam import roles, template
    from jobyard_cli.platform.environments import environment_names, load_environment
    from jobyard_cli.system import git

    if permissions_boundary and not BOUNDARY.fullmatch(permissions_boundary):
        example = "arn:aws:iam::111122223333:policy/boundary"
        raise roles.IamRolesError([f"'{permissions_boundary}' is no ARN of a policy; one is {example}"])
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
