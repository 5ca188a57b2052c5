"""`jobyard images`: what a pipeline does with the images of a team's repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.cli.options import (
    BuildPlatforms,
    EnvironmentName,
    PlatformWorkTree,
    TeamRepository,
    build_platforms,
    jobs_repository,
    own_images,
    platform_tree,
    team_root,
)
from jobyard_cli.errors import UsageError


def images(
    environment: EnvironmentName,
    output: Annotated[
        Path | None, typer.Option(help="JSON file to write: the address of each image, by digest.")
    ] = None,
    missing: Annotated[
        Path | None, typer.Option(help="JSON file to write: the images that the registry lacks. Builds nothing.")
    ] = None,
    built: Annotated[
        Path | None, typer.Option(help="Directory that `jobyard build-images` wrote, to push instead of building.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Environment to copy the images from, instead of building them.")
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(help="Registry to push to.", show_default="the environment's, or the ECR of its account"),
    ] = None,
    platforms: BuildPlatforms = "",
    platform: PlatformWorkTree = None,
    repo: TeamRepository = None,
) -> None:
    """Build and push the images whose directory changed, and write the addresses of all of them."""
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.images.addresses import registry_of
    from jobyard_cli.images.publish import Origin, find_missing, publish
    from jobyard_cli.platform.environments import load_environment

    if output is None and missing is None:
        raise UsageError("give --output or --missing")
    root = team_root(repo)
    jobs, chosen, only = jobs_repository(root), build_platforms(platforms, root), own_images(root)
    tree = platform_tree(root, platform or jobs.platform)
    address = registry or registry_of(load_environment(tree, environment))
    origin = Origin(source, registry_of(load_environment(tree, source))) if source else None
    with Steps(new_console()) as steps:
        if missing is not None:
            _write(missing, find_missing(root, jobs.team, address, chosen, steps, only))
            return
        published = publish(root, jobs.team, address, chosen, steps, origin, built, only)
    for image in published:
        print(f"{image.done}: {image.url}")
    assert output is not None
    _write(output, {image.name: image.url for image in published})


def _write(file: Path, content: dict[str, str]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
