"""`jobyard import`: jobs from what ran them before."""

from __future__ import annotations

import typer

from jobyard_cli.cli.lazy import LazyGroup


class Commands(LazyGroup):
    """The commands of `jobyard import`, one for each kind of file."""

    panels = {
        "Commands": {
            "crontab": "jobyard_cli.cli.import_crontab:crontab",
            "dag-factory": "jobyard_cli.cli.import_dag_factory:dag_factory",
        }
    }


app = typer.Typer(cls=Commands, no_args_is_help=True)


@app.callback()
def import_from() -> None:
    """Turn what runs jobs now into jobs of this repository."""
