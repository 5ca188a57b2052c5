"""The entry point of the `jobyard` command: which commands there are. Each is in a module of its own."""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer

from jobyard_cli.cli.lazy import LazyGroup
from jobyard_cli.errors import JobyardError

HERE = "jobyard_cli.cli"


class Commands(LazyGroup):
    """All commands, by panel of the help."""

    panels = {
        "Team repository": {
            "check": f"{HERE}.check:check",
            "new": f"{HERE}.new:new",
            "import": f"{HERE}.import_from:app",
            "run": f"{HERE}.run:run",
            "plan": f"{HERE}.plan:plan",
            "render": f"{HERE}.render:render",
            "test-chart": f"{HERE}.test_chart:test_chart",
            "release": f"{HERE}.release:release",
            "sync": f"{HERE}.sync:sync",
            "releases": f"{HERE}.releases:releases",
            "runs": f"{HERE}.runs:runs",
            "logs": f"{HERE}.logs:logs",
            "trigger": f"{HERE}.trigger:trigger",
            "backfill": f"{HERE}.backfill:backfill",
            "clear": f"{HERE}.clear:clear",
            "usage": f"{HERE}.usage:usage",
            "upgrade": f"{HERE}.upgrade:upgrade",
        },
        "Team pipeline": {
            "images": f"{HERE}.images:images",
            "build-images": f"{HERE}.build_images:build_images",
            "dags": f"{HERE}.dags:dags",
            "comment": f"{HERE}.comment:comment",
            "pipeline-role": f"{HERE}.pipeline_role:pipeline_role",
            "refresh": f"{HERE}.refresh:refresh",
        },
        "Platform repository": {
            "team": f"{HERE}.team:app",
            "iam": f"{HERE}.iam:iam",
            "kubeconfig": f"{HERE}.kubeconfig:kubeconfig",
            "node-groups": f"{HERE}.node_groups:app",
            "airflow-plugin": f"{HERE}.airflow_plugin:airflow_plugin",
            "publish-platform": f"{HERE}.publish_platform:publish_platform",
            "published-jobs": f"{HERE}.published_jobs:published_jobs",
        },
        "This machine": {
            "local": "jobyard_local.commands:app",
            "demo": "jobyard_local.demo.commands:demo",
        },
    }
    renamed = {"catalogue": "published-jobs"}


app = typer.Typer(cls=Commands, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"jobyard {version('jobyard')}")
        raise typer.Exit


@app.callback()
def jobyard(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Batch machine learning on Kubernetes with Airflow.

    Exit codes: 0 success, 1 findings or a failure, 2 the command itself is wrong.
    """


def run() -> None:
    """Run the command. An error that a person is meant to read ends it with its message and its exit code."""
    # What a command makes stays until it ends. Looking for garbage in it takes an eighth of a check's time.
    gc.set_threshold(100_000, 50, 100)
    try:
        app()
    except JobyardError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # `jobyard check | head`: the reader has closed the pipe.
        sys.stderr.close()
        sys.exit(1)
