"""`jobyard test-chart`: the suites of the team's chart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.team.repo import TeamRepo


def test_chart(
    repo: Annotated[
        Path | None,
        typer.Option("--repo", help="Top folder of the team's repository.", show_default="the one we are in"),
    ] = None,
) -> None:
    """Run the suites in charts/team/tests with helm-unittest: the machine's own, or one built from source and kept.

    Exit code: 0 where all pass, 1 where one fails.
    """
    from jobyard_cli.chart.suites import find_suites, program, run_suites
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.system.folders import cache_dir

    root = repo.absolute() if repo else TeamRepo.find(Path())
    find_suites(root)
    with Steps(new_console()) as steps, steps.step("helm-unittest") as report:
        runner = program(cache_dir(), report)
    if run_suites(root, runner) != 0:
        raise typer.Exit(1)
