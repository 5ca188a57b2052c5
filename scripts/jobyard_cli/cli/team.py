"""`jobyard team`: what a platform engineer does with teams, in the platform's repository."""

from __future__ import annotations

import typer

from jobyard_cli.cli.lazy import LazyGroup


class Commands(LazyGroup):
    """The commands of `jobyard team`."""

    panels = {
        "Commands": {
            "new": "jobyard_cli.cli.team_new:new",
            "list": "jobyard_cli.cli.team_list:list_teams",
        }
    }


app = typer.Typer(cls=Commands, no_args_is_help=True)


@app.callback()
def team() -> None:
    """Add and list teams."""
