"""`jobyard images`: what a pipeline does with the images of a team's repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.repo import TeamRepo

PLATFORM_HELP = "A work tree of the platform's repository."
PLATFORM_DEFAULT = "its current branch, fetched"


def images(
    environment: Annotated[str, typer.Option("--environment", help="Environment whose registry gets the images.")],
    output: Annotated[Path, typer.Option(help="File that gets each image's address, by digest, as JSON.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Environment to copy the images from, instead of building them.")
    ] = None,
    registry: Annotated[
        str | None, typer.Option(help="Registry to push to.", show_default="the environment's, else its account's ECR")
    ] = None,
    platforms: Annotated[
        str, typer.Option(help="Processors to build for.", show_default="those of the team's node groups")
    ] = "",
    platform: Annotated[Path | None, typer.Option(help=PLATFORM_HELP, show_default=PLATFORM_DEFAULT)] = None,
    repo: Annotated[
        Path | None, typer.Option(help="Top folder of the team's repository.", show_default="the one we are in")
    ] = None,
) -> None:
    """Build and push the images whose folder changed, and write where all of them are."""
    from jobyard_cli.container_images import platforms as processors
    from jobyard_cli.container_images.addresses import registry_of
    from jobyard_cli.container_images.publish import Origin, publish
    from jobyard_cli.environments import load_environment
    from jobyard_cli.platform.commands import platform_tree
    from jobyard_cli.steps import Steps, new_console

    root = repo.absolute() if repo else TeamRepo.find(Path())
    ours = TeamRepo.load(root)
    found = platform_tree(root, platform)
    address = registry or registry_of(load_environment(found, environment))
    origin = Origin(source, registry_of(load_environment(found, source))) if source else None
    chosen = processors.parse(platforms) if platforms else processors.of_team(ours)
    with Steps(new_console()) as steps:
        published = publish(root, ours.team, address, chosen, steps, origin)
    for one in published:
        print(f"{one.done}: {one.url}")
    output.write_text(json.dumps({one.name: one.url for one in published}, indent=1) + "\n", encoding="utf-8")
