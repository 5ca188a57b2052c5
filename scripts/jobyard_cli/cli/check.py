"""`jobyard check`: every problem of the jobs, with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobyard_cli.cli.options import TeamRepository, team_root

if TYPE_CHECKING:
    from jobyard_cli.check.run import Checked


class Format(StrEnum):
    """How the check answers: a person, our own JSON, GitHub's annotations, GitLab's Code Quality, SARIF 2.1.0."""

    text = "text"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"


def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Job files or directories to check.", show_default="all jobs")
    ] = None,
    repo: TeamRepository = None,
    output: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.text,
) -> None:
    """Check jobs and report every problem: where it is, what is wrong and what would be right.

    Exit codes: 0 no problem (warnings do not count), 1 problems, 2 the command itself is wrong.
    """
    from jobyard_cli.check.run import check_repo

    chosen = paths or []
    checked = check_repo(team_root(repo, *chosen), chosen)
    for line in _answer(checked, output):
        print(line)
    if checked.findings:
        raise typer.Exit(1)


def _answer(checked: Checked, output: Format) -> Iterable[str]:
    from jobyard_cli.check import formats, report

    match output:
        case Format.json:
            return [report.as_json(checked)]
        case Format.github:
            return [*formats.github(checked.reported), report.summary(checked)]
        case Format.gitlab:
            return [formats.gitlab(checked.reported)]
        case Format.sarif:
            return [formats.sarif(checked.reported)]
        case _:
            return report.lines(checked, snippets=sys.stdout.isatty())
