"""`jobyard new`: a job's first file."""

from __future__ import annotations

from typing import Annotated

import typer

from jobyard_cli.cli.options import TeamRepository, team_root


def new(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of the new job.")],
    like: Annotated[str, typer.Option(help="Example to start from.")] = "batch-inference",
    after: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEAM.JOB",
            help="Start after this job, of any team, in place of the example's schedule. Repeatable.",
            show_default="the example's schedule",
        ),
    ] = None,
    repo: TeamRepository = None,
) -> None:
    """Create dags/JOB/job.yaml from an example, and the images of the example's own, as far as images/ lacks them."""
    from jobyard_cli.team.scaffold import new_job

    root = team_root(repo)
    file, *images = new_job(root, job, like, after or ())
    for image in sorted({written.relative_to(root).parts[1] for written in images}):
        print(f"wrote images/{image}")
    print(f"wrote {file.relative_to(root)}; change it, then run `jobyard check`")
