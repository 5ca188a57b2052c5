"""`jobyard pipeline-role`: how a pipeline gets its permissions in AWS."""

from __future__ import annotations

from typing import Annotated

import typer

from jobyard_cli.cli.options import EnvironmentName, PlatformWorkTree, TeamRepository, platform_tree, team_root
from jobyard_cli.iam.pipeline_role import Right


def pipeline_role(
    environment: EnvironmentName,
    right: Annotated[
        Right,
        typer.Option(
            help="ci: release a team's jobs and images; plan: read them; platform: publish the platform's files; "
            "catalogue: list the published jobs."
        ),
    ] = Right.ci,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Print the variables (NAME=value) with which the AWS SDKs assume a pipeline's role in an environment."""
    from pathlib import Path

    from jobyard_cli.iam.pipeline_role import OF_PLATFORM, role_name, variables
    from jobyard_cli.platform.environments import load_environment
    from jobyard_cli.team.repo import TeamRepo

    if right in OF_PLATFORM:
        work_tree, team = repo or Path(), ""
    else:
        root = team_root(repo)
        work_tree, team = platform_tree(root, platform), TeamRepo.load(root).team
    for name, value in variables(load_environment(work_tree, environment), role_name(right, team)).items():
        print(f"{name}={value}")
