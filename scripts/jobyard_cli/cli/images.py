"""`jobyard images`: what a pipeline does with the images of a team's repository."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from jobyard_cli.team.repo import TeamRepo

PLATFORM_HELP = "A work tree of the platform's repository."
PLATFORM_DEFAULT = "its current branch, fetched"


def images(
    environment: Annotated[str, typer.Option("--environment", help="Environment whose registry gets the images.")],
    output: Annotated[
        Path | None, typer.Option(help="File that gets each image's address, by digest, as JSON.")
    ] = None,
    missing: Annotated[
        Path | None, typer.Option(help="File that gets what the registry lacks, as JSON; nothing else is done.")
    ] = None,
    built: Annotated[
        Path | None, typer.Option(help="Folder with what `jobyard build-images` built, to push it instead of building.")
    ] = None,
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
    from jobyard_cli.cli.platform_repo import platform_tree
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.images.addresses import registry_of
    from jobyard_cli.images.publish import Origin, find_missing, publish
    from jobyard_cli.platform.environments import load_environment

    root = repo.absolute() if repo else TeamRepo.find(Path())
    ours = TeamRepo.load(root)
    found = platform_tree(root, platform)
    address = registry or registry_of(load_environment(found, environment))
    origin = Origin(source, registry_of(load_environment(found, source))) if source else None
    chosen = _platforms(platforms, ours)
    if missing is not None:
        with Steps(new_console()) as steps:
            _write(missing, find_missing(root, ours.team, address, chosen, steps))
        return
    if output is None:
        raise typer.BadParameter("give --output or --missing")
    with Steps(new_console()) as steps:
        published = publish(root, ours.team, address, chosen, steps, origin, built)
    for one in published:
        print(f"{one.done}: {one.url}")
    _write(output, {one.name: one.url for one in published})


def build_images(
    output: Annotated[Path, typer.Option(help="Folder that gets a folder for each image, an OCI layout.")],
    missing: Annotated[
        Path | None, typer.Option(help="File of `jobyard images --missing`.", show_default="every image is built")
    ] = None,
    platforms: Annotated[
        str, typer.Option(help="Processors to build for.", show_default="those of the team's node groups")
    ] = "",
    repo: Annotated[
        Path | None, typer.Option(help="Top folder of the team's repository.", show_default="the one we are in")
    ] = None,
) -> None:
    """Build images into a folder, without any login: for a job that has none, as a Dockerfile runs what it likes."""
    from jobyard_cli.cli.steps import Steps, new_console
    from jobyard_cli.images.publish import build_all

    root = repo.absolute() if repo else TeamRepo.find(Path())
    wanted = json.loads(missing.read_text(encoding="utf-8")) if missing else None
    chosen = _platforms(platforms, TeamRepo.load(root))
    with Steps(new_console()) as steps:
        names = build_all(root, wanted, chosen, output.absolute(), steps)
    # Never an empty folder, which no pipeline hands on.
    output.mkdir(parents=True, exist_ok=True)
    (output / "built.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    print(f"built: {', '.join(names) or 'nothing, the registry has all'}")


def _platforms(given: str, repo: TeamRepo) -> list[str]:
    from jobyard_cli.images import platforms as processors

    return processors.parse(given) if given else processors.of_team(repo)


def _write(file: Path, content: dict[str, str]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
