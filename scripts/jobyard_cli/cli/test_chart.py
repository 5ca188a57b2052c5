"""`jobyard test-chart`: the suites of the team's chart."""

from __future__ import annotations

import typer

from jobyard_cli.cli.options import TeamRepository, team_root


def test_chart(repo: TeamRepository = None) -> None:
    """Run the helm-unittest suites in charts/team/tests.

    It uses the installed helm-unittest, or builds one from source and caches it.

    Exit codes: 0 all suites pass, 1 a suite fails.
    """
    from jobyard_cli.chart.suites import find_suites, program, run_suites
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.system.folders import cache_dir

    root = team_root(repo)
    find_suites(root)
    with Steps(new_console()) as steps, steps.step("helm-unittest") as report:
        runner = program(cache_dir(), report)
    if run_suites(root, runner) != 0:
        raise typer.Exit(1)
