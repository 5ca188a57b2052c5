"""`jobyard render`: the team's chart as Kubernetes gets it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from jobyard_cli.cli.options import PlatformWorkTree, TeamRepository, team_root


def render(
    environment: Annotated[
        str, typer.Option(help="Environment whose values to apply over the team's.", show_default="none")
    ] = "",
    platform: PlatformWorkTree = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print a summary instead of the manifests.")] = False,
    repo: TeamRepository = None,
) -> None:
    """Render the team's chart, and validate it against Kubernetes' schemas and the team's bounds.

    Exit codes: 0 no problem, 1 problems.
    """
    from jobyard_cli.chart.check import check_manifests, known_bounds
    from jobyard_cli.chart.manifests import manifests
    from jobyard_cli.team.repo import TeamRepo

    root = team_root(repo)
    team = TeamRepo.load(root).team
    made = manifests(root, environment)
    bounds = known_bounds(root, team, environment, platform)
    findings = check_manifests(made, team, bounds)
    if not quiet:
        print("".join(f"---\n{manifest.text}" for manifest in made), end="")
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        raise typer.Exit(1)
    if quiet:
        reason = f" ({bounds.why})" if bounds.why else ""
        print(f"{len(made)} objects, no problems{reason}")
