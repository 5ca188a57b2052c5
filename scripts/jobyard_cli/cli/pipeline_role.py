"""`jobyard pipeline-role`: how a pipeline gets its rights in AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.iam.pipeline_role import Right
from jobyard_cli.team.repo import TeamRepo


def pipeline_role(
    environment: Annotated[str, typer.Option("--environment", help="Environment whose account has the role.")],
    right: Annotated[
        Right,
        typer.Option(
            help="To release a team's jobs with its images, to read; or, of the platform, to publish, to list jobs."
        ),
    ] = Right.ci,
    platform: Annotated[
        Path | None,
        typer.Option(help="A work tree of the platform's repository.", show_default="its current branch, fetched"),
    ] = None,
    repo: Annotated[
        Path | None, typer.Option(help="Top folder of the repository.", show_default="the one we are in")
    ] = None,
) -> None:
    """Print the variables, NAME=value, with which AWS's libraries take a pipeline's role in an environment."""
    from jobyard_cli.cli.platform_repo import platform_tree
    from jobyard_cli.iam.pipeline_role import OF_PLATFORM, role_name, variables
    from jobyard_cli.platform.environments import load_environment

    if right in OF_PLATFORM:
        work_tree, team = repo or Path(), ""
    else:
        root = repo.absolute() if repo else TeamRepo.find(Path())
        work_tree, team = platform_tree(root, platform), TeamRepo.load(root).team
    for name, value in variables(load_environment(work_tree, environment), role_name(right, team)).items():
        print(f"{name}={value}")
