"""What commands of a team's repository share of the platform's: where it is, and that it may be old."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.team.repo import TeamRepo


def platform_tree(root: Path, given: Path | None) -> Path:
    """The platform's files as they are now. Where no newer could be had, standard error says of what age they are.

    Raises:
        MissingPlatformError: nothing of the platform can be had.
    """
    from jobyard_cli.platform.current import current_platform

    current = current_platform(root, given)
    if current.why:
        print(f"note: this goes by {current.state}", file=sys.stderr)
    return current.tree


def refresh(
    repo: Annotated[
        Path | None,
        typer.Option("--repo", help="Top folder of the team's repository.", show_default="the one we are in"),
    ] = None,
) -> None:
    """Fetch the platform's current branch, which has the team's bounds, the environments and the published jobs.

    The other commands do so themselves every five minutes. Exit code: 0 where what is kept can be used, if old.
    """
    from jobyard_cli.platform.current import refresh as fetch

    current = fetch(repo.absolute() if repo else TeamRepo.find(Path()))
    print(current.state, file=sys.stderr if current.why else sys.stdout)
