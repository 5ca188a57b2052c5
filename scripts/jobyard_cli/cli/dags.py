"""`jobyard dags`: whether the environment's Airflow can run the jobs, before they are released."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.team.repo import TeamRepo


def dags(
    environment: Annotated[str, typer.Option("--environment", help="Environment whose Airflow builds them.")],
    airflow: Annotated[
        str | None, typer.Option(help="Another version of Airflow.", show_default="the environment's")
    ] = None,
    platform: Annotated[
        Path | None,
        typer.Option(
            help="A work tree of the platform's repository.",
            show_default="its current branch, fetched",
        ),
    ] = None,
    repo: Annotated[
        Path | None,
        typer.Option("--repo", help="Top folder of the team's repository.", show_default="the one we are in"),
    ] = None,
) -> None:
    """Build all DAGs of the work tree on an environment's Airflow, and say what it can't run."""
    from jobyard_cli.airflow.dags.build import Platform, build
    from jobyard_cli.cli.platform_repo import platform_tree
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.platform.checkout import platform_repo

    root = repo.absolute() if repo else TeamRepo.find(Path())
    current = platform_tree(root, platform)
    with Steps(new_console()) as steps, steps.step(f"DAGs on the Airflow of {environment}") as report:
        built = build(root, Platform(current, platform_repo(root, platform)), environment, airflow, report)
    for problem in built.problems:
        print(problem, file=sys.stderr)
    if built.problems:
        print(f"Airflow {built.airflow} can't run {len(built.problems)} of the jobs", file=sys.stderr)
        raise typer.Exit(1)
    print(f"Airflow {built.airflow} has all {built.dags} DAGs")
