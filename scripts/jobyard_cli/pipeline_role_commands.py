"""`jobyard pipeline-role`: how a pipeline gets its rights in AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.pipeline_role import Right
from jobyard_cli.repo import TeamRepo


def pipeline_role(
    environment: Annotated[str, typer.Option("--environment", help="Environment whose account has the role.")],
    right: Annotated[Right, typer.Option(help="To release with its images, or to read.")] = Right.ci,
    platform: Annotated[
        Path | None,
        typer.Option(help="A work tree of the platform's repository.", show_default="a clone as .cruft.json says"),
    ] = None,
    repo: Annotated[
        Path | None, typer.Option(help="Top folder of the team's repository.", show_default="the one we are in")
    ] = None,
) -> None:
    """Print the variables, NAME=value, with which AWS's libraries take the team's role in an environment."""
    from jobyard_cli.environments import load_environment
    from jobyard_cli.pipeline_role import variables
    from jobyard_cli.platform_checkout import platform_repo

    root = repo.absolute() if repo else TeamRepo.find(Path())
    found = load_environment(platform_repo(root, platform), environment)
    for name, value in variables(found, TeamRepo.load(root).team, right).items():
        print(f"{name}={value}")
