"""`jobyard build-images`: the images of a team's repository, built where there are no credentials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import BuildPlatforms, TeamRepository, build_platforms, own_images, team_root


def build_images(
    output: Annotated[Path, typer.Option(help="Directory to write: an OCI layout in a directory for each image.")],
    missing: Annotated[
        Path | None,
        typer.Option(
            help="File that `jobyard images --missing` wrote: the images to build.", show_default="all images"
        ),
    ] = None,
    platforms: BuildPlatforms = "",
    repo: TeamRepository = None,
) -> None:
    """Build images into a directory, without any credentials.

    For a pipeline job that has none, because a Dockerfile can run any program.
    """
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.images.publish import build_all

    root = team_root(repo)
    wanted = json.loads(missing.read_text(encoding="utf-8")) if missing else None
    chosen = build_platforms(platforms, root)
    with Steps(new_console()) as steps:
        names = build_all(root, wanted, chosen, output.absolute(), steps, own_images(root))
    # Never an empty directory: pipelines pass none on to the next job.
    output.mkdir(parents=True, exist_ok=True)
    (output / "built.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    print(f"built: {', '.join(names) or 'nothing, the registry has all'}")
