"""`jobyard upgrade`: a later version of the platform's template."""

from __future__ import annotations

from typing import Annotated

import typer

from jobyard_cli.cli.options import TeamRepository, team_root


def upgrade(
    checkout: Annotated[
        str, typer.Option(help="Branch, tag or commit of the template.", show_default="its newest commit")
    ] = "",
    repo: TeamRepository = None,
) -> None:
    """Update the repository to a later version of the platform's template, without committing.

    Exit codes: 0 updated, or nothing to do; 1 conflicts to resolve.
    """
    from jobyard_cli.team.upgrade import upgrade as run

    done = run(team_root(repo), checkout)
    if not done.changed:
        print(f"nothing to do: the template has nothing newer for this repository than {done.before[:12]}")
        return
    print(f"the template's {done.before[:12]} -> {done.after[:12]}")
    for line in done.changed:
        print(f"  {line}")
    if done.conflicts:
        print("to decide, as both this repository and the template changed them:")
        for line in done.conflicts:
            print(f"  {line}")
        print("then run `jobyard check` and commit; to undo the upgrade: git reset --hard")
        raise typer.Exit(1)
    print("next: review it (git diff HEAD), run `jobyard check`, and commit it on a branch")
