"""`jobyard dags`: whether the environment's Airflow can run the jobs, before they are released."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobyard_cli.cli.options import EnvironmentName, PlatformWorkTree, TeamRepository, platform_tree, team_root


def dags(
    environment: EnvironmentName,
    airflow: Annotated[
        str | None, typer.Option(help="Version of Airflow to use.", show_default="the environment's")
    ] = None,
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Build all DAGs on an environment's version of Airflow, and report what it can't run."""
    from jobyard_cli.airflow.dags.build import Platform, build
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.platform.checkout import platform_repo

    root = team_root(repo)
    current = platform_tree(root, platform)
    with Steps(new_console()) as steps, steps.step(f"DAGs on the Airflow of {environment}") as report:
        built = build(root, Platform(current, platform_repo(root, platform)), environment, airflow, report)
    for problem in built.problems:
        print(problem, file=sys.stderr)
    if built.problems:
        print(f"Airflow {built.airflow} can't run {len(built.problems)} of the jobs", file=sys.stderr)
        raise typer.Exit(1)
    print(f"Airflow {built.airflow} has all {built.dags} DAGs")
